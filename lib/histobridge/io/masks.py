"""Mask files: the grey levels 0, 127 and 255 become the classes background, myelin and axon, and back.

Inside the library a mask is uint8 `[H, W]` with the classes of `histobridge.classes`.
"""

from __future__ import annotations

import os

import numpy as np

from histobridge.classes import KNOWN_MASK_LEVELS, MASK_LEVELS
from histobridge.errors import UserError
from histobridge.io.pixels import read_plane, write_png
from histobridge.io.plane import Plane

LEVEL_OF_CLASS = np.array(MASK_LEVELS, dtype=np.uint8)
IS_KNOWN_LEVEL = np.isin(np.arange(256), KNOWN_MASK_LEVELS)
CLASS_OF_LEVEL = np.rint(np.arange(256) * (len(MASK_LEVELS) - 1) / 255).astype(np.uint8)
"""The class whose level (0, 127.5 or 255) is nearest to each grey level."""

OTHER_CODINGS = ((0, 1, 2), (0, 85, 170))
"""Levels of background, myelin and axon in other codings; recognised by their last level, which must occur."""

MOST_SNAPPED = 0.01
"""The largest share of unknown levels among all pixels but background that still passes as a slip of a drawing tool."""

MOST_NAMED = 5  # levels in a sentence


def read_mask(path: str | os.PathLike) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a mask file of any format that `read_image` reads; returns and raises as `decode_mask` does."""
    return decode_mask(read_plane(path), name=path)


def write_mask(path: str | os.PathLike, mask: np.ndarray) -> None:
    """Write a mask (uint8 `[H, W]` of classes 0, 1, 2) as a PNG with 0, 127 and 255, whole or not at all.

    Raises `UserError` if the file cannot be written.
    """
    write_png(path, encode_mask(mask))


def decode_mask(plane: Plane, *, name: object = "The mask") -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn the grey levels of a mask file into classes.

    0 is background, 127 or 128 myelin, 254 or 255 axon. A mask of 0, 1, 2 or of 0, 85, 170 is read as these classes, if
    the last of these levels occurs. Pixels that are less than half opaque are background. Pixels of any other level,
    and pixels that are not grey, are set to the class with the nearest level. A few of them are traces of a drawing
    tool; more than 1 % of all pixels but background mean that the mask was interpolated, compressed with losses or
    coded otherwise.

    Parameters
    ----------
    plane : Plane
        8 bits or less, grey or colour, as `histobridge.io.pixels.read_plane` returns.
    name : object
        What the error message calls the mask, usually its path.

    Returns
    -------
    mask : ndarray
        uint8 `[H, W]` with 0 background, 1 myelin, 2 axon.
    remarks : tuple of str
        What was read otherwise than as 0, 127, 255, and the remarks of the plane.

    Raises
    ------
    UserError
        If the mask has more than 8 bits, or unknown levels, or is transparent everywhere.

    Examples
    --------
    >>> mask, remarks = decode_mask(Plane(np.array([[0, 127, 128, 254, 255]], dtype=np.uint8), 255))
    >>> mask.tolist(), remarks
    ([[0, 1, 1, 2, 2]], ())
    """
    if plane.values.dtype != np.uint8 or plane.full_scale > 255:
        raise UserError(f"{name} holds {plane.values.dtype} pixels: save the mask as 8-bit grey with 0, 127 and 255.")
    colours, erased = _without_transparent(plane, name)
    grey, is_coloured = _grey(colours)
    found = np.flatnonzero(sum(np.bincount(row, minlength=256) for row in grey))  # of all at once: 8 bytes a pixel
    coding = None if is_coloured.any() else _other_coding(found, plane.full_scale)
    if coding:
        mask = np.searchsorted(coding, np.arange(256)).clip(0, 2).astype(np.uint8)[grey]
        snapped = "its levels {}, {}, {} were read as background, myelin, axon".format(*coding)
    else:
        levels = np.rint(np.arange(256) * (255 / plane.full_scale)).clip(0, 255).astype(np.uint8)[grey]
        snapped = _check_levels(levels, is_coloured, colours, name)
        mask = CLASS_OF_LEVEL[levels]
    return mask, tuple(remark for remark in (*plane.remarks, erased, snapped) if remark)


def _other_coding(found: np.ndarray, full_scale: int) -> tuple[int, ...] | None:
    """Return the levels of background, myelin and axon if the levels that were found show another coding."""
    if full_scale < 3:
        return None
    return next((coding for coding in OTHER_CODINGS if set(found) <= set(coding) and coding[-1] in found), None)


def _without_transparent(plane: Plane, name: object) -> tuple[np.ndarray, str]:
    """Return the values with transparent pixels set to 0, and a remark if that changed any."""
    if plane.alpha is None:
        return plane.values, ""
    transparent = plane.alpha < plane.full_scale / 2
    values = plane.values.copy()
    values[transparent] = 0
    n_changed = int((values != plane.values).reshape(*plane.shape, -1).any(axis=2).sum())
    if n_changed and transparent.all():
        raise UserError(f"{name} is transparent everywhere: save it without transparency, in 0, 127 and 255.")
    return values, f"{n_changed} transparent pixels were read as background" if n_changed else ""


def _grey(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the colours of each pixel, uint8 `[H, W]`, and which pixels are not grey."""
    if values.ndim == 2:
        return values, np.zeros(values.shape, dtype=bool)
    total = values.sum(axis=2, dtype=np.uint16)
    is_coloured = (values != values[..., :1]).any(axis=2)
    return ((total + 1) // 3).astype(np.uint8), is_coloured


def _check_levels(levels: np.ndarray, is_coloured: np.ndarray, colours: np.ndarray, name: object) -> str:
    """Return a remark on pixels of unknown levels, if there are a few of them; refuse more."""
    unknown = ~IS_KNOWN_LEVEL[levels] | is_coloured
    n_unknown, n_foreground = int(unknown.sum()), int(((levels > 0) | is_coloured).sum())
    if n_unknown == 0:
        return ""
    others = _most_common(colours.reshape(*levels.shape, -1)[unknown])
    if n_unknown > MOST_SNAPPED * n_foreground:
        raise UserError(
            f"{name} is no mask of 0 background, 127 myelin, 255 axon: {n_unknown / n_foreground:.1%} of its pixels "
            f"other than 0 have other values (mostly {others}); write 0, 127 and 255, without interpolation, smoothing "
            "or JPEG."
        )
    return f"{n_unknown} pixels of other levels (mostly {others}) were set to the nearest class"


def encode_mask(mask: np.ndarray) -> np.ndarray:
    """Turn classes 0, 1, 2 (uint8 `[H, W]`) into the grey levels 0, 127, 255 of a mask file (uint8 `[H, W]`).

    `decode_mask` is its exact inverse.

    >>> encode_mask(np.array([[0, 1, 2]], dtype=np.uint8)).tolist()
    [[0, 127, 255]]
    """
    return LEVEL_OF_CLASS[mask]


def check_same_size(image: tuple[int, int], mask: tuple[int, int], name: object) -> None:
    """Raise a `UserError` about `name` unless an image and its mask have the same height and width, px."""
    if image != mask:
        sizes = [f"{width} × {height} px" for height, width in (image, mask)]
        raise UserError(f"{name} is {sizes[0]} but its mask {sizes[1]}: give the mask drawn on this image.")


def _most_common(colours: np.ndarray, n: int = MOST_NAMED) -> str:
    """Return the most frequent rows of an `[N, C]` array, as '64, 191' or '255/0/0, 0/0/255'."""
    values, counts = np.unique(colours, axis=0, return_counts=True)
    return ", ".join("/".join(map(str, value)) for value in values[np.argsort(-counts, kind="stable")[:n]])
