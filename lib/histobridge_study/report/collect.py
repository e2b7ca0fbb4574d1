"""Gather the rows and the provenance that the finished runs have left, for the report and for `reports/`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from histobridge.data.folds import PROTOCOLS
from histobridge.errors import UserError
from histobridge.io.files import read_table
from histobridge_study.analysis.bland_altman import IMAGE_KEYS, MEASURES
from histobridge_study.analysis.claims import claims
from histobridge_study.analysis.comparisons import paired_overview, paired_tests
from histobridge_study.analysis.tables import (
    cost_table,
    dice_overview,
    missing_cells,
    planned_cells,
    translation_overview,
)
from histobridge_study.grid import Plan
from histobridge_study.stages.measure import is_measured

TABLES = {"dice": "03_label", "translation": "02_translate"}  # and the stage that makes each
BEYOND = "04_refine"
ADDED = ("ablation", "guidance")
"""Of `histobridge ablate` and `recommend`, where they were run; their rows say of which commit and settings."""
BEYOND_TABLES = ("trust", "reliability", "sparsification", *ADDED)
"""Of notebook 05, and what was added to it."""


def collect(folder: Path, table: str, *, seed: int = 0) -> pd.DataFrame:
    """Join the rows of one table (`dice` or `translation`) of all finished runs below `folder`, in a fixed order.

    Dice are those of notebook 03 and, where notebook 05 has run, of `refined`. Runs with another seed stay out: they
    answer another question than the spread over folds.

    Raises
    ------
    UserError
        If there is none yet.
    """
    rows = [_joined(finished(folder, TABLES[table], seed=seed), table)]
    if table == "dice":
        rows.append(_joined(_finished(folder, BEYOND, seed), "refined"))
    return pd.concat([found for found in rows if len(found)], ignore_index=True)


def collect_beyond(folder: Path, *, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Join the `BEYOND_TABLES` of all finished runs below `folder`; a table that no run has left is empty.

    Rows that were added to a run before its settings changed are left out.
    """
    marks = _finished(folder, BEYOND, seed)
    found = {name: _joined(marks, name) for name in BEYOND_TABLES}
    valid = {json.loads(mark.read_text())["settings_hash"] for mark in marks}
    return found | {name: _of_settings(found[name], valid) for name in ADDED}


def _of_settings(added: pd.DataFrame, valid: set[str]) -> pd.DataFrame:
    return added[added["settings_hash"].isin(valid)] if len(added) else added


def collect_measured(folder: Path, *, seed: int = 0) -> pd.DataFrame:
    """Join the rows of `morphometrics` of those finished runs below `folder` that are measured; it may be none."""
    marks = [mark for mark in _finished(folder, TABLES["dice"], seed) if is_measured(mark)]
    beyond = _joined(_finished(folder, BEYOND, seed), "morphometrics-refined")
    found = [table for table in (_joined(marks, "morphometrics"), beyond) if len(table)]
    if not found:
        return pd.DataFrame(columns=[*IMAGE_KEYS, "fold", *MEASURES])
    return pd.concat(found, ignore_index=True).drop_duplicates([*IMAGE_KEYS, "fold"])  # both hold the expert


def _joined(marks: list[Path], table: str) -> pd.DataFrame:
    """Join one table of all runs that have it."""
    paths = [path for mark in marks if (path := mark.with_name(f"{table}.csv")).exists()]
    return pd.concat(map(read_table, paths), ignore_index=True) if paths else pd.DataFrame()


def collect_provenance(folder: Path, *, seed: int = 0) -> list[dict]:
    """Return what each finished stage below `folder` recorded about itself."""
    records = []
    for stage in (*TABLES.values(), BEYOND):
        for mark in _finished(folder, stage, seed):
            found = json.loads(mark.read_text())
            records.append({"stage": stage, "settings_hash": found["settings_hash"], **found["provenance"]})
    return records


def finished(folder: Path, stage: str, *, seed: int = 0) -> list[Path]:
    """Return the files that mark a stage as finished: folder/pair/protocol/split/fold/stage.json.

    Raises
    ------
    UserError
        If there is none.
    """
    if marks := _finished(folder, stage, seed):
        return marks
    raise UserError(f"There are no finished runs below {folder}: start one with `histobridge run`.")


def _finished(folder: Path, stage: str, seed: int) -> list[Path]:
    protocols = [f"{protocol}-seed{seed}" if seed else protocol for protocol in PROTOCOLS]
    return sorted(mark for protocol in protocols for mark in folder.glob(f"*/{protocol}/*/*/{stage}.json"))


def provenance_table(records: list[dict]) -> pd.DataFrame:
    """Return one row a finished stage: what ran, on which code, how long, how much memory."""
    shown = [
        "stage",
        "pair",
        "protocol",
        "fold",
        "git_commit",
        "settings_hash",
        "cores",
        "minutes",
        "peak_memory_gib",
    ]
    return pd.DataFrame(records)[shown]


def derived_tables(rows: pd.DataFrame, translation: pd.DataFrame, records: list[dict]) -> dict[str, pd.DataFrame]:
    """Return the tables of the study by name: Dice, reconstruction, paired tests, claims and costs."""
    profile = records[0]["profile"]
    return {
        "table1": dice_overview(rows, interval=True, missing=missing(profile, rows)),
        "table2": translation_overview(translation),
        "tests": paired_overview(paired_tests(rows)),
        "claims": claims(rows, translation),
        "costs": cost_table(records),
    }


def missing(profile: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that the study plans for a profile and that no finished run has filled."""
    plan = Plan(profile)
    planned = planned_cells(plan.wanted, plan.study.translators)
    return missing_cells(rows, planned, unavailable=plan.gone)
