"""corrections_needed.py: what corrected images are worth."""

import numpy as np
import pytest

from histobridge.config import SegmenterSettings
from histobridge.metrics import mean_dice
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge_label.finetune import finetune
from histobridge_study.analysis.corrections_needed import BOUND, corrections_to_close, learning_curve

GREYS = np.array([0.5, 0.1, 0.9], np.float32)
OTHER_GREYS = np.array([0.5, 0.9, 0.1], np.float32)


def quiet(line):
    """Report nothing."""


def painted(greys: np.ndarray, *seeds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images that show each class in one grey, with their masks."""
    masks = [phantom("tem", seed, (96, 96))[1] for seed in seeds]
    return [(greys[mask], mask) for mask in masks]


@pytest.fixture(scope="module")
def start():
    """A segmenter that knows one contrast only."""
    settings = SegmenterSettings(steps=40, crop=48, batch=4, widths=(16, 16, 16, 16, 16, 16), lr=5e-3)
    return finetune(Segmenter(settings), painted(GREYS, 0, 1, 2), steps=40, report=quiet)


def test_one_correction_of_another_contrast_closes_most_of_the_gap(start):
    """The first row is the start, the last is the bound, and the Dice are those of the segmenters."""
    pool, test = painted(OTHER_GREYS, 3, 4), painted(OTHER_GREYS, 8)
    curve = learning_curve(start, pool, test, counts=(1,), steps=25, report=quiet)
    assert curve["corrected"].tolist() == [0, 1, BOUND]
    assert curve["closed"].iloc[[0, -1]].tolist() == [0, 1] and curve["closed"].iloc[1] > 0.5
    bound = finetune(start, pool, steps=25, report=quiet)
    for row, segmenter in (0, start), (-1, bound):
        dice = mean_dice([(mask, segmenter.predict(image)) for image, mask in test])
        assert curve["dice"].iloc[row] == pytest.approx(np.mean(list(dice.values())))
    assert corrections_to_close(curve) == 1 and corrections_to_close(curve, share=3) is None


def test_without_a_gap_there_is_no_share_of_it(start):
    """If the bound is no better than the start, `closed` is undefined."""
    curve = learning_curve(start, painted(GREYS, 3), painted(GREYS, 8), counts=(), steps=0)
    assert curve["closed"].isna().all() and corrections_to_close(curve) is None
