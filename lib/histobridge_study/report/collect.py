"""Gather the rows and the provenance of finished runs, for the report and for `reports/`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from histobridge.config import STRATEGIES
from histobridge.errors import UserError
from histobridge.io.files import read_table
from histobridge.io.kept import fits_seal
from histobridge.items import Account
from histobridge_study.analysis.bland_altman import IMAGE_KEYS, MEASURES
from histobridge_study.analysis.claims import claims
from histobridge_study.analysis.comparisons import differences
from histobridge_study.analysis.methods import LONG_STRATEGIES
from histobridge_study.analysis.planned import missing_cells, planned_cells
from histobridge_study.analysis.references import reference_shares
from histobridge_study.analysis.tables import (
    complete_rows,
    cost_table,
    dice_overview,
    dice_table,
    translation_overview,
    with_fibre_scores,
)
from histobridge_study.grid import Grid, runs_of_profile
from histobridge_study.record import ADDED
from histobridge_study.runs import Stage

ROWS = ("dice", "translation", "morphometrics", "trust", "reliability", "sparsification")
ROWS += ("ablation", "guidance", "corrections")
"""The tables that runs leave; see `collect`."""


@dataclass(frozen=True)
class Collected:
    """What the finished runs of a profile have left.

    Attributes
    ----------
    profile : str
    rows : dict of DataFrame
        By the names in `ROWS`; a table that no run has left is empty.
    provenance : list of dict
        What each finished stage recorded about itself.
    """

    profile: str
    rows: dict[str, pd.DataFrame]
    provenance: list[dict]


def collect(profile: str, *, seed: int = 0, account: Account | None = None, **places: str) -> Collected:
    """Join the tables of all finished runs of a profile and seed, in a fixed order.

    Parameters
    ----------
    profile : str
    seed : int
    account : Account, optional
        Is told which runs are used, and which are skipped because files of theirs are not as they were written.
    **places : str
        `out`, `data` and `study_file`, as in `Grid`.

    Raises
    ------
    UserError
        If no run has finished stage 03.
    """
    account = Account() if account is None else account
    finished = {
        name: [run.stage(name) for run in runs_of_profile(profile, name, seed=seed, account=account, **places)]
        for name in ("02_translate", "03_label", "04_refine")
    }
    finished["02_translate"] = list({stage.folder: stage for stage in finished["02_translate"]}.values())
    labelled, refined = finished["03_label"], finished["04_refine"]
    if not labelled:
        folder = Path(places.get("out", "runs")) / profile
        raise UserError(f"There are no finished runs below {folder}: start one with `histobridge study`.")
    for stage in labelled:
        if stage.run.title not in account.skipped:
            with account.item(stage.run.title):
                stage.record()
    rows = {name: _joined(refined, name) for name in ROWS[3:] if f"{name}.csv" not in ADDED}
    rows |= {name.removesuffix(".csv"): _added(refined, name, account) for name in ADDED}
    rows["dice"] = complete_rows(_concatenated([_joined(labelled, "dice"), _joined(refined, "refined")]))
    rows["translation"] = _joined(finished["02_translate"], "translation")
    measured = _concatenated([_joined(labelled, "morphometrics"), _joined(refined, "morphometrics")])
    rows["morphometrics"] = measured.drop_duplicates([*IMAGE_KEYS, "fold"]) if len(measured) else _no_measures()
    return Collected(profile, rows, [_provenance(stage) for stages in finished.values() for stage in stages])


def _joined(stages: Iterable[Stage], table: str) -> pd.DataFrame:
    """Join one table of all stages that have it."""
    return _concatenated([read_table(path) for stage in stages if (path := stage.files().get(f"{table}.csv"))])


def _added(stages: Iterable[Stage], name: str, account: Account) -> pd.DataFrame:
    """Join a table that was added to some stages; the rows of one that is not as it was written are left out."""
    paths = {stage.run.title: stage.folder / name for stage in stages if (stage.folder / name).exists()}
    for title, path in paths.items():
        if not fits_seal(path):
            made_by = {"guidance.csv": "recommend"}.get(name, f"study --{name.removesuffix('.csv')}")
            account.skip(title, f"{path} is not what was kept there: run `histobridge {made_by}`, which makes it anew.")
    return _concatenated([read_table(path) for path in paths.values() if fits_seal(path)])


def _concatenated(tables: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _no_measures() -> pd.DataFrame:
    return pd.DataFrame(columns=[*IMAGE_KEYS, "fold", *MEASURES])


def _provenance(stage: Stage) -> dict:
    record = stage.record()
    return {"stage": stage.name, "settings_hash": record["key"], **record["provenance"]}


def provenance_table(records: list[dict]) -> pd.DataFrame:
    """Return one row a finished stage: what ran, on which code, how long, how much memory."""
    shown = ["stage", "pair", "protocol", "fold", "git_commit", "settings_hash", "cores", "minutes", "peak_memory_gib"]
    return pd.DataFrame(records)[shown]


def report_folder(profile: str, *, out: str = "runs", **_: str) -> Path:
    """Return the folder of the report on a profile's runs."""
    return Path(out) / profile / "report"


def derived_tables(
    dice: pd.DataFrame, translation: pd.DataFrame, records: list[dict], **places: str
) -> dict[str, pd.DataFrame]:
    """Return the tables of the study by name.

    `table1` and `table2` are the text of Dice and reconstruction, `claims` that of the claims; `dice_table`,
    `differences` and `reference_share` are numbers; `costs` are minutes and memory.
    """
    profile = records[0]["profile"]
    overview = dice_overview(dice, profile=profile, missing=missing(profile, dice, **places))
    return {
        "table1": shown(overview),
        "table2": translation_overview(translation),
        "dice_table": dice_table(with_fibre_scores(dice)).round(6),
        "differences": differences(dice, profile=profile).round(6),
        "reference_share": reference_shares(dice).round(6),
        "claims": claims(dice, translation),
        "costs": cost_table(records),
    }


def shown(overview: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `dice_overview` as it is published: the name of a method stands for strategy and translator."""
    return overview.drop(columns=["strategy", "translator"])


def missing(profile: str, dice: pd.DataFrame, **places: str) -> pd.DataFrame:
    """Return the cells that the study plans for a profile and that no row of Dice fills."""
    grid = Grid(profile, **places)
    short = getattr(grid.settings, "comparison", "full") == "short"
    strategies = [name for name in STRATEGIES if not (short and name in LONG_STRATEGIES)]
    planned = planned_cells(grid.planned, grid.study.translators, strategies=strategies)
    return missing_cells(dice, planned, unavailable=grid.unavailable_pairs)
