"""ladder.py: tissue that changes its look in steps and nothing else, and who labels it best."""

import numpy as np
import pytest

from histobridge.phantom import phantom
from histobridge_study.analysis import simulated_shift as ladder
from histobridge_study.analysis.simulated_shift import COLUMNS, climb, crossings, modalities, rung
from histobridge_study.config import load_study


@pytest.mark.parametrize("modality", modalities())
def test_the_ends_of_a_ladder_are_the_instruments(modality):
    """Step 0 is the TEM and step 1 the modality of the same tissue, with the same mask on every rung."""
    (start, mask), (middle, same), (end, again) = (rung(modality, step, 3, (64, 64)) for step in (0, 0.5, 1))
    for image, name in (start, "tem"), (end, modality):
        np.testing.assert_allclose(image, phantom(name, 3, (64, 64))[0], atol=1e-6)
    assert (mask == same).all() and (mask == again).all()
    np.testing.assert_allclose(middle, (start + end) / 2, atol=1e-6)
    assert middle.dtype == np.float32


def test_a_ladder_is_climbed_by_every_strategy(monkeypatch, tiny_syndiff, tiny_segmenter):
    """A row a step, strategy, image and class; TEM is labelled without a change of sign."""
    monkeypatch.setattr(ladder, "STEPS", (0.0, 1.0))
    monkeypatch.setattr(ladder, "SIDE", 64)
    monkeypatch.setattr(ladder, "IMAGES", 2)
    tiny = {"translator": tiny_syndiff, "segmenter": tiny_segmenter, "student_steps": 2, "polarity_segmenter": None}
    rows = climb("sem", load_study().profiles["smoke"].model_copy(update=tiny))
    assert rows.columns.tolist() == COLUMNS
    assert len(rows) == 2 * 3 * 2 * 2
    assert set(rows["strategy"]) == {"pretrained", "adaptation", "tutorship"}
    assert set(rows["sign"]) <= {1, -1}


def test_crossings_name_the_best_of_every_rung():
    """By the mean over images and classes."""
    import pandas as pd

    rows = [
        {"modality": "sem", "step": step, "strategy": strategy, "image": 0, "class": "axon", "dice": dice}
        for step, pair in ((0.0, (0.9, 0.8)), (1.0, (0.2, 0.7)))
        for strategy, dice in zip(("pretrained", "tutorship"), pair, strict=True)
    ]
    found = crossings(pd.DataFrame(rows))
    assert found["best"].tolist() == ["pretrained", "tutorship"]
    assert found.columns.tolist() == ["modality", "step", "pretrained", "tutorship", "best"]
