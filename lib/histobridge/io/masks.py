"""Mask files: the grey levels 0, 127 and 255 become the classes background, myelin and axon, and back.

Inside the library a mask is uint8 `[H, W]` with the classes of `histobridge.classes`.
"""

from __future__ import annotations

import os

import numpy as np

from histobridge.classes import KNOWN_MASK_LEVELS, MASK_LEVELS
from histobridge.errors import UserError
from histobridge.io.pixels import read_pixels, without_alpha, write_png

LEVEL_OF_CLASS = np.array(MASK_LEVELS, dtype=np.uint8)
IS_KNOWN_LEVEL = np.isin(np.arange(256), KNOWN_MASK_LEVELS)
CLASS_OF_LEVEL = np.rint(np.arange(256) * (len(MASK_LEVELS) - 1) / 255).astype(np.uint8)
"""The class whose level (0, 127.5 or 255) is nearest to each grey level."""

MOST_SNAPPED = 0.01
"""The largest share of unknown pixels that still passes as a slip of a drawing tool."""


def read_mask(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """Read a mask file of any format that `read_image` reads; returns and raises as `decode_mask` does."""
    return decode_mask(read_pixels(path), name=path)


def write_mask(path: str | os.PathLike, mask: np.ndarray) -> None:
    """Write a mask (uint8 `[H, W]` of classes 0, 1, 2) as a PNG with 0, 127 and 255, whole or not at all.

    Raises `UserError` if the file cannot be written.
    """
    write_png(path, encode_mask(mask))


def decode_mask(raw: np.ndarray, *, name: object = "The mask") -> tuple[np.ndarray, int]:
    """Turn the grey levels of a mask file into classes.

    0 is background, 127 or 128 myelin, 254 or 255 axon. Pixels of any other level, and pixels that are not grey, are
    set to the class with the nearest level and counted. A few of them are traces of a drawing tool; more than 1 %
    mean that the mask was interpolated, compressed with losses or coded otherwise.

    Parameters
    ----------
    raw : ndarray
        uint8 `[H, W]`, or `[H, W, C]` with grey, grey + alpha, RGB or RGBA; alpha is dropped.
    name : object
        What the error message calls the mask, usually its path.

    Returns
    -------
    mask : ndarray
        uint8 `[H, W]` with 0 background, 1 myelin, 2 axon.
    n_snapped : int
        How many pixels had an unknown level.

    Raises
    ------
    UserError
        If the mask is not 8-bit, or more than 1 % of its pixels have an unknown level.

    Examples
    --------
    >>> mask, n_snapped = decode_mask(np.array([[0, 127, 128, 254, 255]], dtype=np.uint8))
    >>> mask.tolist(), n_snapped
    ([[0, 1, 1, 2, 2]], 0)
    """
    if raw.dtype != np.uint8:
        raise UserError(f"{name} holds {raw.dtype} pixels: save the mask as 8-bit grey with 0, 127 and 255.")
    colours = without_alpha(raw, name)
    levels = np.rint(colours.mean(axis=2, dtype=np.float32)).astype(np.uint8)
    unknown = ~IS_KNOWN_LEVEL[levels] | (colours != levels[..., None]).any(axis=2)
    n_snapped = int(unknown.sum())
    if n_snapped > MOST_SNAPPED * unknown.size:
        raise UserError(
            f"{name} is no mask of 0 background, 127 myelin, 255 axon: {n_snapped / unknown.size:.1%} of its "
            f"pixels have other values (mostly {_most_common(colours[unknown])}); export it again without "
            "interpolation, smoothing or JPEG."
        )
    return CLASS_OF_LEVEL[levels], n_snapped


def encode_mask(mask: np.ndarray) -> np.ndarray:
    """Turn classes 0, 1, 2 (uint8 `[H, W]`) into the grey levels 0, 127, 255 of a mask file (uint8 `[H, W]`).

    `decode_mask` is its exact inverse.

    >>> encode_mask(np.array([[0, 1, 2]], dtype=np.uint8)).tolist()
    [[0, 127, 255]]
    """
    return LEVEL_OF_CLASS[mask]


def check_same_size(image: np.ndarray, mask: np.ndarray, name: object) -> None:
    """Raise a `UserError` about `name` unless image and mask have the same height and width."""
    if image.shape[:2] != mask.shape[:2]:
        sizes = [f"{width} × {height} px" for height, width in (image.shape[:2], mask.shape[:2])]
        raise UserError(f"{name} is {sizes[0]} but its mask {sizes[1]}: give the mask drawn on this image.")


def _most_common(colours: np.ndarray, n: int = 5) -> str:
    """Return the most frequent rows of an `[N, C]` array, as '64, 191' or '255/0/0, 0/0/255'."""
    values, counts = np.unique(colours, axis=0, return_counts=True)
    return ", ".join("/".join(map(str, value)) for value in values[np.argsort(-counts, kind="stable")[:n]])
