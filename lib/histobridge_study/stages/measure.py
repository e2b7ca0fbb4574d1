"""Fibre measurements of pseudo labels beside those of the expert masks: fibres.csv and morphometrics.csv of a stage."""

from __future__ import annotations

import pandas as pd

from histobridge.io.files import write_table
from histobridge.measure import measure_masks
from histobridge_study.analysis.bland_altman import EXPERT
from histobridge_study.runs import Run
from histobridge_study.stages.label import Labels


def measure_labels(run: Run, stage: str, labels: Labels) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure pseudo labels and the expert masks of the same images; write and return both tables.

    Parameters
    ----------
    run : Run
    stage : str
        In whose folder the tables are written.
    labels : mapping
        Masks by method and image.

    Returns
    -------
    fibres, images : DataFrame
        The columns pair, protocol, split, fold, translator_seed, strategy, translator, image and subject, then those of
        `morphometrics.fibres` and `morphometrics.fibre_summary`. The expert counts as a strategy.
    """
    labelled = {name for masks in labels.values() for name in masks}
    truth = {name: mask for name, mask in run.data.target_masks.items() if name in labelled}
    subject = {sample.name: sample.subject for sample in run.data.target_images}
    named = (
        ({**run.key, "strategy": strategy, "translator": translator, "image": name, "subject": subject[name]}, mask)
        for (strategy, translator), masks in {(EXPERT, "none"): truth, **labels}.items()
        for name, mask in masks.items()
    )
    tables = measure_masks(named, run.pair.target.um_per_px)
    for name, table in zip(("fibres", "morphometrics"), tables, strict=True):
        write_table(run.stage(stage).folder / f"{name}.csv", table)
    return tables
