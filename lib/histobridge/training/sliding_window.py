"""Apply a network to an image of any size, in overlapping windows that share one canvas of noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from histobridge.tiles import Place, window_starts
from histobridge.training.device import autocast, place

LARGEST, OVERLAP = 768, 64
"""Side of the largest window, and least overlap of neighbouring windows, px."""
MULTIPLE = 32
"""Sides of windows are multiples of this (px), because the deepest networks halve them five times."""
BLOCK = 64
"""Side of the squares in which noise is drawn, px."""


@torch.inference_mode()
def over_windows(
    image: np.ndarray,
    network: Callable[[Tensor, Place], Tensor],
    *,
    largest: int = LARGEST,
    overlap: int = OVERLAP,
) -> np.ndarray:
    """Apply `network` to overlapping windows of an image and blend the results with Gaussian weights.

    Parameters
    ----------
    image : ndarray, float32 [H, W]
        The image in the range that the network expects.
    network : callable
        Maps a window [1, 1, h, w] and its place (row and column slices in the image) to [1, C, h, w]. Sides h and w
        are multiples of `MULTIPLE`.
    largest, overlap : int
        Side of the largest window, and least overlap, px.

    Returns
    -------
    ndarray, float32 [C, H, W]
    """
    from monai.inferers import sliding_window_inference  # slow to import, so only for prediction

    sides = [window_side(side, largest=largest, overlap=overlap) for side in image.shape]
    # MONAI rounds the step from window to window down: subtracting half a pixel gives exactly `overlap`.
    shares = [max(overlap - 0.5, 0) / side if overlap < side else 0 for side in sides]

    def predict(piece: Tensor, where: list) -> Tensor:
        with autocast():
            return network(place(piece), tuple(where[0][2:])).float().cpu()

    whole = torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None]
    blended = sliding_window_inference(
        whole, sides, 1, predict, overlap=shares, mode="gaussian", padding_mode="replicate", with_coord=True
    )
    return blended[0].numpy()


def window_side(side: int, *, largest: int = LARGEST, overlap: int = OVERLAP) -> int:
    """Return the side of the equal windows that cover one side of an image.

    The windows are as few as `largest` allows, and then as small as possible. Windows of the fixed side `largest`
    would cover an image slightly larger than themselves almost twice.

    Parameters
    ----------
    side : int
        Side of the image, px.
    largest : int
        Largest side of a window, px. It bounds the memory.
    overlap : int
        Least overlap of neighbouring windows, px.

    Examples
    --------
    >>> [window_side(side) for side in (180, 750, 800, 6300)]
    [192, 768, 448, 768]
    """
    number = max(1, -(-(side - overlap) // (largest - overlap)))
    return -(-(side + (number - 1) * overlap) // (number * MULTIPLE)) * MULTIPLE


def window_borders(side: int) -> list[int]:
    """Return where the windows that cover one side of an image begin and end, px: the possible places of seams.

    >>> window_borders(1000)
    [0, 544, 456, 1000]
    """
    window = window_side(side)
    return [border for start in window_starts(side, window, OVERLAP) for border in (start, min(start + window, side))]


def noise_canvas(seed: int, draw: int, place: Place) -> Tensor:
    """Return the part at `place` of an unbounded plane of standard normal noise.

    Every square of the plane has its own random generator, seeded with its position. A window therefore gets the
    same noise as in the whole image, and only the window is held in memory.

    Parameters
    ----------
    seed, draw : int
        Which plane: the seed of the translation and the number of the draw.
    place : tuple of slice
        Rows and columns, not negative.

    Returns
    -------
    Tensor, float32 [1, 1, h, w]
    """
    rows, columns = place
    first_row, first_column = rows.start // BLOCK, columns.start // BLOCK
    squares = [
        [_square(seed, draw, i, j) for j in range(first_column, -(-columns.stop // BLOCK))]
        for i in range(first_row, -(-rows.stop // BLOCK))
    ]
    top, left = rows.start - first_row * BLOCK, columns.start - first_column * BLOCK
    plane = np.block(squares)[top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]
    return torch.from_numpy(np.ascontiguousarray(plane))[None, None]


def _square(*position: int) -> np.ndarray:
    return np.random.default_rng(position).standard_normal((BLOCK, BLOCK), dtype=np.float32)
