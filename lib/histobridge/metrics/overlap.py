"""The numbers in the tables: pure functions of arrays, from overlap with manual labels to label-free checks.

Images are float32 [H, W] in 0..1; class masks are uint8 [H, W] with 0 background, 1 myelin, 2 axon.
A score that has nothing to measure (a class in neither mask, no axon, no tile border) is NaN, never 0 or
1: the tables leave it out of their means and count it. Arrays that do not fit together are the caller's
mistake and raise ValueError.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from histobridge.classes import AXON, MYELIN
from histobridge.metrics.arrays import NAN, _ratio, _require_booleans, _require_class_masks
from histobridge.metrics.instances import axon_instances, instance_f1

# --- Overlap with manual labels -------------------------------------------------------------------------


def dice(true: np.ndarray, predicted: np.ndarray) -> float:
    """Return Dice's coefficient 2 |A ∩ B| / (|A| + |B|), in 0..1, of two boolean masks [H, W].

    NaN if both are empty: that is no success to be averaged in, or a class that no image holds would score 1.

    >>> dice(np.array([[True, True, False]]), np.array([[False, True, False]]))
    0.6666666666666666
    """
    _require_booleans(true, predicted)
    return _ratio(2 * np.count_nonzero(true & predicted), np.count_nonzero(true) + np.count_nonzero(predicted))


def iou(true: np.ndarray, predicted: np.ndarray) -> float:
    """Return intersection over union |A ∩ B| / |A ∪ B|, in 0..1, of two boolean masks [H, W].

    NaN if both are empty, as for `dice`.

    >>> iou(np.array([[True, True, False]]), np.array([[False, True, False]]))
    0.5
    """
    _require_booleans(true, predicted)
    return _ratio(np.count_nonzero(true & predicted), np.count_nonzero(true | predicted))


def mean_dice(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Return the mean Dice by class (`axon`, `myelin`), 0..1, of pairs of a true and a predicted class mask [H, W].

    A pair in which neither has the class counts for nothing.

    >>> mask = np.array([[0, 1, 2]], dtype=np.uint8)
    >>> mean_dice([(mask, mask)])
    {'axon': 1.0, 'myelin': 1.0}
    """
    pairs = list(pairs)
    of = {"axon": AXON, "myelin": MYELIN}
    return {n: float(np.nanmean([dice(true == c, found == c) for true, found in pairs])) for n, c in of.items()}


def class_scores(true: np.ndarray, predicted: np.ndarray) -> list[dict]:
    """Score a predicted class mask [H, W] against the manual one: a table row for myelin, another for axon.

    Each row is a dict of `class`, `dice`, `iou`, `n_true` and `n_predicted` (axons counted, see
    `axon_instances`) and `f1_50` (`instance_f1` at IoU 0.5). The last three are NaN for myelin: the sheaths
    of neighbours touch, so connected components of myelin are no objects that anybody could count.
    """
    _require_class_masks(true, predicted)
    match = instance_f1(axon_instances(true), axon_instances(predicted))
    counts = {
        "myelin": {"n_true": NAN, "n_predicted": NAN, "f1_50": NAN},
        "axon": {"n_true": match.tp + match.fn, "n_predicted": match.tp + match.fp, "f1_50": match.f1},
    }
    return [
        {
            "class": name,
            "dice": dice(true == value, predicted == value),
            "iou": iou(true == value, predicted == value),
            **counts[name],
        }
        for name, value in (("myelin", MYELIN), ("axon", AXON))
    ]
