"""What a translation must not do: shift structures, show seams, or swap classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import registration

from histobridge.metrics.arrays import NAN, _require_class_masks, _require_same_shape

# --- What a translation must not do: move, show its tiles, swap classes ---------------------------------


def offset_px(source: np.ndarray, translated: np.ndarray, *, upsample: int = 50) -> float:
    """Return by how many pixels a translation lies off its source: the length of `offset_vector`.

    Pseudo labels are drawn on one image and used on the other, so any offset is paid for in Dice.
    """
    return float(np.hypot(*offset_vector(source, translated, upsample=upsample)))


def offset_vector(source: np.ndarray, translated: np.ndarray, *, upsample: int = 50) -> tuple[float, float]:
    """Return (down, right), the shift in px of a translation [H, W] against its source, to 1/`upsample` px.

    It holds under inverted or re-mapped contrast, because it compares edge maps (gradient magnitude, 2 px
    Gaussian), and edges stay in place. Their cross-correlation is refined as in Guizar-Sicairos et al.
    (Opt. Lett. 2008). It is *not* normalised to phase: that gives every frequency the same say, among them
    those that a translation smooths away or invents. On microscopy that was inverted, re-mapped, blurred,
    re-textured and moved, the error is 0.02 px (median; 0.16 at most) against 0.36 at most when normalised;
    on drawn tissue under a 3 px blur, normalising costs whole pixels.
    NaN, NaN if either image has no edge.
    """
    _require_same_shape(source, translated)
    before, after = _edge_map(source), _edge_map(translated)
    if not (before.any() and after.any()):
        return NAN, NAN
    back, _, _ = registration.phase_cross_correlation(before, after, upsample_factor=upsample, normalization=None)
    # What comes back would carry the translation onto its source; `0.0 -` rather than `-` spares us -0.0.
    return 0.0 - float(back[0]), 0.0 - float(back[1])


def _edge_map(image: np.ndarray) -> np.ndarray:
    """Return the gradient magnitude of an image, of mean zero and faded to zero at the image's border.

    The Fourier transform takes images as periodic: unfaded, the border is an edge that never moves.
    """
    edges = ndimage.gaussian_gradient_magnitude(image.astype(np.float64), 2.0)
    height, width = edges.shape
    return (edges - edges.mean()) * np.outer(np.hanning(height), np.hanning(width))


def seam(image: np.ndarray, *, rows: Iterable[int] = (), columns: Iterable[int] = ()) -> float:
    """Return how much steeper an image [H, W] is across its tile borders than elsewhere; 1 means no seam.

    A border at row r lies between the rows r - 1 and r (so r is where a window starts, or one past its end);
    the image's own edges, 0 and H, are no borders and ignored. The sum of the absolute steps across all
    borders is divided by what the mean step elsewhere, in the same direction, would give. NaN if there is no
    border or the image is flat.

    >>> seam(np.array([[0.0, 1.0, 4.0, 5.0]]), columns=[0, 2])
    3.0
    """
    observed = expected = 0.0
    for axis, borders in ((0, rows), (1, columns)):
        steps = np.moveaxis(np.abs(np.diff(image.astype(np.float64), axis=axis)), axis, 0)
        across = _is_border(borders, size=image.shape[axis])
        if across.any():
            observed += steps[across].sum()
            expected += steps[across].size * steps[~across].mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(observed, expected))


def _is_border(borders: Iterable[int], *, size: int) -> np.ndarray:
    """Return a boolean for each of the size - 1 steps along an axis: does it cross a border?"""
    found = np.zeros(size + 1, dtype=bool)
    for border in borders:
        if not 0 <= border <= size:
            raise ValueError(f"A tile border at {border} lies outside an image of {size} px.")
        found[border] = True
    return found[1:-1]


class ClassSwap(NamedTuple):
    """Shares of all pixels, 0..1, whose class changes; `overall` is the sum of the other two."""

    overall: float
    axon_myelin: float
    foreground_background: float


def class_swap(before: np.ndarray, after: np.ndarray) -> ClassSwap:
    """Return how much of an image changes its class between two class masks [H, W], and in what way.

    The round-trip check: segment an image, segment its round trip, compare. It sees what got lost on the way.
    A contrast inverted twice comes back whole, so also compare an image with its one-way translation, or ask
    `enclosure`.

    >>> class_swap(np.array([[0, 1, 2, 2]]), np.array([[0, 2, 2, 0]]))
    ClassSwap(overall=0.5, axon_myelin=0.25, foreground_background=0.25)
    """
    _require_class_masks(before, after)
    changed = before != after
    within_foreground = changed & (before > 0) & (after > 0)
    overall, axon_myelin = float(changed.mean()), float(within_foreground.mean())
    return ClassSwap(overall, axon_myelin, float((changed & ~within_foreground).mean()))
