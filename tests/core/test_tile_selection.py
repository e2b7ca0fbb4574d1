"""comparable.py: the part of U that holds as much myelin as L, found without a label of U."""

import numpy as np
import pytest

from histobridge.classes import MYELIN
from histobridge.data.datasets import Sample
from histobridge.strategies.tile_selection import LEAST, enough, select_tiles


class Judge:
    """Sees myelin where an image is dark."""

    def predict(self, image):
        """Return the mask."""
        return np.where(image < 0.5, MYELIN, 0).astype(np.uint8)


def sample(name: str, *shares: float, side: int = 20) -> Sample:
    """An image of one tile for each share, side by side, of which that share is dark."""
    tiles = [np.ones((side, side), np.float32) for _ in shares]
    for tile, share in zip(tiles, shares, strict=True):
        tile[: round(share * side)] = 0
    return Sample(name, "a", np.hstack(tiles))


def test_empty_tiles_are_left_out_until_the_means_agree():
    """L is 30 % myelin, U 15 %: of four tiles of 40, 20, 0 and 0 % the first three hold 20, the first two 30."""
    kept, rest = select_tiles(Judge(), 1, [sample("l", 0.3)], [sample("u", 0.2, 0.0, 0.4, 0.0)], side=20)
    assert [[tile.name for tile in tiles] for tiles in (kept, rest)] == [["u-2", "u-0"], ["u-1", "u-3"]]
    assert [(tile.image == 0).mean() for tile in kept] == [0.4, 0.2]
    assert {tile.subject for tile in kept} == {"a"}


def test_enough_tissue_is_left_as_it_is():
    """Where U holds two thirds of what L does or more, its images stay whole: the judge may well be wrong by that."""
    for shares in (0.3, 0.5), (0.1, 0.3):
        target = [sample("u", *shares)]
        kept, rest = select_tiles(Judge(), 1, [sample("l", 0.3)], target, side=20)
        assert kept is target and rest == []


def test_the_judge_is_shown_negatives_where_the_contrast_is_inverted():
    """Bright myelin is dark in the negative, and the tile itself stays bright."""
    bright = [Sample("u", "a", 1 - sample("u", 0.0, 0.3, 0.0, 0.0).image)]
    (kept,), _ = select_tiles(Judge(), -1, [sample("l", 0.3)], bright, side=20)
    assert kept.name == "u-1" and kept.image.mean() == pytest.approx(0.3)


def test_a_pessimistic_judge_leaves_a_quarter():
    """Not one tile has as much as L: the richest quarter is kept all the same."""
    assert LEAST == 0.25 and enough([0.1, 0.0, 0.2, 0.1] * 10, 0.9) == 10


def test_images_smaller_than_a_tile_are_one_tile():
    """A small image is neither padded nor dropped."""
    kept, rest = select_tiles(Judge(), 1, [sample("l", 0.3)], [sample("u", 0.3), sample("v", 0.0)], side=64)
    assert [(tile.name, tile.image.shape) for tile in kept + rest] == [("u-0", (20, 20)), ("v-0", (20, 20))]
