"""Random training crops, drawn on the device on which the images lie."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from histobridge.errors import UserError
from histobridge.training.philox import Draws


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


class CropSource:
    """Images of one domain on one device, from which square crops are drawn.

    All pixels lie in one tensor. A crop is then an index into it, computed on the device, whatever the sizes of the
    images: nothing waits for the processor.

    Parameters
    ----------
    images : list of Tensor, float [C, H, W]
        All with the same number of channels.
    device : torch.device
    """

    def __init__(self, images: list[Tensor], device: torch.device):
        self.smallest = min(min(image.shape[-2:]) for image in images)
        self._pixels = torch.cat([image.flatten(1) for image in images], 1).to(device)  # [C, all pixels]
        sizes = torch.tensor([image.shape[-2:] for image in images], device=device)
        self._height, self._width = sizes.unbind(1)
        self._start = sizes.prod(1).cumsum(0) - sizes.prod(1)
        weight = sizes.prod(1).double().sqrt()
        self._chances = (weight.cumsum(0) / weight.sum()).float()[:-1]  # where the next image begins in 0..1

    def draw(self, side: int, n: int, draws: Draws, *, part: Tensor | None = None) -> Tensor:
        """Draw random crops, mirrored and turned by multiples of 90° at random.

        An image is drawn with a probability proportional to the square root of its area.

        Parameters
        ----------
        side, n : int
            Side of a crop (px), at most `smallest`, and number of crops.
        draws : Draws
        part : Tensor, int64 [], optional
            Side of the upper left part of a crop that is needed (px), at most `side`. The rest repeats its edge, so
            that crops of any size fill a tensor of one shape.

        Returns
        -------
        Tensor, float [n, C, side, side]
        """
        used = side if part is None else part
        chosen = torch.bucketize(draws.uniform(n), self._chances, right=True)
        top, left = (draws.integers(length[chosen] - used + 1, n) for length in (self._height, self._width))
        mirror_rows, mirror_columns, transpose = draws.integers(2, 3, n, 1, 1).bool()

        along = torch.arange(side, device=chosen.device).clamp(max=used - 1)
        down, across = along[:, None], along[None, :]  # of a pixel of the crop
        row = torch.where(transpose, across, down)  # of the same pixel in the image, from the corner of the crop
        column = torch.where(transpose, down, across)
        row = torch.where(mirror_rows, used - 1 - row, row) + top.view(n, 1, 1)
        column = torch.where(mirror_columns, used - 1 - column, column) + left.view(n, 1, 1)
        index = self._start[chosen].view(n, 1, 1) + row * self._width[chosen].view(n, 1, 1) + column
        return self._pixels[:, index].transpose(0, 1)
