"""label_free.py: scores that see no mask of U, on a drawn pair with segmenters of hundredths of a second."""

import numpy as np
import pytest

from histobridge.metrics.instances import mean_enclosure
from histobridge.translators.controls import Control
from histobridge_study.analysis import label_free_scores as label_free
from histobridge_study.analysis.label_free_scores import agreement, scores
from histobridge_study.analysis.recommend import SCORES
from histobridge_study.config import load_study
from histobridge_study.parameters import Parameters
from histobridge_study.runs import Run
from histobridge_study.stages import label as strategies

WAYS = [("pretrained", "none"), ("adaptation", "invert"), ("tutorship", "invert")]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_segmenter):
    """Fold 0 of a drawn pair."""
    study = load_study()
    tiny = {"segmenter": tiny_segmenter, "student_steps": 3, "polarity_segmenter": None}
    profile = study.profiles["smoke"].model_copy(update=tiny)
    parameters = Parameters(pair="phantom-sem", profile="smoke", out=str(tmp_path_factory.mktemp("runs")))
    return Run(parameters, study.pairs["phantom-sem"], profile, study.translators)


@pytest.fixture(scope="module")
def scored(run):
    """Scores of the expert masks, of noise, and of the expert masks again; the masks of U themselves stay closed."""
    truth, rng = run.target_masks(), np.random.default_rng(0)
    noise = {name: rng.integers(0, 3, mask.shape).astype(np.uint8) for name, mask in truth.items()}
    labels = dict(zip(WAYS, (noise, truth, truth), strict=True)) | {("supervised", "none"): truth}
    translators = {name: Control(name) for name in ("none", "invert")} | {"syndiff": Control("invert")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "target_masks", lambda *_, **__: pytest.fail("a mask of U was opened"))
        patch.setattr(label_free, "REVERSE_STEPS", 2)
        return scores(run, translators, labels)


def test_every_label_free_way_has_every_score(scored):
    """The supervised bound is no way; a row says of which run it is."""
    assert list(zip(scored["strategy"], scored["translator"], strict=True)) == WAYS
    assert scored[list(SCORES)].notna().all(axis=None)
    keys = scored[["pair", "protocol", "split", "fold"]].drop_duplicates()
    assert keys.values.tolist() == [["phantom-sem", "transductive", "development", 0]]


def test_good_labels_score_higher(scored):
    """Two equal labels agree, and their axons have sheaths; noise has neither."""
    noise, good, same = (scored.iloc[i] for i in range(3))
    for score in ("enclosure", "agreement", "anatomy"):
        assert good[score] == same[score] > noise[score]
    assert good["anatomy"] == pytest.approx(good["enclosure"] * good["agreement"])


def test_a_round_trip_is_the_translators_own(scored, run):
    """Inverting twice brings back the image, so that the segmenter finds what it found in the image itself."""
    assert np.ptp(scored["round_trip"]) < 1e-3
    segmenter = strategies.source_segmenter(run)
    images = [s for s in run.source_images() if s.subject in run.split.source_train]
    expected = label_free._mean_dice(run.source_masks(), {s.name: segmenter.predict(s.image) for s in images})
    assert scored["round_trip"].iloc[0] == pytest.approx(expected, abs=0.02)  # translations are kept in 8 bits


def test_agreement_is_the_median_over_the_others():
    """Of four labels, three of them equal, the odd one agrees with none; one label alone agrees."""
    one, other = np.array([[1, 2, 0, 0]], np.uint8), np.array([[0, 0, 1, 2]], np.uint8)
    masks = {(name, "x"): {"image": mask} for name, mask in zip("abcd", (one, one, one, other), strict=True)}
    assert agreement(masks) == [1, 1, 1, 0]
    assert agreement({("a", "x"): {"image": one}}) == [1]


def test_without_an_axon_nothing_is_enclosed():
    """An empty label must not look perfect."""
    assert mean_enclosure([np.zeros((8, 8), np.uint8)]) == 0
