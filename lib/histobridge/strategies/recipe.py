"""From two unpaired domains to translators that can be trusted: the recipe that all users of translators follow.

polarity segmenter -> evidence -> sign -> tiles -> translators -> checks

Nothing here sees a mask of U. Notebook 02 shows one step after another; the label tool takes the translators alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from histobridge.config import LEARNED, Polarity, SegmenterSettings, Strict, of_sign
from histobridge.metrics.translation_checks import ClassSwap, class_swap
from histobridge.segmenter import Segmenter
from histobridge.strategies import polarity
from histobridge.strategies.basic import Examples
from histobridge.strategies.tile_selection import select_tiles
from histobridge.training.map_images import map_images
from histobridge.translators import Cycle, Translator, translator_class

FitTranslator = Callable[[Translator, list, list], tuple[Translator, pd.DataFrame]]
FitSegmenter = Callable[[Segmenter, Examples], Segmenter]

MUST_PASS = "syndiff"
"""The translator without which there is nothing to study: if it is refused, that is an error."""


def train_translator(untrained: Translator, source: list, target: list) -> tuple[Translator, pd.DataFrame]:
    """Train a translator; return it with the losses of every step."""
    history = untrained.fit(source, target)
    return untrained, history


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
    settings : mapping of str to Strict
        Settings of the translators that are trained, by name, as `TrainingProfile.learned`; `cycle` needs none.
    segmenter : SegmenterSettings
        Of the polarity segmenter; see `SegmenterSettings.for_polarity`.
    wanted : sequence of str
        Names of the translators in `config.TRANSLATOR_CLASSES`; controls of the other polarity are left out. Nothing
        else is trained. What is neither learned nor known here is constructed with its name.
    polarity : {"auto", 1, -1}
    seed : int
        Of the translators.
    fit_segmenter, fit_translator : callable
        Train a model, or recall one that was trained.
    """

    examples: Examples
    target: Sequence[np.ndarray]
    settings: Mapping[str, Strict]
    segmenter: SegmenterSettings
    wanted: Sequence[str] = ("none",)
    polarity: Polarity = "auto"
    seed: int = 0
    fit_segmenter: FitSegmenter = train_segmenter
    fit_translator: FitTranslator = train_translator
    _trained: dict[str, tuple[Translator, pd.DataFrame]] = field(default_factory=dict, init=False, repr=False)

    @property
    def source(self) -> list[np.ndarray]:
        """The images of L."""
        return [image for image, _ in self.examples]

    @cached_property
    def polarity_segmenter(self) -> Segmenter:
        """A segmenter trained on all of L, which is asked about polarity; translators of any seed ask the same one."""
        return self.fit_segmenter(Segmenter(self.segmenter), self.examples)

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
        """The images or tiles of U that translators learn from, and those that are left out (`select_tiles`).

        All translators learn from the same ones. The sides of tiles are twice those of the crops of SynDiff, or of
        whatever is trained without it.
        """
        settings = self.settings.get("syndiff") or next(iter(self.settings.values()))
        side = 2 * settings.crop
        return select_tiles(self.polarity_segmenter, self.sign, self.source, self.target, side=side)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The wanted translators, without controls of the other polarity."""
        return of_sign(self.wanted, self.sign)

    @property
    def learned(self) -> tuple[str, ...]:
        """Those of `names` that are trained."""
        return tuple(name for name in self.names if name in LEARNED)

    def trained(self, name: str) -> tuple[Translator, pd.DataFrame]:
        """Return a learned translator and the losses of every step of its training.

        Parameters
        ----------
        name : str
            One of `config.LEARNED`.
        """
        if name == Cycle.name:
            syndiff, losses = self.trained("syndiff")
            return Cycle.of(syndiff), losses
        if name not in self._trained:
            untrained = translator_class(name)(self.settings[name], sign=self.sign, seed=self.seed)
            self._trained[name] = self.fit_translator(untrained, self.source, self.tiles[0])
        return self._trained[name]

    @cached_property
    def translators(self) -> dict[str, Translator]:
        """All wanted translators by name, trained or fitted."""
        return {name: self.trained(name)[0] if name in LEARNED else self._fitted(name) for name in self.names}

    def _fitted(self, name: str) -> Translator:
        translator = translator_class(name)(name)
        translator.fit(self.source, self.tiles[0])
        return translator

    def checks(
        self, translators: Mapping[str, Translator], source: Sequence[np.ndarray], target: Sequence[np.ndarray]
    ) -> pd.DataFrame:
        """Check all learned ones among some translators, as `check` does one of them.

        A study goes on without a translator that is refused, and tells why; it does not go on without SynDiff.

        Returns
        -------
        DataFrame
            One row a learned translator: `translator`; the shares `overall`, `axon_myelin` and `foreground_background`
            of `ClassSwap`, not a number if it is refused; and `refused`, the reason, missing if it is not.

        Raises
        ------
        PolarityError
            If SynDiff is refused.
        """
        rows = []
        for name in (name for name in translators if name in LEARNED):
            swap, reason = ClassSwap(*[float("nan")] * 3), None
            try:
                swap = self.check(translators[name], source, target)
            except polarity.PolarityError as refusal:
                if name == MUST_PASS:
                    raise
                reason = str(refusal)
            rows.append({"translator": name, **swap._asdict(), "refused": reason})
        return pd.DataFrame(rows, columns=["translator", *ClassSwap._fields, "refused"])

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
