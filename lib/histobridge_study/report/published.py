"""Rows and provenance published in `reports/`, checked as they are read: an editor or a merge may have cut them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from histobridge.errors import BrokenError
from histobridge.io.files import read_table
from histobridge_study.analysis.bland_altman import IMAGE_KEYS
from histobridge_study.analysis.planned import EXPERIMENT_KEYS, METHOD_KEYS
from histobridge_study.analysis.tables import DICE_KEYS, TRANSLATION_KEYS, complete_rows
from histobridge_study.report.collect import ROWS

PROVENANCE = "provenance.json"
NEEDED = ("dice", "translation")
"""Tables without which nothing follows."""
KEYS = {
    "dice": DICE_KEYS,
    "translation": [*TRANSLATION_KEYS, "fold", "image"],
    "morphometrics": [*IMAGE_KEYS, "fold"],
    "ablation": [*METHOD_KEYS, "fold", "image", "class", "recipe"],
    "guidance": [*METHOD_KEYS, "fold"],
    "corrections": [*EXPERIMENT_KEYS, "fold", "start", "corrected", "role", "image"],
}
"""Columns that say what a row is of, and are never empty; those of the other tables say which run."""


def published_rows(reports: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of rows in `reports`, by the names in `ROWS`.

    Raises
    ------
    BrokenError
        If a table is cut or lacks a column, or one without which nothing follows is missing.
    """
    paths = {name: reports / f"{name}.csv" for name in ROWS}
    return {name: _read(name, path) for name, path in paths.items() if name in NEEDED or path.exists()}


def published_records(reports: Path) -> list[dict]:
    """Return the published provenance, a record a finished stage; without any, nothing.

    Raises
    ------
    BrokenError
        If the file is not whole.
    """
    file = reports / PROVENANCE
    if not file.exists():
        return []
    try:
        records = json.loads(file.read_text(encoding="utf-8"))
        _ = {record[key] for record in records for key in ("stage", "profile", *EXPERIMENT_KEYS, "fold")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise _broken(file) from None
    return records


def _read(name: str, path: Path) -> pd.DataFrame:
    """Return one table; a file that was cut does not end with a line, or its last row lacks cells."""
    keys, rows = KEYS.get(name, [*EXPERIMENT_KEYS, "fold"]), read_table(path)
    rows = complete_rows(rows) if name == "dice" else rows
    if not path.read_bytes().endswith(b"\n") or not set(keys) <= set(rows) or rows[keys].isna().any(axis=None):
        raise _broken(path)
    return rows


def _broken(path: Path) -> BrokenError:
    return BrokenError(
        f"{path} is not as it was published: restore it, as by `git checkout`, or publish the runs again."
    )
