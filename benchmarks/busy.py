"""How much slower training becomes beside a process that keeps one core busy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pandas as pd
import torch

from histobridge.training.loop import train

SPIN = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(10**6): pass"
"""A program that counts as long as the process that started it is there."""


@contextmanager
def busy_core() -> Iterator[subprocess.Popen]:
    """Keep one core busy by a process that ends with the block, or with this process, however that ends."""
    process = subprocess.Popen([sys.executable, "-c", SPIN, str(os.getpid())])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def beside_busy(build: Callable, steps: int) -> dict[str, float]:
    """Return the seconds a step of a training, quiet and beside a busy process, their ratio, and the threads of each.

    Parameters
    ----------
    build : callable
        Makes a training (see `training.loop.Training`).
    steps : int
        Of each training; the last third is timed, when the number of threads has settled.
    """
    quiet = _settled(build(), steps)
    with busy_core():
        busy = _settled(build(), steps)
    return {
        "seconds": quiet["seconds"],
        "seconds_busy": busy["seconds"],
        "ratio": busy["seconds"] / quiet["seconds"],
        "threads": int(quiet["threads"]),
        "threads_busy": int(busy["threads"]),
    }


def _settled(training, steps: int) -> pd.Series:
    """Train, and return the mean seconds a step and the threads of the last third of the steps."""
    history = train(training, steps, name="training", settings={}, report=lambda line: None)
    threads = history.get("threads", pd.Series(torch.get_num_threads(), history.index))
    first = steps - max(1, steps // 3)
    took = history["seconds"].iloc[-1] - history["seconds"].iloc[first - 1]
    return pd.Series({"seconds": took / (steps - first), "threads": threads.iloc[-1]})
