"""Gather what the site shows from the folders of finished runs. Only this module knows how a run stores its results."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.data.manifest import ROOT
from histobridge.errors import UserError
from histobridge.io.files import read_table
from histobridge.io.images import read_image
from histobridge.io.masks import read_mask
from histobridge_study.analysis.bland_altman import agreement, agreement_overview, of_best, paired
from histobridge_study.analysis.recommend import with_true_dice
from histobridge_study.analysis.tables import ablation_overview, dice_overview, trust_overview
from histobridge_study.config import load_study
from histobridge_study.report import collect
from histobridge_study.report.paper_figures import kind_of
from histobridge_study.report.site.contents import Arrays, Contents, Fold, Section
from histobridge_study.runs import Run, recorded_run

LABELLED, REPORT = "03_label", "05_report"
STAGES = ("01_data", "02_translate", LABELLED, "04_refine")
HEADINGS = {"p_holm": "p (Holm)", "ssim": "SSIM", "psnr": "PSNR, dB", "l1": "L1", "offset_px": "offset, px"}
HEADINGS |= {"peak_memory_gib": "memory, GiB", "memory_gib": "memory, GiB", "memory_gib_most": "most memory, GiB"}


def gather(folder: Path, data: Path, to: Path, *, seed: int = 0, shown: tuple[int, ...] | None = None) -> Contents:
    """Return what the site of a profile's runs shows; parameters as for `site.build`.

    Raises
    ------
    UserError
        If no run has finished, none of the folds exists, or `to` is a place where real images might be committed.
    """
    _refuse_several_profiles(folder)
    dice, translation = (collect.collect(folder, name, seed=seed) for name in ("dice", "translation"))
    runs = [_recorded(mark, folder, data) for mark in collect.finished(folder, LABELLED, seed=seed)]
    chosen = [run for run in runs if shown is None or run.parameters.fold in shown]
    if not chosen:
        there = _listed(sorted({run.parameters.fold for run in runs}))
        raise UserError(f"None of the folds to show has finished; these have: {there}.")
    _refuse_real_in_repository(chosen, folder, to)
    records = collect.collect_provenance(folder, seed=seed)
    profile, tables = records[0]["profile"], collect.derived_tables(dice, translation, records)
    missing, names = collect.missing(profile, dice), {run.parameters.pair for run in chosen}
    report = folder / "report" / f"{REPORT}.ipynb"
    return Contents(
        profile=profile,
        facts=_facts(dice, tables["costs"], records),
        pairs={name: pair for name, pair in load_study().pairs.items() if name in names},
        folds=[_fold(run, dice) for run in chosen],
        dice=dice_overview(dice, interval=True, bold=True, missing=missing),
        claims=tables["claims"],
        sections=_sections(folder, seed, dice, tables, missing),
        provenance=_provenance(records, tables["costs"]),
        notes=[] if shown is None else [f"Pictures and notebooks of folds other than {_listed(shown)} (`--fold`)."],
        commands=_commands(profile, folder.name, seed, records),
        report=report if report.exists() else None,
    )


# --- One fold -----------------------------------------------------------------------------------------------


def _recorded(mark: Path, folder: Path, data: Path) -> Run:
    return recorded_run(json.loads(mark.read_text())["provenance"], out=str(folder.parent), data=str(data))


def _fold(run: Run, dice: pd.DataFrame) -> Fold:
    p, rows = run.parameters, dice
    for name, value in run.key.items():
        rows = rows[rows[name] == value]
    notebooks = {stage: run.stage_folder(stage) / f"{stage}.ipynb" for stage in STAGES}
    order = run.results / "review_order.csv"
    return Fold(
        p.pair,
        p.protocol,
        p.split,
        p.fold,
        rows,
        load=partial(_arrays, run, sorted(set(rows["image"]))),
        notebooks={stage: path for stage, path in notebooks.items() if path.exists()},
        review_order=read_table(order) if order.exists() else pd.DataFrame(),
    )


def _arrays(run: Run, images: list[str]) -> Arrays:
    def stored(home: Path, read) -> dict[str, dict[str, np.ndarray]]:
        folders = {folder.name: folder for folder in sorted(home.glob("*")) if folder.is_dir()}
        return {
            key: {name: read(path) for name in images if (path := folder / f"{name}.png").exists()}
            for key, folder in folders.items()
        }

    try:
        pictures, truth, note = {s.name: s.image for s in run.target_images()}, run.target_masks(), ""
    except UserError as error:
        pictures, truth, note = {}, {}, str(error)
    home = run.shared / "translations"
    translations = {t: stored(home / t, read_image).get("to-L", {}) for t in run.translators if t != "none"}
    labels = stored(run.results / "pseudo_labels", lambda path: read_mask(path)[0])
    return Arrays(pictures, truth, translations, labels, stored(run.results / "uncertainty", read_image), note)


# --- Tables -------------------------------------------------------------------------------------------------


def _facts(dice: pd.DataFrame, costs: pd.DataFrame, records: list[dict]) -> dict[str, str]:
    return {
        "pairs": str(dice["pair"].nunique()),
        "finished folds": str(len(dice[["pair", "protocol", "split", "fold"]].drop_duplicates())),
        "scored images": str(dice.groupby("pair")["image"].nunique().sum()),
        "minutes of computing": f"{costs['minutes'].sum():.0f}",
        "code": ", ".join(sorted({record["git_commit"] for record in records})),
    }


def _sections(folder: Path, seed: int, dice: pd.DataFrame, tables: dict, missing: pd.DataFrame) -> list[Section]:
    measured, further = collect.collect_measured(folder, seed=seed), collect.collect_beyond(folder, seed=seed)
    fibres = of_best(paired(measured), dice) if len(measured) else measured
    trust, ablation = further["trust"], further["ablation"]
    scores = with_true_dice(further["guidance"], dice) if len(further["guidance"]) else further["guidance"]
    return [
        _section("Reconstruction", "Mean ± SD over images; offset and seam of one way.", tables["table2"]),
        _section("Paired tests", "SynDiff's best published strategy against every other method.", tables["tests"]),
        _section("Fibre measures", "Best label-free method against the expert masks.", fibres, _fibre_agreement),
        _section("Uncertainty", "Of `refined`; AUSE and calibration error are 0 at best.", trust, trust_overview),
        _section("Ablation", "`refined` without one of its pieces at a time.", ablation, ablation_overview),
        _section("Label-free scores", "They use no mask of U; `dice` is the truth.", scores),
        _section("Missing results", "Planned cells of the Dice table that lack folds.", missing),
    ]


def _section(title: str, caption: str, rows: pd.DataFrame, overview=lambda rows: rows) -> Section:
    return Section(title, caption, overview(rows).rename(columns=HEADINGS) if len(rows) else rows)


def _fibre_agreement(fibres: pd.DataFrame) -> pd.DataFrame:
    return agreement_overview(agreement(fibres))


def _provenance(records: list[dict], costs: pd.DataFrame) -> list[Section]:
    stages = collect.provenance_table(records).sort_values(["pair", "protocol", "fold", "stage"])
    checksums = {pair for record in records for pair in record["data_sha256"].items()}
    data = pd.DataFrame(sorted(checksums), columns=["dataset", "checksum"])
    libraries = pd.DataFrame([{"python": r["python"]} | r["libraries"] for r in records]).drop_duplicates()
    return [
        _section("Stages", "Every finished stage.", stages),
        _section("Costs", "Minutes of wall-clock time, and the peak memory of the process.", costs),
        _section("Data", "One checksum over all files of a dataset.", data),
        _section("Libraries", "Versions.", libraries),
    ]


def _commands(profile: str, name: str, seed: int, records: list[dict]) -> list[str]:
    commits, option = sorted({record["git_commit"] for record in records}), f" --seed {seed}" if seed else ""
    return [
        f"git checkout {commits[0].rstrip('+') if len(commits) == 1 else 'COMMIT  # of the stage, below'}",
        "make .venv/installed",
        f".venv/bin/histobridge study --profile {profile}{option}",
        f".venv/bin/histobridge report runs/{name}{option}",
    ]


def _listed(folds: Iterable[int]) -> str:
    return ", ".join(map(str, folds))


# --- Refusals -----------------------------------------------------------------------------------------------


def _refuse_several_profiles(folder: Path) -> None:
    inside = [f for f in sorted(folder.glob("*")) if f.is_dir() and any(f.glob(f"*/*/*/*/{LABELLED}.json"))]
    if inside:
        names = " or ".join(f"{folder.name}/{f.name}" for f in inside)
        raise UserError(f"{folder} holds the runs of several profiles: name one, {names}.")


def _refuse_real_in_repository(runs: list[Run], folder: Path, to: Path) -> None:
    real = sorted({run.parameters.pair for run in runs if kind_of(run.pair) == "real"})
    if real and to.is_relative_to(ROOT) and not to.is_relative_to(folder.parent):
        raise UserError(
            f"The site shows real images of {', '.join(real)}, which are never committed: choose a folder below "
            f"{folder.parent} or outside the repository."
        )
