"""Scores of pseudo labels that need no mask of U; `guidance.py` says how well they tell.

A way is a strategy with a translator. Each score is larger for better labels, as far as it goes:

==============  ==================================================================================================
`enclosure`     share of a ring around the labelled axons that is labelled myelin (`metrics.enclosure`)
`agreement`     Dice with the labels of another way, the median over all others: most ways are not far wrong
`anatomy`       `enclosure` x `agreement`: agreement alone follows the many, enclosure alone the cautious
`confidence`    mean probability of the class that is shown
`round_trip`    Dice of what the source segmenter finds in L there and back again with the known masks of L
`likeness`      minus the distance of grey values between what the segmenter saw and what it had learned from
`reverse`       reverse validation: Dice on L, translated to U, of a segmenter that learned from the labels of U
==============  ==================================================================================================

Reverse validation is that of Zhong et al. (ECML 2010); the others are older than papers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from histobridge.classes import AXON, MYELIN
from histobridge.config import REFINED
from histobridge.data.datasets import Sample, evenly_chosen, of_subjects
from histobridge.metrics.instances import mean_enclosure
from histobridge.metrics.overlap import dice
from histobridge.segmenter import Segmenter
from histobridge.strategies.refined import Labeller, refined
from histobridge.translators.base import Translator
from histobridge_study.analysis.recommend import Method
from histobridge_study.runs import Run
from histobridge_study.stages import label as strategies
from histobridge_study.stages.translate import round_trip, translated

Masks = dict[str, np.ndarray]
FEW = 8  # images of U, evenly chosen, are enough for a score that has to predict
REVERSE_STEPS = 60  # of a segmenter that goes on from the source's


def scores(run: Run, translators: dict[str, Translator], labels: dict[Method, Masks]) -> pd.DataFrame:
    """Score every label-free way of a run without a mask of U; one row a way, a column each of `SCORES`.

    Parameters
    ----------
    run : Run
    translators : dict
        Trained translators by name.
    labels : dict
        Masks uint8 [H, W] by image name, keyed by (strategy, translator). The supervised bound is left out.
    """
    masks = {method: found for method, found in labels.items() if method[0] != "supervised"}
    table = pd.DataFrame(list(masks), columns=["strategy", "translator"])
    table["enclosure"] = [mean_enclosure(found.values()) for found in masks.values()]
    table["agreement"] = agreement(masks)
    table["anatomy"] = table["enclosure"] * table["agreement"]
    source, images = strategies.source_segmenter(run), of_subjects(run.source_images(), run.split.source_train)
    seen = {method: _seen(run, translators, method, source, images) for method in masks}
    table["confidence"] = [_confidence(of) for of in seen.values()]
    trips = {name: _round_trip(run, translators[name], source, images) for name in table["translator"].unique()}
    table["round_trip"] = table["translator"].map(trips)
    table["likeness"] = [-float(wasserstein_distance(_greys(of.shown), _greys(of.learned))) for of in seen.values()]
    away = translated(run, translators["syndiff"], images, "U")
    table["reverse"] = [_reverse(run, source, away, method, found) for method, found in masks.items()]
    return table.assign(**run.key)


def agreement(masks: dict[Method, Masks]) -> list[float]:
    """Return for each way the median over the other ways of the mean Dice between their labels; 1 for a single way."""
    methods = list(masks)
    table = np.full((len(methods), len(methods)), np.nan)
    for i, one in enumerate(methods):
        for j in range(i):
            table[i, j] = table[j, i] = _mean_dice(masks[one], masks[methods[j]])
    return np.nanmedian(table, axis=1).tolist() if len(methods) > 1 else [1.0] * len(methods)


class _Seen(NamedTuple):
    """What a way's segmenter is, what it was shown of U, and what it had learned from."""

    segmenter: Segmenter | Labeller
    shown: list[np.ndarray]
    learned: list[np.ndarray]


def _seen(
    run: Run, translators: dict[str, Translator], method: Method, source: Segmenter, source_images: list[Sample]
) -> _Seen:
    strategy, translator, images = method[0], translators[method[1]], evenly_chosen(run.scored_images(), FEW)
    if strategy == "adaptation":
        images = translated(run, translator, images, "L")
    shown = [sample.image for sample in images]
    if strategy in ("pretrained", "adaptation"):
        return _Seen(source, shown, [sample.image for sample in source_images])
    learned = [image for image, _ in strategies.synthetic(run, translator)]
    segmenter = refined(run, translators) if strategy == REFINED else strategies.student(run, translator)
    return _Seen(segmenter, shown, learned)


def _confidence(seen: _Seen) -> float:
    return float(np.mean([seen.segmenter.probabilities(image).max(0).mean() for image in seen.shown]))


def _round_trip(run: Run, translator: Translator, source: Segmenter, images: list[Sample]) -> float:
    back = round_trip(run, translator, translated(run, translator, images, "U"), "U")
    return _known_dice(run, source, back)


def _reverse(run: Run, source: Segmenter, away: list[Sample], method: Method, masks: Masks) -> float:
    """Let a segmenter learn from the labels of a way, and ask it about L as it looks `away`, in U."""
    examples = strategies.labelled(run.scored_images(), masks)
    name = f"reverse validation of {' '.join(method)}"
    return _known_dice(run, strategies.continued(run, name, source, examples, steps=REVERSE_STEPS), away)


def _known_dice(run: Run, segmenter: Segmenter, images: list[Sample]) -> float:
    """Score what a segmenter finds in images that keep the masks of L."""
    return _mean_dice(run.source_masks(), {sample.name: segmenter.predict(sample.image) for sample in images})


def _greys(images: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.quantile(image, np.linspace(0, 1, 256)) for image in images])


def _mean_dice(masks: Masks, others: Masks) -> float:
    """Return the mean Dice over the classes and over the images that both have."""
    both = [(masks[name], others[name]) for name in others if name in masks]
    return float(np.nanmean([dice(one == c, other == c) for one, other in both for c in (MYELIN, AXON)]))
