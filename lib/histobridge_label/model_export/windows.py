"""The overlapping windows of `training.sliding_window` as operations on tensors.

Sizes and places of windows follow from the image by the same rule, whenever the exported network runs. While it is
traced, the sides of images are tensors; so a maximum is written as arithmetic here, and no tensor is made from nothing:
it would be bound to the device of the tracing.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from histobridge.training.sliding_window import LARGEST, MULTIPLE, OVERLAP


def window_side(side: int) -> int:
    """Return the side of the equal windows that cover one side of an image (px).

    >>> [window_side(side) for side in (180, 750, 800, 6300)]
    [192, 768, 448, 768]
    """
    number = _positive(side - OVERLAP - 1) // (LARGEST - OVERLAP) + 1
    return (side + (number - 1) * OVERLAP + number * MULTIPLE - 1) // (number * MULTIPLE) * MULTIPLE


def missing(side: int) -> int:
    """Return by how much one side of an image (px) is smaller than its window."""
    return _positive(window_side(side) - side)


def _positive(number: int) -> int:
    return (number + abs(number)) // 2


def padded(image: Tensor) -> Tensor:
    """Return images [B, 1, H, W] whose borders are repeated where they are smaller than a window."""
    down, right = missing(image.shape[2]), missing(image.shape[3])
    return pad(image, [right // 2, right - right // 2, down // 2, down - down // 2], mode="replicate")


def window_pixels(line: Tensor, window: int) -> Tensor:
    """Return the pixels of each window along a line of an image [L], int64 [windows, window]; the last one ends it."""
    place, last, step = places(line), line.shape[0] - window, _positive(window - OVERLAP - 1) + 1
    starts = place[: (last + step - 1) // step + 1] * step
    return starts.clamp(max=last)[:, None] + place[:window]


def places(values: Tensor) -> Tensor:
    """Return 0, 1, 2 ... for the entries of a vector, int64."""
    return (values == values).long().cumsum(0) - 1


def cut(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return all windows of images [B, 1, H, W] as [B · m · n, 1, h, w]; rows [m, h] and columns [n, w] are theirs."""
    strips = image[:, 0][:, rows][:, :, :, columns]  # [B, m, h, n, w]
    return strips.transpose(2, 3).reshape(-1, 1, rows.shape[1], columns.shape[1])


def blended(windows: Tensor, rows: Tensor, columns: Tensor, whole: Tensor) -> Tensor:
    """Return the blend [B, C, H, W] of windows [B · m · n, C, h, w], by Gaussian weights; `whole` is [B, 1, H, W]."""
    weights = (_weight(rows[0])[:, None] * _weight(columns[0])).clamp(min=1e-3)
    onto_rows, onto_columns = _placement(rows, whole[0, 0, :, 0]), _placement(columns, whole[0, 0, 0])
    across, height, width = columns.shape[0], rows.shape[1], columns.shape[1]

    def added(parts: Tensor) -> Tensor:  # a sum of windows at their places is a product with 0 and 1 on either side
        parts = parts.reshape(-1, rows.shape[0], across, parts.shape[1], height, width)
        strips = parts.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)  # [B, C, m · h, n · w]
        return onto_rows.transpose(0, 1) @ (strips @ onto_columns)

    return added(windows * weights) / added(windows[:, :1] * 0 + weights)


def _weight(pixels: Tensor) -> Tensor:
    """Return the weights of a window along one side, float32: a Gaussian, of sigma an eighth of the side."""
    side = pixels.shape[0]
    return (-0.5 * ((places(pixels) - (side - 1) / 2) / (side / 8)) ** 2).exp()


def _placement(pixels: Tensor, line: Tensor) -> Tensor:
    """Return 1 where an entry of `pixels` [n, w] is a place of a line [L], else 0: float32 [n · w, L]."""
    return (pixels.flatten()[:, None] == places(line)).float()
