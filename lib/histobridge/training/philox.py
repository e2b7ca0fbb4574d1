"""Random numbers as a function of their position, the same on every device: the counter-based generator Philox.

An ordinary generator has a state, draws other numbers on a card than on a CPU, and has to run on the processor that
launches a step. Philox 4x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) enciphers a counter
instead. What is drawn depends on the key and the counter alone, so that a step can be repeated, resumed or replayed as
a graph, and a part of a plane of noise drawn without the rest.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

ROUNDS = 7
"""The fewest that pass all tests of the paper (its table 2); most of its published answers are of ten."""
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
WORD = 0xFFFFFFFF
"""The bits of a word. Words of 32 bits are held as int64, because PyTorch multiplies no unsigned ones."""

Word = Tensor | int


def philox(
    counter: tuple[Word, Word, Word, Word], key: tuple[int, int], rounds: int = ROUNDS
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return four random words, int64 in 0..2³² - 1, for each counter.

    Parameters
    ----------
    counter : four of int or Tensor, int64 in 0..2³² - 1
        Of shapes that broadcast: the first rounds then work on rows and columns, and not yet on pixels.
    key : two of int in 0..2³² - 1
    """
    a, b, c, d = counter
    for number in range(rounds):
        here = [(word + number * step) & WORD for word, step in zip(key, KEY_STEPS, strict=True)]
        first, second = a * MULTIPLIERS[0], c * MULTIPLIERS[1]  # 64 bits, of which the upper ones are the "high" word
        # b and d are only compared bit by bit, so that their upper bits can stay until the end.
        a, b, c, d = ((second >> 32) ^ (b ^ here[0])) & WORD, second, ((first >> 32) ^ (d ^ here[1])) & WORD, first
    return a, b & WORD, c, d & WORD


def key_of(seed: int) -> tuple[int, int]:
    """Return two words for a seed of any size, not negative; equal ones for two seeds have a chance of 2⁻⁶⁴."""
    return tuple(map(int, np.random.SeedSequence(seed).generate_state(2)))


def to_uniform(word: Tensor) -> Tensor:
    """Return float32 in 0..1 without 1, from the upper 24 of the 32 bits, as many as a float32 holds."""
    return (word >> 8).float().mul_(2**-24)


def to_normal(word: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return two independent standard normal numbers, float32, from two random words (Box and Muller, 1958)."""
    radius = (word + 1).float().mul_(2**-32).log_().mul_(-2).sqrt_()  # the logarithm of a number above 0
    angle = other.float().mul_(2 * math.pi * 2**-32)
    return radius * angle.cos(), radius * angle.sin()


IMAGE, TRAINING = 0, 1
"""The last word of a counter: noise of an image and numbers of a training never have one counter."""


class Draws:
    """The random numbers of training steps; they depend on the seed, the step and the order of the draws.

    Parameters
    ----------
    seed : int
        Not negative.
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
        index = torch.arange(start, stop, device=self.step.device)
        return torch.stack(philox((index, self.step, 0, TRAINING), self.key))
