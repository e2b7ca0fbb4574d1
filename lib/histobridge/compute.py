"""What this processor does well: number format and memory layout of every network."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

# Numbers below 1e-38, which losses near zero breed, slow a CPU several times over; as zeros they do not.
torch.set_flush_denormal(True)


def device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16() -> bool:
    """Tell whether bfloat16 is faster than float32 here; without hardware support it is ten times slower."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def autocast() -> torch.autocast:
    """Run in bfloat16 where the processor has it, else in float32."""
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=has_bfloat16())


def place(network: nn.Module) -> nn.Module:
    """Move a network to the device, channels last: the layout that convolutions want (8 times at 32 channels)."""
    return network.to(device(), memory_format=torch.channels_last)


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    """Return all weights of a network as arrays by name."""
    return {name: weight.numpy(force=True) for name, weight in network.state_dict().items()}
