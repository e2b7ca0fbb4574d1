"""Device, number format and memory layout of every network."""

from __future__ import annotations

import ctypes
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from histobridge.machine import precision

# Losses near zero give numbers below 1e-38, which slow a CPU down several times. Rounded to zero they do not.
torch.set_flush_denormal(True)

# On a card cuDNN otherwise takes convolutions whose sums differ from run to run.
torch.backends.cudnn.deterministic = True


def _keep_freed_memory() -> None:
    """Let glibc reuse freed memory for the next tensor instead of returning it to the system.

    By default every large tensor gets new pages, and the system clears each page at its first use.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in malloc.h
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(mmap_threshold, 2**30)


_keep_freed_memory()

Placed = TypeVar("Placed", nn.Module, torch.Tensor)


def device() -> torch.device:
    """Return the GPU of this process if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast() -> torch.autocast:
    """Return a context in which networks run in bfloat16 where the hardware supports it, else in float32."""
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=precision() == "bfloat16")


def place(thing: Placed, where: torch.device | None = None) -> Placed:
    """Move a network or images [B, C, H, W] to a device, channels last: the layout in which convolutions are fastest.

    Parameters
    ----------
    thing : Module or Tensor
    where : torch.device, optional
        `device()` by default.
    """
    return thing.to(where or device(), memory_format=torch.channels_last)


def adam(network: nn.Module, optimiser: type = torch.optim.Adam, **options) -> torch.optim.Optimizer:
    """Return an `optimiser` of Adam's family for all weights of a network, with its fast fused step.

    Its learning rate is a tensor, which `set_rate` changes: a step that is replayed as a graph reads it anew.
    """
    weights = list(network.parameters())
    rate, on_card = torch.zeros((), device=weights[0].device), weights[0].is_cuda
    return optimiser(weights, lr=rate, fused=True, capturable=on_card, **options)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of an optimiser that `adam` made."""
    optimiser.param_groups[0]["lr"].fill_(rate)


def restore_optimiser(optimiser: torch.optim.Optimizer, state: dict) -> None:
    """Load the moments of an optimiser; its options and the tensor of its learning rate stay those of this machine."""
    options = {name: value for name, value in optimiser.param_groups[0].items() if name != "params"}
    optimiser.load_state_dict(state)
    optimiser.param_groups[0].update(options)


def weight_arrays(network: nn.Module) -> dict[str, np.ndarray]:
    """Return all weights and buffers of a network as arrays, by name."""
    return {name: weight.numpy(force=True) for name, weight in network.state_dict().items()}
