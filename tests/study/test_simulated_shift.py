"""simulated_shift.py: tissue that changes its appearance in steps, and the best strategy at each."""

import numpy as np
import pandas as pd
import pytest

from histobridge.config import training_profile
from histobridge.phantom import phantom
from histobridge_study.analysis.simulated_shift import (
    COLUMNS,
    MODALITIES,
    best_by_step,
    mixed_phantom,
    simulate_shift,
)


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_first_and_last_steps_are_the_instruments(modality):
    """Step 0 is TEM and step 1 the modality, of the same tissue; the mask is the same at every step."""
    (start, mask), (middle, same), (end, again) = (mixed_phantom(modality, step, 3, (64, 64)) for step in (0, 0.5, 1))
    for image, name in (start, "tem"), (end, modality):
        np.testing.assert_allclose(image, phantom(name, 3, (64, 64))[0], atol=1e-6)
    assert (mask == same).all() and (mask == again).all()
    assert middle.dtype == np.float32


def test_every_strategy_is_scored_at_every_step(tiny_syndiff, tiny_segmenter):
    """There is one row per step, strategy, image and class."""
    tiny = {"translator": tiny_syndiff, "segmenter": tiny_segmenter, "student_steps": 2, "polarity_segmenter": None}
    profile = training_profile("smoke").model_copy(update=tiny)
    rows = simulate_shift("sem", profile, steps=(0.0, 1.0), images=2, side=64)
    assert rows.columns.tolist() == COLUMNS
    assert len(rows) == 2 * 3 * 2 * 2
    assert set(rows["strategy"]) == {"pretrained", "adaptation", "tutorship"}
    assert set(rows["sign"]) <= {1, -1}


def test_the_best_strategy_has_the_highest_mean_over_images_and_classes():
    """Each step names its own."""
    rows = [
        {"modality": "sem", "step": step, "strategy": strategy, "image": 0, "class": "axon", "dice": dice}
        for step, pair in ((0.0, (0.9, 0.8)), (1.0, (0.2, 0.7)))
        for strategy, dice in zip(("pretrained", "tutorship"), pair, strict=True)
    ]
    table = best_by_step(pd.DataFrame(rows))
    assert table["best"].tolist() == ["pretrained", "tutorship"]
    assert table.columns.tolist() == ["modality", "step", "pretrained", "tutorship", "best"]
