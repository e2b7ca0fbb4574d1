"""The numbers behind the claims: means, leads and drops of Dice over subjects, with their names.

`values` are those of `tables.image_values`.
"""

from __future__ import annotations

import pandas as pd

from histobridge.config import CONTROLS, REFINED
from histobridge_study.analysis.comparisons import (
    BOTH,
    best_method,
    method_rows,
    method_without_syndiff,
    paired_lead,
    paired_subjects,
    with_both,
)
from histobridge_study.analysis.methods import PLAIN_STRATEGIES, WITH_SYNDIFF, Method
from histobridge_study.analysis.statistics import difference_interval, mean_interval
from histobridge_study.analysis.verdicts import Evidence


def of_pair(values: pd.DataFrame, pair: str) -> pd.DataFrame:
    """Return the rows of one pair."""
    return values[values["pair"] == pair]


def family_of(values: pd.DataFrame, pair: str, class_: str) -> pd.DataFrame:
    """Return the rows of one pair and class."""
    return values[(values["pair"] == pair) & (values["class"] == class_)]


def _subjects(values: pd.DataFrame, method: Method) -> pd.Series:
    return method_rows(values, method).groupby("subject")["dice"].mean()


def mean_of(values: pd.DataFrame, pair: str, class_: str, method: Method) -> Evidence:
    """Return the mean Dice of a method."""
    mean = mean_interval(_subjects(family_of(values, pair, class_), method))
    return Evidence(f"{class_}: {_label(method)}", f"{class_}: {_label(method)} {mean.text()}", mean)


def lead_over(values: pd.DataFrame, pair: str, class_: str, one: Method, other: Method, share: float = 1) -> Evidence:
    """Return the Dice of `one` less (a share of) that of `other`, on the images that both have."""
    pairs = paired_subjects(family_of(values, pair, class_), one, other)
    lead = mean_interval(pairs["one"] - share * pairs["other"])
    first, second = f"{pairs['one'].mean():.3f}", f"{pairs['other'].mean():.3f}"
    part = "" if share == 1 else f"{share} of "
    name = f"{class_}: {_label(one)} less {part}{_label(other)}"
    text = f"{class_}: {_label(one)} {first} less {part}{_label(other)} {second} = {lead.text('+.3f')}"
    return Evidence(name, text, lead)


def lead_over_best_control(values: pd.DataFrame, pair: str, class_: str) -> Evidence:
    """Return the Dice of SynDiff's best strategy less that of the best control."""
    family = family_of(values[values["strategy"].isin(PLAIN_STRATEGIES)], pair, class_)
    syndiff, control = best_method(family), best_method(family, CONTROLS)
    if syndiff is None or control is None:
        return Evidence(f"{class_}: best of SynDiff less best control", "", mean_interval([]))
    return lead_over(values, pair, class_, syndiff, control)


def drop_between(values: pd.DataFrame, class_: str, near: str, far: str) -> Evidence:
    """Return by how much the Dice of SynDiff's best strategy falls from one pair to the next."""
    families = [family_of(values, pair, class_) for pair in (near, far)]
    sides = [_subjects(family, best_method(family) or ("", "")) for family in families]
    drop = difference_interval(*sides)
    text = f"{near} {sides[0].mean():.3f} less {far} {sides[1].mean():.3f}"
    return Evidence(f"{class_}: {near} less {far}", f"{class_}: {text} = {drop.text('+.3f')}", drop)


def gain_of_syndiff(values: pd.DataFrame, pair: str) -> Evidence:
    """Return by how much SynDiff improves the mean Dice of both classes of `refined` on a pair."""
    refined = with_both(of_pair(values[values["strategy"] == REFINED], pair))
    both = refined[refined["class"] == BOTH]
    gain = paired_lead(both, WITH_SYNDIFF, method_without_syndiff(both))
    return Evidence(pair, f"{pair}: {gain.text('+.3f')}", gain)


def _label(method: Method) -> str:
    strategy, translator = method
    return strategy if translator == "none" else f"{strategy} {translator}"
