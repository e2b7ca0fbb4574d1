"""What all metrics ask of their arrays, and the ratio that is NaN when there is nothing to measure."""

from __future__ import annotations

import numpy as np

from histobridge.classes import AXON, BACKGROUND, MYELIN

NAN = float("nan")


def ratio(part: float, whole: float) -> float:
    """Return `part / whole`, NaN if `whole` is 0."""
    return float(part / whole) if whole else NAN


def require_same_shape(first: np.ndarray, second: np.ndarray) -> None:
    """Raise ValueError unless both arrays are [H, W] of one shape."""
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"Two arrays [H, W] of one shape are needed, not {first.shape} and {second.shape}.")


def require_boolean_masks(first: np.ndarray, second: np.ndarray) -> None:
    """Raise ValueError unless both arrays are boolean [H, W] of one shape."""
    require_same_shape(first, second)
    if first.dtype != bool or second.dtype != bool:
        raise ValueError(f"Boolean masks are needed, not {first.dtype} and {second.dtype}.")


def require_class_masks(*masks: np.ndarray) -> None:
    """Raise ValueError for masks in the 0/127/255 coding of files, which would seem to hold no myelin and no axon."""
    require_same_shape(masks[0], masks[-1])
    for mask in masks:
        if not np.isin(mask, (BACKGROUND, MYELIN, AXON)).all():
            raise ValueError(f"A class mask holds 0, 1 and 2 only, not {mask.min()}..{mask.max()}.")
