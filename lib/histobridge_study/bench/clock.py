"""What is timed how: medians of repeated calls, and where inside a call the time goes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from statistics import median


def seconds(function: Callable[[], object], *, repeats: int = 5, warm_up: int = 1) -> float:
    """Return the median time of a call (s), after some that do not count."""
    for _ in range(warm_up):
        function()
    return median(_once(function) for _ in range(repeats))


def _once(function: Callable[[], object]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


class Stopwatch:
    """Adds up the time spent in some methods of one object."""

    def __init__(self):
        self.spent: dict[str, float] = defaultdict(float)

    def watch(self, thing: object, methods: Iterable[str]) -> None:
        """Time every later call of these methods of `thing`."""
        for name in methods:
            setattr(thing, name, self._timed(name, getattr(thing, name)))

    def _timed(self, name: str, function: Callable) -> Callable:
        def timed(*args, **kwargs):
            begun = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent[name] += time.perf_counter() - begun

        return timed
