"""Label-free scores on drawn tissue, with segmenters that train in hundredths of a second."""

import numpy as np
import pytest

from histobridge.metrics.instances import mean_enclosure
from histobridge.metrics.overlap import mean_dice
from histobridge.segmenter import Segmenter
from histobridge.strategies import Labeller
from histobridge.strategies.label_free import agreement, candidate, scores
from histobridge.strategies.recipe import train_segmenter
from histobridge.strategies.recommend import SCORES
from histobridge.translators import Control

METHODS = [("pretrained", "none"), ("adaptation", "invert"), ("tutorship", "invert")]
TRANSLATORS = {name: Control(name) for name in ("none", "invert")} | {"syndiff": Control("invert")}


@pytest.fixture(scope="module")
def source(drawn, tiny_segmenter):
    """A segmenter of drawn TEM."""
    return train_segmenter(Segmenter(tiny_segmenter), drawn["tem"])


@pytest.fixture(scope="module")
def fit(source):
    """Continues from the segmenter of L for two steps."""
    return lambda examples: train_segmenter(source.warm_start(seed=0, steps=2), examples)


@pytest.fixture(scope="module")
def methods(drawn, source, fit):
    """Noise as the labels of the first method, and the expert masks as those of the two others."""
    images, truth = zip(*drawn["sem"], strict=True)
    noise = [np.random.default_rng(0).integers(0, 3, mask.shape).astype(np.uint8) for mask in truth]
    labels = dict(zip(METHODS, (noise, truth, truth), strict=True))
    given = drawn["tem"], images, TRANSLATORS, source, fit
    return {method: candidate(method, *given, labels=masks) for method, masks in labels.items()}


@pytest.fixture(scope="module")
def scored(drawn, source, fit, methods):
    """The scores of the three methods."""
    return scores(methods, drawn["tem"], [image for image, _ in drawn["sem"]], TRANSLATORS, source, fit)


def test_every_method_has_every_score(scored):
    """One row for each method, and no score is missing."""
    assert list(zip(scored["strategy"], scored["translator"], strict=True)) == METHODS
    assert scored[list(SCORES)].notna().all(axis=None)


def test_good_labels_score_higher_than_noise(scored):
    """Equal labels agree and their axons have sheaths; noise has neither property."""
    noise, good, same = (scored.iloc[i] for i in range(3))
    for score in ("enclosure", "agreement", "anatomy"):
        assert good[score] == same[score] > noise[score]
    assert good["anatomy"] == pytest.approx(good["enclosure"] * good["agreement"])


def test_the_round_trip_is_that_of_the_translator(scored, drawn, source):
    """Two inversions restore the image, so the segmenter finds what it finds in the image itself."""
    expected = mean_dice((mask, source.predict(image)) for image, mask in drawn["tem"])
    assert scored["round_trip"].tolist() == pytest.approx([np.mean(list(expected.values()))] * 3, abs=0.02)


def test_a_candidate_is_made_as_its_strategy_says(drawn, source, fit):
    """Adaptation shows translations to the segmenter of L; the other segmenters see U and learned from translations."""
    images, labeller = [image for image, _ in drawn["sem"]], Labeller((source,))
    given = drawn["tem"], images, TRANSLATORS, source, fit
    adapted = candidate(("adaptation", "invert"), *given)
    student = candidate(("tutorship", "invert"), *given)
    refined = candidate(("refined", "syndiff"), *given, refined=labeller)
    np.testing.assert_array_equal(adapted.shown[0], 1 - images[0])
    np.testing.assert_array_equal(adapted.labels[0], source.predict(1 - images[0]))
    assert adapted.segmenter is source and adapted.learned[0] is drawn["tem"][0][0]
    for made in (student, refined):
        assert made.shown[0] is images[0]
        np.testing.assert_array_equal(made.learned[0], 1 - drawn["tem"][0][0])
    assert refined.segmenter is labeller and student.segmenter is not source


def test_agreement_is_the_median_over_the_other_methods():
    """Of four labels, three of them equal, the odd one agrees with none; a single method agrees."""
    one, other = np.array([[1, 2, 0, 0]], np.uint8), np.array([[0, 0, 1, 2]], np.uint8)
    assert agreement([[one], [one], [one], [other]]) == [1, 1, 1, 0]
    assert agreement([[one]]) == [1]


def test_a_label_without_an_axon_has_no_enclosure():
    """An empty label does not look perfect."""
    assert mean_enclosure([np.zeros((8, 8), np.uint8)]) == 0
