"""Progress: one live line in a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TextIO, TypeVar

Report = Callable[[str], None]
"""A function that is given progress lines."""

Item = TypeVar("Item")

REFRESH_S = 0.2
"""Least time between two states of a live line."""
ERASE = "\r\x1b[2K"


class ThrottledProgress:
    """Print at most one line every `seconds`, in a log or a notebook; in a terminal with a `LiveLine`, renew that."""

    def __init__(self, seconds: float = 10.0):
        self.seconds, self.last = seconds, -math.inf

    def __call__(self, line: str) -> None:
        """Print `line` unless another one was printed within the last `seconds`."""
        live = getattr(sys.stdout, "renew", None)
        if time.monotonic() - self.last >= (REFRESH_S if live else self.seconds):
            self.last = time.monotonic()
            live(line) if live else print(line, flush=True)


def counted(items: Sequence[Item], describe: Callable[[Item], str], report: Report | None = None) -> Iterator[Item]:
    """Yield items, and report before each one what it is, its number, and from the second one on the minutes left.

    >>> list(counted(["a"], "labelling {},".format, print))
    labelling a, 1 of 1
    ['a']
    """
    report, begun = report or ThrottledProgress(), time.monotonic()
    for number, item in enumerate(items):
        pace = (time.monotonic() - begun) / number if number else None
        left = "" if pace is None else f", {pace * (len(items) - number) / 60:.1f} min left"
        report(f"{describe(item)} {number + 1} of {len(items)}{left}")
        yield item


class LiveLine:
    """A terminal whose last line is renewed in place; whatever else is printed stands above it.

    Parameters
    ----------
    terminal : text stream
    """

    def __init__(self, terminal: TextIO):
        self._terminal, self._shown = terminal, False

    def renew(self, line: str) -> None:
        """Show a line, cut to the width of the terminal, in the place of the last one."""
        width = shutil.get_terminal_size().columns - 1
        self._terminal.write(ERASE + (line if len(line) <= width else line[: width - 1] + "…"))
        self._terminal.flush()
        self._shown = True

    def write(self, text: str) -> int:
        """Print text; the live line is gone until it is renewed."""
        if text:
            self.erase()
        return self._terminal.write(text)

    def erase(self) -> None:
        """Remove the live line."""
        if self._shown:
            self._terminal.write(ERASE)
            self._shown = False

    def __getattr__(self, name: str):
        return getattr(self._terminal, name)


@contextmanager
def live_line() -> Iterator[None]:
    """Show progress on a live line if standard output is a terminal; elsewhere nothing is changed."""
    if not sys.stdout.isatty():
        yield
        return
    live = LiveLine(sys.stdout)
    with redirect_stdout(live):
        try:
            yield
        finally:
            live.erase()
