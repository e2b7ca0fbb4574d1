"""How sure is a label, is it as sure as it says, and where should somebody look first? Arrays in, numbers out.

The uncertainty of a pixel is one minus the probability of the class that its label shows, after anatomy had its say: a
pixel that anatomy changed against the network is most uncertain. Uncertainty is float [H, W] in 0..1.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from histobridge.tiles import tile_places

TEMPERATURE = 1.75
"""Networks that learn from their own labels are too sure of them. Dividing logits by this (Guo et al., ICML 2017)
brought the calibration error on the development images of fold 0 from 0.09 (SEM), 0.02 (other TEM) and 0.11 (bright
field) to 0.03, 0.03 and 0.05. One number, chosen with the masks of the three pairs' development images."""
BINS = 15
TILE_PX = 64


def uncertainty(probabilities: np.ndarray, mask: np.ndarray, *, temperature: float = TEMPERATURE) -> np.ndarray:
    """Return float32 [H, W]: one minus the softened probability of the class shown.

    Parameters
    ----------
    probabilities : ndarray
        float [C, H, W], of classes.
    mask : ndarray
        uint8 [H, W], the class shown.

    Examples
    --------
    >>> p = np.array([[[0.9]], [[0.1]]])
    >>> [uncertainty(p, np.array([[k]]), temperature=1).round(2).item() for k in (0, 1)]
    [0.10000000149011612, 0.8999999761581421]
    """
    soft = np.clip(probabilities, 1e-6, 1) ** (1 / temperature)
    shown = np.take_along_axis(soft, mask[None].astype(int), 0)[0]
    return np.asarray(1 - shown / soft.sum(0), np.float32)


def reliability(uncertain: np.ndarray, wrong: np.ndarray) -> pd.DataFrame:
    """Return how often labels are right, by how sure they are: the reliability diagram as a table.

    Parameters
    ----------
    uncertain : ndarray of float
        Of any shape.
    wrong : ndarray of bool
        Of the same shape.

    Returns
    -------
    DataFrame
        A row for each of `BINS` of confidence (one minus uncertainty): `n` pixels, and the sums `confident` and `right`
        over them. Sums of several images add up.
    """
    confidence = 1 - uncertain.ravel()
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    sums = [np.bincount(place, weights, minlength=BINS) for weights in (None, confidence, ~wrong.ravel())]
    return pd.DataFrame({"bin": range(BINS), "n": sums[0], "confident": sums[1], "right": sums[2]})


def calibration_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error (Naeini et al., AAAI 2015), 0..1, of rows of `reliability`.

    >>> calibration_error(reliability(np.full(5, 0.2), np.array([True, False, False, False, False])))
    0.0
    """
    bins = table.groupby("bin")[["n", "confident", "right"]].sum()
    return float(round((bins["confident"] - bins["right"]).abs().sum() / bins["n"].sum(), 12))


def sparsification(uncertain: np.ndarray, wrong: np.ndarray, *, steps: int = 20) -> pd.DataFrame:
    """Return the share of wrong pixels that is left when the most uncertain are taken away, step by step.

    Returns
    -------
    DataFrame
        `removed` (0..1, `steps` of them from 0), `error` of what is left, and `oracle`, the same had the wrong ones
        been taken away first. The mean of `error` - `oracle` is the area under the sparsification error curve (Ilg et
        al., ECCV 2018): 0 is perfect.
    """
    removed = np.arange(steps) / steps
    curves = [_left(wrong.ravel(), key.ravel(), removed) for key in (uncertain, wrong)]
    return pd.DataFrame({"removed": removed, "error": curves[0], "oracle": curves[1]})


def _left(wrong: np.ndarray, key: np.ndarray, removed: np.ndarray) -> np.ndarray:
    kept = wrong[np.argsort(key, kind="stable")].cumsum()  # the surest first
    counts = np.maximum(1, np.round((1 - removed) * len(kept)).astype(int))
    return kept[counts - 1] / counts


def review_order(uncertain: dict[str, np.ndarray], *, side: int = TILE_PX) -> pd.DataFrame:
    """Return the tiles of all images, the most uncertain first: where to look when there is little time.

    Parameters
    ----------
    uncertain : dict
        Uncertainty [H, W] by image name.
    side : int
        Of a tile, px. The last tile of a row or column is moved back to fit.

    Returns
    -------
    DataFrame
        `image`, `top_px`, `left_px`, `side_px`, and the mean `uncertainty` of the tile and of its image,
        `image_uncertainty`.
    """
    rows = [
        {"image": name, "top_px": top, "left_px": left, "side_px": side, "uncertainty": float(values.mean())}
        for name, image in uncertain.items()
        for top, left, values in tiles(image, side)
    ]
    table = pd.DataFrame(rows)
    table["image_uncertainty"] = table["image"].map({name: float(image.mean()) for name, image in uncertain.items()})
    return table.sort_values("uncertainty", ascending=False, kind="stable", ignore_index=True)


def tiles(array: np.ndarray, side: int) -> list[tuple[int, int, np.ndarray]]:
    """Return top, left and content of the tiles of an array [H, W].

    >>> [(top, left) for top, left, _ in tiles(np.zeros((64, 100)), 64)]
    [(0, 0), (0, 36)]
    """
    return [(place[0].start, place[1].start, array[place]) for place in tile_places(array.shape, side)]


def wrong_in_tiles(order: pd.DataFrame, wrong: dict[str, np.ndarray]) -> np.ndarray:
    """Return how many pixels are wrong in each tile of a review order, float [N]; NaN in images that are not known.

    Parameters
    ----------
    order : DataFrame
        Of `review_order`.
    wrong : dict
        bool [H, W] by image name.
    """
    side = order["side_px"].iloc[0]
    errors = {(name, t, left): tile.sum() for name, image in wrong.items() for t, left, tile in tiles(image, side)}
    keys = order[["image", "top_px", "left_px"]].itertuples(index=False, name=None)
    return np.array([errors.get(key, np.nan) for key in keys], dtype=float)


def share_held(order: pd.DataFrame, wrong: dict[str, np.ndarray], *, top: float = 0.1) -> tuple[float, float]:
    """Return the share of all wrong pixels that lies in the first tiles of a review order, and in the worst tiles.

    The second is the most that any order could hold: errors that lie along every outline cannot be in few tiles.

    Parameters
    ----------
    order : DataFrame
        Of `review_order`.
    wrong : dict
        bool [H, W] by image name.
    top : float
        The share of the tiles that is looked at, 0..1.
    """
    found = wrong_in_tiles(order, wrong)
    found = found[np.isfinite(found)]
    first = int(np.ceil(top * len(found)))
    held = found[:first].sum(), np.sort(found)[-first:].sum()
    return tuple(float(part / found.sum()) if found.sum() else float("nan") for part in held)
