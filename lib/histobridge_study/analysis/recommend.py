"""Which way to a pseudo label should somebody trust who has no mask of U? How well label-free scores tell, and advice.

A way is a strategy with a translator; `label_free.py` scores it. Tables go in, tables and a paragraph come out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge.config import REFINED
from histobridge_study.analysis.statistics import rank_correlation
from histobridge_study.analysis.tables import SETTING

Method = tuple[str, str]
SCORES = ("enclosure", "agreement", "anatomy", "confidence", "round_trip", "likeness", "reverse")
CHOSEN = "anatomy"
"""The score that `histobridge recommend` goes by: reports/guidance_overview.csv says why."""
NEGLIGIBLE = 0.01  # Dice that a choice may lose and still be good
LEAST_ENCLOSED = 0.5  # less, and the polarity is in doubt
CLEAR = 0.05  # of the chosen score, between a way and the next


# --- Do the scores tell? ------------------------------------------------------------------------------------


def with_truth(scored: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `scores` with the true `dice` of each way: the mean over images and classes of rows of Dice."""
    keys = [*SETTING, "fold", "strategy", "translator"]
    return scored.merge(rows.groupby(keys, as_index=False)["dice"].mean(), on=keys)


def usefulness(known: pd.DataFrame) -> pd.DataFrame:
    """Return how well each score tells good ways from bad, from rows of `with_truth`; one row a score.

    Returns
    -------
    DataFrame
        `score`; Spearman's `correlation` with the true Dice over all cells (a pair, protocol and way; folds share their
        images and are averaged) with its 95 % interval `low` to `high`, too narrow by as much as the ways of one pair
        are alike, and its mean `within` runs; of the `runs`, the share in which the way of the highest score is `best`
        and in which it loses at most `NEGLIGIBLE` Dice (`good`); and the Dice that it loses, `lost` on the mean and
        `lost_most`. The last three again among all ways but `refined`, which was made to enclose its axons: a score
        that asks for that is sure to choose it.
    """
    return pd.DataFrame([_usefulness(known, score) for score in SCORES if score in known])


def _usefulness(known: pd.DataFrame, score: str) -> dict:
    cells = known.groupby([*SETTING, "strategy", "translator"])[[score, "dice"]].mean()
    overall = rank_correlation(cells[score], cells["dice"])
    runs = _runs(known)
    lost, others = (_lost(_runs(of), score) for of in (known, known[known["strategy"] != REFINED]))
    return {
        "score": score,
        "correlation": overall.value,
        "low": overall.low,
        "high": overall.high,
        "within": np.mean([run[score].corr(run["dice"], method="spearman") for run in runs]),
        "runs": len(runs),
        "best": np.mean(lost == 0),
        "good": np.mean(lost <= NEGLIGIBLE),
        "lost": lost.mean(),
        "lost_most": lost.max(),
        "good_of_others": np.mean(others <= NEGLIGIBLE),
        "lost_of_others": others.mean(),
        "lost_most_of_others": others.max(),
    }


def _runs(known: pd.DataFrame) -> list[pd.DataFrame]:
    return [run for _, run in known.groupby([*SETTING, "fold"])]


def _lost(runs: list[pd.DataFrame], score: str) -> np.ndarray:
    """Return, of each run, the Dice that is lost by the way of the highest score."""
    return np.array([run["dice"].max() - run.loc[run[score].idxmax(), "dice"] for run in runs])


# --- What to do ---------------------------------------------------------------------------------------------


class Advice(NamedTuple):
    """A way, and a paragraph that says how sure it is and why."""

    method: Method
    text: str


def recommend(scored: pd.DataFrame, experience: pd.DataFrame | None = None) -> Advice:
    """Return which way to use, from the rows of `scores` of one pair and protocol; folds are averaged.

    Parameters
    ----------
    scored : DataFrame
    experience : DataFrame, optional
        The table of `usefulness` on domains whose truth is known.
    """
    mean = scored.groupby(["strategy", "translator"])[list(SCORES)].mean().sort_values(CHOSEN, ascending=False)
    parts = [_reason(mean)]
    if mean["enclosure"].iloc[0] < LEAST_ENCLOSED:
        parts.append("But less than half of what surrounds an axon is myelin: look before you trust any of them.")
    if experience is not None and len(experience):
        parts.append(_experience(experience.set_index("score").loc[CHOSEN]))
    return Advice(mean.index[0], " ".join(parts))


def _reason(mean: pd.DataFrame) -> str:
    first, told = mean.iloc[0], f"Use {_name(mean.index[0])}."
    told += (
        f" Of what surrounds its axons {first['enclosure']:.0%} is myelin, and with the labels of other ways its own"
    )
    told += f" have a Dice of {first['agreement']:.2f}."
    if len(mean) == 1:
        return told
    rival, lead = mean.iloc[1], first[CHOSEN] - mean[CHOSEN].iloc[1]
    told += f" Next is {_name(mean.index[1])} ({rival['enclosure']:.0%}, {rival['agreement']:.2f})"
    return told + (", clearly behind." if lead > CLEAR else ", so close that either will do.")


def _experience(known: pd.Series) -> str:
    return (
        f"Where the truth is known ({known['runs']:.0f} runs of the study), the way chosen like this was within "
        f"{NEGLIGIBLE} Dice of the best in {known['good']:.0%} of them, and lost {known['lost']:.3f} on the mean; "
        f"among the ways other than {REFINED}, which was made to score well here, in {known['good_of_others']:.0%}, "
        f"and lost {known['lost_of_others']:.3f}."
    )


def _name(method: Method) -> str:
    return method[0] if method[1] == "none" else f"{method[0]} with {method[1]}"
