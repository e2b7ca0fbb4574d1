"""Random training crops. They depend on the given random generator alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from histobridge.errors import UserError


def stack(*layers: np.ndarray) -> Tensor:
    """Stack arrays [H, W] of one image, such as image and mask, to a float tensor [C, H, W]."""
    return torch.from_numpy(np.stack([np.asarray(layer, np.float32) for layer in layers]))


def check_domain(images: list, crop: int, name: str) -> None:
    """Check that crops of `crop` px can be drawn from `images`.

    Raises
    ------
    UserError
        If there is no image, or an image has a side shorter than `crop` px; the message contains `name`.
    """
    if not len(images):
        raise UserError(f"The domain '{name}' has no image: there is nothing to learn from.")
    small = [i.shape[-2:] for i in images if min(i.shape[-2:]) < crop]
    if small:
        raise UserError(
            f"The domain '{name}' has images of {tuple(small[0])} px, smaller than a training crop of {crop} px: "
            "use larger images, a finer µm/px, or a smaller crop in the settings."
        )


def random_crops(images: list[Tensor], crop: int, batch: int, generator: torch.Generator) -> Tensor:
    """Draw a batch of random crops, turned by multiples of 90° and mirrored at random.

    An image is drawn with a probability proportional to the square root of its area.

    Parameters
    ----------
    images : list of Tensor [C, H, W]
        All with the same number of channels, and no side shorter than `crop`.
    crop, batch : int
        Side of a crop (px), and number of crops.
    generator : torch.Generator

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
