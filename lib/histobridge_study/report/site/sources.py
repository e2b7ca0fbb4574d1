"""Gather what the site shows from the folders of finished runs. Only this module knows how a run stores its results."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import nbformat
import pandas as pd

from histobridge.errors import UserError
from histobridge.io.files import read_table
from histobridge.items import Account
from histobridge_study.analysis.ablation import ablation_overview
from histobridge_study.analysis.bland_altman import (
    agreement_overview,
    best_method_pairs,
    limits_of_agreement,
    pair_with_expert,
)
from histobridge_study.analysis.comparisons import differences_overview
from histobridge_study.analysis.recommend import with_true_dice
from histobridge_study.analysis.references import reference_overview
from histobridge_study.analysis.tables import dice_overview, trust_overview
from histobridge_study.config import load_study
from histobridge_study.grid import runs_of_profile
from histobridge_study.report import collect
from histobridge_study.report.site.contents import Arrays, Contents, Fold, Section
from histobridge_study.runs import STAGES, Run
from histobridge_study.stages.label import STAGE as LABELLED
from histobridge_study.stages.label import read_labels
from histobridge_study.stages.refine import STAGE as REFINED_STAGE
from histobridge_study.stages.refine import labelled_method, read_uncertainty
from histobridge_study.stages.translate import trained_translators

REPORT = "05_report"
HEADINGS = {"ssim": "SSIM", "psnr": "PSNR, dB", "l1": "L1", "offset_px": "offset, px"}
DIFFERENCES = (
    "In Dice, paired by subject: with the 95 % interval, or the range over subjects where they are fewer than five."
)
SHARES = "Of the Dice of the fair supervised reference on the same images: mean over subjects."
HEADINGS |= {"peak_memory_gib": "memory, GiB", "memory_gib": "memory, GiB", "memory_gib_most": "most memory, GiB"}


def gather(
    folder: Path,
    data: Path,
    to: Path,
    *,
    seed: int = 0,
    shown: tuple[int, ...] | None = None,
    study_file: str = "",
    account: Account | None = None,
) -> Contents:
    """Return what the site of a profile's runs shows; parameters as for `site.build`.

    Raises
    ------
    UserError
        If no run has finished, none of the folds exists, or `to` is a place where real images might be committed.
    """
    profile, places = folder.name, {"out": str(folder.parent), "data": str(data), "study_file": study_file}
    _refuse_several_profiles(folder, study_file)
    account = Account() if account is None else account
    collected = collect.collect(profile, seed=seed, account=account, **places)
    dice, records = collected.rows["dice"], collected.provenance
    runs = list(runs_of_profile(profile, LABELLED, seed=seed, **places))
    chosen = [run for run in runs if shown is None or run.parameters.fold in shown]
    if not chosen:
        finished = _listed(sorted({run.parameters.fold for run in runs}))
        raise UserError(f"None of the folds to show has finished; these have: {finished}.")
    _refuse_real_elsewhere(chosen, folder, to)
    tables = collect.derived_tables(dice, collected.rows["translation"], records, **places)
    missing, names = collect.missing(profile, dice, **places), {run.parameters.pair for run in chosen}
    report = folder / "report" / f"{REPORT}.ipynb"
    return Contents(
        profile=profile,
        facts=_facts(dice, tables["costs"], records),
        pairs={name: pair for name, pair in runs[0].study.pairs.items() if name in names},
        folds=[_fold(run, dice) for run in chosen],
        dice=dice_overview(dice, profile=profile, bold=True, missing=missing),
        claims=tables["claims"],
        sections=_sections(collected, tables, missing),
        provenance=_provenance(records, tables["costs"]),
        notes=_notes(shown, account),
        commands=_commands(profile, seed, records),
        report=report if _is_notebook(report) else None,
    )


def _notes(shown: tuple[int, ...] | None, account: Account) -> list[str]:
    """Say what the site lacks."""
    other_folds = [] if shown is None else [f"Pictures and notebooks of folds other than {_listed(shown)} (`--fold`)."]
    return other_folds + [f"{run}: {reason}" for run, reason in account.skipped.items()]


# --- One fold -----------------------------------------------------------------------------------------------


def _fold(run: Run, dice: pd.DataFrame) -> Fold:
    p, rows = run.parameters, dice
    for name, value in run.key.items():
        rows = rows[rows[name] == value]
    notebooks = {stage: run.stage(stage).folder / f"{stage}.ipynb" for stage in STAGES}
    refined = run.stage(REFINED_STAGE)
    order = refined.files().get("review_order.csv") if refined.finished else None
    return Fold(
        p.pair,
        p.protocol,
        p.split,
        p.fold,
        rows,
        load=partial(_arrays, run, sorted(set(rows["image"]))),
        profile=p.profile,
        notebooks={stage: path for stage, path in notebooks.items() if _is_notebook(path)},
        review_order=read_table(order) if order else pd.DataFrame(),
    )


def _is_notebook(path: Path) -> bool:
    """Whether a file is a notebook that can be shown; that of an interrupted run may not be whole."""
    try:
        nbformat.read(path, as_version=4)
    except Exception:  # whatever stands in the file: a page is left out
        return False
    return True


def _arrays(run: Run, images: list[str]) -> Arrays:
    """Read what a finished fold has left; without the images of its dataset, the labels alone."""
    labels, unsure = read_labels(run.stage(LABELLED)), {}
    if run.stage(REFINED_STAGE).finished:
        labels |= read_labels(run.stage(REFINED_STAGE))
    by_name = {"-".join(method): masks for method, masks in labels.items()}
    try:
        samples = [sample for sample in run.data.target_images if sample.name in images]
        truth, note = run.data.target_masks, ""
        if run.stage(REFINED_STAGE).finished:
            unsure = {"-".join(labelled_method(run)): read_uncertainty(run)}
        translations = {
            name: {s.name: translator.translate(s.image, "L", seed=run.translator_seed) for s in samples}
            for name, translator in trained_translators(run).items()
            if name != "none"
        }
    except UserError as error:
        return Arrays({}, {}, {}, by_name, {}, str(error))
    return Arrays({s.name: s.image for s in samples}, truth, translations, by_name, unsure, note)


# --- Tables -------------------------------------------------------------------------------------------------


def _facts(dice: pd.DataFrame, costs: pd.DataFrame, records: list[dict]) -> dict[str, str]:
    return {
        "pairs": str(dice["pair"].nunique()),
        "finished folds": str(len(dice[["pair", "protocol", "split", "fold"]].drop_duplicates())),
        "scored images": str(dice.groupby("pair")["image"].nunique().sum()),
        "minutes of computing": f"{costs['minutes'].sum():.0f}",
        "code": ", ".join(sorted({record["git_commit"] for record in records})),
    }


def _sections(collected: collect.Collected, tables: dict, missing: pd.DataFrame) -> list[Section]:
    further, dice, measured = collected.rows, collected.rows["dice"], collected.rows["morphometrics"]
    fibres = best_method_pairs(pair_with_expert(measured), dice) if len(measured) else measured
    trust, ablation = further["trust"], further["ablation"]
    scores = with_true_dice(further["guidance"], dice) if len(further["guidance"]) else further["guidance"]
    return [
        _section("Reconstruction", "Mean ± SD over images; offset and seam of one way.", tables["table2"]),
        _section("Differences", DIFFERENCES, tables["differences"], differences_overview),
        _section("Share of the reference", SHARES, dice, partial(reference_overview, profile=collected.profile)),
        _section("Fibre measures", "Best label-free method against the expert masks.", fibres, _fibre_agreement),
        _section("Uncertainty", "Of the default recipe. AUSE and calibration error: 0 at best.", trust, trust_overview),
        _section("Ablation", "The default recipe with one piece changed, less itself.", ablation, ablation_overview),
        _section("Label-free scores", "They use no mask of U; `dice` is the truth.", scores),
        _section("Missing results", "Planned cells of the Dice table that lack folds.", missing),
    ]


def _section(title: str, caption: str, rows: pd.DataFrame, overview=lambda rows: rows) -> Section:
    return Section(title, caption, overview(rows).rename(columns=HEADINGS) if len(rows) else rows)


def _fibre_agreement(fibres: pd.DataFrame) -> pd.DataFrame:
    return agreement_overview(limits_of_agreement(fibres))


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


def _commands(profile: str, seed: int, records: list[dict]) -> list[str]:
    commits, option = sorted({record["git_commit"] for record in records}), f" --seed {seed}" if seed else ""
    return [
        f"git checkout {commits[0].rstrip('+') if len(commits) == 1 else 'COMMIT  # of the stage, below'}",
        "make .venv/installed",
        f".venv/bin/histobridge study --profile {profile}{option}",
        f".venv/bin/histobridge report runs/{profile}{option}",
    ]


def _listed(folds: Iterable[int]) -> str:
    return ", ".join(map(str, folds))


# --- Refusals -----------------------------------------------------------------------------------------------


def _refuse_several_profiles(folder: Path, study_file: str) -> None:
    inside = [name for name in load_study(study_file).profiles if (folder / name).is_dir()]
    if inside:
        names = " or ".join(f"{folder.name}/{name}" for name in inside)
        raise UserError(f"{folder} holds the runs of several profiles: name one, {names}.")


def _refuse_real_elsewhere(runs: list[Run], folder: Path, to: Path) -> None:
    real = sorted({run.parameters.pair for run in runs if not run.data.target.procedural})
    if real and not to.is_relative_to(folder.parent):
        raise UserError(
            f"The site shows real images of {', '.join(real)}, which are never committed: choose a folder below "
            f"{folder.parent}."
        )
