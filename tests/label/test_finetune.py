"""finetune: a segmenter learns from corrected images."""

import numpy as np
import pytest

from histobridge.config import SegmenterSettings
from histobridge.errors import UserError
from histobridge.metrics.overlap import dice
from histobridge.segmenter import Segmenter
from histobridge_label.finetune import finetune

GREYS = np.array([0.5, 0.1, 0.9], np.float32)
OTHER_GREYS = np.array([0.5, 0.9, 0.1], np.float32)
SETTINGS = SegmenterSettings(steps=40, crop=48, batch=4, widths=(16, 16, 16, 16, 16, 16), lr=5e-3)


def quiet(line):
    """Report nothing."""


def painted(greys: np.ndarray, *seeds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images [60, 80] of six fibres that show each class in one grey, with their masks."""
    pairs = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        mask, (y, x) = np.zeros((60, 80), np.uint8), np.indices((60, 80))
        centres = [
            (row + rng.integers(-3, 4), column + rng.integers(-3, 4)) for row in (14, 44) for column in (14, 40, 66)
        ]
        for value, radius in ((1, 9), (2, 6)):
            for row, column in centres:
                mask[np.hypot(y - row, x - column) <= radius] = value
        pairs.append((greys[mask], mask))
    return pairs


@pytest.fixture(scope="module")
def start():
    """A segmenter that knows one contrast only."""
    segmenter = Segmenter(SETTINGS)
    segmenter.fit(*map(list, zip(*painted(GREYS, 0, 1, 2), strict=True)), report=quiet)
    return segmenter


def mean_dice(segmenter: Segmenter, pairs) -> float:
    """Mean Dice of axon and myelin."""
    predictions = [(mask, segmenter.predict(image)) for image, mask in pairs]
    return float(np.nanmean([dice(mask == value, found == value) for mask, found in predictions for value in (1, 2)]))


def test_one_corrected_image_teaches_another_contrast(start):
    """Images like it are then segmented well; the segmenter that training started from stays as it was."""
    test, before = painted(OTHER_GREYS, 8, 9), start.fingerprint
    learner = finetune(start, painted(OTHER_GREYS, 3), steps=40, report=quiet)
    assert mean_dice(start, test) < 0.3 < 0.8 < mean_dice(learner, test)
    assert start.fingerprint == before and start.settings.steps == 40
    assert learner.settings == start.settings


def test_no_step_changes_nothing_and_equal_seeds_learn_the_same(start):
    """ModelTraining starts from the weights of the given segmenter."""
    pair = painted(OTHER_GREYS, 3, 4)
    assert finetune(start, pair, steps=0, report=quiet).fingerprint == start.fingerprint
    one, two, three = (finetune(start, pair, steps=2, seed=seed, report=quiet).fingerprint for seed in (1, 1, 2))
    assert one == two != three


def test_nothing_to_learn_from_is_refused(start):
    """No image, and an image smaller than a training crop."""
    with pytest.raises(UserError, match="no corrected image to learn from"):
        finetune(start, [], steps=1)
    image, mask = painted(GREYS, 0)[0]
    with pytest.raises(UserError, match="smaller than a training crop"):
        finetune(start, [(image[:20], mask[:20])], steps=1)
