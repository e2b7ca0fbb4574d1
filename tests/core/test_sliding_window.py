"""sliding_window.py: windows leave no trace, and noise depends on the place in the image, not on the window."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from histobridge.metrics.translation_checks import seam
from histobridge.phantom import phantom
from histobridge.tiles import window_starts
from histobridge.training.sliding_window import BLOCK, noise_canvas, over_windows, window_borders, window_side

SHAPES = [(7, 300), (53, 70), (64, 64), (65, 129), (200, 131)]


def ramp(shape: tuple[int, int]) -> np.ndarray:
    """An image in -1..1 in which all pixels differ."""
    return np.linspace(-1, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)


def canvas(height: int, width: int, *, seed: int = 0, draw: int = 0, top: int = 0, left: int = 0) -> np.ndarray:
    """A part of a plane of noise, as an array [height, width]."""
    noise = noise_canvas(seed, draw, (slice(top, top + height), slice(left, left + width)))
    assert noise.shape == (1, 1, height, width)
    return noise[0, 0].numpy()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("overlap", [0, 8, 32])
def test_identity_returns_the_image(shape, overlap):
    """The identity returns images that are smaller or larger than a window, odd or thin."""
    image = ramp(shape)
    result = over_windows(image, lambda piece, place: piece, largest=64, overlap=overlap)
    assert result.shape == (1, *shape) and result.dtype == np.float32
    np.testing.assert_allclose(result[0], image, atol=1e-6)


def test_channels_stay_apart():
    """Every output channel is blended separately."""
    image = ramp((70, 53))
    result = over_windows(image, lambda piece, place: torch.cat([piece, -2 * piece], 1), largest=32, overlap=8)
    np.testing.assert_allclose(result, np.stack([image, -2 * image]), atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_windows_fit_the_network(shape):
    """All windows have the sides that `window_side` gives."""
    seen = set()

    def network(piece, place):
        assert tuple(s.stop - s.start for s in place) == tuple(piece.shape[2:])
        seen.add(tuple(piece.shape))
        return piece

    over_windows(ramp(shape), network, largest=96, overlap=16)
    assert seen == {(1, 1, *(window_side(side, largest=96, overlap=16) for side in shape))}


@pytest.mark.parametrize("largest", [96, 512, 768])
@pytest.mark.parametrize("overlap", [0, 16, 64])
def test_windows_are_few_and_fit_the_image(largest, overlap):
    """No more windows than with the largest side, enough overlap, and less than 32 px too large."""
    for side in [*range(1, 400, 7), 511, 512, 513, 1024, 6300, 16384]:
        window = window_side(side, largest=largest, overlap=overlap)
        starts = window_starts(side, window, overlap)
        assert window % 32 == 0 and window <= largest
        assert len(starts) <= len(window_starts(side, largest, overlap))
        assert len(starts) * (window - 32) < side + (len(starts) - 1) * overlap
        assert all(after - before <= window - overlap for before, after in pairwise(starts))


def test_windows_begin_at_the_documented_borders():
    """The network gets the windows of `window_starts`."""
    begun = set()

    def network(piece, place):
        begun.add(place[0].start)
        return piece

    over_windows(ramp((1000, 40)), network, largest=320, overlap=64)
    assert sorted(begun) == window_starts(1000, window_side(1000, largest=320, overlap=64), 64) and len(begun) == 4


def test_the_network_gets_the_place_of_a_window():
    """The place is that of the window in the image."""
    image = ramp((150, 97))

    def network(piece, place):
        torch.testing.assert_close(piece[0, 0].cpu(), torch.from_numpy(image[place]))
        return torch.arange(place[0].start, place[0].stop)[None, None, :, None].expand_as(piece).to(piece)

    rows = over_windows(image, network, largest=64, overlap=12)
    np.testing.assert_allclose(rows[0], np.broadcast_to(np.arange(150)[:, None], (150, 97)), atol=1e-4)


@pytest.mark.parametrize(("overlap", "low", "high"), [(32, 0.9, 1.1), (0, 2, np.inf)])
def test_windows_that_disagree_are_blended(overlap, low, high):
    """Windows of alternating brightness leave no seam if they overlap by half, and a seam if they only touch."""
    image = phantom("tem", 5, (256, 256))[0]
    step = 64 - overlap
    result = over_windows(
        image,
        lambda piece, place: piece + 0.5 * ((place[0].start + place[1].start) // step % 2),
        largest=64, overlap=overlap,
    )  # fmt: skip
    borders = range(0, 257, step)
    assert low < seam(result[0], rows=borders, columns=borders) < high


def test_the_image_is_not_changed():
    """A network may write into its window."""
    image = ramp((40, 40))
    over_windows(image, lambda piece, place: piece.mul_(0), largest=64, overlap=8)
    np.testing.assert_array_equal(image, ramp((40, 40)))


@pytest.mark.parametrize(("top", "left", "height", "width"), [(0, 0, 1, 1), (63, 64, 2, 64), (10, 70, 150, 33)])
def test_a_window_gets_the_noise_of_the_whole_image(top, left, height, width):
    """The noise of a window is the same part of the noise of the image."""
    whole = canvas(3 * BLOCK, 2 * BLOCK, seed=3, draw=1)
    part = canvas(height, width, seed=3, draw=1, top=top, left=left)
    np.testing.assert_array_equal(part, whole[top : top + height, left : left + width])


def test_noise_is_standard_normal_and_white():
    """Mean 0, variance 1, fourth moment 3, and no correlation with neighbours or the next square."""
    noise = canvas(512, 512)
    assert noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.var() == pytest.approx(1, abs=0.01)
    assert (noise**4).mean() == pytest.approx(3, abs=0.1)
    for shift in [(1, 0), (0, 1), (BLOCK, 0), (0, BLOCK)]:
        assert (noise * np.roll(noise, shift, (0, 1))).mean() == pytest.approx(0, abs=0.01)


def test_planes_are_independent():
    """Another seed or draw, or the two exchanged, gives uncorrelated noise; the same give the same."""
    planes = [canvas(128, 128, seed=seed, draw=draw) for seed, draw in [(0, 0), (1, 0), (0, 1), (2, 3), (3, 2)]]
    correlations = np.corrcoef([plane.ravel() for plane in planes])
    np.testing.assert_allclose(correlations, np.eye(5), atol=0.04)
    np.testing.assert_array_equal(planes[3], canvas(128, 128, seed=2, draw=3))


def test_borders_are_where_windows_begin_and_end():
    """A step at any of the borders is measured as a seam."""
    borders = window_borders(1000)
    for border in set(borders) - {0, 1000}:
        image = np.random.default_rng(0).random((8, 1000)) * 0.01
        image[:, border:] += 0.5
        assert seam(image, columns=borders) > 3
    assert window_borders(100) == [0, 100]
