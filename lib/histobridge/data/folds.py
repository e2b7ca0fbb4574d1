"""Folds of subjects for cross-validation.

A fold never splits a subject: images of one animal are too similar for one to test what another one trained.
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
    """Divide subjects into at most `n` folds with about the same number of images.

    Parameters
    ----------
    subjects : iterable of str
        The subject of every image; a subject with three images appears three times.
    n : int
        Wanted number of folds; with fewer subjects, each subject is a fold.

    Returns
    -------
    list of list of str
        The subjects that each fold leaves out; depends on names and counts, not on their order.

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
    """The subjects that each step of one fold may see, by name.

    Attributes
    ----------
    source_train, source_left_out : frozenset of str
        Subjects of L that train the segmenters of the fold, and those that train none of them.
    target_seen : frozenset of str
        Subjects of U whose *images* train translators and students. No strategy sees a mask of U.
    target_scored : frozenset of str
        Subjects of U on which the label-free strategies are scored.
    target_train, target_supervised : frozenset of str
        Subjects of U that train the supervised reference, and those on which it is scored.
    """

    source_train: frozenset[str]
    source_left_out: frozenset[str]
    target_seen: frozenset[str]
    target_scored: frozenset[str]
    target_train: frozenset[str]
    target_supervised: frozenset[str]


def split(folds: dict[str, list[list[str]]], fold: int, protocol: Protocol) -> Split:
    """Return which subjects train and are scored in one fold. A single fold of L leaves no subject of L out.

    Parameters
    ----------
    folds : dict
        {"source": [...], "target": [...]}, the subjects that each fold leaves out, from `subject_folds`.
    fold : int
        Number of the fold, from 0. A target with fewer folds than the source starts again at its first.
    protocol : {"transductive", "inductive"}
        Transductive: all images of U are seen and scored. Inductive: the scored subjects of U are not seen.

    Raises
    ------
    UserError
        If there is no such fold, or no subject of U would be left to train on.
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
