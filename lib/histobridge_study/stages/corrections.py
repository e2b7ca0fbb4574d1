"""After stage 04: what corrected images of U are worth, to a model of `refined` and to one that starts from nothing.

The images that are corrected are those of the fold's training subjects, with their expert masks in the place of a
correction. They come in the order in which `refined` asks for review: the most uncertain image first. What is scored
are images of other subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.data.datasets import Sample
from histobridge.errors import UserError
from histobridge.io.files import read_table, write_table
from histobridge.io.kept import kept
from histobridge.metrics.overlap import class_scores
from histobridge.segmenter import Segmenter
from histobridge.strategies import Examples, Labeller, cached
from histobridge.strategies.tta import tta_views
from histobridge.training.map_images import map_images
from histobridge.translators import Translator
from histobridge_label.edits import measure_edits
from histobridge_label.finetune import STEPS
from histobridge_study.runs import Run
from histobridge_study.stages.refine import STAGE, default_labeller, origin_of

TABLE = "corrections.csv"
COUNTS = (0, 1, 2, 4)
"""Numbers of corrected images."""
LEFT_ALONE = 0.8
"""IoU from which nobody would redraw an axon: of 20 px in diameter, with an outline that is off by one px all round."""
Predict = Callable[[np.ndarray], np.ndarray]
After = Callable[[Examples], Predict]
"""What labels images after some have been corrected."""
EDITS = ("added", "removed", "reshaped", "pixels_changed")


def correct(run: Run, translators: dict[str, Translator]) -> pd.DataFrame:
    """Return what 0, 1, 2 and 4 corrected images are worth; kept as corrections.csv in the folder of stage 04.

    Returns
    -------
    DataFrame
        One row an image: the key of the run, `start` (refined or nothing), `corrected`, `role`, `image`, `subject`,
        the Dice of `axon` and `myelin`, `f1_50` of the fibres, `fibres` in the expert mask, and the edits that
        lead from the label to that mask: fibres `added`, `removed` and `reshaped`, and `pixels_changed`. An image with
        the role `scored` was labelled after so many images were `corrected`, and its edits are still to be made. One
        with the role `corrected` is the first, second, ... image of the order of review; its edits were made on what
        the start had labelled.

    Raises
    ------
    UserError
        If the fold has no training subject with masks, or no image of another subject to score.
    """

    if not run.data.supervised_examples() or not held_out(run):
        raise UserError(f"{run.title}: corrections need images with masks of at least two subjects of the target.")

    def score(file: Path) -> None:
        refined = default_labeller(run, translators)
        starts = {"refined": partial(refined_after, run, refined), "nothing": partial(nothing_after, run)}
        pool = in_review_order(refined, run.data.supervised_examples())
        rows = [{"start": start, **row} for start, after in starts.items() for row in _rows(run, after, pool)]
        write_table(file, pd.DataFrame(rows).assign(**run.key, **origin_of(run)))

    return kept(run.stage(STAGE).folder / TABLE, score, read_table)


def in_review_order(labeller: Labeller, examples: Examples) -> Examples:
    """Return examples with the one first of whose label the labeller is least sure, as the label tool lists them."""

    order = np.argsort([-labeller.label(image)[1].mean() for image, _ in examples], kind="stable")
    return [examples[number] for number in order]


def refined_after(run: Run, labeller: Labeller, corrected: Examples) -> Predict:
    """Return what labels images after the labeller of `refined` has learned from corrected ones.

    It learns as `histobridge_label.finetune` lets it, but is remembered.
    """
    if not corrected:
        return labeller.predict
    steps = min(STEPS, run.profile.student_steps)  # a profile for tests spends less than the label tool
    starts = [segmenter.warm_start(seed=run.fold_seed, steps=steps) for segmenter in labeller.segmenters]
    return replace(labeller, segmenters=tuple(_fit(run, start, corrected) for start in starts)).predict


def nothing_after(run: Run, corrected: Examples) -> Predict:
    """Return what labels images after a segmenter of random weights has learned from corrected ones alone.

    It takes the steps of the segmenter of L. Its labels profit from turned and mirrored views and from anatomy, as
    those of `refined` do. Before any image is corrected, there is no label: everything is to be drawn.
    """
    if not corrected:
        return _blank
    untrained = Segmenter(run.profile.segmenter, seed=run.fold_seed)
    return Labeller((_fit(run, untrained, corrected),), tta_views(1.0)).predict


def _blank(image: np.ndarray) -> np.ndarray:
    return np.zeros(image.shape, np.uint8)


def _fit(run: Run, untrained: Segmenter, corrected: Examples) -> Segmenter:
    name = f"{len(corrected)} corrected, fold {run.parameters.fold}"
    return cached.fit_segmenter(run.cache, untrained, corrected, name=name)


def _rows(run: Run, after: After, pool: Examples) -> Iterator[dict]:
    """Yield the rows of one start: those of the corrected images, then those of the scored ones by count."""
    first = [(_sample_of(run, image), mask) for image, mask in pool[: max(COUNTS)]]
    for place, row in enumerate(_scores(run, after([]), first), 1):
        yield {"corrected": place, "role": "corrected", **row}
    for count in (count for count in COUNTS if count <= len(pool)):
        for row in _scores(run, after(pool[:count]), held_out(run)):
            yield {"corrected": count, "role": "scored", **row}


def held_out(run: Run) -> list[tuple[Sample, np.ndarray]]:
    """Return the images with masks of subjects whose images are not corrected, with these masks: to score with."""
    masks = run.data.target_masks
    return [(sample, masks[sample.name]) for sample in run.data.supervised_images if sample.name in masks]


def _sample_of(run: Run, image: np.ndarray) -> Sample:
    """Return the sample of an example, which has no name."""
    return next(sample for sample in run.data.development_images if sample.image is image)


def _scores(run: Run, predict: Predict, pairs: list[tuple[Sample, np.ndarray]]) -> list[dict]:
    """Compare the labels of samples with their masks, a row an image."""
    labels = map_images(predict, [sample.image for sample, _ in pairs])
    return [_score(run, sample, mask, label) for (sample, mask), label in zip(pairs, labels, strict=True)]


def _score(run: Run, sample: Sample, mask: np.ndarray, label: np.ndarray) -> dict:
    by_class = {row["class"]: row for row in class_scores(mask, label)}
    edits = measure_edits(label, mask, run.pair.target.um_per_px, unchanged=LEFT_ALONE)
    return {
        "image": sample.name,
        "subject": sample.subject,
        **{name: row["dice"] for name, row in by_class.items()},
        "f1_50": by_class["axon"]["f1_50"],
        "fibres": edits["fibres_after"],
        **{name: edits[name] for name in EDITS},
    }
