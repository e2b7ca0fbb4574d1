"""Axons as single objects: matching at an IoU threshold, and enclosure by myelin, which needs no manual mask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse
from skimage import measure

from histobridge.classes import AXON, MYELIN
from histobridge.metrics.validation import NAN, ratio, require_class_masks, require_same_shape

MIN_AXON_PX = 8
"""A smaller axon is a speck: 8 px at 0.1 µm/px is a disc of 0.32 µm, about the finest axon that carries myelin."""


class InstanceMatch(NamedTuple):
    """How well predicted objects match true ones: ratios in 0..1, and the counts they follow from."""

    f1: float
    precision: float
    recall: float
    tp: int
    fp: int
    fn: int


def axon_instances(mask: np.ndarray, *, min_px: int = MIN_AXON_PX) -> np.ndarray:
    """Return int labels [H, W] of the single axons in a class mask; 0 is the rest, numbers may have gaps.

    An axon is an 8-connected component of class 2: a thin oblique axon is a chain of pixels that touch at corners, and
    neighbouring axons are separated by their sheaths. Components below `min_px` pixels are dropped as specks.
    """
    require_class_masks(mask)
    labels = measure.label(mask == AXON, connectivity=2)
    labels[np.bincount(labels.ravel())[labels] < min_px] = 0
    return labels


def axon_areas_px(masks: Iterable[np.ndarray]) -> np.ndarray:
    """Return the areas, px, of all axons (`axon_instances`) in class masks uint8 [H, W]: int or float [N]."""
    areas = [np.bincount(axon_instances(mask).ravel())[1:] for mask in masks]
    return np.concatenate([area[area > 0] for area in areas] or [[]])


def instance_f1(true_labels: np.ndarray, predicted_labels: np.ndarray, *, threshold: float = 0.5) -> InstanceMatch:
    """Match labelled objects one to one at IoU >= `threshold` and count hits and misses.

    F1 = 2 TP / (2 TP + FP + FN), as in StarDist's `matching` (Schmidt et al., MICCAI 2018). TP is the size of a maximum
    bipartite matching among the pairs that reach the threshold. Only pairs that overlap are stored, so memory grows
    with the number of objects, not with its square.

    Parameters
    ----------
    true_labels, predicted_labels : ndarray
        Non-negative int [H, W]; 0 is background.
    threshold : float
        0 < `threshold` <= 1.

    Returns
    -------
    InstanceMatch
        The ratios are 0 without a hit, and NaN if there is no object at all.

    Raises
    ------
    ValueError
        If the shapes differ or the threshold lies outside (0, 1].

    Examples
    --------
    >>> instance_f1(np.array([[1, 1, 0, 2]]), np.array([[0, 5, 0, 0]]))
    InstanceMatch(f1=0.6666666666666666, precision=1.0, recall=0.5, tp=1, fp=0, fn=1)
    """
    require_same_shape(true_labels, predicted_labels)
    if not 0 < threshold <= 1:
        raise ValueError(f"The IoU threshold must lie in (0, 1], not {threshold}.")
    true_areas, predicted_areas = np.bincount(true_labels.ravel()), np.bincount(predicted_labels.ravel())
    candidates = _pairs_above(threshold, true_labels, predicted_labels, true_areas, predicted_areas)
    tp = int(np.count_nonzero(sparse.csgraph.maximum_bipartite_matching(candidates) >= 0))
    fn, fp = (int(np.count_nonzero(areas[1:])) - tp for areas in (true_areas, predicted_areas))
    if tp + fp + fn == 0:
        return InstanceMatch(NAN, NAN, NAN, 0, 0, 0)
    f1, precision, recall = 2 * tp / (2 * tp + fp + fn), tp / max(tp + fp, 1), tp / max(tp + fn, 1)
    return InstanceMatch(f1, precision, recall, tp, fp, fn)


def _pairs_above(threshold, true_labels, predicted_labels, true_areas, predicted_areas) -> sparse.csr_array:
    """Return a sparse boolean table [true label, predicted label] of the pairs with IoU >= threshold."""
    overlap = _overlaps(true_labels, predicted_labels)
    true, predicted = overlap.coords
    union = true_areas[true] + predicted_areas[predicted] - overlap.data
    matches = overlap.data / union >= threshold
    return sparse.csr_array((matches[matches], (true[matches], predicted[matches])), shape=overlap.shape)


def merged_axons(true_labels: np.ndarray, predicted_labels: np.ndarray) -> int:
    """Count the true axons that share a predicted one: more than half of each of them lies in it.

    Parameters
    ----------
    true_labels, predicted_labels : ndarray
        Non-negative int [H, W]; 0 is background.

    >>> merged_axons(np.array([[1, 1, 0, 2, 2, 0, 3]]), np.array([[5, 5, 5, 5, 5, 0, 6]]))
    2
    """
    require_same_shape(true_labels, predicted_labels)
    overlap, areas = _overlaps(true_labels, predicted_labels), np.bincount(true_labels.ravel())
    true, predicted = overlap.coords
    counts = np.bincount(predicted[2 * overlap.data > areas[true]])
    return int(counts[counts > 1].sum())


def _overlaps(true_labels: np.ndarray, predicted_labels: np.ndarray) -> sparse.coo_array:
    """Return a sparse table [true label, predicted label] of the pixels that lie in an object of either."""
    both = (true_labels > 0) & (predicted_labels > 0)
    pairs, shape = (true_labels[both], predicted_labels[both]), (true_labels.max() + 1, predicted_labels.max() + 1)
    overlap = sparse.coo_array((np.ones(len(pairs[0]), dtype=np.int64), pairs), shape=shape)
    overlap.sum_duplicates()
    return overlap


def enclosure(mask: np.ndarray, *, ring_px: float = 3) -> float:
    """Return the share, 0..1, of a ring around the axons of a class mask [H, W] that is myelin.

    A myelinated axon lies in its sheath in every modality, so a low enclosure reveals a wrong mask without a manual
    label. The ring is every pixel that is not axon and at most `ring_px` from one, within the image. NaN if there is
    no axon or no room for a ring.

    >>> enclosure(np.array([[0, 1, 2, 1, 1]]), ring_px=2)
    0.75
    """
    require_class_masks(mask)
    if not (mask == AXON).any():
        return NAN
    distance = ndimage.distance_transform_edt(mask != AXON)
    ring = (distance > 0) & (distance <= ring_px)
    return ratio(np.count_nonzero(mask[ring] == MYELIN), np.count_nonzero(ring))


def mean_enclosure(masks: Iterable[np.ndarray]) -> float:
    """Return the mean `enclosure` of class masks [H, W], 0..1; a mask without any axon counts as 0."""
    return float(np.mean(np.nan_to_num([enclosure(mask) for mask in masks])))
