"""What the benchmarks share: timing, the peak arithmetic of a machine, and stages of work to be timed."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from statistics import median

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from histobridge.config import SegmenterSettings, SynDiffSettings
from histobridge.machine import peak_memory_gib, precision
from histobridge.training import device as devices

CONVOLUTIONS = ((64, 128), (128, 64), (256, 32))  # channels and image side, in batches of 8


def seconds(function: Callable[[], object], *, repeats: int, warm_up: int = 1) -> float:
    """Return the median time of a call (s), after some calls that do not count."""
    times = []
    for _ in range(warm_up + repeats):
        begin = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return median(times[warm_up:])


def gflop(call: Callable[[], object]) -> float:
    """Return the arithmetic of a call, GFLOP, by PyTorch's counter; it sees no graphs and no compiled code."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


def alone(function: Callable, *arguments) -> dict:
    """Call a function in a new process; return its result and the peak memory of that process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result() | {"peak_memory_gib": pool.submit(peak_memory_gib).result()}


@torch.inference_mode()
def peaks(*, repeats: int = 5, side: int = 2048, convolutions: tuple = CONVOLUTIONS) -> dict[str, float]:
    """Return the peak arithmetic of this machine, GFLOP/s, by number format and operation."""
    found = {}
    for dtype in (torch.float32, torch.bfloat16) if precision() == "bfloat16" else (torch.float32,):
        a, b = torch.rand(2, side, side, device=devices.device()).to(dtype)
        name = str(dtype).removeprefix("torch.")
        found[f"{name} matrix product"] = 2 * side**3 / 1e9 / seconds(lambda a=a, b=b: a @ b, repeats=repeats)
        rates = [_convolution_rate(dtype, *size, repeats) for size in convolutions]
        found[f"{name} convolution"] = max(rates)
    return found


def _convolution_rate(dtype: torch.dtype, channels: int, side: int, repeats: int) -> float:
    layout = {"dtype": dtype, "memory_format": torch.channels_last}
    image = torch.rand(8, channels, side, side, device=devices.device()).to(**layout)
    weight = torch.rand(channels, channels, 3, 3, device=devices.device()).to(**layout)
    gflop = 2 * 8 * side**2 * channels**2 * 9 / 1e9
    return gflop / seconds(lambda: F.conv2d(image, weight, padding=1), repeats=repeats)


# --- Stages -----------------------------------------------------------------------------------------------------

Stage = tuple[Callable, float, int, Callable]
"""A call to time, the images or megapixels of one unit of work, the units in a call, and one unit to count."""


def syndiff(settings: SynDiffSettings, side: int = 256):
    """Return SynDiff in training on images of noise."""
    from histobridge.training.distributed import fabric
    from histobridge.translators.syndiff_training import SynDiffTraining

    images = list(torch.rand(4, 1, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    return SynDiffTraining(fabric(), settings, 1, 0, images, images)


def syndiff_training(settings: SynDiffSettings, side: int = 256) -> Stage:
    """Return one training step, averaged over a period of R1; the counter does not support the step with R1."""
    training = syndiff(settings, side)
    period = range(settings.r1_every)
    return lambda: [training.step(n) for n in period], settings.joint_batch, len(period), lambda: training.step(1)


def segmenter(settings: SegmenterSettings, side: int = 256):
    """Return a segmenter in training on drawn tissue."""
    from histobridge.phantom import phantom
    from histobridge.segmenter import Segmenter, SegmenterTraining
    from histobridge.training.crops import stack

    return SegmenterTraining(Segmenter(settings), [stack(*phantom("tem", n, (side, side))) for n in range(2)])


def segmenter_training(settings: SegmenterSettings, side: int = 256) -> Stage:
    """Return one training step of the segmenter."""
    training = segmenter(settings, side)
    return lambda: training.step(0), settings.batch, 1, lambda: training.step(0)


def translation(settings: SynDiffSettings, side: int) -> Stage:
    """Return the translation of one image of `side` px."""
    from histobridge.translators.syndiff import SynDiff

    translate = partial(SynDiff(settings, sign=1).translate, noise_image(side), "U")
    return translate, side**2 / 1e6, 1, translate


def prediction(settings: SegmenterSettings, side: int) -> Stage:
    """Return the segmentation of one image of `side` px."""
    from histobridge.segmenter import Segmenter

    predict = partial(Segmenter(settings).predict, noise_image(side))
    return predict, side**2 / 1e6, 1, predict


def noise_image(side: int, *, seed: int = 0) -> np.ndarray:
    """Return an image of noise, float32 [side, side] in 0..1."""
    return np.random.default_rng(seed).random((side, side), dtype=np.float32)
