"""Images: read from and written to files, normalised, cropped.

Inside the library an image is float32 `[H, W]`. Anything that cannot be read for certain is refused with a
`UserError`; no plane of a stack is chosen silently.
"""

from __future__ import annotations

import os

import numpy as np

from histobridge.errors import UserError
from histobridge.io.pixels import read_plane, write_png
from histobridge.io.plane import Plane

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""

STRETCHED = 0.5, 99.5
"""The percentiles of the grey values that `normalise` maps to 0 and 1."""

ROWS = 256
"""Of an image that are stretched at a time: intermediate results have 64 bits, and an image may be huge."""


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read one microscopy image of any size as raw grey values; returns and raises as `image_of`.

    Parameters
    ----------
    path : str or path-like
        A PNG, TIFF (any compression), OME-TIFF or JPEG; the content decides, not the name.

    Raises
    ------
    UserError
        Also if `histobridge.io.pixels.read_plane` refuses the file.
    """
    return image_of(read_plane(path), path)


def image_of(plane: Plane, name: object) -> np.ndarray:
    """Return the grey values of a plane.

    Integers are divided by the value of white, so that any number of bits gives 0..1; floats stay as they are. Colour,
    palettes included, becomes luminance. Transparent pixels count like any other.

    Returns
    -------
    ndarray
        float32 `[H, W]`.

    Raises
    ------
    UserError
        About `name`, if the plane holds NaN or infinity, or its colours were darkened by transparency.
    """
    if plane.alpha_is_associated and (plane.alpha != plane.full_scale).any():
        raise UserError(f"{name} has colours that are multiplied by their transparency: save it without transparency.")
    image = _luminance(plane.values)
    if plane.values.dtype.kind == "f":
        check_finite(image, name)
    else:
        image /= plane.full_scale
    return image


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an image (float `[H, W]`) as an 8-bit grey PNG, whole or not at all.

    Values outside 0..1 are clipped. NaN and infinity, or a file that cannot be written, raise a `UserError`.
    """
    check_finite(image, path)
    write_png(path, np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8))


def normalise(image: np.ndarray, *, name: object = "The image") -> np.ndarray:
    """Stretch the contrast so that two percentiles (`STRETCHED`) become 0 and 1; clip values outside.

    Parameters
    ----------
    image : ndarray
        `[H, W]`, any finite grey values.
    name : object
        What the error message calls the image, usually its path.

    Returns
    -------
    ndarray
        float32 `[H, W]` in 0..1.

    Raises
    ------
    UserError
        If the two percentiles coincide: a constant image has no contrast to stretch.

    Examples
    --------
    >>> normalise(np.array([[100.0, 100.0, 150.0, 300.0, 300.0]])).tolist()
    [[0.0, 0.0, 0.25, 1.0, 1.0]]
    """
    return stretched(image, stretch_limits(image, name))


def stretch_limits(image: np.ndarray, name: object = "The image") -> tuple[float, float]:
    """Return the two grey values that `normalise` makes 0 and 1; raise a `UserError` if they coincide."""
    bottom, top = np.percentile(image.flatten(), STRETCHED, overwrite_input=True)  # one copy; it makes two by itself
    if not top > bottom:
        raise UserError(f"{name} is constant (grey value {bottom:g}): it shows nothing, leave it out.")
    return bottom, top


def stretched(image: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return an image [H, W] as float32 in which two grey values have become 0 and 1; values outside are clipped."""
    bottom, top = limits
    result = np.empty(image.shape, dtype=np.float32)
    for top_row in range(0, len(image), ROWS):
        rows = slice(top_row, top_row + ROWS)
        result[rows] = np.clip((image[rows] - bottom) / (top - bottom), 0, 1)
    return result


def middle(image: np.ndarray, side: int) -> np.ndarray:
    """Return the central square of `side` px of an image, `[H, W]` or `[H, W, C]`; all of a shorter side.

    >>> middle(np.arange(5)[None].repeat(3, axis=0), 1).tolist()
    [[2]]
    """
    top, left = (max(0, (length - side) // 2) for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def _luminance(values: np.ndarray) -> np.ndarray:
    if values.ndim == 2:
        return values.astype(np.float32)
    grey = np.zeros(values.shape[:2], dtype=np.float32)  # channel by channel: a float copy of all three may be huge
    for channel, weight in enumerate(LUMINANCE):
        grey += np.float32(weight) * values[..., channel]
    return grey


def check_finite(image: np.ndarray, name: object) -> None:
    """Raise a `UserError` about `name` if an image holds NaN or infinity."""
    n_bad = int(image.size - np.isfinite(image).sum())
    if n_bad:
        raise UserError(f"{name} holds {n_bad} pixels that are NaN or infinite: replace them first.")
