"""The interface of every translator between the labelled domain L and the unlabelled domain U.

To add a translator, write a class with these members in a new file of this folder, and add one entry for it to
`histobridge.config.TRANSLATOR_CLASSES`. `load_translator` then finds it, and a study may name it. The class need not
inherit from anything here. `controls.py` is the shortest example.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import numpy as np

Domain = Literal["L", "U"]
"""The labelled or the unlabelled domain."""


class Translator(Protocol):
    """Translate images between the domains L and U, in both directions.

    Images are arrays float32 [H, W] in 0..1. A translator sees images only, never a mask.

    Attributes
    ----------
    name : str
        The key of the translator in `histobridge.config.TRANSLATOR_CLASSES`.
    fingerprint : str
        A hash of everything that `translate` depends on, such as settings and weights.
    """

    name: str
    fingerprint: str

    def fit(self, source: list[np.ndarray], target: list[np.ndarray]) -> object:
        """Learn from unpaired images of L (`source`) and of U (`target`)."""

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Return `image`, which comes from the other domain, as an image of domain `to` with the same shape.

        The result is float32 in 0..1. The same `seed` gives the same result; a deterministic translator ignores it.
        """

    def save(self, path: Path) -> None:
        """Write everything that `translate` needs to a file."""

    @classmethod
    def load(cls, path: Path) -> Translator:
        """Read a translator from a file that `save` wrote."""
