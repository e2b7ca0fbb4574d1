"""map_images.py: order, errors and threads."""

import threading
import time

import pytest
import torch

from histobridge.training import map_images as module
from histobridge.training.map_images import IN_FLIGHT, map_images


@pytest.fixture(params=["cpu", "cuda"])
def kind(request, monkeypatch):
    """Let the process seem to have a GPU, or none."""
    monkeypatch.setattr(module, "device", lambda: torch.device(request.param))
    return request.param


def test_results_keep_the_order_of_the_images(kind):
    """Images that take longer do not fall back."""
    assert map_images(lambda n: time.sleep(0.01 * (n % 3 == 0)) or n**2, range(10)) == [n**2 for n in range(10)]


def test_a_gpu_has_several_images_in_flight_and_a_cpu_one(kind):
    """As many images as `IN_FLIGHT` meet at a barrier on a GPU; on a CPU the calling thread does everything."""
    if kind == "cuda":
        barrier = threading.Barrier(IN_FLIGHT, timeout=10)
        assert len(map_images(lambda n: barrier.wait(), range(2 * IN_FLIGHT))) == 2 * IN_FLIGHT
    else:
        assert set(map_images(lambda n: threading.current_thread(), range(5))) == {threading.current_thread()}


def test_the_first_error_is_raised(kind):
    """Of two images with an error the earlier one is told, even if it fails later."""

    def fail(n):
        if n in (1, 2):
            time.sleep(0.05 * (2 - n))
            raise ValueError(f"image {n}")

    with pytest.raises(ValueError, match="image 1"):
        map_images(fail, range(100))
