"""sliding_window.py: windows leave no trace, and neither their batches nor a lack of memory change a result."""

import time
from itertools import pairwise

import numpy as np
import pytest
import torch

from histobridge.errors import UserError
from histobridge.metrics.translation_checks import seam
from histobridge.phantom import phantom
from histobridge.tiles import window_starts
from histobridge.training import sliding_window, threads
from histobridge.training.device import device
from histobridge.training.sliding_window import over_windows, window_borders, window_side

SHAPES = [(7, 300), (53, 70), (64, 64), (65, 129), (200, 131)]


def ramp(shape: tuple[int, int]) -> np.ndarray:
    """An image in -1..1 in which all pixels differ."""
    return np.linspace(-1, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)


@pytest.fixture
def batches(monkeypatch):
    """Let `over_windows` compute as many windows of 64 px at once as this sets."""

    def of(number: int) -> None:
        monkeypatch.setitem(sliding_window.BATCH_PIXELS, device().type, number * 64**2)

    return of


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("overlap", [0, 8, 32])
def test_identity_returns_the_image(shape, overlap):
    """The identity returns images that are smaller or larger than a window, odd or thin."""
    image = ramp(shape)
    result = over_windows(image, lambda windows, places: windows, largest=64, overlap=overlap)
    assert result.shape == (1, *shape) and result.dtype == np.float32
    np.testing.assert_allclose(result[0], image, atol=1e-6)


def test_channels_stay_apart():
    """Every output channel is blended separately."""
    image = ramp((70, 53))
    result = over_windows(image, lambda windows, places: torch.cat([windows, -2 * windows], 1), largest=32, overlap=8)
    np.testing.assert_allclose(result, np.stack([image, -2 * image]), atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_windows_fit_the_network(shape):
    """All windows have the sides that `window_side` gives."""
    seen = set()

    def network(windows, places):
        assert {tuple(s.stop - s.start for s in place) for place in places} == {tuple(windows.shape[2:])}
        seen.add(tuple(windows.shape[1:]))
        return windows

    over_windows(ramp(shape), network, largest=96, overlap=16)
    assert seen == {(1, *(window_side(side, largest=96, overlap=16) for side in shape))}


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

    def network(windows, places):
        begun.update(place[0].start for place in places)
        return windows

    over_windows(ramp((1000, 40)), network, largest=320, overlap=64)
    assert sorted(begun) == window_starts(1000, window_side(1000, largest=320, overlap=64), 64) and len(begun) == 4


def test_the_network_gets_the_place_of_a_window():
    """The place is that of the window in the image."""
    image = ramp((150, 97))

    def network(windows, places):
        torch.testing.assert_close(windows[:, 0].cpu(), torch.stack([torch.from_numpy(image[p]) for p in places]))
        rows = torch.stack([torch.arange(place[0].start, place[0].stop) for place in places])
        return rows[:, None, :, None].expand_as(windows).to(windows)

    rows = over_windows(image, network, largest=64, overlap=12)
    np.testing.assert_allclose(rows[0], np.broadcast_to(np.arange(150)[:, None], (150, 97)), atol=1e-4)


@pytest.mark.parametrize(("overlap", "low", "high"), [(32, 0.9, 1.1), (0, 2, np.inf)])
def test_windows_that_disagree_are_blended(overlap, low, high):
    """Windows of alternating brightness leave no seam if they overlap by half, and a seam if they only touch."""
    image = phantom("tem", 5, (256, 256))[0]
    step = 64 - overlap

    def network(windows, places):
        odd = [(rows.start + columns.start) // step % 2 for rows, columns in places]
        return windows + 0.5 * torch.tensor(odd).to(windows)[:, None, None, None]

    result = over_windows(image, network, largest=64, overlap=overlap)
    borders = range(0, 257, step)
    assert low < seam(result[0], rows=borders, columns=borders) < high


def test_the_image_is_not_changed():
    """A network may write into its window."""
    image = ramp((40, 40))
    over_windows(image, lambda windows, places: windows.mul_(0), largest=64, overlap=8)
    np.testing.assert_array_equal(image, ramp((40, 40)))


def test_borders_are_where_windows_begin_and_end():
    """A step at any of the borders is measured as a seam."""
    borders = window_borders(1000)
    for border in set(borders) - {0, 1000}:
        image = np.random.default_rng(0).random((8, 1000)) * 0.01
        image[:, border:] += 0.5
        assert seam(image, columns=borders) > 3
    assert window_borders(100) == [0, 100]


# --- Bands, batches and memory ----------------------------------------------------------------------------------------


def gradient(windows, places):
    """Three channels that depend on a pixel, on its neighbours and on the place of its window."""
    start = torch.tensor([[[[place[0].start + 2 * place[1].start]]] for place in places]).to(windows)
    return torch.cat([windows, windows.diff(dim=3, append=windows[..., :1]), windows * start], 1)


@pytest.mark.parametrize("shape", [*SHAPES, (301, 290)])
@pytest.mark.parametrize("overlap", [0, 12])
def test_bands_equal_the_sliding_windows_of_monai(shape, overlap):
    """The result is that of MONAI, which holds the whole image."""
    from monai.inferers import sliding_window_inference

    image, most = np.random.default_rng(0).random(shape, dtype=np.float32), 96
    sides = [window_side(side, largest=most, overlap=overlap) for side in shape]
    shares = [max(overlap - 0.5, 0) / side if overlap < side else 0 for side in sides]  # MONAI rounds its steps down
    expected = sliding_window_inference(
        torch.from_numpy(image)[None, None], sides, 1, lambda window, where: gradient(window, [where[0][2:]]),
        overlap=shares, mode="gaussian", padding_mode="replicate", with_coord=True,
    )  # fmt: skip
    found = over_windows(image, gradient, largest=most, overlap=overlap)
    np.testing.assert_allclose(found, expected[0].numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("number", [2, 5, 100])
def test_batches_of_windows_equal_single_windows(number, batches):
    """A network gets up to so many windows at once, beyond the ends of rows, and the result stays the same."""
    image, sizes = np.random.default_rng(0).random((200, 150), dtype=np.float32), []

    def network(windows, places):
        sizes.append(len(windows))
        return gradient(windows, places)

    one = over_windows(image, network, largest=64, overlap=12)
    windows = len(sizes)
    batches(number)
    sizes.clear()
    np.testing.assert_array_equal(over_windows(image, network, largest=64, overlap=12), one)
    assert sum(sizes) == windows == 12 and max(sizes) == min(number, windows) and len(sizes) == -(-windows // number)


def test_rows_are_finished_once_and_in_order():
    """`finish` gets each row of the image once, never more than a band, and decides type and shape of the result."""
    image, seen = ramp((300, 70)), []

    def finish(rows):
        seen.append(rows.shape[1])
        return (rows[0] > 0).to(torch.uint8)

    result = over_windows(image, lambda windows, places: windows, finish=finish, largest=64, overlap=12)
    assert result.dtype == np.uint8 and sum(seen) == 300 and max(seen) <= 64
    np.testing.assert_array_equal(result, image > 0)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_too_little_memory_halves_the_batch(most, batches):
    """If a batch does not fit, half of it is tried from the same window on, and nothing is lost."""
    image, sizes = np.random.default_rng(0).random((200, 150), dtype=np.float32), []

    def network(windows, places):
        sizes.append(len(windows))
        if len(windows) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return gradient(windows, places)

    expected = over_windows(image, gradient, largest=64, overlap=12)
    batches(8)
    np.testing.assert_array_equal(over_windows(image, network, largest=64, overlap=12), expected)
    tried = [8, 4, 2, 1][: 4 - most.bit_length() + 1]
    assert sizes[: len(tried)] == tried and max(sizes[len(tried) :]) == tried[-1]
    assert sum(size for size in sizes if size <= most) == 12


def test_too_little_memory_for_one_window_is_told():
    """One sentence names the size and what to do."""

    def network(windows, places):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(UserError, match=r"does not hold a window of 64 x 96 px: .* CUDA_VISIBLE_DEVICES"):
        over_windows(ramp((50, 90)), network)


def test_windows_run_with_the_fastest_number_of_threads(monkeypatch):
    """Where more threads are slower, only the first windows use them; the next image goes on with what is known."""
    monkeypatch.setattr(threads, "MOST", 2)
    monkeypatch.delenv("HISTOBRIDGE_THREADS", raising=False)
    before, used = torch.get_num_threads(), []

    def beside_a_neighbour(windows, places):
        used.append(torch.get_num_threads())
        time.sleep(0.01 * (used[-1] - 1))
        return windows

    for _ in range(2):
        over_windows(ramp((96, 96)), beside_a_neighbour, largest=32, overlap=0)
    torch.set_num_threads(before)
    assert used == [1, 1, 1, 2, 2] + [1] * 13
