"""Select the tiles of U that hold as much myelin as L: translators learn from those.

Unpaired translation makes two *distributions* alike. Where U holds less of a class than L, a translator can only make
them alike by giving another class its look: empty resin or cytoplasm becomes myelin. So where U holds much less, the
translator sees only those tiles of U that hold, together, as much myelin as L. The polarity segmenter estimates how
much that is; no label of U is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from histobridge.classes import MYELIN
from histobridge.segmenter import Segmenter
from histobridge.tiles import tile_places

MUCH_LESS = 2 / 3
"""Tiles are selected only if the estimate for U is below this part of that for L: it is rough on a domain that the
segmenter has not seen."""
LEAST_SHARE = 0.25
"""The share of the tiles that is used at least: a translator needs variety, and the estimate may be wrong."""


def select_tiles(
    polarity_segmenter: Segmenter,
    sign: int,
    source: Sequence[np.ndarray],
    target: Sequence[np.ndarray],
    *,
    side: int,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the tiles of U that together hold as much myelin as L, and the other tiles.

    Parameters
    ----------
    polarity_segmenter : Segmenter
        Trained on L.
    sign : {1, -1}
        -1 shows it the negatives of U.
    source, target : sequence of ndarray, float32 [H, W] in 0..1
        Images of L and of U.
    side : int
        Of a tile, px; a smaller image is one tile.

    Returns
    -------
    used, left_out : list of ndarray
        Tiles, those with most myelin first. Where U holds no less than `MUCH_LESS` of the myelin of L, the images of U
        as they are, and an empty list.
    """
    wanted = np.mean([_myelin_share(polarity_segmenter.predict(image)) for image in source])
    tiles, shares = [], []
    for image in target:
        mask = polarity_segmenter.predict(image if sign > 0 else 1 - image)
        for place in tile_places(image.shape, side):
            tiles.append(image[place])
            shares.append(_myelin_share(mask[place]))
    if np.mean(shares) >= MUCH_LESS * wanted:
        return list(target), []
    order, number = np.argsort(-np.array(shares), kind="stable"), number_of_tiles(shares, wanted)
    return [tiles[i] for i in order[:number]], [tiles[i] for i in order[number:]]


def number_of_tiles(shares: list[float], wanted: float) -> int:
    """Return how many of the largest `shares` have at least the mean `wanted`, and at least `LEAST_SHARE` of all.

    >>> number_of_tiles([0.0, 0.4, 0.1, 0.3, 0.0], 0.3)
    2
    """
    means = np.cumsum(sorted(shares, reverse=True)) / np.arange(1, len(shares) + 1)
    return max(math.ceil(LEAST_SHARE * len(shares)), int((means >= wanted).sum()))


def _myelin_share(mask: np.ndarray) -> float:
    return float((mask == MYELIN).mean())
