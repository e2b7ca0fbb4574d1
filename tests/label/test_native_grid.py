"""native_grid: labels get exactly the shape of the user's file."""

import numpy as np
import pytest

from histobridge.io.resample import resample_mask
from histobridge.metrics.overlap import dice
from histobridge.phantom import phantom
from histobridge_label.native_grid import resize_map, resize_mask


@pytest.fixture(scope="module")
def mask():
    """The mask of a phantom of odd size."""
    return phantom("sem", 4, (150, 173))[1]


@pytest.mark.parametrize("um_per_px", [0.05, 0.07, 0.13, 0.2])
def test_a_mask_gets_the_shape_of_the_file_with_smooth_outlines(mask, um_per_px):
    """Its Dice is at least that of the nearest pixel, also at odd ratios."""
    resampled = resample_mask(mask, 0.1, um_per_px)
    resized = resize_mask(resampled, mask.shape)
    assert resized.shape == mask.shape and resized.dtype == np.uint8 and set(np.unique(resized)) <= {0, 1, 2}
    rows, columns = (
        ((np.arange(n) + 0.5) * m // n).astype(int) for n, m in zip(mask.shape, resampled.shape, strict=True)
    )
    nearest = resampled[np.ix_(rows, columns)]
    for value in (1, 2):
        assert dice(mask == value, resized == value) >= dice(mask == value, nearest == value) - 1e-9


def test_a_map_stays_within_its_range(mask):
    """An uncertainty of 0..1 is float32 in 0..1 at any shape."""
    resized = resize_map(np.random.default_rng(0).random((50, 60)), mask.shape)
    assert resized.shape == mask.shape and resized.dtype == np.float32 and 0 <= resized.min() <= resized.max() <= 1


def test_a_mask_of_the_right_shape_is_returned_unchanged(mask):
    """No copy is made."""
    assert resize_mask(mask, mask.shape) is mask
