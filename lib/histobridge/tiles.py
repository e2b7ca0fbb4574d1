"""Positions of tiles and of sliding windows in an image."""

from __future__ import annotations

Place = tuple[slice, slice]
"""Rows and columns of a part of an image."""


def window_starts(side: int, window: int, overlap: int) -> list[int]:
    """Return where the windows along one side of an image begin; the last one is moved back to fit.

    >>> window_starts(1000, 512, 64)
    [0, 448, 488]
    """
    last = max(side - window, 0)
    return [*range(0, last, max(window - overlap, 1)), last]


def tile_places(shape: tuple[int, int], side: int) -> list[Place]:
    """Return the square tiles of `side` px that cover an image, row by row; the last ones are moved back to fit.

    >>> [(rows.start, columns.start) for rows, columns in tile_places((64, 100), 64)]
    [(0, 0), (0, 36)]
    """
    tops, lefts = (window_starts(length, side, 0) for length in shape)
    return [(slice(top, top + side), slice(left, left + side)) for top in tops for left in lefts]
