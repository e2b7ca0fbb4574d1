"""Which part of U holds as much tissue as L? Translators learn from that part.

Unpaired translation makes two *distributions* alike. Where U holds less of a class than L, a translator can only make
them alike by giving another class its look: on another laboratory's TEM, with half the myelin of L and wide empty
resin, dark cytoplasm became darker still, and every label of myelin grew. So where U holds much less, the translator is
shown those tiles of it that hold, together, as much myelin as L does. The judge of polarity says how much that is; no
label of U is used.
"""

from __future__ import annotations

import math

import numpy as np

from histobridge.classes import MYELIN
from histobridge.data.datasets import Sample
from histobridge.segmenter import Segmenter
from histobridge.tiles import tile_places

MUCH_LESS = 2 / 3
"""U holds too little if the judge sees less than this part of what it sees in L. It errs on a domain it has not seen:
on SEM, which holds a quarter more than L, it saw a quarter less, and choosing tiles cost 0.03 Dice of myelin there.
"""
LEAST = 0.25
"""The share of the tiles that is kept whatever the judge says: a translator needs variety, and a judge may err."""


def select_tiles(
    polarity_segmenter: Segmenter, sign: int, source: list[Sample], target: list[Sample], *, side: int
) -> tuple[list[Sample], list[Sample]]:
    """Return the tiles of U that together hold as much myelin as L, as the judge sees it, and the other tiles.

    Parameters
    ----------
    judge : Segmenter
        Of L.
    sign : {1, -1}
        -1 shows the judge negatives of U.
    source, target : list of Sample
        Images of L and of U.
    side : int
        Of a tile, in px; smaller images are one tile.

    Returns
    -------
    alike, left_out : list of Sample
        Tiles, those with most myelin first; or `target` as it is and nothing, where it holds not `MUCH_LESS` than L.
    """
    wanted = np.mean([_share(polarity_segmenter.predict(s.image)) for s in source])
    tiles, shares = [], []
    for sample in target:
        mask = polarity_segmenter.predict(sample.image if sign > 0 else 1 - sample.image)
        for number, place in enumerate(tile_places(sample.image.shape, side)):
            tiles.append(Sample(f"{sample.name}-{number}", sample.subject, sample.image[place]))
            shares.append(_share(mask[place]))
    if np.mean(shares) >= MUCH_LESS * wanted:
        return target, []
    order, number = np.argsort(-np.array(shares), kind="stable"), enough(shares, wanted)
    return [tiles[i] for i in order[:number]], [tiles[i] for i in order[number:]]


def enough(shares: list[float], wanted: float) -> int:
    """Return how many of the largest `shares` have a mean of `wanted` at least, but no fewer than `LEAST` of all.

    >>> enough([0.0, 0.4, 0.1, 0.3, 0.0], 0.3)
    2
    """
    means = np.cumsum(sorted(shares, reverse=True)) / np.arange(1, len(shares) + 1)
    return max(math.ceil(LEAST * len(shares)), int((means >= wanted).sum()))


def _share(mask: np.ndarray) -> float:
    return float((mask == MYELIN).mean())
