"""Measure the fibres of many masks: one table of fibres, one of images."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.io.files import write_table
from histobridge.io.masks import read_mask
from histobridge.io.resample import check_pixel_size
from histobridge.metrics.morphometrics import fibre_summary, fibres

DECIMALS = 5
"""Of a µm: what lies beyond is far below a pixel."""


def measure_masks(masks: Iterable[tuple[dict, np.ndarray]], um_per_px: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure class masks.

    Parameters
    ----------
    masks : iterable of (dict, ndarray)
        The columns that name a mask in both tables, and the mask, uint8 [H, W].
    um_per_px : float
        Pixel size, µm/px.

    Returns
    -------
    fibres, images : DataFrame
        A row a fibre (`morphometrics.fibres`), and a row a mask (`morphometrics.fibre_summary`).

    Raises
    ------
    UserError
        If the pixel size is missing or not a positive number.
    """
    of_fibres, of_images = [], []
    for names, mask in masks:
        found = fibres(mask, um_per_px)
        of_fibres.append(pd.DataFrame({name: [value] * len(found) for name, value in names.items()}).join(found))
        of_images.append({**names, **fibre_summary(mask, found, um_per_px)})
    filled = [table for table in of_fibres if len(table)] or of_fibres[:1]  # empty ones would change types of columns
    return pd.concat(filled, ignore_index=True).round(DECIMALS), pd.DataFrame(of_images).round(DECIMALS)


def measure_files(paths: Iterable[Path], um_per_px: float | None, to: Path) -> pd.DataFrame:
    """Measure mask files (0, 127, 255); write fibres.csv and summary.csv to a folder, and return the latter.

    Raises
    ------
    UserError
        If the pixel size (µm/px) is missing or not a positive number, or a file is no mask.

    What is remarkable about a mask file is printed to standard error.
    """
    paths = list(paths)
    check_pixel_size(um_per_px, paths[0])
    tables = measure_masks((({"mask": str(path)}, _read(path)) for path in paths), um_per_px)
    for name, table in zip(("fibres", "summary"), tables, strict=True):
        write_table(to / f"{name}.csv", table)
    return tables[1]


def _read(path: Path) -> np.ndarray:
    mask, remarks = read_mask(path)
    for remark in remarks:
        print(f"{path}: {remark}", file=sys.stderr)
    return mask
