"""Random changes of the segmenter's training crops: zoom, grey values, noise and blank parts."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from histobridge.classes import BACKGROUND
from histobridge.config import SegmenterSettings
from histobridge.training.crops import CropSource
from histobridge.training.philox import Draws


class Greys(NamedTuple):
    """Ranges from which the change of grey values is drawn: logarithm of gamma, contrast, brightness, SD of noise."""

    log_gamma: tuple[float, float]
    contrast: tuple[float, float]
    brightness: tuple[float, float]
    noise: tuple[float, float]


ORDINARY = Greys((-0.8, 0.8), (0.6, 1.25), (-0.15, 0.15), (0, 0.06))
WIDE = Greys((-1.2, 1.2), (0.3, 1.5), (-0.3, 0.3), (0, 0.12))
"""With `SegmenterSettings.randomise`."""
MOST_BLUR = 2.0
"""Largest standard deviation (px) of the blur with `SegmenterSettings.randomise`."""


def augmented_crops(pairs: CropSource, s: SegmenterSettings, draws: Draws) -> tuple[Tensor, Tensor]:
    """Draw crops at a random zoom, with random gamma, contrast, brightness and noise, some of them partly blank.

    Parameters
    ----------
    pairs : CropSource
        Of image in 0..1 and mask 0..2, as two channels.
    s : SegmenterSettings
    draws : Draws

    Returns
    -------
    image : Tensor, float [B, 1, crop, crop]
    mask : Tensor, float [B, 1, crop, crop], values 0, 1, 2
    """
    zoom = s.zoom[0] + (s.zoom[1] - s.zoom[0]) * draws.uniform()
    side = (s.crop / zoom).round().long().clamp(max=pairs.smallest)  # px in the image
    most = min(round(s.crop / s.zoom[0]), pairs.smallest)
    crops = pairs.draw(most, s.batch, draws, part=side)  # [B, 2, most, most]
    weights = resizing_weights(side, most, s.crop)
    image = weights @ crops[:, :1] @ weights.T
    nearest = ((torch.arange(s.crop, device=side.device) + 0.5) * side / s.crop).long()
    mask = crops[:, 1:, nearest][..., nearest]
    image = _jitter(_randomise(image, draws), draws, WIDE) if s.randomise else _jitter(image, draws)
    return _blank(image, mask, s.blank, draws)


def resizing_weights(side: Tensor, most: int, crop: int) -> Tensor:
    """Return the weights float [crop, most] that resize the first `side` of `most` px to `crop` px, without aliasing.

    Bilinear, with a filter as wide as a new pixel where the image shrinks. As a matrix, because an image of a side that
    is drawn at random would have another shape in every step, and a graph has one.
    """
    step = side / crop
    centre = (torch.arange(crop, device=side.device) + 0.5) * step
    place = torch.arange(most, device=side.device) + 0.5
    distance = (place[None] - centre[:, None]).abs() / step.clamp(min=1)
    weights = (1 - distance).clamp(min=0) * (place < side)
    return weights / weights.sum(1, keepdim=True)


def _jitter(image: Tensor, draws: Draws, greys: Greys = ORDINARY) -> Tensor:
    """Vary gamma, contrast, brightness and noise, widely enough to cover images darker than all training images."""
    n = len(image)
    image = image.clamp(0, 1) ** torch.exp(_per_image(n, *greys.log_gamma, draws))
    image = (image - 0.5) * _per_image(n, *greys.contrast, draws) + 0.5 + _per_image(n, *greys.brightness, draws)
    return image + _per_image(n, *greys.noise, draws) * draws.normal(*image.shape)


def _randomise(image: Tensor, draws: Draws) -> Tensor:
    """Turn half of the images into negatives, and blur each by a Gaussian of 0 to `MOST_BLUR` px."""
    n, _, height, width = image.shape
    image = torch.where(_per_image(n, 0, 1, draws) < 0.5, 1 - image, image)
    sigma = _per_image(n, 0, MOST_BLUR, draws)
    return blurring_weights(sigma, height) @ image @ blurring_weights(sigma, width).mT


def blurring_weights(sigma: Tensor, side: int) -> Tensor:
    """Return the weights float [n, 1, side, side] that blur rows or columns of `side` px by Gaussians.

    As a matrix, because a filter has a width that depends on sigma, and a graph has one shape. The weights of every
    pixel sum to one, at the border too.

    Parameters
    ----------
    sigma : Tensor, float [n, 1, 1, 1]
        Standard deviations, px; 0 changes nothing.
    side : int
    """
    place = torch.arange(side, device=sigma.device)
    squared = (place[:, None] - place[None]) ** 2
    weights = torch.exp(-0.5 * squared / sigma.clamp(min=0.01) ** 2)
    return weights / weights.sum(-1, keepdim=True)


def _blank(image: Tensor, mask: Tensor, share: float, draws: Draws) -> tuple[Tensor, Tensor]:
    """Paint over a blob (5 to 45 %) of a `share` of the crops with one grey and little noise, as background.

    Empty resin, the lumen of vessels and smooth background look like the inside of a large axon. L has little of them
    and U may have much. The segmenter must therefore learn that only a sheath makes an axon.
    """
    n, _, height, width = image.shape
    field = F.interpolate(draws.uniform(n, 1, 4, 4), size=(height, width), mode="bicubic")
    outside = (_per_image(n, 0.55, 0.95, draws) * height * width).long()  # pixels outside the blob
    edge = field.flatten(1).sort(1).values.gather(1, outside.flatten(1)).view_as(outside)
    blob = (field > edge) & (_per_image(n, 0, 1, draws) < share)
    grey = _per_image(n, -0.1, 1.1, draws) + _per_image(n, 0, 0.08, draws) * draws.normal(*image.shape)
    return torch.where(blob, grey, image), mask.masked_fill(blob, BACKGROUND)


def _per_image(n: int, low: float, high: float, draws: Draws) -> Tensor:
    """Draw one uniform number per image, as a tensor [n, 1, 1, 1]."""
    return low + (high - low) * draws.uniform(n, 1, 1, 1)
