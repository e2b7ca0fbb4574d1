"""Fibre measures of several masks as two tables: one row for each axon, one row for each image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from histobridge.metrics.morphometrics import fibre_summary, fibres

DECIMALS = 5  # of a µm: far below a pixel


def fibre_tables(masks: Iterable[tuple[dict, np.ndarray]], um_per_px: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the fibres of class masks.

    Parameters
    ----------
    masks : iterable of (dict, ndarray)
        The columns that name a mask, and the mask, uint8 [H, W].
    um_per_px : float
        Pixel size, µm/px.

    Returns
    -------
    fibres, summaries : DataFrame
        The columns that name a mask, followed by those of `fibres` and of `fibre_summary`.

    Raises
    ------
    UserError
        If the pixel size is missing or not a positive number.
    """
    single, whole = [], []
    for key, mask in masks:
        found = fibres(mask, um_per_px)
        single.append(pd.DataFrame({name: [value] * len(found) for name, value in key.items()}).join(found))
        whole.append({**key, **fibre_summary(mask, found, um_per_px)})
    filled = [table for table in single if len(table)] or single[:1]  # empty tables would change the types of columns
    return pd.concat(filled, ignore_index=True).round(DECIMALS), pd.DataFrame(whole).round(DECIMALS)
