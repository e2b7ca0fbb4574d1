"""How well do label-free scores predict the Dice of a method, where the truth is known?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from histobridge.config import REFINED_STRATEGIES
from histobridge.strategies.recommend import NEGLIGIBLE, SCORES
from histobridge_study.analysis.statistics import Interval, rank_correlation
from histobridge_study.analysis.tables import EXPERIMENT_KEYS, subject_values

PLAUSIBLE = 0.5  # true Dice above which one would have to look at labels to tell them apart


def with_true_dice(scored: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Add the true `dice` of each method to rows of `scores`: the mean over subjects and classes of rows of `dice.csv`.

    Methods without a true Dice are left out.
    """
    keys = [*EXPERIMENT_KEYS, "fold", "strategy", "translator"]
    folds = [subject_values(of).assign(fold=fold) for fold, of in rows.groupby("fold")]
    true = pd.concat(folds).groupby([*keys, "class"])["dice"].mean().groupby(keys).mean()
    return scored.merge(true.reset_index(), on=keys)


def cells_of(known: pd.DataFrame, score: str) -> pd.DataFrame:
    """Return a score and the true `dice` of each pair, protocol and method, the mean over folds, which share images."""
    return known.groupby([*EXPERIMENT_KEYS, "strategy", "translator"])[[score, "dice"]].mean().reset_index()


def correlations(known: pd.DataFrame, score: str) -> dict[str, Interval]:
    """Return Spearman's correlation of a score with the true Dice over `cells_of`: of `all`, and of harder choices.

    `plausible` counts only cells whose Dice is above `PLAUSIBLE`: failures are easy to tell from the rest.
    `plausible_of_others` leaves out `refined` too, which optimises the enclosure of axons.
    """
    cells = cells_of(known, score)
    plausible = cells[cells["dice"] > PLAUSIBLE]
    others = plausible[~plausible["strategy"].isin(REFINED_STRATEGIES)]
    parts = {"all": cells, "plausible": plausible, "plausible_of_others": others}
    return {name: rank_correlation(of[score], of["dice"]) for name, of in parts.items()}


def evaluate_scores(known: pd.DataFrame) -> pd.DataFrame:
    """Return how well each label-free score predicts Dice, from rows of `with_true_dice`; one row for each score.

    `correlation` is Spearman's, with the true Dice over all cells (a pair, protocol and method; folds share images and
    are averaged). Its 95 % interval `low` to `high` is too narrow because the methods of one pair resemble each other.
    `plausible` and `plausible_of_others` are the same among harder choices, see `correlations`. `within` is the mean
    over single runs. Of the `runs`, `best` is the share in which the method with the highest score is the best, and
    `good` that in which it loses at most `NEGLIGIBLE` Dice; `lost` and `lost_most` are the mean and the maximum of the
    loss. The last three are repeated without `refined`, which optimises the enclosure of axons: a score based on
    enclosure is certain to choose it.
    """
    return pd.DataFrame([_evaluate(known, score) for score in SCORES if score in known])


def _evaluate(known: pd.DataFrame, score: str) -> dict:
    found = correlations(known, score)
    runs = _runs(known)
    without_refined = known[~known["strategy"].isin(REFINED_STRATEGIES)]
    lost, lost_of_others = (_lost_dice(_runs(of), score) for of in (known, without_refined))
    return {
        "score": score,
        "correlation": found["all"].value,
        "low": found["all"].low,
        "high": found["all"].high,
        "plausible": found["plausible"].value,
        "plausible_of_others": found["plausible_of_others"].value,
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
