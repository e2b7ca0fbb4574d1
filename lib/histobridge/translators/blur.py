"""Estimate how much blurrier one domain is than another, from the power spectra of unpaired images.

The blur of optics is close to a Gaussian. A Gaussian of standard deviation s (px) leaves exp(-2 π² s² f²) of the
amplitude at the spatial frequency f (cycles/px). The log ratio of the mean power of two domains is therefore a line
in f², and its slope gives s. Contrast and brightness only shift the line. Very low frequencies depend on the kind of
tissue and high frequencies are noise, so that only a band between them is used.
"""

from __future__ import annotations

import math

import numpy as np
from skimage.filters import window

from histobridge.tiles import tile_places

SIDE = 64  # px of the tiles whose spectra are averaged
BAND = (0.03, 0.2)  # cycles/px


def extra_blur(images: list[np.ndarray], blurred: list[np.ndarray]) -> float:
    """Return the standard deviation (px) of the Gaussian that makes `images` as blurred as `blurred`.

    Parameters
    ----------
    images, blurred : list of ndarray, float [H, W]
        Unpaired images of two domains at the scale at which they are used.

    Returns
    -------
    float
        0 if `images` are at least as blurred already.

    Examples
    --------
    >>> from scipy.ndimage import gaussian_filter
    >>> noise = np.random.default_rng(0).random((2, 200, 200))
    >>> round(extra_blur(list(noise[:1]), [gaussian_filter(noise[1], 1.5)]), 1)
    1.5
    >>> extra_blur([gaussian_filter(noise[0], 1.5)], list(noise[1:]))
    0.0
    """
    side = min(SIDE, *(length for image in [*images, *blurred] for length in image.shape))
    squared = np.add.outer(*[np.fft.fftfreq(side) ** 2] * 2)  # f², [side, side]
    band = (squared > BAND[0] ** 2) & (squared < BAND[1] ** 2)
    log_ratio = _log_power(images, side)[band] - _log_power(blurred, side)[band]
    slope = np.polyfit(squared[band], log_ratio, 1)[0]
    return math.sqrt(max(slope, 0)) / (2 * math.pi)  # power is amplitude squared: the slope is (2 π s)²


def _log_power(images: list[np.ndarray], side: int) -> np.ndarray:
    """Return the logarithm of the mean power spectrum [side, side] of tiles; every image has the same weight."""
    hann = window("hann", (side, side))
    spectra = []
    for image in images:
        tiles = np.stack([image[place] for place in tile_places(image.shape, side)])  # [n, side, side]
        tiles = (tiles - tiles.mean((1, 2), keepdims=True)) * hann
        spectra.append((np.abs(np.fft.fft2(tiles)) ** 2).mean(0))
    return np.log(np.mean(spectra, axis=0) + np.finfo(float).tiny)
