"""How many corrected images close half of the gap to a segmenter that was fine-tuned on many?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from histobridge.io.progress import Report
from histobridge.metrics import mean_dice
from histobridge.segmenter import Segmenter
from histobridge.strategies import Examples
from histobridge_label.finetune import finetune

BOUND = -1
"""Stands in column `corrected` for the bound: fine-tuned on the whole pool."""


def learning_curve(
    start: Segmenter,
    pool: Examples,
    test: Examples,
    *,
    counts: Sequence[int] = (1, 2, 4),
    steps: int,
    report: Report | None = None,
) -> pd.DataFrame:
    """Fine-tune on the first 1, 2, ... corrected images, and measure how much of the gap to the bound each closes.

    Parameters
    ----------
    start : Segmenter
        The segmenter that made the labels.
    pool, test : sequence of (image, mask)
        Images with their true masks: those that may be corrected, in the order of correction, and those for scoring.
    counts : sequence of int
        Numbers of corrected images, each at most the size of the pool.
    steps : int
        Training steps of each fine-tuning.
    report : callable, optional
        Receives the progress lines; by default they are printed.

    Returns
    -------
    DataFrame
        `corrected` (0 is the start, `BOUND` in the last row), `axon` and `myelin` (mean Dice over `test`), `dice`
        (their mean) and `closed`: the share of the gap in `dice` between the first and the last row; NaN without a gap.
    """
    rows = [{"corrected": 0, **_dice(start, test)}]
    for number in (*counts, BOUND):
        corrected = pool if number == BOUND else pool[:number]
        rows.append({"corrected": number, **_dice(finetune(start, corrected, steps=steps, report=report), test)})
    table = pd.DataFrame(rows)
    table["dice"] = table[["axon", "myelin"]].mean(axis=1)
    gap = table["dice"].iloc[-1] - table["dice"].iloc[0]
    table["closed"] = (table["dice"] - table["dice"].iloc[0]) / gap if gap > 0 else np.nan
    return table


def corrections_to_close(curve: pd.DataFrame, share: float = 0.5) -> int | None:
    """Return the smallest number of corrections in a `learning_curve` that closes a share of the gap, or None.

    >>> corrections_to_close(pd.DataFrame({"corrected": [0, 1, 2, -1], "closed": [0.0, 0.4, 0.7, 1.0]}))
    2
    """
    sufficient = curve[(curve["corrected"] > 0) & (curve["closed"] >= share)]
    return int(sufficient["corrected"].min()) if len(sufficient) else None


def _dice(segmenter: Segmenter, test: Examples) -> dict[str, float]:
    return mean_dice((mask, segmenter.predict(image)) for image, mask in test)
