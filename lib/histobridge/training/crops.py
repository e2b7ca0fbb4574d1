"""Random training crops, drawn from a generator alone: same seed and step, same crops."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from histobridge.errors import UserError


def stack(*layers: np.ndarray) -> Tensor:
    """Stack arrays [H, W] of one image to a float tensor [C, H, W]."""
    return torch.from_numpy(np.stack([np.asarray(layer, np.float32) for layer in layers]))


def check_domain(images: list, crop: int, name: str) -> None:
    """Refuse a domain that cannot be cropped from.

    Raises
    ------
    UserError
        If there is no image, or one has a side shorter than `crop` pixels.
    """
    if not len(images):
        raise UserError(f"The domain '{name}' has no image: there is nothing to learn from.")
    small = [i.shape[-2:] for i in images if min(i.shape[-2:]) < crop]
    if small:
        raise UserError(
            f"The domain '{name}' has images of {tuple(small[0])} px, smaller than a training crop of {crop} px: "
            "use larger images, a finer µm/px, or a smaller crop in study.yaml."
        )


def random_crops(images: list[Tensor], crop: int, batch: int, generator: torch.Generator) -> Tensor:
    """Draw a batch of random crops, turned and mirrored at random; large images are drawn more often.

    Parameters
    ----------
    images : list of Tensor [C, H, W]
        All with the same number of channels and no side below `crop`.
    crop, batch : int
        Side of a crop in px, and their number.

    Returns
    -------
    Tensor [batch, C, crop, crop]
    """
    area = torch.tensor([float(i.shape[-2] * i.shape[-1]) for i in images])
    chosen = torch.multinomial(area.sqrt(), batch, replacement=True, generator=generator)
    return torch.stack([_one_crop(images[i], crop, generator) for i in chosen.tolist()])


def _one_crop(image: Tensor, crop: int, generator: torch.Generator) -> Tensor:
    height, width = image.shape[-2:]
    top, left, turns, mirror = (
        int(torch.randint(n, (1,), generator=generator)) for n in (height - crop + 1, width - crop + 1, 4, 2)
    )
    piece = torch.rot90(image[:, top : top + crop, left : left + crop], turns, (1, 2))
    return piece.flip(2) if mirror else piece
