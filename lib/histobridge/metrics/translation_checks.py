"""What a translation must not do: shift structures, show the borders of its tiles, or swap classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import registration

from histobridge.metrics.validation import NAN, require_class_masks, require_same_shape


def offset_px(source: np.ndarray, translated: np.ndarray, *, upsample: int = 50) -> float:
    """Return the length, px, of `offset_vector`: how far a translation [H, W] is shifted against its source.

    Pseudo labels are drawn on one image and used on the other, so every offset lowers Dice.
    """
    return float(np.hypot(*offset_vector(source, translated, upsample=upsample)))


def offset_vector(source: np.ndarray, translated: np.ndarray, *, upsample: int = 50) -> tuple[float, float]:
    """Return (down, right), the shift in px of a translation [H, W] against its source, to 1/`upsample` px.

    Edge maps (gradient magnitude, 2 px Gaussian) are compared, because edges stay in place when a translation inverts
    or remaps the contrast. The peak of their cross-correlation is refined as in Guizar-Sicairos et al. (Opt. Lett.
    2008). The correlation is *not* normalised to phase: that would give all frequencies equal weight, including those
    that a translation blurs or invents. NaN, NaN if either image has no edge.
    """
    require_same_shape(source, translated)
    before, after = _edge_map(source), _edge_map(translated)
    if not (before.any() and after.any()):
        return NAN, NAN
    back, _, _ = registration.phase_cross_correlation(before, after, upsample_factor=upsample, normalization=None)
    # `back` would carry the translation onto its source. `0.0 -` instead of `-` avoids -0.0.
    return 0.0 - float(back[0]), 0.0 - float(back[1])


def _edge_map(image: np.ndarray) -> np.ndarray:
    """Return the gradient magnitude of an image, with mean zero, faded to zero at the image's border.

    The Fourier transform treats images as periodic: without fading, the border would be an edge that never moves.
    """
    edges = ndimage.gaussian_gradient_magnitude(image.astype(np.float64), 2.0)
    height, width = edges.shape
    return (edges - edges.mean()) * np.outer(np.hanning(height), np.hanning(width))


def seam(image: np.ndarray, *, rows: Iterable[int] = (), columns: Iterable[int] = ()) -> float:
    """Return how much steeper an image [H, W] is across its tile borders than elsewhere; 1 means no seam.

    The sum of the absolute steps across all borders is divided by the sum expected from the mean step elsewhere in the
    same direction.

    Parameters
    ----------
    image : ndarray
        float [H, W].
    rows, columns : iterable of int
        Where the borders are. A border at row r lies between the rows r - 1 and r. The image's own edges, 0 and H, are
        ignored.

    Returns
    -------
    float
        NaN if there is no border or the image is flat.

    Raises
    ------
    ValueError
        If a border lies outside the image.

    Examples
    --------
    >>> seam(np.array([[0.0, 1.0, 4.0, 5.0]]), columns=[0, 2])
    3.0
    """
    observed = expected = 0.0
    for axis, borders in ((0, rows), (1, columns)):
        steps = np.moveaxis(np.abs(np.diff(image.astype(np.float64), axis=axis)), axis, 0)
        across = _crosses_border(borders, size=image.shape[axis])
        if across.any():
            observed += steps[across].sum()
            expected += steps[across].size * steps[~across].mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(observed, expected))


def _crosses_border(borders: Iterable[int], *, size: int) -> np.ndarray:
    """Return a boolean for each of the size - 1 steps along an axis: does it cross a border?"""
    crosses = np.zeros(size + 1, dtype=bool)
    for border in borders:
        if not 0 <= border <= size:
            raise ValueError(f"A tile border at {border} lies outside an image of {size} px.")
        crosses[border] = True
    return crosses[1:-1]


class ClassSwap(NamedTuple):
    """Shares of all pixels, 0..1, whose class changes; `overall` is the sum of the other two."""

    overall: float
    axon_myelin: float
    foreground_background: float


def class_swap(before: np.ndarray, after: np.ndarray) -> ClassSwap:
    """Return the shares of pixels whose class differs between two class masks [H, W].

    Used on the masks of an image and of its round trip. A contrast that is inverted twice is restored, so the round
    trip cannot reveal it: also compare an image with its one-way translation, or use `enclosure`.

    >>> class_swap(np.array([[0, 1, 2, 2]]), np.array([[0, 2, 2, 0]]))
    ClassSwap(overall=0.5, axon_myelin=0.25, foreground_background=0.25)
    """
    require_class_masks(before, after)
    changed = before != after
    within_foreground = changed & (before > 0) & (after > 0)
    overall, axon_myelin = float(changed.mean()), float(within_foreground.mean())
    return ClassSwap(overall, axon_myelin, float((changed & ~within_foreground).mean()))
