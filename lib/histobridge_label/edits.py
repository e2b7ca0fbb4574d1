"""Measure what a correction changed in a label."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from histobridge.classes import AXON, MYELIN
from histobridge.io.resample import check_pixel_size
from histobridge.metrics.instances import axon_instances, instance_f1
from histobridge.metrics.morphometrics import min_axon_px
from histobridge.metrics.overlap import dice
from histobridge_label.corrections import Correction

SAME_FIBRE = 0.5  # IoU from which two axons are the same fibre, reshaped


def measure_edits(before: np.ndarray, after: np.ndarray, um_per_px: float, *, unchanged: float = 1) -> dict[str, float]:
    """Compare a label before and after correction.

    Parameters
    ----------
    before, after : ndarray
        uint8 `[H, W]` of classes 0, 1, 2.
    um_per_px : float
        Pixel size, µm/px; it decides which axons are too small to count.
    unchanged : float
        IoU, 0.5..1, from which an axon counts as not reshaped. Below 1 where `after` was drawn without `before`: nobody
        redraws an outline that is right but for a pixel.

    Returns
    -------
    dict
        `pixels_changed` and `share_changed`, their share of the image in 0..1; `area_changed_um2`; `fibres_before` and
        `fibres_after`; `added`, `removed` and `reshaped` fibres, where two axons with an IoU of at least 0.5 are the
        same fibre, reshaped if it is below `unchanged`; `dice_axon` and `dice_myelin` between before and after, 0..1,
        NaN for a class in neither.

    Raises
    ------
    UserError
        If the pixel size is missing or not a positive number.
    ValueError
        If shapes differ or a mask holds other values than the classes.

    Examples
    --------
    >>> before = np.zeros((8, 20), dtype=np.uint8)
    >>> before[2:6, 2:6] = 2
    >>> after = before.copy()
    >>> after[2:6, 12:16], after[2, 2] = 2, 0
    >>> edits = measure_edits(before, after, 0.1)
    >>> [edits[name] for name in ("pixels_changed", "added", "removed", "reshaped", "dice_axon")]
    [17, 1, 0, 1, 0.6382978723404256]
    """
    check_pixel_size(um_per_px, "The mask")
    axons = [axon_instances(mask, min_px=min_axon_px(um_per_px)) for mask in (before, after)]
    same, kept = (instance_f1(*axons, threshold=threshold) for threshold in (SAME_FIBRE, unchanged))
    pixels_changed = int(np.count_nonzero(before != after))
    return {
        "pixels_changed": pixels_changed,
        "share_changed": pixels_changed / before.size,
        "area_changed_um2": pixels_changed * um_per_px**2,
        "fibres_before": same.tp + same.fn,
        "fibres_after": same.tp + same.fp,
        "added": same.fp,
        "removed": same.fn,
        "reshaped": same.tp - kept.tp,
        "dice_axon": dice(before == AXON, after == AXON),
        "dice_myelin": dice(before == MYELIN, after == MYELIN),
    }


def edit_table(corrections: Iterable[Correction]) -> pd.DataFrame:
    """Return the edits of each correction (see `measure_edits`), one row per image.

    The column `image` names it, and `remark` says what was read otherwise than it stands in the file.
    """
    rows = []
    for found in corrections:
        edits = measure_edits(found.before, found.after, found.um_per_px)
        rows.append({"image": found.image, **edits, "remark": "; ".join(found.remarks)})
    return pd.DataFrame(rows)
