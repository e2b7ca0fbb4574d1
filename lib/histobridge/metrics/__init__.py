"""Scores of masks, images and labels: arrays in, numbers out.

Images are float32 [H, W] in 0..1. Class masks are uint8 [H, W] with 0 background, 1 myelin, 2 axon. A score that has
nothing to measure (a class in neither mask, no axon, no tile border) is NaN, never 0 or 1: tables leave it out of
their means and count it. Arrays that do not fit together raise ValueError.
"""

from histobridge.metrics.calibration import calibration_error, reliability, sparsification, uncertainty
from histobridge.metrics.instances import (
    InstanceMatch,
    axon_areas_px,
    axon_instances,
    enclosure,
    instance_f1,
    mean_enclosure,
    merged_axons,
)
from histobridge.metrics.morphometrics import aggregate_g_ratio, fibre_instances, fibre_summary, fibres
from histobridge.metrics.overlap import class_scores, dice, iou, mean_dice
from histobridge.metrics.reconstruction import l1, psnr, ssim
from histobridge.metrics.review import error_recall, errors_per_tile, review_order
from histobridge.metrics.translation_checks import ClassSwap, class_swap, offset_px, offset_vector, seam

__all__ = [
    "ClassSwap",
    "InstanceMatch",
    "aggregate_g_ratio",
    "axon_areas_px",
    "axon_instances",
    "calibration_error",
    "class_scores",
    "class_swap",
    "dice",
    "enclosure",
    "error_recall",
    "errors_per_tile",
    "fibre_instances",
    "fibre_summary",
    "fibres",
    "instance_f1",
    "iou",
    "l1",
    "mean_dice",
    "mean_enclosure",
    "merged_axons",
    "offset_px",
    "offset_vector",
    "psnr",
    "reliability",
    "review_order",
    "seam",
    "sparsification",
    "ssim",
    "uncertainty",
]
