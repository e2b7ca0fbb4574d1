"""Noise that depends on seed and place alone: with the place of a pixel as the counter of Philox, every window, image
size and device gets the same noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from histobridge.tiles import Place
from histobridge.training.philox import IMAGE, key_of, philox, to_normal


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
    a, b, c, d = philox((columns, quads, draw, IMAGE), key_of(seed))
    rows = torch.stack([*to_normal(a, b), *to_normal(c, d)], 2).flatten(1, 2)  # [B, 4 m, w]
    parts = [one[top % 4 :][:height] for one, top in zip(rows, (place[0].start for place in places), strict=True)]
    return torch.stack(parts)[:, None]
