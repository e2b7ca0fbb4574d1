"""Random numbers as a function of their position, the same on every device: the counter-based generator Philox.

An ordinary generator has a state, draws other numbers on a card than on a CPU, and has to run on the processor that
launches a step. Philox 4x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) enciphers a counter
instead. What is drawn depends on the key and the counter alone, so that a step can be repeated, resumed or replayed as
a graph, and a part of a plane of noise drawn without the rest.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
LOW = 0xFFFFFFFF

Word = Tensor | int
"""32 bits without sign, in int64."""


def philox(counter: tuple[Word, Word, Word, Word], key: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return four random words, int64 in 0..2³²-1, for each counter.

    Parameters
    ----------
    counter : four of int or Tensor, int64 in 0..2³²-1
        Of shapes that broadcast; the first one is a tensor.
    key : two of int in 0..2³²-1
    """
    a, b, c, d = counter
    for number in range(ROUNDS):
        first, second = ((k + number * step) & LOW for k, step in zip(key, KEY_STEPS, strict=True))
        x, y = a * MULTIPLIERS[0], c * MULTIPLIERS[1]  # products of 64 bits; int64 keeps them all
        a, b, c, d = (y >> 32 & LOW) ^ b ^ first, y & LOW, (x >> 32 & LOW) ^ d ^ second, x & LOW
    return a, b, c, d


def key_of(seed: int) -> tuple[int, int]:
    """Return the key of a seed in 0..2⁶⁴-1.

    >>> key_of(2**32 + 7)
    (7, 1)
    """
    return seed & LOW, seed >> 32 & LOW


def to_uniform(word: Tensor) -> Tensor:
    """Return float32 in 0..1 without 1, from the upper 24 of the 32 bits, as many as a float32 holds."""
    return (word >> 8).float() * 2**-24


def to_normal(word: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return two independent standard normal numbers, float32, from two random words (Box and Muller, 1958)."""
    radius = torch.sqrt(-2 * torch.log(to_uniform(word) + 2**-24))  # of a number above 0
    angle = 2 * math.pi * to_uniform(other)
    return radius * torch.cos(angle), radius * torch.sin(angle)


class Draws:
    """The random numbers of training steps; they depend on the seed, the step and the order of the draws.

    Parameters
    ----------
    seed : int
        0..2⁶⁴-1.
    step : Tensor, int64 []
        Number of the step. A tensor, because a graph that is replayed reads it anew; it decides the device.
    """

    def __init__(self, seed: int, step: Tensor):
        self.key, self.step = key_of(seed), step
        self._used = 0  # counters of this step so far
        self._words = torch.zeros(4, 0, dtype=torch.int64, device=step.device)

    def begin(self) -> Draws:
        """Begin the step whose number `step` now is; return this object.

        As many numbers as the step before needed are enciphered at once: each call costs a hundred kernels.
        """
        self._words, self._used = self._encipher(0, self._used), 0
        return self

    def uniform(self, *shape: int) -> Tensor:
        """Draw float32 in 0..1 without 1."""
        return to_uniform(self._draw(math.prod(shape))).view(shape)

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal numbers, float32."""
        count = math.prod(shape)
        return torch.cat(to_normal(*self._draw(count + count % 2).chunk(2)))[:count].view(shape)

    def integers(self, high: Tensor | int, *shape: int) -> Tensor:
        """Draw int64 in 0..high-1; `high`, at most 2³¹, is a number or a tensor of this shape."""
        return (self._draw(math.prod(shape)).view(shape) * high) >> 32

    def _draw(self, count: int) -> Tensor:
        """Return the next words, int64 [count]."""
        start, self._used = self._used, self._used - (-count // 4)
        ready = self._words[:, start : self._used]
        words = ready if self._used <= self._words.shape[1] else self._encipher(start, self._used)
        return words.flatten()[:count]

    def _encipher(self, start: int, stop: int) -> Tensor:
        """Return the words of some counters of the step, int64 [4, stop - start]."""
        return torch.stack(philox((torch.arange(start, stop, device=self.step.device), self.step, 0, 0), self.key))
