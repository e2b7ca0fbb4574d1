"""From intervals to verdicts: what supports a claim, what contradicts it, and where there are too few subjects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd

from histobridge_study.analysis.statistics import Interval

HOLDS, REFUTED, UNDECIDED, DESCRIPTIVE = "holds", "does not hold", "undecided", "descriptive"
SUPPORTS, CONTRADICTS, OPEN = "for it", "against it", "left open by"
MISSING, FEW = "rows are missing of", "too few subjects for"
VERDICTS = {SUPPORTS: HOLDS, CONTRADICTS: REFUTED, OPEN: UNDECIDED, MISSING: UNDECIDED, FEW: DESCRIPTIVE}


class Evidence(NamedTuple):
    """One number with its name, as text, and with its interval, whose `value` is NaN if rows are missing."""

    name: str
    text: str
    interval: Interval


class Claim(NamedTuple):
    """A statement, the numbers behind the verdict, the verdict and its reason, as text."""

    claim: str
    evidence: str
    verdict: str
    why: str


def outcome(interval: Interval, supports: bool, contradicts: bool) -> str:
    """Return what an interval says of a claim; without an interval there is no verdict."""
    if pd.isna(interval.value):
        return MISSING
    if pd.isna(interval.low):
        return FEW
    return SUPPORTS if supports else CONTRADICTS if contradicts else OPEN


def above_zero(interval: Interval) -> str:
    """Return the outcome for a claim that the number is above 0."""
    return outcome(interval, interval.low > 0, interval.high < 0)


def weakest(outcomes: Iterable[str]) -> str:
    """Return the outcome of several that must all support a claim: one that contradicts is enough to refute it."""
    return first_of((CONTRADICTS, MISSING, FEW, OPEN, SUPPORTS), outcomes)


def strongest(outcomes: Iterable[str]) -> str:
    """Return the outcome of several of which one is enough for a claim; all must contradict to refute it."""
    return first_of((SUPPORTS, MISSING, FEW, OPEN, CONTRADICTS), outcomes)


def first_of(order: tuple[str, ...], outcomes: Iterable[str]) -> str:
    """Return the first of an order that is among some outcomes."""
    outcomes = set(outcomes)
    return next(outcome for outcome in order if outcome in outcomes)


def all_must_support(claim: str, evidence: list[Evidence], outcome_of: Callable[[Interval], str]) -> Claim:
    """Return a claim whose verdict is the weakest outcome of its evidence."""
    outcomes = {item.name: outcome_of(item.interval) for item in evidence}
    return decided(claim, evidence, outcomes, weakest(outcomes.values()))


def decided(claim: str, evidence: list[Evidence], outcomes: dict[str, str], decisive: str) -> Claim:
    """Return a claim with its evidence, the verdict of the decisive outcome, and what had that outcome."""
    names = [name for name, outcome in outcomes.items() if outcome == decisive]
    reason = "all" if len(names) == len(outcomes) else ", ".join(names)
    return Claim(claim, evidence_text(evidence), VERDICTS[decisive], f"{decisive}: {reason}")


def evidence_text(evidence: list[Evidence]) -> str:
    """Return the numbers that are there."""
    return "; ".join(item.text for item in evidence if not pd.isna(item.interval.value)) or "–"
