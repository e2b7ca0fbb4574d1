"""noise.py: noise depends on the place in the image, not on the window."""

import numpy as np
import pytest
import torch

from histobridge.training.noise import noise_canvas


def canvas(height: int, width: int, *, seed: int = 0, draw: int = 0, top: int = 0, left: int = 0) -> np.ndarray:
    """A part of a plane of noise, as an array [height, width]."""
    noise = noise_canvas(seed, draw, [(slice(top, top + height), slice(left, left + width))])
    assert noise.shape == (1, 1, height, width)
    return noise[0, 0].numpy()


@pytest.mark.parametrize(("top", "left", "height", "width"), [(0, 0, 1, 1), (63, 64, 2, 64), (10, 70, 150, 33)])
def test_a_window_gets_the_noise_of_the_whole_image(top, left, height, width):
    """The noise of a window is the same part of the noise of the image."""
    whole = canvas(192, 128, seed=3, draw=1)
    part = canvas(height, width, seed=3, draw=1, top=top, left=left)
    np.testing.assert_array_equal(part, whole[top : top + height, left : left + width])


def test_noise_is_standard_normal_and_white():
    """Mean 0, variance 1, fourth moment 3, and no correlation with neighbours or the next square."""
    noise = canvas(512, 512)
    assert noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.var() == pytest.approx(1, abs=0.01)
    assert (noise**4).mean() == pytest.approx(3, abs=0.1)
    for shift in [(1, 0), (0, 1), (2, 0), (3, 0), (4, 0), (64, 0), (0, 64)]:
        assert (noise * np.roll(noise, shift, (0, 1))).mean() == pytest.approx(0, abs=0.01)


def test_planes_are_independent():
    """Another seed or draw, or the two exchanged, gives uncorrelated noise; the same give the same."""
    planes = [canvas(128, 128, seed=seed, draw=draw) for seed, draw in [(0, 0), (1, 0), (0, 1), (2, 3), (3, 2)]]
    correlations = np.corrcoef([plane.ravel() for plane in planes])
    np.testing.assert_allclose(correlations, np.eye(5), atol=0.04)
    np.testing.assert_array_equal(planes[3], canvas(128, 128, seed=2, draw=3))


def test_places_are_drawn_together_or_alone():
    """Several windows at once get the noise of each."""
    places = [(slice(top, top + 33), slice(left, left + 50)) for top, left in [(0, 0), (3, 7), (110, 4), (65, 4)]]
    alone = [noise_canvas(4, 2, [place]) for place in places]
    torch.testing.assert_close(noise_canvas(4, 2, places), torch.cat(alone))


def test_any_seed_is_taken():
    """Seeds beyond a word, and beyond two, give noise of their own."""
    planes = [canvas(64, 64, seed=seed).ravel() for seed in (1, 2**32, 2**32 + 1, 2**64 + 1, 2**200)]
    np.testing.assert_allclose(np.corrcoef(planes), np.eye(5), atol=0.08)
