"""How well do label-free scores predict the Dice of a method, where the truth is known?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from histobridge.config import REFINED
from histobridge.strategies.recommend import NEGLIGIBLE, SCORES
from histobridge_study.analysis.statistics import rank_correlation
from histobridge_study.analysis.tables import EXPERIMENT_KEYS


def with_true_dice(scored: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Add the true `dice` of each method, the mean over images and classes of rows of `dice.csv`, to rows of `scores`.

    Methods without a true Dice are left out.
    """
    keys = [*EXPERIMENT_KEYS, "fold", "strategy", "translator"]
    return scored.merge(rows.groupby(keys, as_index=False)["dice"].mean(), on=keys)


def evaluate_scores(known: pd.DataFrame) -> pd.DataFrame:
    """Return how well each label-free score predicts Dice, from rows of `with_true_dice`; one row for each score.

    `correlation` is Spearman's, with the true Dice over all cells (a pair, protocol and method; folds share images and
    are averaged). Its 95 % interval `low` to `high` is too narrow because the methods of one pair resemble each other.
    `within` is its mean over single runs. Of the `runs`, `best` is the share in which the method with the highest score
    is the best, and `good` that in which it loses at most `NEGLIGIBLE` Dice; `lost` and `lost_most` are the mean and
    the maximum of the loss. The last three are repeated without `refined`, which optimises the enclosure of axons: a
    score based on enclosure is certain to choose it.
    """
    return pd.DataFrame([_evaluate(known, score) for score in SCORES if score in known])


def _evaluate(known: pd.DataFrame, score: str) -> dict:
    cells = known.groupby([*EXPERIMENT_KEYS, "strategy", "translator"])[[score, "dice"]].mean()
    correlation = rank_correlation(cells[score], cells["dice"])
    runs = _runs(known)
    lost, lost_of_others = (_lost_dice(_runs(of), score) for of in (known, known[known["strategy"] != REFINED]))
    return {
        "score": score,
        "correlation": correlation.value,
        "low": correlation.low,
        "high": correlation.high,
        "within": np.mean([run[score].corr(run["dice"], method="spearman") for run in runs]),
        "runs": len(runs),
        "best": np.mean(lost == 0),
        "good": np.mean(lost <= NEGLIGIBLE),
        "lost": lost.mean(),
        "lost_most": lost.max(),
        "good_of_others": np.mean(lost_of_others <= NEGLIGIBLE),
        "lost_of_others": lost_of_others.mean(),
        "lost_most_of_others": lost_of_others.max(),
    }


def _runs(known: pd.DataFrame) -> list[pd.DataFrame]:
    return [run for _, run in known.groupby([*EXPERIMENT_KEYS, "fold"])]


def _lost_dice(runs: list[pd.DataFrame], score: str) -> np.ndarray:
    """Return for each run the best Dice less that of the method with the highest score."""
    return np.array([run["dice"].max() - run.loc[run[score].idxmax(), "dice"] for run in runs])
