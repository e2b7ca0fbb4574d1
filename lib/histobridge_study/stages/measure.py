"""Measuring masks: those of a run, while it is made or long after, and files from elsewhere. Nothing is trained.

Beside `dice.csv` a run keeps `fibres.csv`, a row an axon, and `morphometrics.csv`, a row an image. Both hold every
strategy and, as a strategy of its own, the expert.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.errors import UserError
from histobridge.io.files import sha256_of, write_json, write_table
from histobridge.io.images import check_pixel_size, read_mask
from histobridge.metrics.morphometrics import fibre_summary, fibres
from histobridge_study.analysis.bland_altman import EXPERT
from histobridge_study.runs import Run, recorded_run

STAGE = "03_label"
MARK = "measured.json"
"""Says which labels are measured, by their Dice: a file's age would not outlive a copy of the runs."""
DECIMALS = 5  # of a µm: what lies beyond is far below a pixel
Labels = Mapping[tuple[str, str], Mapping[str, np.ndarray]]


def measure(run: Run, labels: Labels, *, ending: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure pseudo labels and the expert masks of the same images; write and return both tables.

    Parameters
    ----------
    run : Run
    labels : mapping
        Masks by image name, keyed by (strategy, translator), as `strategies.all_pseudo_labels` returns them.
    ending : str
        Of the names of the files, for labels that are measured apart from the others.

    Returns
    -------
    fibres, images : DataFrame
        As `fibres.csv` and `morphometrics.csv`: the columns pair, protocol, split, fold, strategy, translator, image
        and subject, then those of `morphometrics.fibres` and `morphometrics.fibre_summary`.
    """
    subject = {s.name: s.subject for s in run.target_images()}
    keyed = (
        ({**run.key, "strategy": method[0], "translator": method[1], "image": name, "subject": subject[name]}, mask)
        for method, masks in _with_expert(run, labels).items()
        for name, mask in masks.items()
    )
    tables = measured(keyed, run.pair.target.um_per_px)
    for name, table in zip(("fibres", "morphometrics"), tables, strict=True):
        write_table(run.results / f"{name}{ending}.csv", table)
    if not ending:
        write_json(run.results / MARK, {"dice_sha256": sha256_of(run.results / "dice.csv")})
    return tables


def measured(masks: Iterable[tuple[dict, np.ndarray]], um_per_px: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the fibres and the summaries of class masks [H, W], each with the columns that go before it.

    Raises
    ------
    UserError
        If the pixel size (µm/px) is missing or not a positive number.
    """
    single, whole = [], []
    for head, mask in masks:
        found = fibres(mask, um_per_px)
        single.append(pd.DataFrame({name: [value] * len(found) for name, value in head.items()}).join(found))
        whole.append({**head, **fibre_summary(mask, found, um_per_px)})
    filled = [table for table in single if len(table)] or single[:1]  # empty ones would blur the types of columns
    return pd.concat(filled, ignore_index=True).round(DECIMALS), pd.DataFrame(whole).round(DECIMALS)


def measure_files(paths: Iterable[Path], um_per_px: float | None, to: Path) -> pd.DataFrame:
    """Measure mask files (0, 127, 255) from anywhere; write fibres.csv and summary.csv to a folder, return the latter.

    Raises
    ------
    UserError
        If the pixel size (µm/px) is missing or not a positive number, or a file is no mask.
    """
    paths = list(paths)
    check_pixel_size(um_per_px, paths[0])
    tables = measured((({"mask": str(path)}, read_mask(path)[0]) for path in paths), um_per_px)
    for name, table in zip(("fibres", "summary"), tables, strict=True):
        write_table(to / f"{name}.csv", table)
    return tables[1]


def measure_runs(marks: Iterable[Path], *, out: Path, data: Path) -> Iterator[tuple[Run, int | None]]:
    """Measure the kept pseudo labels of finished runs, one after another, and yield each with its number of masks.

    Parameters
    ----------
    marks : iterable of Path
        What marks them as finished, from `collect.finished`.
    out, data : Path
        Where runs and datasets are.

    Yields
    ------
    run : Run
    masks : int or None
        How many masks were measured; None if that had been done before.

    Raises
    ------
    UserError
        If a run was made with other settings than study.yaml has now: its pixel size may have been another.
    """
    for mark in marks:
        run = _run_of(mark, out, data)
        yield run, None if is_measured(mark) else len(measure(run, kept_labels(run))[1])


def is_measured(mark: Path) -> bool:
    """Tell whether the pseudo labels of a finished run are measured: since they were last scored, not before."""
    told, scored = mark.with_name(MARK), mark.with_name("dice.csv")
    return told.exists() and json.loads(told.read_text())["dice_sha256"] == sha256_of(scored)


def kept_labels(run: Run) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Read the pseudo labels that a finished run has kept: masks by image, keyed by (strategy, translator).

    `dice.csv` says which there are: folders may also hold those of a translator that study.yaml no longer names.
    """
    methods = pd.read_csv(run.results / "dice.csv")[["strategy", "translator"]].drop_duplicates()
    return {method: kept_masks(run, method) for method in methods.itertuples(index=False, name=None)}


def kept_masks(run: Run, method: tuple[str, str]) -> dict[str, np.ndarray]:
    """Read the pseudo labels of one (strategy, translator) that a run has kept: masks by image."""
    folder = run.results / "pseudo_labels" / "-".join(method)
    return {path.stem: read_mask(path)[0] for path in sorted(folder.glob("*.png"))}


def _with_expert(run: Run, labels: Labels) -> dict[tuple[str, str], Mapping[str, np.ndarray]]:
    """Put the expert masks of all images that have a label before the labels."""
    seen = {name for masks in labels.values() for name in masks}
    truth = {name: mask for name, mask in run.target_masks().items() if name in seen}
    return {(EXPERT, "none"): truth, **labels}


def _run_of(mark: Path, out: Path, data: Path) -> Run:
    told = json.loads(mark.read_text())["provenance"]
    run = recorded_run(told, out=str(out.resolve()), data=str(data.resolve()))
    if not run.finished(STAGE):
        raise UserError(
            f"{mark.parent} was made with other settings than study.yaml has now: run `histobridge study` again, or "
            "move it elsewhere."
        )
    return run
