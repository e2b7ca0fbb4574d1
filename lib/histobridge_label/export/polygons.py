"""Label maps to polygons and back, without the loss of a pixel: outlines run along the edges of pixels.

Coordinates are (x, y) in px from the upper left *corner* of the image, x to the right and y down, as QuPath counts
them: the pixel in row r and column c is the square from (c, r) to (c + 1, r + 1), and its centre, which decides
whether a polygon holds it, is (c + 0.5, r + 0.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from skimage.measure import label

Ring = np.ndarray
"""int or float [N, 2] of x, y in px; closed: the last point is the first."""
Polygon = list[Ring]
"""An outline, and then the outlines of its holes."""

TURNS = 4  # right, down, left, up: each is one to the right of the one before


def traced(labels: np.ndarray) -> Iterator[tuple[int, list[Polygon]]]:
    """Trace every label of a map: yield it with its polygons, by number.

    A polygon is one piece of a label connected by sides. Pieces that touch at corners are polygons of their own, and
    holes that do are rings of their own, so all are valid in the sense of the OGC: no ring meets itself. Outlines
    run counterclockwise and holes clockwise if y is taken to point up (RFC 7946).

    Parameters
    ----------
    labels : ndarray
        int `[H, W]`, not negative; 0 is not traced.

    Examples
    --------
    >>> [(number, [ring.tolist() for ring in polygons[0]]) for number, polygons in traced(np.array([[0, 7, 7]]))]
    [(7, [[[1, 0], [3, 0], [3, 1], [1, 1], [1, 0]]])]
    """
    for number, rings in groupby(_rings(np.pad(labels, 1)), key=lambda ring: ring[0]):
        polygons: list[Polygon] = []
        for _, is_outline, corners in rings:
            if is_outline:
                polygons.append([])
            polygons[-1].append(corners)
        yield number, polygons


def rasterised(rings: Sequence[Ring], shape: tuple[int, int]) -> np.ndarray:
    """Return bool [H, W]: the pixels whose centre lies inside of an odd number of rings.

    For the rings of one valid polygon or multipolygon, in any order and direction; it undoes `traced` exactly. A
    centre right on an edge is inside if that is a left or an upper one. What lies outside the image is cut off.

    Parameters
    ----------
    rings : sequence of ndarray
        int or float `[N, 2]` each: x, y in px. A ring may be left open.
    shape : (int, int)
        Height and width, px.

    Examples
    --------
    >>> rasterised([np.array([(1, 0), (3, 0), (3, 1), (1, 1)])], (2, 4)).astype(int).tolist()
    [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    height, width = shape
    crossed = np.zeros(height * (width + 1), dtype=np.int64)
    for ring in rings:
        rows, x = _crossings(np.asarray(ring, dtype=float), height)
        columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
        crossed += np.bincount(rows * (width + 1) + columns, minlength=crossed.size)
    return crossed.reshape(height, width + 1)[:, :-1].cumsum(axis=1) % 2 == 1


def _crossings(ring: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows whose line of centres a ring crosses, int [N], and where it does, x [N]."""
    here, there = ring, np.roll(ring, -1, axis=0)
    first, last = (np.clip(np.ceil(end[:, 1] - 0.5), 0, height).astype(np.int64) for end in (here, there))
    low, count = np.minimum(first, last), np.abs(first - last)
    edge = np.repeat(np.arange(len(ring)), count)  # once for each row that it crosses; level ones cross none
    rows = low[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    (x0, y0), (x1, y1) = here[edge].T, there[edge].T
    return rows, x0 + (rows + 0.5 - y0) / (y1 - y0) * (x1 - x0)


def _rings(labels: np.ndarray) -> Iterator[tuple[int, bool, Ring]]:
    """Yield every ring of a padded label map: its label, whether it is an outline, and its corners.

    Labels come by number, their pieces one after another, and the outline of each piece before its holes.
    """
    width = labels.shape[1]
    piece, number, start, direction = _edges(labels)
    before = 0
    for walk in _walks(_following(piece, start, direction, labels.size, width)):
        turns = direction[walk] != np.roll(direction[walk], 1)
        corners = start[walk[turns]]
        y, x = np.divmod(np.append(corners, corners[0]), width)
        first = walk[0]
        yield int(number[first]), bool(piece[first] != before), np.column_stack([x, y]) - 1
        before = piece[first]


def _edges(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the sides of pixels at which pieces end, sorted by label, piece, place and direction.

    Walking along them, a piece lies to the right, so that the first side of a piece, the topmost and then leftmost,
    belongs to its outline.

    Returns
    -------
    piece, number, start, direction : ndarray
        int `[N]`: which piece of which label (pieces count from 1), the corner at which it starts, as an index into the
        flat padded map of the pixel to the lower right, and the direction (0 right, 1 down, 2 left, 3 up).
    """
    width = labels.shape[1]
    pieces = label(labels, connectivity=1).ravel()
    inner = slice(width + 1, -width - 1)  # the rest is padding, so that neighbours may be told by flat index
    found = []
    for direction, (beside, start) in enumerate(((-width, 0), (1, 1), (width, width + 1), (-1, width))):
        other = pieces[inner.start + beside : len(pieces) + inner.stop + beside]
        pixels = np.flatnonzero((pieces[inner] != other) & (pieces[inner] > 0)) + inner.start
        found.append((pieces[pixels], labels.ravel()[pixels], pixels + start, np.full(len(pixels), direction)))
    piece, number, start, direction = map(np.concatenate, zip(*found, strict=True))
    order = np.lexsort((direction, start, piece, number))
    return _counted(piece[order]), number[order], start[order], direction[order]


def _counted(groups: np.ndarray) -> np.ndarray:
    """Return numbers from 1 on for runs of equal values.

    >>> _counted(np.array([7, 7, 3, 9, 9])).tolist()
    [1, 1, 2, 3, 3]
    """
    return np.cumsum(np.diff(groups, prepend=-1) != 0)


def _following(piece: np.ndarray, start: np.ndarray, direction: np.ndarray, size: int, width: int) -> np.ndarray:
    """Return for each side the index of the next one of its ring.

    Where a piece meets itself at a corner, two sides could be next. Turning left there leaves what is not the piece
    apart: then a ring surrounds one hole and never comes back to a corner.
    """
    end = start + np.array([1, width, -1, -width])[direction]
    key = (piece * size + start) * TURNS + direction
    any_turn = (piece * size + end) * TURNS
    left_turn = any_turn + (direction - 1) % TURNS
    found = np.minimum(np.searchsorted(key, left_turn), len(key) - 1)
    return np.where(key[found] == left_turn, found, np.searchsorted(key, any_turn))


def _walks(following: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the cycles of a permutation as indices in order, the one with the lowest index first."""
    after, seen = following.tolist(), bytearray(len(following))
    for first in range(len(after)):
        walk, here = [], first
        while not seen[here]:
            seen[here] = 1
            walk.append(here)
            here = after[here]
        if walk:
            yield np.array(walk)
