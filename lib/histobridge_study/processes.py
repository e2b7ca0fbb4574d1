"""Processes that end together: a study, its jobs, and the kernels of their notebooks.

A kernel has a session of its own, so that a signal to the group of the study does not reach it. Work is ended by
SIGKILL: everything is written whole or not at all, and the next run continues.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

ENDINGS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
WATCH_S = 1.0
"""Interval at which a process looks whether the one that it ends with is still there."""


class Ended(BaseException):
    """A signal asks this process to end.

    Attributes
    ----------
    exit_code : int
        128 and the number of the signal.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def raised_when_ended() -> Iterator[None]:
    """Raise `Ended` in the main thread at the first signal that asks to end; later ones disturb no cleaning up.

    A signal that is ignored, as by `nohup`, stays ignored.
    """
    caught = [number for number in ENDINGS if signal.getsignal(number) != signal.SIG_IGN]

    def end(number: int, _frame: object) -> None:
        for each in caught:
            signal.signal(each, signal.SIG_IGN)
        raise Ended(number)

    previous = {number: signal.signal(number, end) for number in caught}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def end_tree(process: psutil.Process, *, with_root: bool = True) -> None:
    """Kill a process and all that descend from it, and wait until they are gone.

    All are stopped before the first is killed: a stopped process starts no other, and none is lost from sight because
    its parent has gone.
    """
    found: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        while new := [each for each in _tree(process, with_root) if each not in found]:
            for each in new:
                with suppress(psutil.Error):
                    each.suspend()
            found += new
    for each in found:
        with suppress(psutil.Error):
            each.kill()
    psutil.wait_procs(found, timeout=3)  # the dead of others stay listed where nobody collects them


def _tree(process: psutil.Process, with_root: bool) -> list[psutil.Process]:
    return ([process] if with_root else []) + process.children(recursive=True)


def end_with(pid: int) -> None:
    """End this process, and all that descend from it, soon after another process has gone, however that has ended."""
    threading.Thread(target=_end_after, args=(pid,), daemon=True).start()


def _end_after(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        other = psutil.Process(pid)
        while other.is_running() and other.status() != psutil.STATUS_ZOMBIE:
            time.sleep(WATCH_S)
    end_tree(psutil.Process(), with_root=False)
    os._exit(1)
