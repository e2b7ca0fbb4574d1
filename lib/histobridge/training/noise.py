"""Noise that depends on seed and place alone, drawn on the device that needs it.

Philox 4x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) is a function, without a state: it
maps a counter and a key to random words. With the place of a pixel as the counter, every window, image size and device
gets the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from histobridge.tiles import Place

ROUNDS = 7
"""The fewest that pass all tests of the paper (its table 2); its published answers are of ten."""
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
WORD = 0xFFFFFFFF
"""The bits of a word. Words of 32 bits are held as int64, because PyTorch multiplies no unsigned ones."""


def noise_canvas(seed: int, draw: int, places: Sequence[Place], device: torch.device | None = None) -> Tensor:
    """Return parts of an unbounded plane of standard normal noise.

    Windows that overlap share their noise, and only the windows are held in memory. Devices differ by rounding alone.

    Parameters
    ----------
    seed, draw : int
        Which plane: the seed of the translation, and the number of the draw; not negative.
    places : sequence of B places
        Rows and columns of each part, not negative. All parts have the same size [h, w].
    device : torch.device, optional
        The CPU by default.

    Returns
    -------
    Tensor, float32 [B, 1, h, w]
    """
    height, width = (side.stop - side.start for side in places[0])
    tops, lefts = (torch.tensor([place[axis].start for place in places], device=device) for axis in (0, 1))
    # The four words of a counter serve four rows of one column: quads of rows [B, m, 1] and columns [B, 1, w].
    quads = (tops // 4)[:, None, None] + torch.arange(height // 4 + 2, device=device)[None, :, None]
    columns = lefts[:, None, None] + torch.arange(width, device=device)[None, None]
    a, b, c, d = philox((columns, quads, torch.tensor(draw, device=device), torch.tensor(0, device=device)), _key(seed))
    rows = torch.stack([*_normal(a, b), *_normal(c, d)], 2).flatten(1, 2)  # [B, 4 m, w]
    parts = [one[top % 4 :][:height] for one, top in zip(rows, (place[0].start for place in places), strict=True)]
    return torch.stack(parts)[:, None]


def philox(counter: Sequence[Tensor], key: tuple[int, int], rounds: int = ROUNDS) -> list[Tensor]:
    """Return four random words for each counter, as published.

    Parameters
    ----------
    counter : four Tensor, int64 in 0..2³² - 1
        Of shapes that broadcast: the first rounds then work on rows and columns, and not yet on pixels.
    key : two int in 0..2³² - 1

    Returns
    -------
    list of four Tensor, int64 in 0..2³² - 1
    """
    a, b, c, d = counter
    for number in range(rounds):
        here = [(word + number * step) & WORD for word, step in zip(key, KEY_STEPS, strict=True)]
        first, second = MULTIPLIERS[0] * a, MULTIPLIERS[1] * c  # 64 bits, of which the upper ones are the "high" word
        # b and d are only compared bit by bit, so that their upper bits can stay until the end.
        a, b, c, d = ((second >> 32) ^ (b ^ here[0])) & WORD, second, ((first >> 32) ^ (d ^ here[1])) & WORD, first
    return [a, b & WORD, c, d & WORD]


def _key(seed: int) -> tuple[int, int]:
    """Return two words for a seed of any size; equal ones for two seeds have a chance of 2⁻⁶⁴."""
    return tuple(map(int, np.random.SeedSequence(seed).generate_state(2)))


def _normal(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return two standard normal numbers for two random words (Box and Muller, 1958)."""
    radius = (first + 1).float().mul_(2**-32).log_().mul_(-2).sqrt_()
    angle = second.float().mul_(2 * math.pi * 2**-32)
    return radius * angle.cos(), radius * angle.sin()
