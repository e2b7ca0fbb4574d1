"""What numbers depend on besides code and data: libraries, processor and threads. Part of every provenance record."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource

from histobridge import __version__
from histobridge.errors import UserError, one_of

LIBRARIES = ("torch", "monai", "numpy", "scipy", "scikit-image")


def number_asked(name: str, what: str) -> int | None:
    """Return the positive number that an environment variable asks for; None if it is `auto` or not set.

    Parameters
    ----------
    name : str
        Of the variable.
    what : str
        What is counted, for the error.

    Raises
    ------
    UserError
        If the value is neither a positive number nor `auto`.
    """
    asked = os.environ.get(name, "auto")
    if asked == "auto":
        return None
    if not asked.isdecimal() or int(asked) == 0:
        raise UserError(f"{name} is '{asked}': set it to a number of {what} (1, 2, ...) or to auto.")
    return int(asked)


def precision() -> str:
    """Return the number format of networks on this machine: `bfloat16` where the hardware has it, else `float32`.

    Emulated, bfloat16 would be slow. HISTOBRIDGE_PRECISION=float32 turns it off, for results that differ less between
    machines.

    Raises
    ------
    UserError
        If HISTOBRIDGE_PRECISION is neither `float32` nor `auto`.
    """
    import torch  # as below

    if one_of("HISTOBRIDGE_PRECISION", os.environ.get("HISTOBRIDGE_PRECISION", "auto"), ("auto", "float32")) != "auto":
        return "float32"
    if torch.cuda.is_available():
        has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_it = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if has_it else "float32"


def machine() -> dict:
    """Return the versions of libraries, the processor's instruction set, and cores, threads and number format."""
    import torch  # takes seconds, which help and planning need not wait for

    return {
        "libraries": {"histobridge": __version__, **{name: importlib.metadata.version(name) for name in LIBRARIES}},
        "python": platform.python_version(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "precision": precision(),
    }


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory_gib() -> float:
    """Return the largest resident memory of this process so far, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if platform.system() == "Darwin" else 2**20)
