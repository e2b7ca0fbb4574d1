"""Classical translators with nothing to train: the controls that a learned translator must beat."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.exposure import match_histograms

from histobridge.cache import digest
from histobridge.config import CONTROLS
from histobridge.errors import one_of
from histobridge.training import checkpoint as checkpoints
from histobridge.translators.blur import extra_blur

if TYPE_CHECKING:
    pass
from histobridge.translators.base import Domain


class Control:
    """A classical translator with nothing to train: the yardstick that any learned one must beat."""

    def __init__(self, name: str):
        self.name = one_of("control", name, CONTROLS)
        self.greys: dict[str, np.ndarray] = {}
        self.blur: dict[str, float] = {}

    def fit(self, source: list[np.ndarray], target: list[np.ndarray]) -> None:
        """Keep what the name asks for: 4096 quantiles of the pooled greys of either domain, the blur (px) to it."""
        if "histogram" in self.name:
            self.greys = {d: _pooled_quantiles(images) for d, images in (("L", source), ("U", target))}
        if "blur" in self.name:
            self.blur = {"L": extra_blur(target, source), "U": extra_blur(source, target)}

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Invert, blur and match as the name says; `seed` changes nothing."""
        if "invert" in self.name:
            image = 1 - image
        if "blur" in self.name:
            image = gaussian_filter(image, self.blur[to])
        if "histogram" in self.name:
            image = match_histograms(image, self.greys[to][None])
        return np.asarray(image, np.float32)

    @property
    def fingerprint(self) -> str:
        """A hash of the quantiles and the blur."""
        return digest(self.name, self.greys, self.blur)

    def save(self, path: Path) -> None:
        """Write the quantiles and the blur."""
        greys = {d: torch.from_numpy(v) for d, v in self.greys.items()}
        checkpoints.save(path, greys, {"translator": self.name, "blur": self.blur})

    @classmethod
    def load(cls, path: Path) -> Control:
        """Read a saved control."""
        saved = checkpoints.load(path)
        control = cls(saved["settings"]["translator"])
        control.greys = {d: v.numpy() for d, v in saved["state"].items()}
        control.blur = saved["settings"].get("blur", {})  # controls of older runs have none
        return control


def _pooled_quantiles(images: list[np.ndarray]) -> np.ndarray:
    per_image = [_quantiles(image) for image in images]
    return _quantiles(np.concatenate(per_image)).astype(np.float32)


def _quantiles(values: np.ndarray) -> np.ndarray:
    # So many quantiles of so many values are had a hundred times faster from values that are sorted already.
    return np.quantile(np.sort(values, axis=None), np.linspace(0, 1, 4096))
