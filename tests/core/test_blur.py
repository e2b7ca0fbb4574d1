"""blur.py: a known blur is measured, at any contrast; and the control that uses it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from histobridge.phantom import phantom
from histobridge.translators.blur import extra_blur
from histobridge.translators.controls import Control

SHARP = [phantom("tem", seed, (160, 140))[0] for seed in range(3)]
OTHER = [phantom("tem", seed, (150, 170))[0] for seed in range(3, 6)]


def blurred(images, sigma):
    """Blurred images."""
    return [gaussian_filter(image, sigma) for image in images]


@pytest.mark.parametrize("sigma", [0.8, 1.5, 2.0])
def test_a_known_blur_is_measured(sigma):
    """The error is below 0.15 px, though the sharp images show other tissue."""
    assert extra_blur(SHARP, blurred(OTHER, sigma)) == pytest.approx(sigma, abs=0.15)


def test_blurs_add_up_as_variances():
    """From 1 px to 2 px of blur the missing Gaussian has the square root of 3."""
    assert extra_blur(blurred(SHARP, 1), blurred(OTHER, 2)) == pytest.approx(3**0.5, abs=0.15)


def test_blurrier_images_need_no_blur():
    """Images that are blurrier than the others get 0."""
    assert extra_blur(blurred(SHARP, 1.5), OTHER) == 0


def test_contrast_and_brightness_have_no_effect():
    """A negative at half the contrast has the same blur."""
    faint = [0.8 - 0.5 * image for image in blurred(OTHER, 1.5)]
    assert extra_blur(SHARP, faint) == pytest.approx(extra_blur(SHARP, blurred(OTHER, 1.5)))


def test_images_smaller_than_a_tile_are_measured():
    """Tiles become smaller, and the error stays below 0.5 px."""
    small = [image[:40, :40] for image in blurred(OTHER, 1.5)]
    assert extra_blur(SHARP, small) == pytest.approx(1.5, abs=0.5)


@pytest.mark.parametrize("name", ["histogram-blur", "invert-histogram-blur"])
def test_the_control_blurs_in_one_direction_only(name):
    """Images of the sharp domain are blurred; those of the blurred domain get the control without blur."""
    control, plain = Control(name), Control(name.removesuffix("-blur"))
    for translator in (control, plain):
        translator.fit(SHARP, blurred(OTHER, 1.5))
    missing = {t: extra_blur([t.translate(i, "U") for i in SHARP], blurred(OTHER, 1.5)) for t in (control, plain)}
    assert missing[control] < 0.5 < 1.2 < missing[plain]
    np.testing.assert_array_equal(control.translate(OTHER[0], "L"), plain.translate(OTHER[0], "L"))
