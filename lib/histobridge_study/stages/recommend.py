"""Label-free scores of every method of a finished run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from histobridge.config import REFERENCES
from histobridge.io.files import read_table, write_table
from histobridge.io.kept import kept
from histobridge.segmenter import Segmenter
from histobridge.strategies import Examples, cached
from histobridge.strategies.label_free import REVERSE_STEPS, candidate, scores
from histobridge_study.runs import Run
from histobridge_study.stages.label import STAGE as LABELLED
from histobridge_study.stages.label import pretrained_segmenter, read_labels, source_segmenter, student_fit
from histobridge_study.stages.refine import STAGE, labellers, origin_of
from histobridge_study.stages.translate import trained_translators

BASELINES = ("randomised", "renormalised", "pretrained-anatomy")
"""Strategies that are compared and not recommended: a score of a translator says nothing about them."""


def score_run(run: Run) -> pd.DataFrame:
    """Return the label-free scores of the methods of a finished run, a row a method.

    Kept as guidance.csv in the folder of stage 04. No mask of U is used. References and `BASELINES` are left out.
    """
    return kept(run.stage(STAGE).folder / "guidance.csv", partial(_write_scores, run), read_table)


def _write_scores(run: Run, file: Path) -> None:
    labels = read_labels(run.stage(LABELLED)) | read_labels(run.stage(STAGE))
    samples, examples = run.data.scored_images, run.data.training_examples
    images, translators = [sample.image for sample in samples], trained_translators(run)
    refined = labellers(run, translators)
    source = source_segmenter(run)
    pretrained, fit = pretrained_segmenter(run, source), student_fit(run, source)
    methods = {
        method: candidate(
            method,
            examples,
            images,
            translators,
            pretrained,
            fit,
            refined=refined.get(method),
            labels=[masks[sample.name] for sample in samples],
            seed=run.translator_seed,
        )
        for method, masks in labels.items()
        if method[0] not in (*REFERENCES, *BASELINES)
    }
    reverse_fit = partial(_reverse_fit, run, pretrained)
    table = scores(methods, examples, images, translators, pretrained, reverse_fit, seed=run.translator_seed)
    write_table(file, table.assign(**run.key, **origin_of(run)))


def _reverse_fit(run: Run, source: Segmenter, examples: Examples) -> Segmenter:
    untrained = source.warm_start(seed=run.fold_seed, steps=REVERSE_STEPS)
    return cached.fit_segmenter(run.cache, untrained, examples, name="reverse validation")
