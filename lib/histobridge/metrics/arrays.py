"""Checks of arrays that several metrics share."""

from __future__ import annotations

import numpy as np

from histobridge.classes import AXON, BACKGROUND, MYELIN

NAN = float("nan")


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else NAN


def _require_same_shape(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"Two arrays [H, W] of one shape are needed, not {first.shape} and {second.shape}.")


def _require_booleans(first: np.ndarray, second: np.ndarray) -> None:
    _require_same_shape(first, second)
    if first.dtype != bool or second.dtype != bool:
        raise ValueError(f"Boolean masks are needed, not {first.dtype} and {second.dtype}.")


def _require_class_masks(*masks: np.ndarray) -> None:
    """Refuse masks still in the 0/127/255 coding, which would silently hold no myelin and no axon."""
    _require_same_shape(masks[0], masks[-1])
    for mask in masks:
        if not np.isin(mask, (BACKGROUND, MYELIN, AXON)).all():
            raise ValueError(f"A class mask holds 0, 1 and 2 only, not {mask.min()}..{mask.max()}.")
