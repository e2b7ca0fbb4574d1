"""From two unpaired domains to translators that can be trusted: the recipe that every user of SynDiff here follows.

polarity segmenter -> evidence -> sign -> tiles -> SynDiff -> controls -> checks

Nothing here sees a mask of U. Notebook 02 shows one step after another; the label tool takes the translators alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from histobridge.config import Polarity, SegmenterSettings, SynDiffSettings
from histobridge.metrics.translation_checks import ClassSwap, class_swap
from histobridge.segmenter import Segmenter
from histobridge.strategies import polarity
from histobridge.strategies.basic import Examples
from histobridge.strategies.tile_selection import select_tiles
from histobridge.training.map_images import map_images
from histobridge.translators import Cycle, SynDiff, Translator, translator_class

FitSynDiff = Callable[[SynDiff, list, list], tuple[SynDiff, pd.DataFrame]]
FitSegmenter = Callable[[Segmenter, Examples], Segmenter]


def train_syndiff(untrained: SynDiff, source: list, target: list) -> tuple[SynDiff, pd.DataFrame]:
    """Train SynDiff; return it with the losses of every step."""
    return untrained, untrained.fit(source, target)


def train_segmenter(untrained: Segmenter, examples: Examples) -> Segmenter:
    """Train a segmenter on examples and return it."""
    images, masks = zip(*examples, strict=True)
    untrained.fit(list(images), list(masks))
    return untrained


@dataclass
class TranslatorRecipe:
    """The steps to a set of translators; each is computed when it is first asked for.

    Attributes
    ----------
    examples : sequence of (image, mask)
        Of L: images float32 [H, W] in 0..1 and masks uint8 [H, W]. Translators see the images alone.
    target : sequence of ndarray, float32 [H, W] in 0..1
        Images of U that translators may learn from.
    syndiff : SynDiffSettings
    segmenter : SegmenterSettings
        Of the polarity segmenter; see `SegmenterSettings.for_polarity`.
    controls : sequence of str
        Names of further translators in `config.TRANSLATOR_CLASSES`; each is constructed with its name.
    polarity : {"auto", 1, -1}
    seed : int
    fit_segmenter, fit_syndiff : callable
        Train a model, or recall one that was trained.
    """

    examples: Examples
    target: Sequence[np.ndarray]
    syndiff: SynDiffSettings
    segmenter: SegmenterSettings
    controls: Sequence[str] = ("none",)
    polarity: Polarity = "auto"
    seed: int = 0
    fit_segmenter: FitSegmenter = train_segmenter
    fit_syndiff: FitSynDiff = train_syndiff

    @property
    def source(self) -> list[np.ndarray]:
        """The images of L."""
        return [image for image, _ in self.examples]

    @cached_property
    def polarity_segmenter(self) -> Segmenter:
        """A segmenter trained on all of L, which is asked about polarity."""
        return self.fit_segmenter(Segmenter(self.segmenter, seed=self.seed), self.examples)

    @cached_property
    def evidence(self) -> pd.DataFrame:
        """What the polarity segmenter sees in images of U and in their negatives (`polarity.evidence`)."""
        return polarity.evidence(self.polarity_segmenter.probabilities, self.target)

    @cached_property
    def sign(self) -> int:
        """1 where translators keep the contrast, -1 where they invert it: as stated, or by the evidence."""
        return polarity.choose_sign(self.evidence) if self.polarity == "auto" else self.polarity

    @cached_property
    def tiles(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The images or tiles of U that translators learn from, and those that are left out (`select_tiles`)."""
        side = 2 * self.syndiff.crop
        return select_tiles(self.polarity_segmenter, self.sign, self.source, self.target, side=side)

    @cached_property
    def trained(self) -> tuple[SynDiff, pd.DataFrame]:
        """SynDiff and the losses of every step of its training."""
        used, _ = self.tiles
        return self.fit_syndiff(SynDiff(self.syndiff, sign=self.sign, seed=self.seed), self.source, used)

    @cached_property
    def fitted_controls(self) -> dict[str, Translator]:
        """The controls by name; SynDiff is not trained for them."""
        fitted: dict[str, Translator] = {}
        for name in self.controls:
            fitted[name] = translator_class(name)(name)
            fitted[name].fit(self.source, self.tiles[0])
        return fitted

    @cached_property
    def translators(self) -> dict[str, Translator]:
        """All translators by name: the controls, SynDiff's own cycle generators, and SynDiff."""
        syndiff, _ = self.trained
        return self.fitted_controls | {"cycle": Cycle.of(syndiff), "syndiff": syndiff}

    def check(self, translator: Translator, source: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> ClassSwap:
        """Refuse a translator that swaps classes, by what it makes of some images of L and of U.

        Returns
        -------
        ClassSwap
            The shares of pixels of L whose class the round trip L -> U -> L changes, as the polarity segmenter sees it.

        Raises
        ------
        PolarityError
            If translations correlate with their sources in the wrong sense, negatives of translations are better
            anatomy than the translations, or the round trip turns axon into myelin or back.
        """
        to_u = map_images(lambda image: translator.translate(image, "U", seed=self.seed), source)
        to_l = map_images(lambda image: translator.translate(image, "L", seed=self.seed), target)
        seen = polarity.evidence(self.polarity_segmenter.probabilities, to_l)
        for images, translations in (source, to_u), (target, to_l):
            pairs = zip(images, translations, strict=True)
            polarity.check_translation(self.sign, pairs, seen, stated=self.polarity != "auto")
        back = map_images(lambda image: translator.translate(image, "L", seed=self.seed), to_u)
        swap = _round_trip_swap(self.polarity_segmenter, source, back)
        polarity.check_round_trip(swap)
        return swap


def _round_trip_swap(segmenter: Segmenter, images: Sequence[np.ndarray], back: Sequence[np.ndarray]) -> ClassSwap:
    before, after = (np.concatenate([segmenter.predict(i).ravel() for i in some]) for some in (images, back))
    return class_swap(before[None], after[None])
