"""fourier.py: low frequencies take the amplitude of the other domain, everything else of an image stays."""

import numpy as np
import pytest

from histobridge.phantom import phantom
from histobridge.translators import Control
from histobridge.translators.fourier import BETA, low_spectrum, with_low_spectrum

TEM, SEM = ([phantom(kind, seed, (96, 96))[0] for seed in range(2)] for kind in ("tem", "sem"))
ODD = phantom("tem", 7, (121, 150))[0]
MILD = 0.5 + 0.2 * (ODD - ODD.mean())  # nothing of it is clipped
LOW = low_spectrum([0.5 + 0.2 * (image - image.mean()) for image in SEM])


def low(shape) -> np.ndarray:
    """Where the frequencies of an image are low, bool [H, W]."""
    return np.maximum.outer(*(np.abs(np.fft.fftfreq(side)) for side in shape)) <= BETA


def test_an_image_alone_in_both_domains_stays_as_it_is():
    """Its own amplitudes are those of the other domain."""
    np.testing.assert_allclose(with_low_spectrum(TEM[0], low_spectrum(TEM[:1])), TEM[0], atol=1e-6)


def test_the_phase_is_kept_and_only_low_amplitudes_change():
    """Of every frequency the phase is that of the image; amplitudes above beta are too."""
    before, after = np.fft.fft2(MILD), np.fft.fft2(with_low_spectrum(MILD, LOW).astype(float))
    strong = np.abs(before) > 1e-2  # float32 rounds the phase of what is nearly zero
    assert np.abs(np.angle(after[strong] / before[strong])).max() < 1e-2
    inside = low(MILD.shape)
    np.testing.assert_allclose(after[~inside], before[~inside], atol=1e-3)
    assert np.median(np.abs(np.log(np.abs(after / before)[inside]))) > 0.1


@pytest.mark.parametrize("shape", [(64, 64), (96, 96), (150, 121), (30, 300)])
def test_the_low_amplitudes_do_not_depend_on_the_size_of_the_image(shape):
    """The mean grey value and the amplitude for one pixel are those of the domain, in images of any size."""
    noise = np.random.default_rng(0).normal(0.5, 0.02, shape)
    after = np.fft.fft2(with_low_spectrum(noise, LOW).astype(float))
    assert after[0, 0].real / noise.size == pytest.approx(LOW.grey, abs=1e-4)
    inside = low(shape)
    inside[0, 0] = False
    logs = np.log(np.abs(after[inside]) / np.sqrt(noise.size))
    assert LOW.log_amplitude.min() - 0.01 < logs.min() and logs.max() < LOW.log_amplitude.max() + 0.01


def test_all_images_of_a_domain_have_the_same_weight():
    """The spectrum of two images is the mean of theirs, whatever their sizes."""
    small, large = TEM[0], np.tile(SEM[0], (2, 3))
    both, one, other = low_spectrum([small, large]), low_spectrum([small]), low_spectrum([SEM[0]])
    np.testing.assert_allclose(both.log_amplitude, (one.log_amplitude + other.log_amplitude) / 2)


def test_a_flat_image_stays_flat():
    """It has no phase, and so no structure can come from the other domain."""
    np.testing.assert_allclose(with_low_spectrum(np.full((50, 60), 0.3), LOW), LOW.grey, atol=1e-6)


def test_the_negative_comes_first():
    """`invert-fourier` is `fourier` of the negative, in both directions."""
    plain, inverted = Control("fourier"), Control("invert-fourier")
    for control in (plain, inverted):
        control.fit(TEM, SEM)
    for to in "LU":
        np.testing.assert_array_equal(inverted.translate(ODD, to), plain.translate(1 - ODD, to))
