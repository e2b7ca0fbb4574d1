"""The number of CPU threads, chosen by timing.

All threads of a network wait for the slowest one after every layer. Where another program keeps one core busy, two
threads on two cores are then many times slower than one. No rule knows that beforehand, so it is measured.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from histobridge.machine import number_asked

TRIAL = 3
"""Calls for which a number of threads is tried, or two if it is hopeless. The first one prepares memory, uncounted."""
WATCHED = 8
"""Calls in a row that must all be slow before the numbers are tried again."""
SLOW = 2.0
"""A call is slow if it takes this many times as long as in the trial."""


MOST = torch.get_num_threads()
"""Threads that may be used: those that PyTorch begins with, which heeds OMP_NUM_THREADS."""


def candidates(device: torch.device) -> list[int]:
    """Return the numbers of threads to choose from: 1, 2, 4 and so on, and all; one number on a card.

    HISTOBRIDGE_THREADS=N asks for N threads: then results do not depend on how busy the machine is.

    Raises
    ------
    UserError
        If HISTOBRIDGE_THREADS is neither a positive number nor `auto`.
    """
    if asked := number_asked("HISTOBRIDGE_THREADS", "threads"):
        return [asked]
    if device.type != "cpu" or torch.distributed.is_initialized():
        return [MOST]
    return sorted({*(2**n for n in range(MOST.bit_length())), MOST})


class ThreadChoice:
    """The number of threads for calls that are alike, such as the steps of a training or windows of one size.

    Each of `numbers` is tried for a few calls, from the smallest on, until one more is no gain. The fastest is kept.
    Once `WATCHED` calls in a row were slower than `SLOW` times that, all are tried again.

    The choice depends on the recorded times alone: told again what was recorded, it goes on as it would have.

    Parameters
    ----------
    numbers : list of int
        To choose from; see `candidates`.
    """

    def __init__(self, numbers: list[int]):
        self.numbers = numbers
        self._begin()

    def _begin(self) -> None:
        self.threads = self.best = self.numbers[0]
        self.pace = math.inf  # of the best so far, s a call
        self.chosen = len(self.numbers) == 1
        self.times: list[float] = []

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Run one call with `threads` threads, and note its time."""
        torch.set_num_threads(self.threads)
        start = time.monotonic()
        yield
        self.note(time.monotonic() - start)

    def note(self, seconds: float) -> None:
        """Record that a call with `threads` threads took `seconds`, and decide `threads` for the next one."""
        if len(self.numbers) == 1:
            return
        self.times = [*self.times[1 - WATCHED :], seconds]
        if self.chosen and len(self.times) == WATCHED and min(self.times) > SLOW * self.pace:
            self._begin()
        elif not self.chosen and (len(self.times) == TRIAL or min(self.times[1:], default=0) > SLOW * self.pace):
            self._judge()

    def _judge(self) -> None:
        """Keep the number that was tried if it is the fastest so far; go on to the next one as long as that helps."""
        pace, larger = min(self.times[1:]), [number for number in self.numbers if number > self.threads]
        better = pace < self.pace
        if better:
            self.best, self.pace = self.threads, pace
        self.chosen = not better or not larger
        self.threads = self.best if self.chosen else larger[0]
        self.times = []
