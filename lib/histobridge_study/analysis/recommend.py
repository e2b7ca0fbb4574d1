"""Which method should label U if no mask of U exists? How well label-free scores predict Dice, and a recommendation.

A method is a strategy with a translator; `label_free_scores.py` scores it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge.config import REFINED
from histobridge_study.analysis.statistics import rank_correlation
from histobridge_study.analysis.tables import EXPERIMENT_KEYS, Method

SCORES = ("enclosure", "agreement", "anatomy", "confidence", "round_trip", "likeness", "reverse")
DECIDING_SCORE = "anatomy"
"""The score by which `recommend` chooses; reports/guidance_overview.csv compares it with the others."""
NEGLIGIBLE = 0.01  # loss of Dice with which a choice is still good
LEAST_ENCLOSED = 0.5  # mean enclosure below which the polarity is doubtful
CLEAR_LEAD = 0.05  # difference of the deciding score between the best method and the next


# --- How well do the scores predict Dice? -------------------------------------------------------------------


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


# --- The recommendation -------------------------------------------------------------------------------------


class Advice(NamedTuple):
    """A method, and a paragraph that gives the reasons and the uncertainty."""

    method: Method
    text: str


def recommend(scored: pd.DataFrame, experience: pd.DataFrame | None = None) -> Advice:
    """Return which method to use, from the rows of `scores` of one pair and protocol; folds are averaged.

    `experience` is the table of `evaluate_scores` on domains whose truth is known.
    """
    methods = scored.groupby(["strategy", "translator"])[list(SCORES)].mean()
    methods = methods.sort_values(DECIDING_SCORE, ascending=False)
    parts = [_reason(methods)]
    if methods["enclosure"].iloc[0] < LEAST_ENCLOSED:
        parts.append("But less than half of the ring around the axons is myelin: check the labels before you use any.")
    if experience is not None and len(experience):
        parts.append(_experience(experience.set_index("score").loc[DECIDING_SCORE]))
    return Advice(methods.index[0], " ".join(parts))


def _reason(methods: pd.DataFrame) -> str:
    best = methods.iloc[0]
    text = (
        f"Use {_name(methods.index[0])}: {best['enclosure']:.0%} of the ring around its axons is myelin, and its "
        f"labels have a Dice of {best['agreement']:.2f} with those of the other methods."
    )
    if len(methods) == 1:
        return text
    second = methods.iloc[1]
    text += f" The next method is {_name(methods.index[1])} ({second['enclosure']:.0%}, {second['agreement']:.2f})"
    is_clear = best[DECIDING_SCORE] - second[DECIDING_SCORE] > CLEAR_LEAD
    return text + (", which is clearly worse." if is_clear else ", which is about as good.")


def _experience(known: pd.Series) -> str:
    return (
        f"In {known['runs']:.0f} runs of the study with known truth, the method chosen by this score was within "
        f"{NEGLIGIBLE} Dice of the best in {known['good']:.0%} of the runs and lost {known['lost']:.3f} on average. "
        f"Without {REFINED}, which optimises this score, it was in {known['good_of_others']:.0%} "
        f"and lost {known['lost_of_others']:.3f}."
    )


def _name(method: Method) -> str:
    return method[0] if method[1] == "none" else f"{method[0]} with {method[1]}"
