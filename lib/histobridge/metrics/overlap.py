"""Overlap of predicted and manual masks: Dice and IoU."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from histobridge.classes import AXON, MYELIN
from histobridge.metrics.instances import axon_instances, instance_f1, merged_axons
from histobridge.metrics.validation import NAN, ratio, require_boolean_masks, require_class_masks


def dice(true: np.ndarray, predicted: np.ndarray) -> float:
    """Return Dice's coefficient 2 |A ∩ B| / (|A| + |B|), in 0..1, of two boolean masks [H, W].

    NaN if both are empty: otherwise a class that no image holds would score 1.

    >>> dice(np.array([[True, True, False]]), np.array([[False, True, False]]))
    0.6666666666666666
    """
    tp, fp, fn = _pixel_counts(true, predicted)
    return ratio(2 * tp, 2 * tp + fp + fn)


def iou(true: np.ndarray, predicted: np.ndarray) -> float:
    """Return intersection over union |A ∩ B| / |A ∪ B|, in 0..1, of two boolean masks [H, W]; NaN if both are empty.

    >>> iou(np.array([[True, True, False]]), np.array([[False, True, False]]))
    0.5
    """
    tp, fp, fn = _pixel_counts(true, predicted)
    return ratio(tp, tp + fp + fn)


def mean_dice(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Return the mean Dice of each class over pairs of a true and a predicted class mask [H, W], keyed by class name.

    A pair in which neither mask holds the class is left out.

    >>> mask = np.array([[0, 1, 2]], dtype=np.uint8)
    >>> mean_dice([(mask, mask)])
    {'axon': 1.0, 'myelin': 1.0}
    """
    pairs = list(pairs)
    classes = {"axon": AXON, "myelin": MYELIN}
    return {name: float(np.nanmean([dice(t == c, p == c) for t, p in pairs])) for name, c in classes.items()}


def class_scores(true: np.ndarray, predicted: np.ndarray) -> list[dict]:
    """Score a predicted class mask [H, W] against the manual one.

    Returns
    -------
    list of dict
        A row for myelin and one for axon: `class`, `dice`, `iou`, the numbers of axons `n_true` and `n_predicted` (see
        `axon_instances`), `n_merged`, their `merged_axons`, and `f1_50`, their `instance_f1` at IoU 0.5. The last four
        are NaN for myelin: neighbouring sheaths touch, so connected components of myelin are not objects.
    """
    require_class_masks(true, predicted)
    axons = axon_instances(true), axon_instances(predicted)
    match = instance_f1(*axons)
    counts = {"n_true": match.tp + match.fn, "n_predicted": match.tp + match.fp, "n_merged": merged_axons(*axons)}
    instances = counts | {"f1_50": match.f1}
    return [
        {"class": name, "dice": dice(true == c, predicted == c), "iou": iou(true == c, predicted == c), **found}
        for name, c, found in (("myelin", MYELIN, dict.fromkeys(instances, NAN)), ("axon", AXON, instances))
    ]


def _pixel_counts(true: np.ndarray, predicted: np.ndarray) -> tuple[int, int, int]:
    """Return the numbers of true positive, false positive and false negative pixels."""
    require_boolean_masks(true, predicted)
    tp = np.count_nonzero(true & predicted)
    return tp, np.count_nonzero(predicted) - tp, np.count_nonzero(true) - tp
