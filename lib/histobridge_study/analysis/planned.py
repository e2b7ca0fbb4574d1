"""What a study plans and what is missing of it, so that no table leaves a cell out in silence."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from histobridge.config import STRATEGIES
from histobridge_study.analysis.methods import contrast_sign, is_planned, method_order

EXPERIMENT_KEYS = ["pair", "protocol", "split"]
METHOD_KEYS = [*EXPERIMENT_KEYS, "translator", "strategy"]


def planned_cells(
    cells: Iterable[tuple[str, str, int]],
    translators: Iterable[str],
    *,
    strategies: Iterable[str] = STRATEGIES,
    split: str = "development",
) -> pd.DataFrame:
    """Return what a study plans, one row for each fold: the columns `METHOD_KEYS` and `fold`.

    Parameters
    ----------
    cells : iterable of (pair, protocol, fold)
    translators, strategies : iterable of str
        Those of the study. `methods.is_planned` says which are combined; methods of both polarities are planned, and
        `missing_cells` leaves out those of the other one.

    >>> methods = {"translators": ["none", "syndiff"], "strategies": ["pretrained", "refined"]}
    >>> found = planned_cells([("tem-sem", "transductive", 0)], **methods)
    >>> ["-".join(method) for method in found[["strategy", "translator"]].values]
    ['pretrained-none', 'refined-syndiff']
    """
    translators = list(translators)
    methods = [(t, s) for s in strategies for t in translators if is_planned(s, t)]
    experiments = pd.DataFrame(list(cells), columns=["pair", "protocol", "fold"]).assign(split=split)
    planned = experiments.merge(pd.DataFrame(methods, columns=["translator", "strategy"]), how="cross")
    return planned[[*METHOD_KEYS, "fold"]]


def missing_cells(rows: pd.DataFrame, planned: pd.DataFrame, *, unavailable: Collection[str] = ()) -> pd.DataFrame:
    """Return the planned cells for which folds are missing in rows of `dice.csv`, which may be empty.

    Anatomy decides the polarity of a pair when it runs, and only methods of that polarity run. So where a pair has rows
    that show its polarity, methods of the other one are not missing.

    Columns: `METHOD_KEYS`, the missing `folds` as text, how many were `planned`, and `why`: `not run`, or
    `data not available` for the `unavailable` pairs, of which a dataset has no public location.
    """
    planned = planned[_has_sign_of_pair(planned, rows)]
    lacking = planned[~is_in(planned, rows, [*METHOD_KEYS, "fold"])].groupby(METHOD_KEYS)["fold"]
    folds = lacking.agg(lambda folds: ", ".join(map(str, sorted(folds)))).to_frame("folds")
    table = folds.join(planned.groupby(METHOD_KEYS).size().rename("planned")).reset_index()
    order = [(*row[:3], *method_order((row[4], row[3]))) for row in table[METHOD_KEYS].itertuples(index=False)]
    table = table.iloc[sorted(range(len(table)), key=order.__getitem__)].reset_index(drop=True)
    return table.assign(why=np.where(table["pair"].isin(unavailable), "data not available", "not run"))


def with_missing(table: pd.DataFrame, missing: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Note on incomplete cells how many folds they have, and add cells that have none with the reason.

    `table` is that of `tables.dice_table` with a column `cell` of text; `classes` are those of a table without rows.
    """
    planned = table.merge(missing[[*METHOD_KEYS, "planned"]], how="left", on=METHOD_KEYS)["planned"]
    counts = zip(table["folds"], planned, strict=True)
    notes = ["" if pd.isna(total) else f" ({folds} of {total:.0f} folds)" for folds, total in counts]
    absent = missing[~is_in(missing, table, METHOD_KEYS)].rename(columns={"why": "cell"})
    absent.loc[~is_in(absent, table, EXPERIMENT_KEYS), ["translator", "strategy"]] = "all"
    shown = pd.DataFrame({"class": table["class"].unique() if len(table) else classes})
    added = absent[[*METHOD_KEYS, "cell"]].drop_duplicates().merge(shown, how="cross")
    return pd.concat([table.assign(cell=table["cell"] + notes), added], ignore_index=True)


def is_in(table: pd.DataFrame, other: pd.DataFrame, keys: list[str]) -> np.ndarray:
    """Return a boolean for each row of a table: does another table have a row with the same keys?"""
    return pd.MultiIndex.from_frame(table[keys]).isin(pd.MultiIndex.from_frame(other[keys]))


def _has_sign_of_pair(planned: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """Return a boolean for each planned cell: does it suit the polarity that the rows of its pair show?"""
    shown = rows[["pair", "strategy", "translator"]].drop_duplicates()
    signs = {pair: set(_signs(of)) - {0} for pair, of in shown.groupby("pair")}
    pairs = zip(planned["pair"], _signs(planned), strict=True)
    return np.array([sign == 0 or sign in (signs.get(pair) or {1, -1}) for pair, sign in pairs], dtype=bool)


def _signs(table: pd.DataFrame) -> list[int]:
    return [contrast_sign(*method) for method in zip(table["strategy"], table["translator"], strict=True)]
