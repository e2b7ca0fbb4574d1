"""Connected components and convex hulls as operations on tensors, which TorchScript and ONNX can hold.

A component is named by the smallest index of its pixels, counted over the whole batch, row by row. What belongs to
components is a vector with an entry for every pixel; only those of pixels that name a component have a meaning.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from histobridge_label.model_export.windows import places

ROUNDS = 20
"""Of hooking and halving. Noise of 512 x 512 px needs 12, and a spiral that fills them 17."""
DIRECTIONS = 64
"""In which components are measured, over half a turn: the hull of a disc is 0.02 % too large."""


def components(inside: Tensor, *, corners: bool) -> Tensor:
    """Return the component of every pixel, int64 [B, H, W]; a pixel that is not inside is one of its own.

    The method is FastSV (Zhang, Azad and Hu 2020): trees of pixels hook onto smaller neighbours, and paths to roots are
    halved, so that the number of rounds hardly depends on sizes and shapes.

    Parameters
    ----------
    inside : Tensor
        bool [B, H, W].
    corners : bool
        Whether pixels that touch at a corner are neighbours.
    """
    parent = places(inside.flatten())
    own = parent.view_as(inside)
    for _ in range(ROUNDS):
        grandparent = parent[parent]
        least = torch.where(inside, _least_around(grandparent.view_as(inside), inside, corners), own)
        least = torch.minimum(least.flatten(), grandparent)
        parent = torch.minimum(parent.scatter_reduce(0, parent, least, "amin"), least)
    return parent.view_as(inside)


def _least_around(values: Tensor, inside: Tensor, corners: bool) -> Tensor:
    """Return the smallest value [B, H, W] of each pixel and its neighbours, of those that are inside."""
    most = 2.0**31
    shown = torch.where(inside, values, int(most))
    rows = torch.minimum(pad(shown, [0, 0, 1, 0], value=most)[:, :-1], pad(shown, [0, 0, 0, 1], value=most)[:, 1:])
    rows = torch.minimum(rows, shown)
    line = rows if corners else shown
    sides = torch.minimum(pad(line, [1, 0], value=most)[:, :, :-1], pad(line, [0, 1], value=most)[:, :, 1:])
    return torch.minimum(rows, sides)


def total(owner: Tensor, counted: Tensor) -> Tensor:
    """Return how many pixels of each component are counted, float32 [B · H · W].

    Parameters
    ----------
    owner : Tensor
        The component of every pixel, int64 [B, H, W].
    counted : Tensor
        bool [B, H, W].
    """
    ones = counted.flatten().float()
    return (ones * 0).scatter_add(0, owner.flatten(), ones)


def hull_areas(owner: Tensor) -> Tensor:
    """Return the area (px) of the convex hull of each component, float32 [B · H · W].

    The hull is the polygon between its tangents in `DIRECTIONS`. A pixel is a diamond, as in scikit-image. Coordinates
    start at the pixel that names the component, because large ones would cost float32 its precision.

    Parameters
    ----------
    owner : Tensor
        The component of every pixel, int64 [B, H, W].
    """
    width, root = owner.shape[2], owner.flatten()
    place = places(root)
    right = (place % width - root % width).float()
    down = (place // width - root // width).float()
    ahead, behind = [], []
    for number in range(DIRECTIONS):
        cosine, sine = math.cos(math.pi * number / DIRECTIONS), math.sin(math.pi * number / DIRECTIONS)
        along, half = right * cosine + down * sine, max(abs(cosine), abs(sine)) / 2
        ahead.append(along.scatter_reduce(0, root, along, "amax") + half)
        behind.append(half - along.scatter_reduce(0, root, along, "amin"))
    reach, step = ahead + behind, math.pi / DIRECTIONS
    sides = [reach[i - 1] + reach[(i + 1) % len(reach)] - 2 * math.cos(step) * reach[i] for i in range(len(reach))]
    return sum(far * side for far, side in zip(reach, sides, strict=True)) / (2 * math.sin(step))
