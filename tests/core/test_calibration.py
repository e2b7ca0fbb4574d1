"""Uncertainty, calibration and review order of a few pixels, with answers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from histobridge.metrics.calibration import BINS, calibration_error, reliability, sparsification, uncertainty
from histobridge.metrics.review import error_recall, review_order, tiles

HALF = np.repeat([0.0, 1.0], 5)


def pixels(*probabilities: tuple[float, ...]) -> np.ndarray:
    """Return probabilities [C, 1, W] of a row of pixels."""
    return np.array(probabilities, dtype=float).T[:, None]


def right_and_wrong(*counts: tuple[float, int, int]) -> pd.DataFrame:
    """Return a table of reliability from (confidence, number of right pixels, number of wrong pixels)."""
    sure = np.concatenate([np.full(right + wrong, c) for c, right, wrong in counts])
    wrongs = np.concatenate([np.arange(right + wrong) >= right for _, right, wrong in counts])
    return reliability(1 - sure, wrongs)


def image_of_tiles(*values: float, side: int = 4) -> np.ndarray:
    """Return an image of tiles side by side, each of one value."""
    return np.hstack([np.full((side, side), value) for value in values])


# --- Uncertainty -----------------------------------------------------------------------------------------


def test_uncertainty_is_one_minus_the_probability_of_the_shown_class():
    """It is low for the likeliest class and high for a class that postprocessing put in its place."""
    p = pixels((0.7, 0.2, 0.1), (0.7, 0.2, 0.1), (0.0, 0.0, 1.0))
    found = uncertainty(p, np.array([[0, 2, 2]], np.uint8), temperature=1)
    np.testing.assert_allclose(found, [[0.3, 0.9, 0]], atol=1e-5)
    assert found.dtype == np.float32


def test_a_temperature_of_two_takes_roots():
    """0.64 and 0.36 become 0.8 and 0.6 of 1.4; a probability of 0 stays 0."""
    found = uncertainty(pixels((0.64, 0.36, 0.0)), np.array([[0]], np.uint8), temperature=2)
    assert found.item() == pytest.approx(0.6 / 1.4, abs=1e-3)


def test_half_of_it_tells_how_many_other_labels_show_another_class():
    """Of two other labels none, one and both differ."""
    p, mask = pixels(*[(0.8, 0.2, 0.0)] * 3), np.zeros((1, 3), np.uint8)
    others = [np.array([[0, 1, 1]], np.uint8), np.array([[0, 0, 2]], np.uint8)]
    np.testing.assert_allclose(uncertainty(p, mask, others, temperature=1), [[0.1, 0.35, 0.6]], atol=1e-5)


def test_uncertainty_stays_within_zero_and_one():
    """Certain and impossible classes give numbers in 0..1."""
    found = uncertainty(pixels((1, 0, 0), (1, 0, 0), (1 / 3, 1 / 3, 1 / 3)), np.array([[0, 1, 2]], np.uint8))
    assert found.min() >= 0 and found.max() <= 1
    assert found[0, 0] < 0.01 and found[0, 1] > 0.99 and found[0, 2] == pytest.approx(2 / 3)


# --- Calibration ----------------------------------------------------------------------------------------


def test_reliability_counts_and_sums_by_confidence():
    """Three pixels of confidence 0.5, two of them right, and two certain pixels, which fall into the last bin."""
    table = right_and_wrong((0.5, 2, 1), (1.0, 1, 1))
    assert table["bin"].tolist() == list(range(BINS))
    found = table[table["n"] > 0]
    assert found["bin"].tolist() == [BINS // 2, BINS - 1]
    assert found[["n", "confident", "right"]].values.tolist() == [[3, 1.5, 2], [2, 2, 1]]


def test_reliability_tables_of_images_add_up():
    """The table of two images is the sum of their tables."""
    rng = np.random.default_rng(0)
    unsure, wrong = rng.random((2, 8, 9)), rng.random((2, 8, 9)) < 0.3
    one, two, both = (reliability(unsure[part], wrong[part]) for part in (0, 1, slice(None)))
    pd.testing.assert_frame_equal((one + two).drop(columns="bin"), both.drop(columns="bin"))
    assert calibration_error(pd.concat([one, two])) == pytest.approx(calibration_error(both))


@pytest.mark.parametrize(
    ("counts", "error"),
    [
        ([(0.8, 4, 1)], 0.0),
        ([(0.8, 4, 1), (0.5, 3, 3), (1.0, 7, 0)], 0.0),
        ([(1.0, 1, 1)], 0.5),  # certain of everything, half of it wrong
        ([(0.5, 4, 0)], 0.5),  # underconfidence is an error too
        ([(1.0, 6, 0), (0.75, 0, 2)], 2 / 8 * 0.75),  # bins are weighted by their pixels
        ([(1.0, 0, 1), (0.5, 1, 0)], (1 + 0.5) / 2),  # errors of two bins do not cancel
    ],
)
def test_calibration_error(counts, error):
    """It is the mean distance between confidence and accuracy, weighted by pixels."""
    assert calibration_error(right_and_wrong(*counts)) == pytest.approx(error)


# --- Order ----------------------------------------------------------------------------------------------


def test_perfect_order_is_the_oracle():
    """Wrong pixels are removed one by one: 5 of 10 are wrong, then 4 of 9, 3 of 8, and none after five steps."""
    curve = sparsification(HALF, HALF == 1, steps=10)
    assert curve["removed"].tolist() == pytest.approx([n / 10 for n in range(10)])
    assert curve["error"].tolist() == pytest.approx([5 / 10, 4 / 9, 3 / 8, 2 / 7, 1 / 6, 0, 0, 0, 0, 0])
    assert curve["oracle"].tolist() == curve["error"].tolist()


def test_the_wrong_order_leaves_the_errors():
    """If the wrong pixels are the most certain, only wrong pixels are left after five steps."""
    curve = sparsification(HALF, HALF == 0, steps=10)
    assert curve["error"].tolist() == pytest.approx([5 / 10, 5 / 9, 5 / 8, 5 / 7, 5 / 6, 1, 1, 1, 1, 1])


def test_random_uncertainty_keeps_the_error_rate():
    """Random removal keeps the error rate constant and is worse than the oracle."""
    rng = np.random.default_rng(0)
    curve = sparsification(rng.random((200, 200)), rng.random((200, 200)) < 0.1)
    np.testing.assert_allclose(curve["error"], 0.1, atol=0.02)
    assert (curve["error"] >= curve["oracle"]).all() and (curve["error"] - curve["oracle"]).mean() > 0.08


def test_tiles_cover_the_whole_image():
    """The last tile of a row or column is moved back to fit; a small image is one tile."""
    image, seen = np.arange(10 * 18).reshape(10, 18), np.zeros((10, 18), int)
    for top, left, tile in tiles(image, 8):
        assert tile.shape == (8, 8) and tile[0, 0] == image[top, left]
        seen[top : top + 8, left : left + 8] += 1
    assert seen.min() == 1
    assert sorted({top for top, *_ in tiles(image, 8)}) == [0, 2]
    assert sorted({left for _, left, _ in tiles(image, 8)}) == [0, 8, 10]
    assert [tile.shape for *_, tile in tiles(image, 64)] == [(10, 18)]


def test_the_most_uncertain_tile_of_all_images_comes_first():
    """Tiles of two images are sorted together; each row has its place, its mean and the mean of its image."""
    order = review_order({"a": image_of_tiles(0.1, 0.6), "b": image_of_tiles(0.3, 0.2, 0.4).T}, side=4)
    assert order[["image", "top_px", "left_px"]].values.tolist() == [
        ["a", 0, 4],
        ["b", 8, 0],
        ["b", 0, 0],
        ["b", 4, 0],
        ["a", 0, 0],
    ]
    assert order["uncertainty"].tolist() == pytest.approx([0.6, 0.4, 0.3, 0.2, 0.1])
    assert order["image_uncertainty"].tolist() == pytest.approx([0.35, 0.3, 0.3, 0.3, 0.35])
    assert set(order["side_px"]) == {4}


@pytest.mark.parametrize(
    ("uncertain", "top", "recall", "bound"),
    [
        (range(10), 0.2, 1, 1),  # uncertainty grows with the number of errors
        (range(10), 0.1, 12 / 16, 12 / 16),
        ([0, 0, 0, 0, 0, 0, 0, 0, 1, 0], 0.1, 4 / 16, 12 / 16),  # the tile with fewer errors comes first
        (range(9, -1, -1), 0.2, 0, 1),  # certain where it is wrong
    ],
)
def test_error_recall_of_the_first_tiles(uncertain, top, recall, bound):
    """Ten tiles hold 16 errors, 4 in the last but one and 12 in the last: recall of the first tiles, and its bound."""
    wrong = image_of_tiles(*[0] * 10) > 0
    wrong[:1, 32:36] = wrong[:3, 36:40] = True
    order = review_order({"a": image_of_tiles(*uncertain) / 10}, side=4)
    assert error_recall(order, {"a": wrong}, top=top) == (recall, bound)


def test_tiles_without_an_expert_mask_are_not_counted():
    """An image without a known truth takes no place among the first tiles, however uncertain it is."""
    order = review_order({"a": image_of_tiles(0.1, 0.3), "unknown": image_of_tiles(0.9, 0.9)}, side=4)
    assert error_recall(order, {"a": image_of_tiles(0, 1) > 0}, top=0.5) == (1, 1)


def test_error_recall_without_errors_is_nan():
    """Without any error the recall is NaN, without a warning."""
    order = review_order({"a": image_of_tiles(0.1, 0.3)}, side=4)
    assert all(math.isnan(share) for share in error_recall(order, {"a": image_of_tiles(0, 0) > 0}))
