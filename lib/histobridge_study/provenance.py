"""What numbers depend on besides code and data, and which code it was: facts for their provenance."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
from functools import cache
from pathlib import Path

LIBRARIES = ("histobridge", "torch", "monai", "numpy", "scipy", "scikit-image")


@cache
def git_commit() -> str:
    """Return the last commit that touched what decides a result, with `+` if that has changed since.

    Outside a checkout it is the version of the installed package.
    """
    library = Path(__file__).resolve().parents[1]
    decides = ["--", ".", "../notebooks", "../data_manifest"]
    try:
        commit, changed = (
            subprocess.run(["git", *command, *decides], cwd=library, capture_output=True, text=True, check=True).stdout
            for command in (["log", "-1", "--format=%h"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        commit, changed = "", ""
    return commit.strip() + ("+" if changed else "") or f"version {importlib.metadata.version('histobridge')}"


def machine() -> dict:
    """Return what numbers depend on besides code and data: libraries, processor, cores and threads."""
    import torch  # seconds, which planning and help need not wait for

    return {
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "processor": torch.backends.cpu.get_cpu_capability(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
    }


def origin(**facts) -> dict:
    """Return what is written beside a table that no run has left: the code, the machine, and what it was asked for."""
    return {"git_commit": git_commit(), **machine(), **facts}


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory_gib() -> float:
    """Return the largest resident memory of this process so far, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if platform.system() == "Darwin" else 2**20)
