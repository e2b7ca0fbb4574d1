"""Progress lines: always visible, never many."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

Report = Callable[[str], None]
"""A function that is given progress lines."""


class ThrottledProgress:
    """Print at most one line every `seconds`, in a terminal and in the log of a notebook alike."""

    def __init__(self, seconds: float = 10.0):
        self.seconds, self.last = seconds, -math.inf

    def __call__(self, line: str) -> None:
        """Print `line` unless another one was printed within the last `seconds`."""
        if time.monotonic() - self.last >= self.seconds:
            self.last = time.monotonic()
            print(line, flush=True)
