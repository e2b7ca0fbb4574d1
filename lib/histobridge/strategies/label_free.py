"""Scores of pseudo labels that need no mask of U.

Each score is larger for better labels, as far as it can tell:

==============  ==================================================================================================
`enclosure`     share of a ring around the labelled axons that is labelled myelin (`metrics.instances.enclosure`)
`agreement`     median over all other methods of the Dice with their labels: most methods are not far wrong
`anatomy`       `enclosure` x `agreement`: alone, the one favours cautious labels and the other common ones
`confidence`    mean probability of the predicted class
`round_trip`    Dice of the known masks of L with those that the segmenter of L finds after a round trip L -> U -> L
`likeness`      minus the distance of the grey values that a segmenter was shown from those that it had learned from
`reverse`       Dice on L, translated to U, of a segmenter that learned from the labels of U (reverse validation)
==============  ==================================================================================================

Reverse validation is that of Zhong et al. (ECML 2010).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from histobridge.classes import AXON, MYELIN
from histobridge.config import REFINED_STRATEGIES
from histobridge.io.progress import Report, ThrottledProgress
from histobridge.metrics.instances import mean_enclosure
from histobridge.metrics.overlap import dice
from histobridge.segmenter import Segmenter
from histobridge.strategies.basic import Examples, Fit, translate_examples
from histobridge.strategies.recommend import Method
from histobridge.strategies.refined import Labeller
from histobridge.training.map_images import map_images
from histobridge.translators.base import Translator

Masks = Sequence[np.ndarray]
FEW = 8  # images of U are enough for scores of intensities and probabilities
REVERSE_STEPS = 60
"""Steps of a segmenter that continues from the segmenter of L on labels of U."""


class Candidate(NamedTuple):
    """The labels that one method gives to images of U, and how they were made.

    Attributes
    ----------
    labels : sequence of ndarray, uint8 [H, W]
    segmenter : Segmenter or Labeller
        That made them.
    shown : sequence of ndarray, float32 [H, W] in 0..1
        The images as the segmenter was shown them: of U, or translated to L.
    learned : sequence of ndarray, float32 [H, W] in 0..1
        The images that the segmenter had learned from: of L, or translated to U.
    """

    labels: Masks
    segmenter: Segmenter | Labeller
    shown: Sequence[np.ndarray]
    learned: Sequence[np.ndarray]


def candidate(
    method: Method,
    examples: Examples,
    images: Sequence[np.ndarray],
    translators: Mapping[str, Translator],
    source: Segmenter,
    fit: Fit,
    *,
    refined: Labeller | None = None,
    labels: Masks | None = None,
    seed: int = 0,
) -> Candidate:
    """Label images of U by one method.

    Parameters
    ----------
    method : (str, str)
        Strategy (pretrained, adaptation, tutorship or refined) and name of the translator.
    examples : sequence of (image, mask)
        Of the labelled domain L.
    images : sequence of ndarray, float32 [H, W] in 0..1
        Of the unlabelled domain U.
    translators : mapping
        By name.
    source : Segmenter
        Of L.
    fit : callable
        Trains the student of tutorship on examples.
    refined : Labeller, optional
        Of strategy `refined`.
    labels : sequence of ndarray, optional
        Labels of the images by this method, if they are known.
    seed : int
        Of the noise that translations start from.
    """
    strategy, translator = method[0], translators[method[1]]
    segmenter, shown, learned = source, images, [image for image, _ in examples]
    if strategy == "adaptation":
        shown = map_images(lambda image: translator.translate(image, "L", seed=seed), images)
    elif strategy != "pretrained":
        translated = translate_examples(examples, translator, seed=seed)
        segmenter = refined if strategy in REFINED_STRATEGIES else fit(translated)
        learned = [image for image, _ in translated]
    if labels is None:
        labels = map_images(segmenter.predict, shown)
    return Candidate(labels, segmenter, shown, learned)


def scores(
    methods: Mapping[Method, Candidate],
    examples: Examples,
    images: Sequence[np.ndarray],
    translators: Mapping[str, Translator],
    source: Segmenter,
    fit: Fit,
    *,
    to_u: str = "syndiff",
    seed: int = 0,
    report: Report | None = None,
) -> pd.DataFrame:
    """Score the labels of several methods without a mask of U.

    Parameters
    ----------
    methods : mapping
        By method, the labels of `images`; see `candidate`.
    examples : sequence of (image, mask)
        Of the labelled domain L.
    images : sequence of ndarray, float32 [H, W] in 0..1
        Of the unlabelled domain U.
    translators : mapping
        By name: those of the methods, and `to_u`.
    source : Segmenter
        Of L.
    fit : callable
        Continues from `source` on examples, for `REVERSE_STEPS` steps.
    to_u : str
        Name of the translator that shows L in the appearance of U, for `reverse`.
    seed : int
        Of the noise that translations start from.
    report : callable, optional
        Called with a progress line for each method; prints one every ten seconds by default.

    Returns
    -------
    DataFrame
        One row for each method: `strategy`, `translator` and a column for each of `recommend.SCORES`.
    """
    report, masks = report or ThrottledProgress(), [mask for _, mask in examples]
    trips = {name: _round_trip(examples, translators[name], source, seed) for name in {name for _, name in methods}}
    of_l_in_u = [image for image, _ in translate_examples(examples, translators[to_u], seed=seed)]
    rows = []
    for (strategy, translator), made in methods.items():
        report(f"scoring {strategy} with {translator}")
        shown = [made.shown[i] for i in np.unique(np.linspace(0, len(images) - 1, FEW).astype(int))]
        student = fit(list(zip(images, made.labels, strict=True)))
        rows.append({
            "strategy": strategy,
            "translator": translator,
            "enclosure": mean_enclosure(made.labels),
            "confidence": np.mean([made.segmenter.probabilities(image).max(0).mean() for image in shown]),
            "round_trip": trips[translator],
            "likeness": -wasserstein_distance(_greys(shown), _greys(made.learned)),
            "reverse": _mean_dice(masks, map_images(student.predict, of_l_in_u)),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    table.insert(3, "agreement", agreement([made.labels for made in methods.values()]))
    table.insert(4, "anatomy", table["enclosure"] * table["agreement"])
    return table


def agreement(labels: Sequence[Masks]) -> list[float]:
    """Return for each method the median over the others of the mean Dice between their labels; 1 for a single method.

    Parameters
    ----------
    labels : sequence of sequence of ndarray, uint8 [H, W]
        By method, of the same images.
    """
    if len(labels) == 1:
        return [1.0]
    table = np.full((len(labels), len(labels)), np.nan)
    for i, first in enumerate(labels):
        for j, second in enumerate(labels[:i]):
            table[i, j] = table[j, i] = _mean_dice(first, second)
    return np.nanmedian(table, axis=1).tolist()


def _round_trip(examples: Examples, translator: Translator, source: Segmenter, seed: int) -> float:
    to_u = [image for image, _ in translate_examples(examples, translator, seed=seed)]
    back = map_images(lambda image: translator.translate(image, "L", seed=seed), to_u)
    return _mean_dice([mask for _, mask in examples], map_images(source.predict, back))


def _greys(images: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.quantile(image, np.linspace(0, 1, 256)) for image in images])


def _mean_dice(masks: Masks, others: Masks) -> float:
    """Return the mean Dice over images and classes; a class in neither mask does not count."""
    pairs = zip(masks, others, strict=True)
    return float(np.nanmean([dice(one == c, other == c) for one, other in pairs for c in (MYELIN, AXON)]))
