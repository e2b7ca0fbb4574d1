"""Apply a network to an image of any size, in overlapping windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from histobridge.errors import UserError
from histobridge.tiles import Place, window_starts
from histobridge.training.device import autocast, device, place
from histobridge.training.threads import ThreadChoice, candidates

LARGEST, OVERLAP = 768, 64
"""Side of the largest window, and least overlap of neighbouring windows, px."""
MULTIPLE = 32
"""Sides of windows are multiples of this (px), because the deepest networks halve them five times."""
BATCH_PIXELS = {"cpu": 0, "cuda": 8 * LARGEST**2}
"""Pixels of the windows that a device computes at once, which is at least one window."""

Network = Callable[[Tensor, Sequence[Place]], Tensor]
"""Maps windows [B, 1, h, w] and their places (rows and columns in the image) to [B, C, h, w]."""


@torch.inference_mode()
def over_windows(
    image: np.ndarray,
    network: Network,
    *,
    finish: Callable[[Tensor], Tensor] | None = None,
    largest: int = LARGEST,
    overlap: int = OVERLAP,
) -> np.ndarray:
    """Apply `network` to overlapping windows of an image and blend the results with Gaussian weights.

    One row of windows follows another. Image rows that no later window touches are finished and leave the device, so
    that besides image and result memory holds one band of the image, whatever its height.

    Parameters
    ----------
    image : ndarray, float [H, W]
        The image in the range that the network expects.
    network : callable
        As `Network`; sides h and w are multiples of `MULTIPLE`.
    finish : callable, optional
        Maps blended rows float32 [C, n, W] to rows [..., n, W] of the result; by default these rows themselves.
    largest, overlap : int
        Side of the largest window, and least overlap, px.

    Returns
    -------
    ndarray, float32 [C, H, W], or what `finish` makes of it, [..., H, W]

    Raises
    ------
    UserError
        If the memory of the GPU does not hold a single window.
    """
    sides = [window_side(side, largest=largest, overlap=overlap) for side in image.shape]
    padded, inside = _pad(image, sides)
    tops, lefts = (window_starts(side, window, overlap) for side, window in zip(padded.shape, sides, strict=True))
    places = [(slice(top, top + sides[0]), slice(left, left + sides[1])) for top, left in product(tops, lefts)]
    outputs = _outputs(network, padded, places)

    weight = _weight(sides)  # [h, w]
    weights = torch.zeros(sides[0], padded.shape[1], device=device())  # of a row of windows, [h, W]
    for left in lefts:
        weights[:, left : left + sides[1]] += weight
    band, total, result = None, torch.zeros_like(weights), None
    for top, next_top in pairwise([*tops, padded.shape[0]]):
        for left in lefts:
            output = next(outputs)
            band = output.new_zeros(len(output), *weights.shape) if band is None else band
            band[..., left : left + sides[1]].addcmul_(output, weight)
        total += weights
        done = next_top - top
        rows = band[:, :done] / total[:done]
        rows = (finish(rows) if finish else rows).numpy(force=True)
        result = np.empty((*rows.shape[:-2], *padded.shape), rows.dtype) if result is None else result
        result[..., top:next_top, :] = rows
        band, total = (F.pad(these[..., done:, :], (0, 0, 0, done)) for these in (band, total))
    return np.ascontiguousarray(result[..., *inside])


def _pad(image: np.ndarray, sides: Sequence[int]) -> tuple[np.ndarray, Place]:
    """Repeat the borders of an image that is smaller than a window; return it with the place of the original."""
    missing = [max(window - side, 0) for side, window in zip(image.shape, sides, strict=True)]
    inside = tuple(slice(more // 2, more // 2 + side) for side, more in zip(image.shape, missing, strict=True))
    if any(missing):
        image = np.pad(image, [(more // 2, more - more // 2) for more in missing], mode="edge")
    return image, inside


def _weight(sides: Sequence[int]) -> Tensor:
    """Return the weights [h, w] of a window's pixels: a Gaussian, of sigma an eighth of a side, and at least 0.001."""
    rows, columns = (
        torch.exp(-0.5 * ((torch.arange(side, device=device()) - (side - 1) / 2) / (side / 8)) ** 2) for side in sides
    )
    return torch.outer(rows, columns).clamp(min=1e-3)


def _outputs(network: Network, image: np.ndarray, places: list[Place]) -> Iterator[Tensor]:
    """Yield what the network makes of each window, float32 [C, h, w], in batches as large as the memory allows."""
    height, width = (side.stop - side.start for side in places[0])
    most = max(1, BATCH_PIXELS[device().type] // (height * width))
    done = 0
    while done < len(places):
        batch = places[done : done + most]
        with _thread_choice(network.__qualname__, height, width).timed():
            outputs = _apply(network, image, batch)
        if outputs is not None:
            yield from outputs
            done += len(batch)
        elif len(batch) == 1:
            raise UserError(
                f"The memory of the GPU does not hold a window of {height} x {width} px: end what else uses it, or set "
                "CUDA_VISIBLE_DEVICES to nothing to work on the CPU."
            )
        else:
            torch.cuda.empty_cache()
            most = len(batch) // 2


@lru_cache(maxsize=256)
def _thread_choice(network: str, height: int, width: int) -> ThreadChoice:
    """Return the choice of threads for windows of one size: images that follow go on with it."""
    return ThreadChoice(candidates(device()))


def _apply(network: Network, image: np.ndarray, places: list[Place]) -> Tensor | None:
    """Return the network's result float32 [B, C, h, w] on some windows; None if they need too much memory."""
    windows = torch.from_numpy(np.stack([image[where] for where in places]).astype(np.float32, copy=False))[:, None]
    try:
        with autocast():
            return network(place(windows), places).float()
    except torch.OutOfMemoryError:  # freed only after this function has returned: the error holds the tensors
        return None


def window_side(side: int, *, largest: int = LARGEST, overlap: int = OVERLAP) -> int:
    """Return the side of the equal windows that cover one side of an image.

    The windows are as few as `largest` allows, and then as small as possible. Windows of the fixed side `largest`
    would cover an image slightly larger than themselves almost twice.

    Parameters
    ----------
    side : int
        Side of the image, px.
    largest : int
        Largest side of a window, px. It bounds the memory.
    overlap : int
        Least overlap of neighbouring windows, px.

    Examples
    --------
    >>> [window_side(side) for side in (180, 750, 800, 6300)]
    [192, 768, 448, 768]
    """
    number = max(1, -(-(side - overlap) // (largest - overlap)))
    return -(-(side + (number - 1) * overlap) // (number * MULTIPLE)) * MULTIPLE


def window_borders(side: int) -> list[int]:
    """Return where the windows that cover one side of an image begin and end, px: the possible places of seams.

    >>> window_borders(1000)
    [0, 544, 456, 1000]
    """
    window = window_side(side)
    return [border for start in window_starts(side, window, OVERLAP) for border in (start, min(start + window, side))]
