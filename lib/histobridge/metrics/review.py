"""Which tiles should be reviewed first, and how many of the errors do the first tiles hold?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histobridge.metrics.validation import ratio
from histobridge.tiles import tile_places

if TYPE_CHECKING:
    import pandas as pd

TILE_PX = 64


def review_order(uncertain: dict[str, np.ndarray], *, side: int = TILE_PX) -> pd.DataFrame:
    """Return the tiles of all images, the most uncertain first.

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
    import pandas as pd  # half a second, which importing the core need not cost

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
    return [(rows.start, columns.start, array[rows, columns]) for rows, columns in tile_places(array.shape, side)]


def errors_per_tile(order: pd.DataFrame, wrong: dict[str, np.ndarray]) -> np.ndarray:
    """Return the number of wrong pixels in each tile of a review order, float [N]; NaN for images not in `wrong`.

    Parameters
    ----------
    order : DataFrame
        Of `review_order`.
    wrong : dict
        bool [H, W] by image name.
    """
    side = order["side_px"].iloc[0]
    errors = {(name, top, left): tile.sum() for name, image in wrong.items() for top, left, tile in tiles(image, side)}
    keys = order[["image", "top_px", "left_px"]].itertuples(index=False, name=None)
    return np.array([errors.get(key, np.nan) for key in keys], dtype=float)


def error_recall(order: pd.DataFrame, wrong: dict[str, np.ndarray], *, top: float = 0.1) -> tuple[float, float]:
    """Return the share of all wrong pixels in the first tiles of a review order, and in the worst tiles.

    The second is the upper bound for any order: errors along every outline cannot be concentrated in few tiles.

    Parameters
    ----------
    order : DataFrame
        Of `review_order`.
    wrong : dict
        bool [H, W] by image name.
    top : float
        The share of the tiles that is reviewed, 0..1.

    Returns
    -------
    tuple of float
        0..1; NaN if nothing is wrong.
    """
    errors = errors_per_tile(order, wrong)
    errors = errors[np.isfinite(errors)]
    reviewed = int(np.ceil(top * len(errors)))
    first, worst = errors[:reviewed].sum(), np.sort(errors)[-reviewed:].sum()
    return ratio(first, errors.sum()), ratio(worst, errors.sum())
