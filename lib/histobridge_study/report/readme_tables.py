"""The short tables of the README: what the methods are worth and how fast they are. In full: reports/README.md."""

from __future__ import annotations

import pandas as pd

from histobridge.config import CONTROLS, MANY_SOURCES, REFINED
from histobridge_study.analysis.comparisons import best_method
from histobridge_study.analysis.methods import (
    ADAPTATION,
    FAIR_REFERENCE,
    MATCHED_GREYS,
    OTHER_LEARNED,
    PRETRAINED,
    PUBLISHED_STRATEGIES,
    TUTORSHIP,
    WITH_SYNDIFF,
)
from histobridge_study.analysis.tables import SCORE_COLUMNS, dice_overview, image_values

README_METHODS = [PRETRAINED, ADAPTATION, TUTORSHIP, WITH_SYNDIFF, FAIR_REFERENCE]
README_METHODS += [("pretrained-anatomy", translator) for translator in ("none", "invert")]
README_METHODS += [(strategy, translator) for strategy in (REFINED, MANY_SOURCES) for translator in MATCHED_GREYS]


def readme_table(
    rows: pd.DataFrame, *, profile: str = "", protocol: str = "transductive", split: str = "development"
) -> pd.DataFrame:
    """Return the Dice of one protocol as text, the main methods of each pair, the best label-free cells in bold.

    Of the classical controls of adaptation and tutorship only the best is shown, and of the learned translators other
    than SynDiff, by the mean Dice over subjects and classes. They are chosen with the truth, which favours them.

    Parameters
    ----------
    rows : DataFrame
        Columns `tables.DICE_COLUMNS`.
    profile : str
        Of the runs; it decides what SynDiff is called.
    """
    rows = rows[(rows["protocol"] == protocol) & (rows["split"] == split)]
    if not len(rows):
        return pd.DataFrame(columns=["pair", "method", *SCORE_COLUMNS])
    shown = [_readme_rows(of_pair) for _, of_pair in rows.groupby("pair")]
    return dice_overview(pd.concat(shown), profile=profile, bold=True)[["pair", "method", *SCORE_COLUMNS]]


def _readme_rows(rows: pd.DataFrame) -> pd.DataFrame:
    values = image_values(rows[rows["strategy"].isin(PUBLISHED_STRATEGIES)])
    methods = [*README_METHODS, best_method(values, CONTROLS), best_method(values, OTHER_LEARNED)]
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
