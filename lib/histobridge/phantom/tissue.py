"""Drawn nerve tissue: the cross section that a phantom shows, with its exact mask.

Cells are pushed apart until they pack, flattened against their neighbours, and each fibre is wrapped in a sheath.
`histobridge.phantom.render` turns the result into images. All sizes are in µm; only the last step of drawing turns
them into pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from histobridge.classes import AXON, MYELIN
from histobridge.errors import UserError

MARGIN = 4.0  # µm drawn beyond each edge and cut off: fibres at the border are cut, not squeezed
AXON_MEDIAN, AXON_SPREAD, AXON_RANGE = 2.3, 0.42, (0.8, 6.0)  # log-normal diameter, µm
G_RATIO_MEAN, G_RATIO_SPREAD, G_RATIO_RANGE = 0.70, 0.05, (0.58, 0.82)
SMALL_RANGE = (0.6, 1.9)  # diameters of unmyelinated axons, µm
NUCLEUS_RANGE = (4.0, 6.5)
JAMMED, SQUEEZED = 0.88, 0.11  # share of the area that discs can fill; share that fibres lose to neighbours
CORNER = 0.45  # smallest radius of a corner of a fibre, µm
HARMONICS = np.arange(2, 6)  # of an outline: 2 is oval, 3 pear-shaped, 4 squarish, 5 knobbly


@dataclass(frozen=True, eq=False)
class Geometry:
    """A cross section of nerve, independent of any modality; every map is `[H, W]`.

    Depths are signed distances in µm, positive inside the structure, exact enough near its edge to draw it.
    """

    mask: np.ndarray  # uint8: 0 background, 1 myelin, 2 axon
    labels: np.ndarray  # int32: 0 outside, else the number of the fibre (its myelin and its axon)
    axon_depth: np.ndarray  # float32: from the inner edge of the sheath; negative in it, 0 outside the fibre
    small_depth: np.ndarray  # float32: in unmyelinated axons, which belong to the background class
    small_labels: np.ndarray  # int32: number of the unmyelinated axon that is nearest
    nucleus_depth: np.ndarray  # float32: in the nuclei of glia, background too
    organelle_depth: np.ndarray  # float32: in mitochondria, within axons of both kinds
    um_per_px: float


@dataclass(frozen=True)
class _Cells:
    """Closed outlines, one in each row: centre (y, x) and radius in µm, elongation, angle, and wobble."""

    centre: np.ndarray  # [N, 2]
    radius: np.ndarray  # [N]
    elongation: np.ndarray  # [N] long over short axis, at constant area
    angle: np.ndarray  # [N]
    wobble: np.ndarray  # [N, harmonics] complex amplitudes, relative to the radius


def draw_geometry(
    seed: int,
    shape: tuple[int, int] = (256, 256),
    um_per_px: float = 0.1,
    *,
    fibre_fraction: float = 0.62,
) -> Geometry:
    """Draw a cross section of nerve.

    It holds myelinated fibres (log-normal axon diameters, median about 2.2 µm; g-ratio about 0.7), bundles of
    unmyelinated axons between them, a few nuclei, and mitochondria. The same field of view at a finer `um_per_px`
    shows the same tissue.

    Parameters
    ----------
    seed : int
        Determines the tissue, bit for bit.
    shape : (int, int)
        Height and width in pixels.
    um_per_px : float
        Pixel size in µm, above 0 and at most 0.4 (above that a sheath is thinner than a pixel).
    fibre_fraction : float
        Wanted share of the area in myelinated fibres, 0.05 to 0.75; the drawn share is close to it.

    Returns
    -------
    Geometry

    Raises
    ------
    UserError
        If a size is impossible.

    Examples
    --------
    >>> tissue = draw_geometry(0, (96, 128))
    >>> tissue.mask.shape, np.unique(tissue.mask).tolist()
    ((96, 128), [0, 1, 2])
    """
    _check(shape, um_per_px, fibre_fraction)
    rng = np.random.default_rng(seed)
    extent = np.array(shape) * um_per_px + 2 * MARGIN
    fibres, small, nuclei, g_ratio = _tissue(rng, extent, fibre_fraction)
    y, x = _warped_grid(rng, extent, um_per_px)
    fibre_depth, owner = _stamp(fibres, y, x, um_per_px)
    labels, sheath_depth = _separate(fibre_depth, owner, um_per_px)
    axon_depth = _axon_depth(rng, labels, sheath_depth, g_ratio, um_per_px)
    # At least two pixels of sheath, so that no axon touches the background, not even at a corner.
    axon = (axon_depth > 0) & (sheath_depth > 1.5 * um_per_px)
    labels *= np.isin(labels, labels[axon])
    mask = np.where(axon & (labels > 0), AXON, MYELIN * (labels > 0)).astype(np.uint8)
    small_depth, small_owner = _stamp(small, y, x, um_per_px)
    small_depth = np.minimum(small_depth, -fibre_depth - 0.5 * um_per_px)
    nucleus_depth = np.minimum(_stamp(nuclei, y, x, um_per_px)[0], -fibre_depth - 0.1)
    small_depth = np.minimum(small_depth, -nucleus_depth - 0.1)
    organelle_depth, _ = _stamp(_organelles(rng, fibres, small), y, x, um_per_px)
    room = np.where(mask == AXON, axon_depth, small_depth)
    organelle_depth = np.minimum(organelle_depth, room - 0.05)
    maps = (mask, labels, axon_depth, small_depth, small_owner, nucleus_depth, organelle_depth)
    return Geometry(*(_crop(m, shape, um_per_px) for m in maps), um_per_px)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], scale_px: float) -> np.ndarray:
    """Draw smooth Gaussian noise of about unit variance, float64 `[H, W]`, with features of `scale_px`.

    Random knots on a grid are interpolated by a quadratic B-spline. The knots depend only on `shape / scale_px`, so the
    same field of view gets the same noise at any pixel size (if the features are larger than a pixel).

    >>> coarse, fine = (smooth_noise(np.random.default_rng(0), (n, n), n / 16) for n in (32, 64))
    >>> bool(np.abs(fine.reshape(32, 2, 32, 2).mean(axis=(1, 3)) - coarse).max() < 0.2)
    True
    """
    step = max(scale_px, 1.0)
    knots = rng.standard_normal([int(np.ceil(round(n / step, 6))) + 4 for n in shape])
    offset = 1.5 + 0.5 / step
    field = ndimage.affine_transform(knots, [1 / step] * 2, offset, tuple(shape), order=2, prefilter=False)
    return field / 0.55  # the standard deviation, from the integral of the squared quadratic B-spline


def _check(shape, um_per_px, fibre_fraction) -> None:
    if len(shape) != 2 or min(shape) < 8:
        raise UserError(f"No phantom has shape {tuple(shape)}: give (height, width), each at least 8.")
    if not 0 < um_per_px <= 0.4:
        raise UserError(f"um_per_px is {um_per_px}: give a pixel size above 0 and at most 0.4 µm.")
    if not 0.05 <= fibre_fraction <= 0.75:
        raise UserError(f"fibre_fraction is {fibre_fraction}: give a share of the area from 0.05 to 0.75.")


def _crop(image, shape, um_per_px):
    """Remove the margin."""
    edge = round(MARGIN / um_per_px)
    cut = image[edge : edge + shape[0], edge : edge + shape[1]]
    return np.ascontiguousarray(cut, dtype=np.float32 if cut.dtype.kind == "f" else cut.dtype)


# --- the tissue, in µm ------------------------------------------------------------------------------


def _tissue(rng, extent, fibre_fraction):
    """Draw the cells and push them apart; return fibres, small axons, nuclei and g-ratios."""
    area = np.prod(extent)
    axon = AXON_MEDIAN * np.exp(AXON_SPREAD * rng.standard_normal(round(area)))
    axon = axon[(axon > AXON_RANGE[0]) & (axon < AXON_RANGE[1])]
    g_ratio = np.clip(rng.normal(G_RATIO_MEAN, G_RATIO_SPREAD, axon.size), *G_RATIO_RANGE)
    fibres = _fill(axon / g_ratio / 2, fibre_fraction / (1 - SQUEEZED) * area)
    nuclei = _fill(rng.uniform(*NUCLEUS_RANGE, round(area)) / 2, 0.025 * area)
    rest = JAMMED - 0.025 - fibre_fraction
    small = _fill(rng.uniform(*SMALL_RANGE, 10 * round(area)) / 2, rng.uniform(0.8, 1.3) * rest * area)
    scattered = rng.uniform(0, extent, (fibres.size + nuclei.size, 2))
    bundles = rng.uniform(0, extent, (1 + small.size // 12, 2))
    bundled = rng.normal(bundles[rng.integers(len(bundles), size=small.size)], 1.5)
    radius = np.concatenate([fibres, nuclei, small])
    cells = _outlines(rng, _push_apart(np.concatenate([scattered, bundled]), radius, extent), radius)
    cuts = np.cumsum([0, fibres.size, nuclei.size, small.size])
    fibres, nuclei, small = (_rows(cells, slice(*pair)) for pair in pairwise(cuts))
    return fibres, small, nuclei, g_ratio[: cuts[1]]


def _fill(radius, area):
    """Return the radii of the first discs that together cover `area`."""
    return radius[np.cumsum(np.pi * radius**2) <= area]


def _push_apart(centre, radius, extent, *, rounds=6, steps=12):
    """Move overlapping discs apart, the smaller one further, until they are jammed."""
    mass = radius**2
    for _ in range(rounds):
        # Many cells are clipped to the coordinate 0. The tree splits just above such a coordinate, and the number just
        # above 0 is denormal. If torch flushes those (training/device.py) the recursion never ends: move the cells.
        pairs = cKDTree(centre + 1.0).query_pairs(2 * radius.max(), output_type="ndarray")
        i, j = pairs.T
        near = np.linalg.norm(centre[i] - centre[j], axis=1) < radius[i] + radius[j] + 1.0
        i, j = i[near], j[near]
        reach, share = radius[i] + radius[j], mass[j] / (mass[i] + mass[j])
        for _ in range(steps):
            offset = centre[i] - centre[j]
            distance = np.hypot(*offset.T) + 1e-6
            push = 0.6 * np.maximum(reach - distance, 0) / distance
            moves = [
                np.bincount(i, push * share * offset[:, k], len(centre))
                - np.bincount(j, push * (1 - share) * offset[:, k], len(centre))
                for k in (0, 1)
            ]
            centre = np.clip(centre + np.stack(moves, axis=1), 0, extent)
    return centre


def _outlines(rng, centre, radius) -> _Cells:
    """Give discs oval, wobbly outlines, elongated in a common direction (no nerve is cut exactly across)."""
    count = radius.size
    angle = rng.normal(rng.uniform(0, np.pi), 0.5, count)
    elongation = np.exp(np.abs(rng.normal(0, 0.22, count)))
    wobble = rng.standard_normal((count, 2 * HARMONICS.size)).view(complex)
    return _Cells(centre, radius, elongation, angle, 0.2 * wobble / HARMONICS**1.5)


def _rows(cells: _Cells, rows) -> _Cells:
    return _Cells(*(getattr(cells, name)[rows] for name in _Cells.__dataclass_fields__))


def _organelles(rng, fibres: _Cells, small: _Cells) -> _Cells:
    """Draw mitochondria: one or a few in a fibre, depending on its size, and one in some of the small axons."""
    hosts = np.concatenate([np.stack([*c.centre.T, c.radius], axis=1) for c in (fibres, small)])
    count = rng.poisson(np.where(hosts[:, 2] > SMALL_RANGE[1] / 2, 0.5 * hosts[:, 2], 0.1))
    y, x, radius = np.repeat(hosts, count, axis=0).T
    away, angle = 0.55 * radius * np.sqrt(rng.random(y.size)), rng.uniform(0, 2 * np.pi, y.size)
    centre = np.stack([y + away * np.sin(angle), x + away * np.cos(angle)], axis=1)
    cells = _outlines(rng, centre, np.minimum(rng.uniform(0.18, 0.42, y.size), radius / 2.5))
    return replace(cells, elongation=rng.uniform(1, 2.5, y.size))


# --- from µm to pixels --------------------------------------------------------------------------------------


def _warped_grid(rng, extent, um_per_px):
    """Return slightly distorted coordinates (y, x) in µm of every pixel, so that circles become irregular."""
    shape = tuple(int(n) for n in np.round(extent / um_per_px))
    y, x = (np.indices(shape) + 0.5) * um_per_px
    return tuple(axis + 0.16 * smooth_noise(rng, shape, 1.6 / um_per_px) for axis in (y, x))


def _stamp(cells: _Cells, y, x, um_per_px):
    """Return the signed depth (µm) in the union of `cells`, zero where two of them meet, and the owner (1..N).

    Each cell has its own distance-like function; where two cells overlap, the wall lies where both functions are equal,
    as in a power diagram, so crowded cells flatten each other.
    """
    best = np.full(y.shape, 5.0)
    second, owner = best.copy(), np.zeros(y.shape, np.int32)
    for number in range(cells.radius.size):
        window = _window(cells.centre[number], 1.5 * cells.radius[number] + 0.6, um_per_px)
        distance = _distance(_rows(cells, number), y[window], x[window])
        before = best[window]
        owner[window][distance < before] = number + 1
        second[window] = np.minimum(second[window], np.maximum(before, distance))
        best[window] = np.minimum(before, distance)
    return np.minimum(-best, (second - best) / 2), owner


def _window(centre, reach, um_per_px):
    low = np.maximum((centre - reach) / um_per_px, 0).astype(int)
    high = np.maximum((centre + reach) / um_per_px + 1, 0).astype(int)
    return slice(low[0], high[0]), slice(low[1], high[1])


def _distance(cell: _Cells, y, x):
    """Return a distance-like value (µm, negative inside) to one wobbly ellipse."""
    dy, dx = y - cell.centre[0], x - cell.centre[1]
    cos, sin, stretch = np.cos(cell.angle), np.sin(cell.angle), np.sqrt(cell.elongation)
    z = (cos * dx + sin * dy) / stretch + 1j * (cos * dy - sin * dx) * stretch
    length = np.abs(z)
    turn = z / (length + 1e-9)
    wobble = turn**2 * np.polyval(cell.wobble[::-1], turn)  # HARMONICS start at 2
    return length - cell.radius * (1 + wobble.real)


def _separate(depth, owner, um_per_px):
    """Return fibre labels, with at least one pixel of background between neighbours, and the depth in fibres (µm).

    Corners are rounded by an opening with a disc, as membranes have tension; this also removes slivers.
    """
    labels = np.where(depth > 0.03, owner, 0)
    labels[ndimage.maximum_filter(labels, 3) != labels] = 0
    core = ndimage.distance_transform_edt(labels) * um_per_px > CORNER
    labels[ndimage.distance_transform_edt(~core) * um_per_px > CORNER] = 0
    return labels, ndimage.distance_transform_edt(labels) * um_per_px


def _axon_depth(rng, labels, sheath_depth, g_ratio, um_per_px):
    """Return the depth from the inner edge of the sheath, placed so that axon area / fibre area = g-ratio²."""
    depth = sheath_depth * (1 + 0.12 * smooth_noise(rng, labels.shape, 1.2 / um_per_px))
    inside = np.flatnonzero(labels)
    order = inside[np.lexsort((depth.flat[inside], labels.flat[inside]))]
    count = np.bincount(labels.flat[inside], minlength=g_ratio.size + 1)[1:]
    rank = np.cumsum(count) - count + ((1 - g_ratio**2) * count).astype(int)
    thickness = np.zeros(g_ratio.size + 1)
    thickness[1:][count > 0] = depth.flat[order[rank[count > 0]]]
    return depth - thickness[labels]
