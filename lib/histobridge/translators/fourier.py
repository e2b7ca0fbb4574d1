"""Fourier domain adaptation (Yang and Soatto, arXiv 2004.05498): low frequencies get the amplitude of another domain.

An image keeps its phase, which says where structures are, and all amplitudes of frequencies above `BETA`. The
published method gives it the low amplitudes of one image of the other domain, drawn at random, after all images were
scaled to one size. Here images have many sizes, and the size of a pixel has a meaning. So the other domain is described
once, by the mean log amplitude of all its tiles of one side, as a function of the frequency in cycles/px. Every image
reads from that table the amplitudes at its own frequencies. The amplitude of tissue grows with the square root of the
number of pixels, and the mean grey value does not depend on it: the two are kept apart.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.ndimage import map_coordinates

from histobridge.tiles import tile_places

BETA = 0.05
"""Frequencies up to this one (cycles/px, on either axis) change: beta as a share of an image's sides. Published are
0.01, 0.05 and 0.09. With 0.01 hardly more than the mean grey value would change in images of 180 px."""
SIDE = 512
"""Largest side of a tile, px."""


class LowSpectrum(NamedTuple):
    """The low frequencies of a domain.

    Attributes
    ----------
    side : int
        Side of the tiles (px): neighbours in `log_amplitude` are 1 / side cycles/px apart.
    grey : float
        Geometric mean of the mean grey values.
    log_amplitude : ndarray, float64 [2 m + 1, 2 m + 1]
        Mean log amplitude for one pixel, frequency 0 in the middle. There it is the mean of the eight neighbours, for
        frequencies below 1 / side in larger images.
    """

    side: int
    grey: float
    log_amplitude: np.ndarray


def low_spectrum(images: list[np.ndarray]) -> LowSpectrum:
    """Measure the low frequencies of a domain from its images float [H, W]; every image has the same weight."""
    side = min(SIDE, *(length for image in images for length in image.shape))
    most = max(1, math.ceil(BETA * side))
    places = np.arange(-most, most + 1)  # negative indices are negative frequencies
    logs = []
    for image in images:
        tiles = np.stack([np.float64(image[place]) for place in tile_places(image.shape, side)])  # [n, side, side]
        amplitude = np.abs(np.fft.fft2(tiles))[:, places[:, None], places[None]]
        logs.append(np.log(amplitude / side + np.finfo(np.float32).eps).mean(0))
    mean = np.mean(logs, axis=0)
    grey = math.exp(mean[most, most]) / side
    around = mean[most - 1 : most + 2, most - 1 : most + 2]
    mean[most, most] = (around.sum() - mean[most, most]) / 8
    return LowSpectrum(side, grey, mean)


def with_low_spectrum(image: np.ndarray, low: LowSpectrum) -> np.ndarray:
    """Return an image [H, W] with the amplitudes of `low` at low frequencies and its own phase, clipped to 0..1."""
    spectrum = np.fft.rfft2(np.float64(image))
    rows, columns = (np.abs(f) <= BETA for f in (np.fft.fftfreq(image.shape[0]), np.fft.rfftfreq(image.shape[1])))
    part = np.ix_(rows, columns)
    down, across = np.fft.fftfreq(image.shape[0])[rows], np.fft.rfftfreq(image.shape[1])[columns]
    middle = len(low.log_amplitude) // 2
    at = np.meshgrid(down * low.side + middle, across * low.side + middle, indexing="ij")
    amplitude = np.exp(map_coordinates(low.log_amplitude, at, order=1, mode="nearest")) * math.sqrt(image.size)
    amplitude[0, 0] = low.grey * image.size
    own = np.abs(spectrum[part])
    # What is zero up to rounding has no phase, and stays zero: a flat image stays flat.
    phase = np.where(own > 1e-12 * image.size, spectrum[part] / np.maximum(own, np.finfo(float).tiny), 0)
    spectrum[part] = amplitude * phase
    return np.fft.irfft2(spectrum, s=image.shape).clip(0, 1).astype(np.float32)
