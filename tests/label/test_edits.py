"""edits: pixels and fibres that a correction changed, counted on drawn discs."""

import math

import numpy as np
import pytest

from histobridge.errors import UserError
from histobridge.metrics.overlap import dice
from histobridge_label.edits import measure_edits

UM = 0.1


def discs(*centres: tuple[int, int], radius: int = 6, shape=(60, 80)) -> np.ndarray:
    """Axons of one radius in sheaths of 3 px."""
    mask = np.zeros(shape, np.uint8)
    y, x = np.indices(shape)
    for value, size in ((1, radius + 3), (2, radius)):
        for row, column in centres:
            mask[np.hypot(y - row, x - column) <= size] = value
    return mask


def test_edits_are_counted():
    """One fibre stays, one is removed, two are added, and one is moved by a pixel."""
    before = discs((15, 15), (15, 40), (40, 15))
    after = discs((15, 15), (40, 16), (40, 40), (40, 65))
    edits = measure_edits(before, after, UM)
    counts = {name: edits[name] for name in ("fibres_before", "fibres_after", "added", "removed", "reshaped")}
    assert counts == {"fibres_before": 3, "fibres_after": 4, "added": 2, "removed": 1, "reshaped": 1}
    changed = np.count_nonzero(before != after)
    assert edits["pixels_changed"] == changed and edits["share_changed"] == changed / before.size
    assert edits["area_changed_um2"] == pytest.approx(changed * 0.01)
    assert edits["dice_axon"] == dice(before == 2, after == 2) < 0.7
    assert edits["dice_myelin"] == dice(before == 1, after == 1)


def test_a_fibre_that_overlaps_too_little_is_another_fibre():
    """At an IoU below a half, one is removed, one added, and none reshaped."""
    edits = measure_edits(discs((15, 15)), discs((15, 23)), UM)
    assert (edits["added"], edits["removed"], edits["reshaped"]) == (1, 1, 0)


def test_without_edits_everything_is_zero_and_dice_is_one():
    """Dice is NaN for a class in neither mask."""
    mask = discs((15, 15), (40, 40))
    edits = measure_edits(mask, mask.copy(), UM)
    assert not any(edits[name] for name in ("pixels_changed", "share_changed", "added", "removed", "reshaped"))
    assert edits["dice_axon"] == edits["dice_myelin"] == 1 and edits["fibres_before"] == edits["fibres_after"] == 2
    assert math.isnan(measure_edits(mask * 0, mask * 0, UM)["dice_axon"])


def test_an_outline_that_is_nearly_right_may_count_as_unchanged():
    """A fibre that is moved by a pixel is reshaped unless a tolerance is stated; every pixel counts in any case."""
    before, after = discs((15, 15)), discs((15, 16))
    exact, tolerant = (measure_edits(before, after, UM, unchanged=iou) for iou in (1, 0.7))
    assert (exact["reshaped"], tolerant["reshaped"]) == (1, 0)
    assert exact["pixels_changed"] == tolerant["pixels_changed"] > 0


@pytest.mark.parametrize("um_per_px", [None, 0, -1])
def test_a_missing_or_invalid_pixel_size_is_refused(um_per_px):
    """No pixel size is guessed."""
    with pytest.raises(UserError, match="pixel size"):
        measure_edits(discs((15, 15)), discs((15, 15)), um_per_px)
