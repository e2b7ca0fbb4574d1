"""The short tables of the README: what the methods are worth and how fast they are. In full: reports/README.md."""

from __future__ import annotations

import pandas as pd

from histobridge.config import CONTROLS
from histobridge_study.analysis.comparisons import best_method
from histobridge_study.analysis.tables import PUBLISHED_STRATEGIES, SCORE_COLUMNS, dice_overview

README_METHODS = [
    ("pretrained", "none"),
    ("adaptation", "syndiff"),
    ("tutorship", "syndiff"),
    ("refined", "syndiff"),
    ("supervised", "none"),
]


def readme_table(rows: pd.DataFrame, *, protocol: str = "transductive", split: str = "development") -> pd.DataFrame:
    """Return text `mean ± sd` of one protocol: six rows for each pair, with the best label-free cells in bold.

    Of the classical controls only the best is shown, by its mean Dice over images and classes. It is chosen with the
    truth, which favours it.

    Parameters
    ----------
    rows : DataFrame
        Columns `tables.DICE_COLUMNS`.
    """
    rows = rows[(rows["protocol"] == protocol) & (rows["split"] == split)]
    if not len(rows):
        return pd.DataFrame(columns=["pair", "translator", "strategy", *SCORE_COLUMNS])
    shown = [_readme_rows(of_pair) for _, of_pair in rows.groupby("pair")]
    return dice_overview(pd.concat(shown), bold=True).drop(columns=["protocol", "split"])


def _readme_rows(rows: pd.DataFrame) -> pd.DataFrame:
    best_control = best_method(rows[rows["strategy"].isin(PUBLISHED_STRATEGIES)], CONTROLS)
    methods = [*README_METHODS, best_control]
    return rows[[method in methods for method in zip(rows["strategy"], rows["translator"], strict=True)]]


def speed_overview(bench: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `bench.csv` as text, a row for each stage whose arithmetic is counted."""
    counted = bench[bench["gflop"].notna()].drop_duplicates("stage")
    text = {
        "stage": counted["stage"],
        "speed": [f"{rate:.3g} {unit}/s" for rate, unit in zip(counted["per_second"], counted["unit"], strict=True)],
        "share of the machine's best convolution": [f"{share:.0%}" for share in counted["share_of_peak"]],
        "times plain float32": [f"{times:.1f}" for times in counted["times_plain"]],
        "peak memory, GiB": [f"{gib:.1f}" for gib in counted["peak_memory_gib"]],
    }
    return pd.DataFrame(text)
