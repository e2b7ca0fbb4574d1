"""basic.py: the published strategies are compositions of translating, training and segmenting."""

import numpy as np
import pytest

from histobridge import adapt, supervised, tutor
from histobridge.phantom import phantom
from histobridge.strategies import pretrained, translate_examples
from histobridge.translators import Control


class Threshold:
    """A segmenter that calls dark pixels myelin and bright ones axon."""

    def predict(self, image):
        """Return the mask."""
        return np.where(image < 0.4, 1, np.where(image > 0.6, 2, 0)).astype(np.uint8)


class Noise:
    """A translator whose result depends on its arguments alone."""

    def translate(self, image, to, *, seed=0):
        """Return noise of this domain and seed."""
        return np.random.default_rng([seed, ord(to)]).random(image.shape, dtype=np.float32)


@pytest.fixture(scope="module")
def examples():
    """Three drawn images of TEM with their masks."""
    return [phantom("tem", seed, (48, 64)) for seed in range(3)]


def same(ones, others) -> bool:
    """Whether two sequences of (image, mask) are equal."""
    pairs = zip(ones, others, strict=True)
    return all(np.array_equal(a, c) and np.array_equal(b, d) for (a, b), (c, d) in pairs)


def test_adaptation_predicts_on_the_translation():
    """adapt = predict(translate to L), with the seed of the translation."""
    image, segmenter = phantom("sem", 7, (48, 64))[0], Threshold()
    inverted = adapt(image, Control("invert"), segmenter)
    np.testing.assert_array_equal(inverted, segmenter.predict(1 - image))
    expected = segmenter.predict(Noise().translate(image, "L", seed=3))
    np.testing.assert_array_equal(adapt(image, Noise(), segmenter, seed=3), expected)


def test_pretrained_is_adaptation_without_translation():
    """The control `none` changes nothing."""
    image = phantom("sem", 7, (48, 64))[0]
    np.testing.assert_array_equal(pretrained(image, Threshold()), adapt(image, Control("none"), Threshold()))


def test_the_student_learns_from_translated_images_with_their_own_masks(examples):
    """tutor = fit(images translated to U, masks of L), in the order of the examples."""
    given = []
    student = tutor(examples, Noise(), lambda pairs: given.extend(pairs) or "student", seed=5)
    assert student == "student"
    assert same(given, [(Noise().translate(image, "U", seed=5), mask) for image, mask in examples])


def test_examples_are_not_changed(examples):
    """Translating gives new images and leaves those of L as they were."""
    before = [(image.copy(), mask.copy()) for image, mask in examples]
    translated = translate_examples(examples, Control("invert"))
    assert same(examples, before)
    assert all(mask is own for (_, mask), (_, own) in zip(translated, examples, strict=True))


def test_the_supervised_reference_is_trained_on_the_examples_as_they_are(examples):
    """No translator is involved."""
    assert supervised(examples, lambda pairs: pairs) is examples
