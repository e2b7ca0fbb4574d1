"""How uncertain is a label, and does its confidence match its accuracy?

The uncertainty of a pixel is one minus the probability of the class that its label shows, after postprocessing: a
pixel that postprocessing changed against the network is most uncertain. Where other labels of the image are given,
half of it tells how many of them show another class. Uncertainty is float [H, W] in 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

TEMPERATURE = 1.75
"""Divides the logits (Guo et al., ICML 2017), because networks that learn from their own labels are overconfident.

Chosen with the masks of the development images of the three pairs.
"""
BINS = 15


def uncertainty(
    probabilities: np.ndarray,
    mask: np.ndarray,
    others: Sequence[np.ndarray] = (),
    *,
    temperature: float = TEMPERATURE,
) -> np.ndarray:
    """Return float32 [H, W]: one minus the probability of the class shown, softened by `temperature`.

    With other labels it is the mean of that and of the share of them that show another class.

    Parameters
    ----------
    probabilities : ndarray
        float [C, H, W], of classes.
    mask : ndarray
        uint8 [H, W], the class shown.
    others : sequence of ndarray
        uint8 [H, W]: labels that might have been shown as well.

    Examples
    --------
    >>> p, mask = np.array([[[0.9]], [[0.1]]]), np.array([[0]])
    >>> [uncertainty(p, mask, others, temperature=1).round(2).item() for others in ([], [mask], [1 - mask])]
    [0.10000000149011612, 0.05000000074505806, 0.550000011920929]
    """
    soft = np.clip(probabilities, 1e-6, 1) ** (1 / temperature)
    shown = np.take_along_axis(soft, mask[None].astype(int), 0)[0]
    improbable = 1 - shown / soft.sum(0)
    if others:
        improbable = (improbable + np.mean([other != mask for other in others], axis=0)) / 2
    return np.asarray(improbable, np.float32)


def reliability(uncertain: np.ndarray, wrong: np.ndarray) -> pd.DataFrame:
    """Return the reliability diagram as a table: how often labels are right at each level of confidence.

    Parameters
    ----------
    uncertain : ndarray of float
        Of any shape.
    wrong : ndarray of bool
        Of the same shape.

    Returns
    -------
    DataFrame
        A row for each of `BINS` bins of confidence (one minus uncertainty): `n` pixels, and the sums `confident` and
        `right` over them. Tables of several images can be added.
    """
    import pandas as pd  # half a second, which importing the core need not cost

    confidence = 1 - uncertain.ravel()
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    sums = [np.bincount(bins, weights, minlength=BINS) for weights in (None, confidence, ~wrong.ravel())]
    return pd.DataFrame({"bin": range(BINS), "n": sums[0], "confident": sums[1], "right": sums[2]})


def calibration_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error (Naeini et al., AAAI 2015), 0..1, of rows of `reliability`.

    >>> calibration_error(reliability(np.full(5, 0.2), np.array([True, False, False, False, False])))
    0.0
    """
    bins = table.groupby("bin")[["n", "confident", "right"]].sum()
    return float(round((bins["confident"] - bins["right"]).abs().sum() / bins["n"].sum(), 12))


def sparsification(uncertain: np.ndarray, wrong: np.ndarray, *, steps: int = 20) -> pd.DataFrame:
    """Return the share of wrong pixels that is left as the most uncertain pixels are removed step by step.

    Returns
    -------
    DataFrame
        `removed` (`steps` shares, from 0), `error` of the pixels left, and `oracle`, the error if wrong pixels were
        removed first. The mean of `error` - `oracle` is the area under the sparsification error curve (Ilg et al.,
        ECCV 2018): 0 is perfect.
    """
    import pandas as pd

    removed = np.arange(steps) / steps
    error, oracle = (_error_left(wrong.ravel(), order.ravel(), removed) for order in (uncertain, wrong))
    return pd.DataFrame({"removed": removed, "error": error, "oracle": oracle})


def _error_left(wrong: np.ndarray, order: np.ndarray, removed: np.ndarray) -> np.ndarray:
    errors = wrong[np.argsort(order, kind="stable")].cumsum()  # the most certain first
    counts = np.maximum(1, np.round((1 - removed) * len(errors)).astype(int))
    return errors[counts - 1] / counts
