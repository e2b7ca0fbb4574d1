"""Progress lines: always visible, never many."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


Report = Callable[[str], None]


class ThrottledProgress:
    """Print a line at most every `seconds`: progress that is always visible, in a terminal and in a notebook log."""

    def __init__(self, seconds: float = 10.0):
        self.seconds, self.last = seconds, -math.inf

    def __call__(self, line: str) -> None:
        """Print `line` unless another was printed just now."""
        if time.monotonic() - self.last >= self.seconds:
            self.last = time.monotonic()
            print(line, flush=True)


def silent(line: str) -> None:
    """Report nothing: for all processes but the first."""
