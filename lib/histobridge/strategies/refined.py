"""Strategy `refined`: tutorship with several students, test-time augmentation, anatomy and self-training.

1. *Students*: one learns from L as SynDiff translates it, one from L with merely the contrast and the grey values of
   U. Their probabilities are averaged.
2. *Test-time augmentation*: each image is also segmented turned, mirrored and at the zoom at which the axons of U are
   as large as those of L (`tta.py`).
3. *Anatomy*: sheaths are filled, and axons without a sheath are removed (`postprocess.py`).
4. *Self-training*: a student continues from the first one, on all translations of L and on the images of U with the
   labels found so far. Its labels then replace them, for a few rounds.
5. *Further labelled microscopes* (`sources.py`), where there are any: a second student comes about in the same way,
   from students with and without them, and learns from them too. Both have a vote, because experts of other
   microscopes may draw thicker or thinner sheaths than those of U would.
6. *Final labels* (`for_labels`): background has less weight, a third view looks for small axons, and anatomy removes
   what has no usual size. Self-training does without: it would repeat its own false finds.

No mask of U is ever given, unless a reference is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from histobridge.cache import digest
from histobridge.classes import BACKGROUND
from histobridge.config import MATCHED
from histobridge.errors import BrokenError
from histobridge.metrics.calibration import uncertainty
from histobridge.metrics.instances import axon_areas_px
from histobridge.segmenter import Segmenter
from histobridge.strategies.basic import Examples, translate_examples
from histobridge.strategies.postprocess import postprocess
from histobridge.strategies.tta import View, final_views, predict_over_views, tta_views
from histobridge.training.map_images import map_images
from histobridge.translators.base import Translator

FitFrom = Callable[..., Segmenter]
"""`fit(examples)` trains a student; `fit(examples, start)` continues from the weights of another segmenter."""
BACKGROUND_WEIGHT = 0.5
"""Of the probability of background in final labels: what a network has not seen in L, small fibres above all, it takes
for background. Chosen with the masks of the development images of the three pairs."""
TRIED_WEIGHTS = 2.0, 0.5
"""Times the weight of background, in two other labels of an image: where they differ from its label, it is uncertain.
The errors are there, above all in whole axons that are found or lost. Chosen with the same masks."""


@dataclass(frozen=True)
class Labeller:
    """Segmenters whose mean counts, with the views of test-time augmentation, and with or without anatomy.

    Attributes
    ----------
    segmenters : tuple of Segmenter
    views : tuple of View
    anatomy : bool
        Whether `postprocess` has the last word.
    background_weight : float
        Of the probability of background.
    axon_px : float
        Median diameter of the axons of U, px, for `postprocess`; 0 if it is not known.
    """

    segmenters: tuple[Segmenter, ...]
    views: tuple[View, ...] = (View(),)
    anatomy: bool = True
    background_weight: float = 1.0
    axon_px: float = 0.0

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Return float32 [3, H, W], the probability of each class at every pixel of an image [H, W]."""
        mean = np.mean([predict_over_views(s.probabilities, image, self.views) for s in self.segmenters], axis=0)
        if self.background_weight != 1:
            mean[BACKGROUND] *= self.background_weight
            mean /= mean.sum(axis=0)
        return mean

    def label(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mask uint8 [H, W] of an image [H, W], and its uncertainty float32 [H, W] in 0..1."""
        probabilities = self.probabilities(image)
        mask, *others = (self._mask(probabilities, times) for times in (1.0, *TRIED_WEIGHTS))
        return mask, uncertainty(probabilities, mask, others)

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Return the mask uint8 [H, W] of an image [H, W]."""
        return self._mask(self.probabilities(image))

    def _mask(self, probabilities: np.ndarray, times: float = 1.0) -> np.ndarray:
        """Return the mask of probabilities in which background weighs some times more."""
        weighed = np.stack([times * probabilities[BACKGROUND], *probabilities[BACKGROUND + 1 :]])
        mask = weighed.argmax(0).astype(np.uint8)
        return postprocess(mask, axon_px=self.axon_px) if self.anatomy else mask

    @property
    def fingerprint(self) -> str:
        """A hash of everything that decides a label."""
        return digest([s.fingerprint for s in self.segmenters], self.views, self.anatomy, *self._numbers.values())

    @property
    def _numbers(self) -> dict[str, float]:
        return {"background_weight": self.background_weight, "axon_px": self.axon_px}

    def save(self, folder: Path) -> dict:
        """Write the segmenters into a folder, named by their weights; return what `load` needs besides."""
        files = {_file_name(segmenter): segmenter for segmenter in self.segmenters}
        for name, segmenter in files.items():
            segmenter.save(folder / name)
        views = [list(view) for view in self.views]
        return {"segmenters": list(files), "views": views, "anatomy": self.anatomy, **self._numbers}

    @classmethod
    def load(cls, folder: Path, saved: dict) -> Labeller:
        """Read from a folder what `save` wrote there and returned.

        Raises
        ------
        BrokenError
            If a file is missing or damaged, or does not hold the weights that its name states.
        """
        segmenters = tuple(Segmenter.load(folder / name) for name in saved["segmenters"])
        for name, segmenter in zip(saved["segmenters"], segmenters, strict=True):
            if name != _file_name(segmenter):
                raise BrokenError(f"{folder / name} holds other weights than its name states.")
        views = tuple(View(*view) for view in saved["views"])
        return cls(segmenters, views, saved["anatomy"], saved["background_weight"], saved["axon_px"])


def _file_name(segmenter: Segmenter) -> str:
    return f"segmenter-{segmenter.fingerprint}.pt"


def refine(
    examples: Examples,
    images: Sequence[np.ndarray],
    translators: Sequence[Translator],
    fit: FitFrom,
    *,
    others: Examples = (),
    masked: Examples = (),
    rounds: int = 2,
    augment: bool = True,
    anatomy: bool = True,
    background_weight: float = BACKGROUND_WEIGHT,
    seed: int = 0,
) -> Labeller:
    """Return the labeller of strategy `refined`.

    Parameters
    ----------
    examples : sequence of (image, mask)
        Of the labelled domain L.
    images : sequence of ndarray, float32 [H, W] in 0..1
        Of the unlabelled domain U, to learn from.
    translators : sequence of Translator
        Each teaches a student; see `teachers`.
    fit : callable
        `fit(examples)` trains a student; `fit(examples, start)` continues from another segmenter.
    others : sequence of (image, mask)
        Of further labelled microscopes, with the look of U.
    masked : sequence of (image, mask)
        Of U itself with expert masks, from which every student learns: the labeller is then a reference.
    rounds : int
        Of self-training.
    augment, anatomy : bool
        Whether to use test-time augmentation, and `postprocess`. The ablation switches them off.
    background_weight : float
        Of the probability of background in final labels; the ablation sets it to 1.
    seed : int
        Of the noise that translations start from.
    """
    synthetic = [translate_examples(examples, translator, seed=seed) for translator in translators]
    learned = [example for translated in synthetic for example in translated] + list(masked)
    labeller = Labeller(tuple(fit([*translated, *masked]) for translated in synthetic), anatomy=anatomy)
    sizes = measure_sizes(labeller, learned, images)
    if augment:
        labeller = replace(labeller, views=tta_views(sizes.zoom))

    def self_trained(labeller: Labeller, learned: Examples) -> Labeller:
        for _ in range(rounds):
            student = fit([*learned, *_pseudo_labels(images, labeller)], labeller.segmenters[0])
            labeller = replace(labeller, segmenters=(student,))
        return labeller

    alone = self_trained(labeller, learned)
    segmenters = alone.segmenters
    if others:
        further = tuple(fit([*translated, *masked, *others]) for translated in synthetic)
        further = self_trained(replace(labeller, segmenters=labeller.segmenters + further), [*learned, *others])
        segmenters = tuple(dict.fromkeys(segmenters + further.segmenters))
    final = for_labels(replace(alone, segmenters=segmenters), sizes, background_weight=background_weight)
    return final if augment else replace(final, views=labeller.views)


class Sizes(NamedTuple):
    """Sizes of axons of U, as a labeller finds them.

    Attributes
    ----------
    zoom : float
        How much U must be enlarged for its axons to be as large as those of L; 1 where there are none.
    axon_px : float
        Their median diameter, px; 0 where there are none.
    """

    zoom: float
    axon_px: float


def measure_sizes(labeller: Labeller, learned: Examples, images: Sequence[np.ndarray]) -> Sizes:
    """Measure the axons that a labeller finds by itself.

    Parameters
    ----------
    labeller : Labeller
    learned : sequence of (image, mask)
        What its segmenters have learned from.
    images : sequence of ndarray, float32 [H, W] in 0..1
        Of U.
    """
    of_l = axon_diameter_px(mask for _, mask in learned)
    of_u = axon_diameter_px(mask for _, mask in _pseudo_labels(images, labeller))
    zoom = round(of_l / of_u, 2)
    return Sizes(zoom if np.isfinite(zoom) else 1.0, of_u if np.isfinite(of_u) else 0.0)


def adjusted(labeller: Labeller, learned: Examples, images: Sequence[np.ndarray]) -> Labeller:
    """Return a labeller for final labels (`for_labels`) that has measured the axons of U; arguments as above."""
    return for_labels(labeller, measure_sizes(labeller, learned, images))


def for_labels(labeller: Labeller, sizes: Sizes, *, background_weight: float = BACKGROUND_WEIGHT) -> Labeller:
    """Return a labeller for final labels: its views, its weight of background, and the size of axons for anatomy."""
    views = final_views(sizes.zoom)
    return replace(labeller, views=views, background_weight=background_weight, axon_px=sizes.axon_px)


def teachers(translators: dict[str, Translator], *, syndiff: bool = True, matched: bool = True) -> list[Translator]:
    """Return the translators that teach the students of `refined`: SynDiff, and the control of matched grey values.

    Parameters
    ----------
    translators : dict
        By name, with `syndiff` among them. A missing control is left out.
    syndiff, matched : bool
        Which of the two are wanted. `refined` without SynDiff has a row of its own.
    """
    wanted = {"syndiff": syndiff, MATCHED[translators["syndiff"].sign]: matched}
    return [translators[name] for name, want in wanted.items() if want and name in translators]


def axon_diameter_px(masks: Iterable[np.ndarray]) -> float:
    """Return the median diameter (px, of circles of equal area) of the axons in class masks; NaN without any."""
    areas = axon_areas_px(masks)
    return float(np.median(2 * np.sqrt(areas / np.pi))) if len(areas) else float("nan")


def _pseudo_labels(images: Sequence[np.ndarray], labeller: Labeller) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(images, map_images(labeller.predict, images), strict=True))
