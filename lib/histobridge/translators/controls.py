"""Classical translators without training: the controls with which a learned translator is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.exposure import match_histograms

from histobridge.cache import digest
from histobridge.config import CONTROLS
from histobridge.errors import one_of
from histobridge.training import checkpoint as checkpoints
from histobridge.translators.base import Domain
from histobridge.translators.blur import extra_blur
from histobridge.translators.fourier import LowSpectrum, low_spectrum, with_low_spectrum

QUANTILES = 4096
"""Number of grey values that represent a domain."""


class Control:
    """A classical translator. Its name lists its operations: `invert`, `blur`, `histogram`, `fourier`, in this order.

    Parameters
    ----------
    name : str
        One of `histobridge.config.CONTROLS`.

    Attributes
    ----------
    greys : dict of {"L", "U"} to ndarray, float32 [QUANTILES]
        Sorted grey values of either domain, the target of histogram matching.
    blur : dict of {"L", "U"} to float
        Standard deviation (px) of the Gaussian that makes the other domain as blurred as this one.
    spectra : dict of {"L", "U"} to LowSpectrum
        Amplitudes of the low frequencies of either domain.
    """

    def __init__(self, name: str):
        self.name = one_of("control", name, CONTROLS)
        self.greys: dict[str, np.ndarray] = {}
        self.blur: dict[str, float] = {}
        self.spectra: dict[str, LowSpectrum] = {}

    def fit(self, source: list[np.ndarray], target: list[np.ndarray]) -> None:
        """Measure L (`source`) and U (`target`), as far as the operations need it."""
        if "histogram" in self.name:
            self.greys = {"L": _pooled_quantiles(source), "U": _pooled_quantiles(target)}
        if "blur" in self.name:
            self.blur = {"L": extra_blur(target, source), "U": extra_blur(source, target)}
        if "fourier" in self.name:
            self.spectra = {"L": low_spectrum(source), "U": low_spectrum(target)}

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Apply the operations of the name to `image`; `seed` has no effect."""
        if "invert" in self.name:
            image = 1 - image
        if "blur" in self.name:
            image = gaussian_filter(image, self.blur[to])
        if "histogram" in self.name:
            image = match_histograms(image, self.greys[to][None])
        if "fourier" in self.name:
            image = with_low_spectrum(image, self.spectra[to])
        return np.asarray(image, np.float32)

    @property
    def fingerprint(self) -> str:
        """A hash of the name and of what was measured."""
        return digest(self.name, self.greys, self.blur, self.spectra)

    def save(self, path: Path) -> None:
        """Write what was measured."""
        greys = {domain: torch.from_numpy(values) for domain, values in self.greys.items()}
        spectra = {d: (low.side, low.grey, torch.from_numpy(low.log_amplitude)) for d, low in self.spectra.items()}
        settings = {"translator": self.name, "blur": self.blur}
        checkpoints.save(path, {"greys": greys, "spectra": spectra}, settings)

    @classmethod
    def load(cls, path: Path) -> Control:
        """Read a saved control."""
        saved = checkpoints.load(path)
        control = cls(saved["settings"]["translator"])
        control.greys = {domain: values.numpy() for domain, values in saved["state"]["greys"].items()}
        spectra = saved["state"]["spectra"]
        control.spectra = {d: LowSpectrum(side, grey, logs.numpy()) for d, (side, grey, logs) in spectra.items()}
        control.blur = saved["settings"]["blur"]
        return control


def _pooled_quantiles(images: list[np.ndarray]) -> np.ndarray:
    """Return the quantiles of the quantiles of all images: every image has the same weight, whatever its size."""
    return _quantiles(np.concatenate([_quantiles(image) for image in images])).astype(np.float32)


def _quantiles(values: np.ndarray) -> np.ndarray:
    # NumPy finds many quantiles of sorted values far faster than those of unsorted ones.
    return np.quantile(np.sort(values, axis=None), np.linspace(0, 1, QUANTILES))
