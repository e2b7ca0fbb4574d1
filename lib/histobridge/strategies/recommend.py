"""Which method should label images of U that have no mask? A choice from label-free scores, and the reasons for it.

A method is a strategy with a translator; `label_free.py` scores it.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from histobridge.config import REFINED

Method = tuple[str, str]
"""A strategy and the translator that it uses."""

SCORES = ("enclosure", "agreement", "anatomy", "confidence", "round_trip", "likeness", "reverse")
DECIDING_SCORE = "anatomy"
"""The score by which `recommend` chooses."""
NEGLIGIBLE = 0.01  # loss of Dice with which a choice is still good
LEAST_ENCLOSED = 0.5  # mean enclosure below which the polarity is doubtful
CLEAR_LEAD = 0.05  # difference of the deciding score between the best method and the next


class Advice(NamedTuple):
    """A method, and a paragraph that gives the reasons and the uncertainty."""

    method: Method
    text: str


def recommend_method(scored: pd.DataFrame, experience: pd.DataFrame | None = None) -> Advice:
    """Return the method to use.

    Parameters
    ----------
    scored : DataFrame
        Rows of `label_free.scores`; the rows of a method, one for each fold, are averaged.
    experience : DataFrame, optional
        How well each score chose where the truth is known, a row for each `score`: the number of `runs`, the share of
        `good` choices, the mean Dice `lost`, and both without `refined` (`good_of_others`, `lost_of_others`).
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
