"""What translators that are trained share: generators of one sign and seed, and their file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from torch import nn

from histobridge.cache import digest
from histobridge.strict import Strict
from histobridge.training import checkpoint as checkpoints
from histobridge.training.crops import check_domain
from histobridge.training.device import weight_arrays
from histobridge.training.sliding_window import Network, over_windows


class LearnedTranslator:
    """Generators with their settings, sign and seed.

    Parameters
    ----------
    settings : Strict
        Size and training, of the class `settings_class`.
    sign : {1, -1}
        The generators start as the identity (1) or as the negative (-1); `histobridge.strategies.polarity` chooses.
    seed : int
        The same seed, settings, images and machine give the same weights, bit for bit.
    """

    name: str
    settings_class: ClassVar[type[Strict]]
    build_generators: ClassVar[Callable[[Strict, int], nn.ModuleDict]]

    def __init__(self, settings: Strict, *, sign: int, seed: int = 0):
        self.settings, self.sign, self.seed = settings, sign, seed
        self.generators = self.build_generators(settings, sign)

    def check_domains(self, source: list[np.ndarray], target: list[np.ndarray]) -> None:
        """Raise a `UserError` if L (`source`) or U (`target`) has no image, or one smaller than a crop."""
        for images, name in (source, "L (labelled)"), (target, "U (unlabelled)"):
            check_domain(images, self.settings.crop, name)

    @property
    def fingerprint(self) -> str:
        """A hash of name, settings and weights."""
        return digest(self.name, self.facts(), weight_arrays(self.generators))

    def facts(self) -> dict:
        """Return settings, sign and seed as plain values; `arguments` makes the arguments of the class of them."""
        return {**self.settings.model_dump(mode="json"), "sign": self.sign, "seed": self.seed}

    @classmethod
    def arguments(cls, facts: dict) -> dict:
        """Return the arguments `settings`, `sign` and `seed` from what `facts` returned."""
        settings = dict(facts)
        start = {"sign": settings.pop("sign"), "seed": settings.pop("seed")}
        return {"settings": cls.settings_class(**settings), **start}

    def save(self, path: Path) -> None:
        """Write the averaged generators and the settings."""
        checkpoints.save(path, self.generators.state_dict(), self.facts())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved translator."""
        saved = checkpoints.load(path)
        translator = cls(**cls.arguments(saved["settings"]))
        translator.generators.load_state_dict(saved["state"])
        return translator


def translate_in_windows(image: np.ndarray, network: Network) -> np.ndarray:
    """Apply a network that works on -1..1 to an image float32 [H, W] in 0..1; the result is in 0..1 too."""
    return over_windows(
        image,
        lambda windows, places: network(2 * windows - 1, places),
        finish=lambda rows: ((rows[0] + 1) / 2).clamp(0, 1),
    )
