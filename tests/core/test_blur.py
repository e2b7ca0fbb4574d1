"""blur.py: a blur that was put in is found again, whatever the contrast; and the control that uses it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from histobridge.phantom import phantom
from histobridge.translators.blur import extra_blur
from histobridge.translators.controls import Control

SHARP = [phantom("tem", seed, (160, 140))[0] for seed in range(3)]
OTHER = [phantom("tem", seed, (150, 170))[0] for seed in range(3, 6)]


def blurred(images, sigma):
    """Images as an instrument of less resolution shows them."""
    return [gaussian_filter(image, sigma) for image in images]


@pytest.mark.parametrize("sigma", [0.8, 1.5, 2.0])
def test_the_blur_of_other_images_is_found(sigma):
    """To 0.15 px, from images of other tissue than those that are blurred."""
    assert extra_blur(SHARP, blurred(OTHER, sigma)) == pytest.approx(sigma, abs=0.15)


def test_blurs_add_up_as_variances():
    """From 1 px to 2 px of blur it takes a Gaussian of the square root of 3."""
    assert extra_blur(blurred(SHARP, 1), blurred(OTHER, 2)) == pytest.approx(3**0.5, abs=0.15)


def test_what_is_blurrier_already_needs_none():
    """The other way round there is nothing that a blur could do."""
    assert extra_blur(blurred(SHARP, 1.5), OTHER) == 0


def test_contrast_and_brightness_tell_nothing_of_blur():
    """A negative at half the contrast is as blurred as it was."""
    faint = [0.8 - 0.5 * image for image in blurred(OTHER, 1.5)]
    assert extra_blur(SHARP, faint) == pytest.approx(extra_blur(SHARP, blurred(OTHER, 1.5)))


def test_small_images_count_as_large_ones_do():
    """An image smaller than a tile makes all tiles smaller; the answer is rougher, and of the same size."""
    small = [image[:40, :40] for image in blurred(OTHER, 1.5)]
    assert extra_blur(SHARP, small) == pytest.approx(1.5, abs=0.5)


@pytest.mark.parametrize("name", ["histogram-blur", "invert-histogram-blur"])
def test_the_control_blurs_one_way_and_matches_both(name):
    """Towards the blurred domain images lose their sharpness; back it is the control without blur."""
    control, plain = Control(name), Control(name.removesuffix("-blur"))
    for one in (control, plain):
        one.fit(SHARP, blurred(OTHER, 1.5))
    there = {one: [one.translate(image, "U") for image in SHARP] for one in (control, plain)}
    left = {one: extra_blur(images, blurred(OTHER, 1.5)) for one, images in there.items()}
    assert left[control] < 0.5 < 1.2 < left[plain]
    np.testing.assert_array_equal(control.translate(OTHER[0], "L"), plain.translate(OTHER[0], "L"))
