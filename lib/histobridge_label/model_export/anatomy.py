"""What anatomy knows of a mask (`histobridge.strategies.postprocess`) as operations on tensors.

Masks are those of `postprocess`, but for pieces whose solidity is the limit within some thousandths, and for pixels of
rings that are equally far from two axons.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.strategies.postprocess import (
    LEAST_AXON_SHARE,
    LEAST_ENCLOSED,
    LEAST_SOLIDITY,
    RING_PX,
    SHEATH_REACH,
    least_axon_px,
)
from histobridge_label.model_export.components import components, hull_areas, total

_REACH = range(-RING_PX, RING_PX + 1)
_STEPS = sorted((down**2 + right**2, down, right) for down in _REACH for right in _REACH)
RING = tuple((down, right) for squared, down, right in _STEPS if 0 < squared <= RING_PX**2)
"""Steps from a pixel to all that are at most `RING_PX` away, the nearest first."""


def with_anatomy(mask: Tensor, tangents: Tensor, axon_px: float = 0.0) -> Tensor:
    """Return a class mask int64 [B, H, W] in which closed sheaths hold one axon, and bare axons are gone.

    `tangents` are `components.slopes()`, on the device of the mask; `axon_px` is that of `postprocess`.
    """
    tidied = without_bare_axons(with_filled_sheaths(mask, tangents), least_axon_px(axon_px))
    return without_loose_myelin(tidied, SHEATH_REACH * axon_px) if axon_px else tidied


def with_filled_sheaths(mask: Tensor, tangents: Tensor) -> Tensor:
    """Return a class mask in which what a sheath encloses is axon, if a part of it is and it is roundish."""
    inside = mask != MYELIN
    pieces = components(inside, corners=False)
    area = total(pieces, inside)
    share = total(pieces, mask == AXON) / area.clamp(min=1)
    broken = (share >= LEAST_AXON_SHARE) & (share < 1) & (area < mask.shape[1] * mask.shape[2])
    least = LEAST_SOLIDITY * hull_areas(pieces, broken, tangents) - 0.01  # of whole numbers: float32 rounds 0.8
    filled = broken & (area >= least)
    return torch.where(filled[pieces] & inside, AXON, mask)


def without_bare_axons(mask: Tensor, least_px: float) -> Tensor:
    """Return a class mask in which axons with too little myelin around them, or too few pixels, are background."""
    inside = mask == AXON
    axons = components(inside, corners=True)
    nearest = _nearest(torch.where(inside, axons, -1))
    ring = ~inside & (nearest >= 0)
    owner = nearest.clamp(min=0)
    pixels, myelin = total(owner, ring), total(owner, ring & (mask == MYELIN))
    bare = (myelin < LEAST_ENCLOSED * pixels) | (total(axons, inside) < least_px)
    return torch.where(bare[axons] & inside, BACKGROUND, mask)


def without_loose_myelin(mask: Tensor, reach_px: float) -> Tensor:
    """Return a class mask in which myelin further than `reach_px` from every axon is background."""
    most = int(reach_px)
    steps = torch.arange(-most, most + 1, device=mask.device, dtype=torch.float32)
    disc = (steps[:, None] ** 2 + steps**2 <= reach_px**2).float()
    near = conv2d((mask == AXON).float()[:, None], disc[None, None], padding=most)[:, 0] > 0.5
    return torch.where((mask == MYELIN) & ~near, BACKGROUND, mask)


def _nearest(axons: Tensor) -> Tensor:
    """Return the axon nearest to every pixel, int64 [B, H, W], -1 where none is within `RING_PX`; so are the axons'."""
    height, width = axons.shape[1], axons.shape[2]
    around = pad(axons, [RING_PX] * 4, value=-1.0)
    nearest = axons * 0 - 1
    for down, right in RING:
        top, left = RING_PX + down, RING_PX + right
        nearest = torch.where(nearest < 0, around[:, top : top + height, left : left + width], nearest)
    return nearest
