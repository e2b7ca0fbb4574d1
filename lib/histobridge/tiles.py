"""Positions of tiles and of sliding windows in an image."""

from __future__ import annotations

from collections.abc import Iterator

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


def blocks(shape: tuple[int, int], side: int) -> Iterator[Place]:
    """Yield the squares of `side` px that divide an image of a shape, row by row; the last ones are smaller.

    >>> [(rows.stop, columns.stop) for rows, columns in blocks((4, 5), 4)]
    [(4, 4), (4, 5)]
    """
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            yield slice(top, min(top + side, shape[0])), slice(left, min(left + side, shape[1]))


def widened(where: Place, margins: tuple[int, int], shape: tuple[int, int]) -> Place:
    """Return a place with margins (px) of rows and columns around it, as far as the image goes.

    >>> widened((slice(0, 4), slice(4, 8)), (2, 2), (9, 9))
    (slice(0, 6, None), slice(2, 9, None))
    """
    return tuple(
        slice(max(0, side.start - margin), min(length, side.stop + margin))
        for side, margin, length in zip(where, margins, shape, strict=True)
    )


def inside(where: Place, around: Place) -> Place:
    """Return where a place lies in the part of the image that is read `around` it."""
    return tuple(
        slice(inner.start - outer.start, inner.stop - outer.start) for inner, outer in zip(where, around, strict=True)
    )
