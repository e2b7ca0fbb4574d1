"""Which method should label images of U that have no mask? A choice from label-free scores, and the reasons for it."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from histobridge.config import REFINED

Method = tuple[str, str]
"""A strategy and the translator that it uses."""

SCORES = ("enclosure", "agreement", "anatomy", "confidence", "round_trip", "likeness", "reverse")
"""The label-free scores; `label_free.py` computes them."""
CHOSEN = "anatomy"
"""The score that decides."""
NEGLIGIBLE = 0.01  # Dice: a method is good if it is no farther than this from the best one
LEAST_ENCLOSED = 0.5  # below, the polarity is in doubt
CLEAR = 0.05  # a clear lead in the score that decides


class Advice(NamedTuple):
    """A method, and a paragraph with the reasons for it."""

    method: Method
    text: str


def recommend(scored: pd.DataFrame, experience: pd.DataFrame | None = None) -> Advice:
    """Return the method to use.

    Parameters
    ----------
    scored : DataFrame
        Rows of `label_free.scores`. The rows of a method, one for each fold, are averaged.
    experience : DataFrame, optional
        How well each score chose on domains with known masks, a row for each `score`: the number of `runs`, the share
        of `good` choices, the mean Dice `lost`, and both among all methods but `refined` (`good_of_others`,
        `lost_of_others`).
    """
    mean = scored.groupby(["strategy", "translator"])[list(SCORES)].mean().sort_values(CHOSEN, ascending=False)
    parts = [_reason(mean)]
    if mean["enclosure"].iloc[0] < LEAST_ENCLOSED:
        parts.append("But less than half of what surrounds an axon is myelin: look before you trust any of them.")
    if experience is not None and len(experience):
        parts.append(_experience(experience.set_index("score").loc[CHOSEN]))
    return Advice(mean.index[0], " ".join(parts))


def _reason(mean: pd.DataFrame) -> str:
    first = mean.iloc[0]
    text = (
        f"Use {_name(mean.index[0])}. Of what surrounds its axons {first['enclosure']:.0%} is myelin, and its labels "
        f"have a Dice of {first['agreement']:.2f} with those of other methods."
    )
    if len(mean) == 1:
        return text
    second, lead = mean.iloc[1], first[CHOSEN] - mean[CHOSEN].iloc[1]
    text += f" Next is {_name(mean.index[1])} ({second['enclosure']:.0%}, {second['agreement']:.2f})"
    return text + (", clearly behind." if lead > CLEAR else ", so close that either will do.")


def _experience(known: pd.Series) -> str:
    return (
        f"Where the truth is known ({known['runs']:.0f} runs of the study), the method chosen like this was within "
        f"{NEGLIGIBLE} Dice of the best in {known['good']:.0%} of them, and lost {known['lost']:.3f} on the mean; "
        f"among the methods other than {REFINED}, which was made to score well here, in {known['good_of_others']:.0%}, "
        f"and lost {known['lost_of_others']:.3f}."
    )


def _name(method: Method) -> str:
    return method[0] if method[1] == "none" else f"{method[0]} with {method[1]}"
