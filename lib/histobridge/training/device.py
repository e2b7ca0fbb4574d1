"""What this machine does well: number format and memory layout of every network, and how many processes train.

Lightning Fabric picks device and precision and starts processes; one process on a CPU goes the same way as many GPUs.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import nn

from histobridge.errors import one_of

if TYPE_CHECKING:
    pass


# Numbers below 1e-38, which losses near zero breed, slow a CPU several times over; as zeros they do not.
torch.set_flush_denormal(True)


def _keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next tensor instead of handing it back to the system.

    By default every large tensor comes in new pages, each of which the system clears at its first touch. Kept,
    translation is 1.4 times as fast and prediction 1.3 times, at the same peak (two cores, 768 px windows).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(mmap_threshold, 2**30)


_keep_freed_memory()

_tuned = ContextVar("tuned", default=True)


@contextmanager
def plainly() -> Iterator[None]:
    """Do without all that this file does for speed: the baseline that the benchmark compares with."""
    token = _tuned.set(False)
    try:
        yield
    finally:
        _tuned.reset(token)


Placed = TypeVar("Placed", nn.Module, torch.Tensor)


def device() -> torch.device:
    """Return the GPU of this process if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16() -> bool:
    """Tell whether bfloat16 is faster than float32 here; without hardware support it is ten times slower.

    HISTOBRIDGE_PRECISION=float32 says no, for results that other machines can repeat more closely.

    Raises
    ------
    UserError
        If HISTOBRIDGE_PRECISION is neither `float32` nor `auto`.
    """
    if one_of("HISTOBRIDGE_PRECISION", os.environ.get("HISTOBRIDGE_PRECISION", "auto"), ("auto", "float32")) != "auto":
        return False
    if not _tuned.get():
        return False
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def autocast() -> torch.autocast:
    """Run in bfloat16 where the processor has it, else in float32."""
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=has_bfloat16())


def place(thing: Placed, where: torch.device | None = None) -> Placed:
    """Move a network or images to the device, channels last: the layout that convolutions want."""
    layout = torch.channels_last if _tuned.get() else torch.contiguous_format
    return thing.to(where or device(), memory_format=layout)


def adam(networks: nn.Module, rate: float, kind: type = torch.optim.Adam, **options) -> torch.optim.Optimizer:
    """Return an optimiser of Adam's family whose whole step is one call."""
    return kind(networks.parameters(), lr=rate, fused=_tuned.get(), **options)


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    """Return all weights of a network as arrays by name."""
    return {name: weight.numpy(force=True) for name, weight in network.state_dict().items()}
