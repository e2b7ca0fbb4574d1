"""What this machine can do: the arithmetic of its best matrix product and convolution, GFLOP/s."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from histobridge.training.device import device, has_bfloat16
from histobridge_study.bench.clock import seconds

CONVOLUTIONS = ((64, 128), (128, 64), (256, 32))
"""Channels and side of the images, in batches of 8: the best of them is the peak."""
MATRIX = 2048

Peaks = dict[str, float]


def peaks(*, repeats: int = 5) -> Peaks:
    """Return GFLOP/s by name; of bfloat16 only where the processor has it."""
    found = {}
    for dtype in (torch.float32, torch.bfloat16)[: 1 + has_bfloat16()]:
        name = str(dtype).removeprefix("torch.")
        found[f"{name} matrix product"] = _matrix_product(dtype, repeats)
        found[f"{name} convolution"] = max(_convolution(dtype, *size, repeats) for size in CONVOLUTIONS)
    return found


def best_convolution(found: Peaks) -> float:
    """Return the peak (GFLOP/s) that networks are measured against: of the number format they use here."""
    return found.get("bfloat16 convolution", found["float32 convolution"])


def _matrix_product(dtype: torch.dtype, repeats: int) -> float:
    a, b = torch.rand(2, MATRIX, MATRIX, device=device()).to(dtype)
    return 2 * MATRIX**3 / _synchronised(lambda: a @ b, repeats) / 1e9


@torch.inference_mode()
def _convolution(dtype: torch.dtype, channels: int, side: int, repeats: int) -> float:
    layout = {"dtype": dtype, "memory_format": torch.channels_last}
    image = torch.rand(8, channels, side, side, device=device()).to(**layout)
    weight = torch.rand(channels, channels, 3, 3, device=device()).to(**layout)
    flop = 2 * 8 * side**2 * channels**2 * 9
    return flop / _synchronised(lambda: F.conv2d(image, weight, padding=1), repeats) / 1e9


def _synchronised(function, repeats: int) -> float:
    def whole():
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return seconds(whole, repeats=repeats, warm_up=3)
