"""Trainings and translations that are remembered: study and label tool hand them to the pure strategies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.cache import Cache, digest
from histobridge.io.files import file_lock, read_table, write_table
from histobridge.io.images import read_image, write_image
from histobridge.io.kept import fits_seal, kept, seal, unseal
from histobridge.io.progress import Report, ThrottledProgress
from histobridge.segmenter import Segmenter
from histobridge.strategies.basic import Examples
from histobridge.translators import Domain, Translator


def fit_segmenter(cache: Cache, untrained: Segmenter, examples: Examples, *, name: str) -> Segmenter:
    """Train a segmenter (resuming), or recall the one that was trained from the same start on the same examples.

    Parameters
    ----------
    cache : Cache
    untrained : Segmenter
        Its settings, seed and weights decide the result, together with the examples.
    examples : sequence of (image, mask)
    name : str
        What the progress lines call it.
    """
    images, masks = map(list, zip(*examples, strict=True))
    start = {"settings": untrained.settings.model_dump(mode="json"), "seed": untrained.seed}
    start |= {"start": untrained.fingerprint, "examples": digest(images, masks)}
    folder = cache.folder("models/segmenter", **start)
    return _trained(folder, untrained, images, masks, name=name)[0]


def fit_translator(
    cache: Cache, untrained: Translator, source: list[np.ndarray], target: list[np.ndarray]
) -> tuple[Translator, pd.DataFrame]:
    """Train a translator (resuming), or recall it; return it with the losses of every step.

    Parameters
    ----------
    cache : Cache
    untrained : Translator
        One of those in `config.LEARNED`: its settings, sign and seed decide the result, together with the images.
    source, target : list of ndarray, float32 [H, W] in 0..1
        Images of L and of U.
    """
    start = {"settings": untrained.settings.of_training(), "sign": untrained.sign, "seed": untrained.seed}
    folder = cache.folder(f"models/{untrained.name}", **start, images=digest(source, target))
    trained, losses = _trained(folder, untrained, source, target)
    trained.settings = untrained.settings  # the file may be of a training for other sampling steps
    return trained, losses


def _trained(folder: Path, model, *data, **options) -> tuple:
    """Train a model in its folder, unless that was done. A job that asks for what another one trains waits for it."""
    checkpoint, losses = folder / "model.checkpoint", folder / "losses.csv"

    def train(file: Path) -> None:
        write_table(losses, model.fit(*data, checkpoint=checkpoint, **options))
        seal(losses)
        model.save(file)

    with file_lock(folder / ".lock"):
        if not fits_seal(losses):
            unseal(folder / "model.pt")  # both come from one training
        trained = kept(folder / "model.pt", train, type(model).load)
        checkpoint.unlink(missing_ok=True)
    return trained, read_table(losses)


@dataclass(frozen=True)
class CachedTranslator:
    """A translator (see `Translator`) that remembers its translations, as 8-bit PNGs.

    Attributes
    ----------
    translator : Translator
    cache : Cache
    progress : callable
        Called with a line for every translation that is made.
    """

    translator: Translator
    cache: Cache
    progress: Report = field(default_factory=ThrottledProgress)

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Translate an image, float32 [H, W] in 0..1, of the other domain `to` L or U, or recall it."""
        facts = {"translator": self.fingerprint, "seed": seed}
        path = self.cache.folder(f"translations/{self.name}-to-{to}", **facts) / f"{digest(image)}.png"

        def translate(path: Path) -> None:
            self.progress(f"{self.name} to {to}: translating an image of {image.shape[0]} x {image.shape[1]} px")
            write_image(path, self.translator.translate(image, to, seed=seed))

        return kept(path, translate, read_image)

    @property
    def name(self) -> str:
        """The name of the translator."""
        return self.translator.name

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the translator."""
        return self.translator.fingerprint

    @property
    def sign(self) -> int:
        """The polarity of the translator, if it has one."""
        return self.translator.sign
