"""Gather the rows and the provenance that the finished runs have left, for the report and for `reports/`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from histobridge.errors import UserError
from histobridge.tables import DICE_COLUMNS

TABLES = {"dice": "fold*/dice.csv", "translation": "*/translation.csv"}
STAGES = ("02_translate", "03_pseudo_label")


def collect(folder: Path, table: str) -> pd.DataFrame:
    """Join the rows of one table (`dice` or `translation`) of all finished runs below `folder`, in a fixed order.

    Raises
    ------
    UserError
        If there is none yet.
    """
    parts = [pd.read_csv(path) for path in sorted(folder.glob(f"*/*/*/{TABLES[table]}"))]
    if not parts:
        raise UserError(f"There are no finished runs below {folder}: start one with `histobridge run`.")
    return pd.concat(parts, ignore_index=True)


def collect_provenance(folder: Path) -> list[dict]:
    """Return what each finished stage below `folder` recorded about itself."""
    records = []
    for stage in STAGES:
        for path in sorted(folder.glob(f"*/*/*/*/{stage}.json")):
            found = json.loads(path.read_text())
            records.append({"stage": stage, "settings_hash": found["settings_hash"], **found["provenance"]})
    return records


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


def publish(folder: Path, reports: Path) -> None:
    """Write dice.csv, translation.csv and provenance.json of the runs below `folder` into `reports`."""
    reports.mkdir(parents=True, exist_ok=True)
    collect(folder, "dice")[DICE_COLUMNS].to_csv(reports / "dice.csv", index=False, float_format="%.5f")
    collect(folder, "translation").to_csv(reports / "translation.csv", index=False, float_format="%.5f")
    (reports / "provenance.json").write_text(json.dumps(collect_provenance(folder), indent=1) + "\n")
