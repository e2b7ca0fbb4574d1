"""What every translator between the labelled domain L and the unlabelled domain U can do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    pass


Domain = Literal["L", "U"]


class Translator(Protocol):
    """What every translator can do; images are float32 [H, W] in 0..1."""

    name: str
    fingerprint: str
    """A hash of everything `translate` depends on."""

    def fit(self, source: list[np.ndarray], target: list[np.ndarray]) -> None:
        """Learn from unpaired images of L (`source`) and U (`target`)."""

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Translate an image of the other domain `to` L or U; the shape stays."""

    def save(self, path: Path) -> None:
        """Write everything `translate` needs."""

    @classmethod
    def load(cls, path: Path) -> Translator:
        """Read what `save` wrote."""
