"""tile_selection.py: the part of U that holds as much myelin as L, found without a label of U."""

import numpy as np
import pytest

from histobridge.classes import MYELIN
from histobridge.strategies.tile_selection import LEAST_SHARE, number_of_tiles, select_tiles


class DarkIsMyelin:
    """A polarity segmenter that finds myelin where an image is dark."""

    def predict(self, image):
        """Return the mask."""
        return np.where(image < 0.5, MYELIN, 0).astype(np.uint8)


def image(*shares: float, side: int = 20) -> np.ndarray:
    """Return one tile for each share, side by side, of which that share is dark."""
    tiles = [np.ones((side, side), np.float32) for _ in shares]
    for tile, share in zip(tiles, shares, strict=True):
        tile[: round(share * side)] = 0
    return np.hstack(tiles)


def select(target, *, sign=1, side=20):
    """Select the tiles of U for an L of 30 % myelin; return the dark shares of the used tiles and of the others."""
    used, left_out = select_tiles(DarkIsMyelin(), sign, [image(0.3)], target, side=side)
    return [[round(float((tile < 0.5).mean()), 3) for tile in tiles] for tiles in (used, left_out)]


def test_tiles_with_little_myelin_are_left_out_until_the_means_agree():
    """L has 30 % myelin, U 15 %: of four tiles of 20, 0, 40 and 0 %, the two richest have 30 % together."""
    assert select([image(0.2, 0.0, 0.4, 0.0)]) == [[0.4, 0.2], [0.0, 0.0]]


@pytest.mark.parametrize("shares", [(0.3, 0.5), (0.1, 0.3)])
def test_images_with_enough_myelin_stay_whole(shares):
    """Where U holds two thirds of the myelin of L or more, its images are used as they are: the estimate is rough."""
    target = [image(*shares)]
    used, left_out = select_tiles(DarkIsMyelin(), 1, [image(0.3)], target, side=20)
    assert used == target and left_out == []


def test_negatives_are_segmented_where_the_contrast_is_inverted():
    """Bright myelin is dark in the negative, and the selected tile itself stays bright."""
    assert select([1 - image(0.0, 0.3, 0.0, 0.0)], sign=-1)[0] == [0.7]


def test_a_quarter_of_the_tiles_is_used_at_least():
    """Where no tile has as much myelin as L, the richest quarter is used."""
    assert LEAST_SHARE == 0.25 and number_of_tiles([0.1, 0.0, 0.2, 0.1] * 10, 0.9) == 10


def test_an_image_smaller_than_a_tile_is_one_tile():
    """It is neither padded nor dropped."""
    used, left_out = select_tiles(DarkIsMyelin(), 1, [image(0.3)], [image(0.3), image(0.0)], side=64)
    assert [tile.shape for tile in used + left_out] == [(20, 20), (20, 20)]
