"""Correct class masks by anatomy: a myelinated axon lies in its sheath and has no holes, in every modality.

To a network that has seen few of them, background, nuclei and unmyelinated axons look like the inside of a fibre. They
have no sheath. This file is about axons and myelin; another tissue needs one of its own.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.measure import label, regionprops

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.metrics.instances import MIN_AXON_PX, axon_instances

RING_PX = 3
"""Width of the ring around an axon in which myelin is looked for."""
LEAST_ENCLOSED = 0.5
"""An axon of whose ring a smaller share is myelin is removed."""
LEAST_AXON_SHARE = 0.2
"""What a sheath encloses becomes axon if at least this share of it is axon already."""
LEAST_SOLIDITY = 0.8
"""Share of the convex hull that an axon fills at least; gaps between touching sheaths are star-shaped and fill less."""
LEAST_DIAMETER = 1 / 3
"""An axon of a smaller share of the usual diameter is a speck."""
SHEATH_REACH = 1.0
"""Myelin further from every axon than this many usual diameters belongs to none; sheaths are thinner."""


def postprocess(mask: np.ndarray, *, axon_px: float = 0.0) -> np.ndarray:
    """Return a class mask uint8 [H, W] in which closed sheaths hold one axon, and axons without a sheath are gone.

    Parameters
    ----------
    mask : ndarray
        uint8 [H, W].
    axon_px : float
        Median diameter of the axons of this tissue, px. Much smaller axons go too, and myelin far from every axon.
        0 if it is not known: then no size is judged.

    Examples
    --------
    >>> mask = np.zeros((20, 40), dtype=np.uint8)
    >>> mask[2:18, 2:18], mask[5:15, 5:15], mask[8:13, 6:12] = 1, 2, 0  # a fibre with a hole
    >>> mask[5:15, 25:35] = 2  # and an axon without a sheath
    >>> tidied = postprocess(mask)
    >>> tidied[9, 9], tidied[10, 30]
    (np.uint8(2), np.uint8(0))
    """
    tidied = without_bare_axons(with_filled_sheaths(mask), least_px=least_axon_px(axon_px))
    return without_loose_myelin(tidied, reach_px=SHEATH_REACH * axon_px) if axon_px else tidied


def least_axon_px(axon_px: float) -> float:
    """Return the area (px) below which an axon is a speck, where axons have the median diameter `axon_px`.

    >>> [round(least_axon_px(diameter)) for diameter in (0, 30)]
    [8, 79]
    """
    return max(MIN_AXON_PX, np.pi / 4 * (LEAST_DIAMETER * axon_px) ** 2)


def without_bare_axons(mask: np.ndarray, *, least: float = LEAST_ENCLOSED, least_px: float = MIN_AXON_PX) -> np.ndarray:
    """Return a class mask in which axons less enclosed than `least`, and those of fewer pixels, are background."""
    axons = axon_instances(mask, min_px=1)
    bare = (enclosures(mask, axons) < least) | (np.bincount(axons.ravel()) < least_px)
    bare[0] = False
    return np.where(bare[axons], np.uint8(BACKGROUND), mask)


def without_loose_myelin(mask: np.ndarray, *, reach_px: float) -> np.ndarray:
    """Return a class mask in which myelin further than `reach_px` from every axon is background.

    >>> without_loose_myelin(np.array([[2, 1, 1, 1, 0, 1]], dtype=np.uint8), reach_px=2).tolist()
    [[2, 1, 1, 0, 0, 0]]
    """
    if not (mask == AXON).any():
        return np.where(mask == MYELIN, np.uint8(BACKGROUND), mask)
    loose = (mask == MYELIN) & (ndimage.distance_transform_edt(mask != AXON) > reach_px)
    return np.where(loose, np.uint8(BACKGROUND), mask)


def enclosures(mask: np.ndarray, axons: np.ndarray, *, ring_px: float = RING_PX) -> np.ndarray:
    """Return, for each label of `axons` int [H, W], the share of the ring around it that is myelin, 0..1.

    The ring is every pixel at most `ring_px` from the axon and nearer to it than to another; what would lie outside the
    image is not counted. `metrics.enclosure` is the same for all axons together. Entry 0, the rest, is 1, as is an
    axon without room for a ring.

    >>> mask = np.array([[1, 2, 1, 1, 1, 0, 0, 0, 2, 0, 0, 0]], dtype=np.uint8)
    >>> enclosures(mask, (mask == 2) * np.cumsum(mask == 2)).round(2).tolist()
    [1.0, 1.0, 0.0]
    """
    distance, nearest = ndimage.distance_transform_edt(axons == 0, return_indices=True)
    ring = (distance > 0) & (distance <= ring_px) & axons.any()
    owner, count = axons[tuple(nearest)][ring], axons.max(initial=0) + 1
    total, myelin = np.bincount(owner, minlength=count), np.bincount(owner[mask[ring] == MYELIN], minlength=count)
    return np.divide(myelin, total, out=np.ones(count), where=total > 0)


def with_filled_sheaths(mask: np.ndarray) -> np.ndarray:
    """Return a class mask in which what a sheath encloses is axon, if a part of it, `LEAST_AXON_SHARE`, is already.

    What is not myelin falls into pieces, most of them the insides of sheaths. A piece that holds a little axon and is
    roundish (`LEAST_SOLIDITY`) is one axon, holes included. Space between packed sheaths is enclosed too, but is
    neither.
    """
    pieces = label(mask != MYELIN, connectivity=1)  # diagonal myelin closes
    found = regionprops(pieces, mask == AXON)
    seen = {p.label for p in found if p.area < mask.size and _is_broken_axon(p)}  # the whole image has no sheath
    return np.where(np.isin(pieces, list(seen)), np.uint8(AXON), mask)


def _is_broken_axon(piece) -> bool:
    return LEAST_AXON_SHARE <= piece.intensity_mean < 1 and piece.solidity >= LEAST_SOLIDITY
