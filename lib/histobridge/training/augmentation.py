"""Random changes of the segmenter's training crops: zoom, grey values, noise and blank parts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from histobridge.classes import BACKGROUND
from histobridge.config import SegmenterSettings
from histobridge.training.crops import random_crops


def augmented_crops(pairs: list[Tensor], s: SegmenterSettings, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw crops at a random zoom, with random gamma, contrast, brightness and noise, some of them partly blank.

    Parameters
    ----------
    pairs : list of Tensor, float [2, H, W]
        Image in 0..1 and mask 0..2.
    s : SegmenterSettings
    rng : torch.Generator

    Returns
    -------
    image : Tensor, float [B, 1, crop, crop]
    mask : Tensor, float [B, 1, crop, crop], values 0, 1, 2
    """
    zoom = s.zoom[0] + (s.zoom[1] - s.zoom[0]) * torch.rand((), generator=rng).item()
    smallest = min(min(pair.shape[-2:]) for pair in pairs)
    side = min(round(s.crop / zoom), smallest)
    crops = random_crops(pairs, side, s.batch, rng)  # [B, 2, side, side]
    image = F.interpolate(crops[:, :1], size=(s.crop, s.crop), mode="bilinear", antialias=side > s.crop)
    mask = F.interpolate(crops[:, 1:], size=(s.crop, s.crop), mode="nearest-exact")
    return _blank(_jitter(image, rng), mask, s.blank, rng)


def _jitter(image: Tensor, rng: torch.Generator) -> Tensor:
    """Vary gamma, contrast, brightness and noise, widely enough to cover images darker than all training images."""
    n = len(image)
    image = image.clamp(0, 1) ** torch.exp(_per_image(n, -0.8, 0.8, rng))
    image = (image - 0.5) * _per_image(n, 0.6, 1.25, rng) + 0.5 + _per_image(n, -0.15, 0.15, rng)
    return image + _per_image(n, 0, 0.06, rng) * torch.randn(image.shape, generator=rng)


def _blank(image: Tensor, mask: Tensor, share: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Paint over a blob (5 to 45 %) of a `share` of the crops with one grey and little noise, as background.

    Empty resin, the lumen of vessels and smooth background look like the inside of a large axon. L has little of them
    and U may have much. The segmenter must therefore learn that only a sheath makes an axon.
    """
    n, _, height, width = image.shape
    field = F.interpolate(torch.rand(n, 1, 4, 4, generator=rng), size=(height, width), mode="bicubic")
    outside = (_per_image(n, 0.55, 0.95, rng) * height * width).long()  # pixels outside the blob
    edge = field.flatten(1).sort(1).values.gather(1, outside.flatten(1)).view_as(outside)
    blob = (field > edge) & (_per_image(n, 0, 1, rng) < share)
    grey = _per_image(n, -0.1, 1.1, rng) + _per_image(n, 0, 0.08, rng) * torch.randn(image.shape, generator=rng)
    return torch.where(blob, grey, image), torch.where(blob, float(BACKGROUND), mask)


def _per_image(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    """Draw one uniform number per image, as a tensor [n, 1, 1, 1]."""
    return low + (high - low) * torch.rand(n, 1, 1, 1, generator=rng)
