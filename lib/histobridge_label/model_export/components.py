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
ANGLES, LARGEST_PART, AT_ONCE = 256, 6, 16
"""Of the tangents of a hull: how many are evenly turned, the largest denominator of those with the slope of a fraction,
and how many are laid at once, which bounds the memory."""
FAR = 1e5
"""A column (px) outside of every image."""


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


def slopes() -> Tensor:
    """Return the slopes of all tangents of a hull, px/px, float32 [N, AT_ONCE, 1, 1].

    Sides of hulls of pixels have the slopes of fractions, most of them small; evenly turned tangents serve the rest.
    """
    turned = {math.tan(math.pi * ((number + 0.5) / ANGLES - 0.5)) for number in range(ANGLES)}
    parts = range(1, LARGEST_PART + 1)
    found = sorted(turned | {sign * p / q for p in (0, *parts) for q in parts for sign in (-1, 1)})
    return torch.tensor(found[: len(found) // AT_ONCE * AT_ONCE]).view(-1, AT_ONCE, 1, 1)


def hull_areas(owner: Tensor, wanted: Tensor, tangents: Tensor) -> Tensor:
    """Return how many pixels the convex hulls of some components cover, float32 [B · H · W]; 0 for the others.

    As in scikit-image, a hull is that of diamonds around the centres of pixels, and covers the pixels whose centres lie
    in it. Here it is the polygon between many tangents. A component has a pixel in every row of its hull, because its
    parts touch.

    Parameters
    ----------
    owner : Tensor
        The component of every pixel, int64 [B, H, W].
    wanted : Tensor
        Whether the component that an entry names is one of them, bool [B · H · W].
    tangents : Tensor
        Of `slopes`.
    """
    flat, rows = owner.flatten(), places(owner[:, :, 0].flatten())
    names, pixels = wanted.nonzero()[:, 0], wanted[flat].nonzero()[:, 0]
    column, row = pixels % owner.shape[2], pixels // owner.shape[2]
    down = (rows - names[:, None] // owner.shape[2]).float()  # [components, rows]
    cell = (wanted.long().cumsum(0) - 1)[flat[pixels]] * rows.shape[0] + row
    empty = (down * 0 - FAR).flatten()
    right = empty.scatter_reduce(0, cell, column.float(), "amax").view_as(down)
    left = empty.scatter_reduce(0, cell, -column.float(), "amax").view_as(down)
    covered = (_end_of_hull(right, down, tangents) + _end_of_hull(left, down, tangents) + 1).clamp(min=0)
    areas = torch.where(right > -FAR, covered, 0).sum(1)
    return (flat * 0).float().scatter(0, names, areas)


def _end_of_hull(last: Tensor, down: Tensor, tangents: Tensor) -> Tensor:
    """Return the last column of each row that hulls cover, from the last columns of components, float32 [K, rows]."""
    limit = down * 0 + FAR
    for some in range(tangents.shape[0]):
        along = tangents[some] * down  # [AT_ONCE, K, rows]
        touch = (last + along).amax(2, keepdim=True) + tangents[some].abs().clamp(min=1) / 2
        limit = torch.minimum(limit, (touch - along).amin(0))
    return (limit + 1e-3).floor()
