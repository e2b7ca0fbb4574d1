"""Stage 03: the segmenters of a fold, and pseudo labels as files and rows of Dice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from histobridge.config import REFERENCES
from histobridge.data.datasets import Sample
from histobridge.io.files import read_table
from histobridge.io.masks import read_mask, write_mask
from histobridge.metrics.overlap import class_scores
from histobridge.segmenter import Segmenter
from histobridge.strategies import Examples, cached
from histobridge.training.map_images import map_images
from histobridge_study.analysis.methods import Method, method_order
from histobridge_study.runs import Run, Stage

STAGE = "03_label"

Labels = Mapping[Method, Mapping[str, np.ndarray]]
"""Masks uint8 [H, W] by method, then by name of image."""

FEWEST_MASKS = 2
"""Images with masks that a reference needs to learn from."""


def source_segmenter(run: Run) -> Segmenter:
    """Train (or recall) the segmenter of L on the training subjects of the fold."""
    untrained = Segmenter(run.profile.segmenter, seed=run.fold_seed)
    name = f"source segmenter of fold {run.parameters.fold}"
    return cached.fit_segmenter(run.cache, untrained, run.data.training_examples, name=name)


def pretrained_segmenter(run: Run, source: Segmenter) -> Segmenter:
    """Train (or recall) the segmenter of L for as many further steps as a student: it is the student of `none`."""
    return _fit_student(run, source, run.data.training_examples)


def student_fit(run: Run, source: Segmenter):
    """Return the `fit` of all students of a fold: trains them, or recalls them.

    Students continue from the weights of the segmenter of L. For the same budget they are better and steadier than from
    scratch, and whatever tutorship gains by this, its supervised reference gains too. `fit(examples, start)`
    continues from another segmenter, for the steps of self-training.
    """
    return partial(_fit_student, run, source)


def _fit_student(run: Run, source: Segmenter, examples: Examples, start: Segmenter | None = None) -> Segmenter:
    steps = run.profile.student_steps if start is None else run.profile.refinement.steps
    untrained = (start or source).warm_start(seed=run.fold_seed, steps=steps)
    name = "student" if start is None else "self-training"
    return cached.fit_segmenter(run.cache, untrained, examples, name=f"{name}, fold {run.parameters.fold}")


def predictions(segmenter, samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    """Return the masks that a segmenter (or a labeller) predicts, by name of image."""
    masks = map_images(segmenter.predict, [sample.image for sample in samples])
    return {sample.name: mask for sample, mask in zip(samples, masks, strict=True)}


# --- As files ---------------------------------------------------------------------------------------------------------


def write_labels(stage: Stage, labels: Labels) -> dict[Method, Mapping[str, np.ndarray]]:
    """Write pseudo labels as PNGs, `labels`/STRATEGY-TRANSLATOR/IMAGE.png in the stage's folder.

    Returns
    -------
    dict
        The labels in the order of all tables: by strategy, the references last, then by translator.
    """
    order = sorted(labels, key=method_order)
    for method in order:
        for name, mask in labels[method].items():
            write_mask(stage.folder / _folder(method) / f"{name}.png", mask)
    return {method: labels[method] for method in order}


def read_labels(stage: Stage) -> dict[Method, dict[str, np.ndarray]]:
    """Read the pseudo labels of a finished stage, in the order of its rows of Dice."""
    files = stage.files()
    rows = read_table(files["dice.csv" if stage.name == STAGE else "refined.csv"])
    methods = rows[["strategy", "translator"]].drop_duplicates().itertuples(index=False, name=None)
    return {
        method: {path.stem: read_mask(path)[0] for name, path in files.items() if name.startswith(_folder(method))}
        for method in methods
    }


def _folder(method: Method) -> str:
    return f"labels/{'-'.join(method)}/"


# --- As numbers -------------------------------------------------------------------------------------------------------


def dice_rows(run: Run, labels: Labels) -> pd.DataFrame:
    """Score pseudo labels against the expert masks; one row an image and class, columns as in reports/dice.csv.

    `masks` is the number of images of U whose expert masks the method has learned from: 0 but for references.
    """
    truth, subject = run.data.target_masks, {s.name: s.subject for s in run.data.target_images}
    masks_of_others = len(run.data.supervised_examples()) if any(name in REFERENCES for name, _ in labels) else 0
    rows = [
        {"strategy": strategy, "translator": translator, "image": name, "subject": subject[name], **scores}
        for (strategy, translator), masks in labels.items()
        for name, mask in masks.items()
        if name in truth
        for scores in class_scores(truth[name], mask)
    ]
    table = pd.DataFrame(rows)
    return table.assign(masks=table["strategy"].isin(REFERENCES) * masks_of_others, **run.key)


def worst_image(rows: pd.DataFrame) -> str:
    """Return the image on which SynDiff's labels have the lowest mean Dice."""
    learned = rows[rows["translator"] == "syndiff"]
    return learned.groupby("image")["dice"].mean().idxmin()


def panels(run: Run, translators: dict, labels: Labels, name: str) -> tuple[np.ndarray, np.ndarray, dict, dict, dict]:
    """Return what a figure of pseudo labels shows of one image: image, truth, masks, translations and Dice as text."""
    sample = next(s for s in run.data.target_images if s.name == name)
    truth = run.data.target_masks[name]
    masks, translations, dice = {}, {}, {}
    for (strategy, translator), found in labels.items():
        if name in found:
            key = f"{strategy} {translator}"
            masks[key] = found[name]
            dice[key] = "  ".join(f"{r['class']} {r['dice']:.2f}" for r in class_scores(truth, found[name]))
            if strategy == "adaptation":
                translations[key] = translators[translator].translate(sample.image, "L", seed=run.translator_seed)
    return sample.image, truth, masks, translations, dice
