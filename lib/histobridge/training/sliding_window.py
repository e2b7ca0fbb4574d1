"""Run a network over an image of any size: overlapping windows, Gaussian blending, one noise canvas for the image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from histobridge.tiles import Place, window_starts
from histobridge.training.device import autocast, place

LARGEST, OVERLAP = 768, 64
"""Side of the largest window, and what neighbours share at least, px."""
MULTIPLE = 32
"""Windows have sides that are multiples of this: so often do the deepest networks halve them."""
BLOCK = 64
"""Side of the squares in which noise is drawn."""


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
        The image in whatever range the network wants.
    network : callable
        Maps a window [1, 1, h, w] and its place (row and column slices in the image) to [1, C, h, w]; h and w are
        multiples of `MULTIPLE`.
    largest, overlap : int
        Of the windows, px; as in `window_side`.

    Returns
    -------
    ndarray, float32 [C, H, W]
    """
    from monai.inferers import sliding_window_inference  # seconds, which only a prediction should cost

    sides = [window_side(side, largest=largest, overlap=overlap) for side in image.shape]
    # MONAI rounds the step from window to window down: half a px keeps it whole.
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
    """Return the side of the windows that cover one side of an image: few, equal, and hardly more than is needed.

    Windows of one size would cover an image a little larger than themselves twice over.

    Parameters
    ----------
    side : int
        Of the image, px.
    largest : int
        That a window may have, px: what bounds the memory.
    overlap : int
        That neighbours share at least, px.

    Examples
    --------
    >>> [window_side(side) for side in (180, 750, 800, 6300)]
    [192, 768, 448, 768]
    """
    number = max(1, -(-(side - overlap) // (largest - overlap)))
    return -(-(side + (number - 1) * overlap) // (number * MULTIPLE)) * MULTIPLE


def window_borders(side: int) -> list[int]:
    """Return where the windows that cover one side of an image begin and end: there a seam would be.

    >>> window_borders(1000)
    [0, 544, 456, 1000]
    """
    window = window_side(side)
    return [border for start in window_starts(side, window, OVERLAP) for border in (start, min(start + window, side))]


def noise_canvas(seed: int, draw: int, place: Place) -> Tensor:
    """Return the part at `place` of an endless plane of standard normal noise.

    The plane is drawn square by square, each from its own position, so that a window sees the noise it would see
    in the whole image while only the window is ever held in memory.

    Parameters
    ----------
    seed, draw : int
        Which plane: the seed of the image and the number of the draw.
    place : tuple of slice
        Rows and columns, from 0.

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
