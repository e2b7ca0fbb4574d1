"""What numbers depend on besides code and data: libraries, processor and threads. Part of every provenance record."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource

LIBRARIES = ("histobridge", "torch", "monai", "numpy", "scipy", "scikit-image")


def machine() -> dict:
    """Return the versions of libraries, the processor's instruction set, and the numbers of cores and threads."""
    import torch  # takes seconds, which help and planning need not wait for

    return {
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
    }


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory_gib() -> float:
    """Return the largest resident memory of this process so far, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if platform.system() == "Darwin" else 2**20)
