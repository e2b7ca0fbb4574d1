"""Folds of subjects, written once and obeyed by every stage.

A fold never splits a subject: two images of one animal are too alike for one to judge what the other taught.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from histobridge.errors import UserError

Protocol = Literal["transductive", "inductive"]
PROTOCOLS = ("transductive", "inductive")


def subject_folds(subjects: Iterable[str], n: int) -> list[list[str]]:
    """Divide subjects into at most `n` folds with about equally many images each.

    Parameters
    ----------
    subjects : iterable of str
        The subject of every image, so one with three images comes three times.
    n : int
        Number of folds wanted; with fewer subjects there are as many folds as subjects.

    Returns
    -------
    list of list of str
        The subjects that each fold leaves out; depends on names and counts alone, not on their order.

    Examples
    --------
    >>> subject_folds(["a", "a", "a", "b", "c", "d"], 2)
    [['a'], ['b', 'c', 'd']]
    """
    counts = Counter(subjects)
    folds: list[list[str]] = [[] for _ in range(min(n, len(counts)))]
    for subject in sorted(counts, key=lambda s: (-counts[s], s)):
        lightest = min(folds, key=lambda fold: sum(counts[s] for s in fold))
        lightest.append(subject)
    return [sorted(fold) for fold in folds]


@dataclass(frozen=True)
class Split:
    """Which subjects each stage of one fold may see, by name.

    Attributes
    ----------
    source_train, source_left_out : frozenset of str
        Subjects of L that train the segmenters of the fold, and those that no segmenter of it learns from.
    target_seen : frozenset of str
        Subjects of U whose *images* the translator and the students see. No strategy sees a mask of U.
    target_scored : frozenset of str
        Subjects of U on which the label-free strategies are scored.
    target_train, target_supervised : frozenset of str
        Subjects of U that train the supervised bound, and those on which it is scored.
    """

    source_train: frozenset[str]
    source_left_out: frozenset[str]
    target_seen: frozenset[str]
    target_scored: frozenset[str]
    target_train: frozenset[str]
    target_supervised: frozenset[str]


def split(folds: dict[str, list[list[str]]], fold: int, protocol: Protocol) -> Split:
    """Return who sees what in one fold. A single fold of L leaves nobody of L out: nothing is to be compared then.

    Parameters
    ----------
    folds : dict
        {"source": [...], "target": [...]}, the subjects that each fold leaves out, from `subject_folds`.
    fold : int
        Number of the fold, from 0. A target with fewer folds than the source starts over.
    protocol : {"transductive", "inductive"}
        Transductive: all images of U are seen and scored. Inductive: the fold's target subjects are only scored.

    Raises
    ------
    UserError
        If there is no such fold, or nobody of U would be left to be seen.
    """
    if not 0 <= fold < len(folds["source"]):
        raise UserError(f"There is no fold {fold}: the source has folds 0 to {len(folds['source']) - 1}.")
    inductive = protocol == "inductive"
    if inductive and len(folds["target"]) < 2:
        raise UserError("The inductive protocol leaves a subject of U out, and there is one: run the transductive one.")
    left_out = folds["source"][fold] if len(folds["source"]) > 1 else []
    target_out = frozenset(folds["target"][fold % len(folds["target"])])
    target_all = frozenset(s for subjects in folds["target"] for s in subjects)
    return Split(
        source_train=frozenset(s for subjects in folds["source"] for s in subjects) - frozenset(left_out),
        source_left_out=frozenset(left_out),
        target_seen=target_all - target_out if inductive else target_all,
        target_scored=target_out if inductive else target_all,
        target_train=target_all - target_out,
        target_supervised=target_out,
    )
