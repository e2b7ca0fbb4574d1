"""Pixels as a PNG, JPEG or TIFF file stores them, before they become an image or a mask."""

from __future__ import annotations

import os
from pathlib import Path

import imagecodecs
import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from histobridge.errors import UserError
from histobridge.io.files import atomic_write
from histobridge.io.tiff import TIFF_SIGNATURES, decode_tiff


def read_pixels(path: str | os.PathLike) -> np.ndarray:
    """Return the stored pixels, `[H, W]` or `[H, W, C]`, with palettes looked up.

    The content decides on the format, not the name of the file.

    Raises
    ------
    UserError
        If the file is missing, damaged, of another format, or a stack.
    """
    try:
        return _decode(Path(path))
    except UserError:
        raise
    except Exception as error:  # each decoder raises its own exceptions for a damaged file
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read ({reason}): is the file there and whole?") from error


def _decode(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        signature = file.read(4)
    if signature == b"\x89PNG":
        return imagecodecs.png_decode(path.read_bytes())  # unlike Pillow, keeps 16 bits in colour
    if signature in TIFF_SIGNATURES:
        return decode_tiff(path)
    if signature.startswith(b"\xff\xd8\xff"):
        return _decode_jpeg(path)
    raise UserError(f"{path} is not a PNG, TIFF or JPEG file: convert it to one of these.")


def _decode_jpeg(path: Path) -> np.ndarray:
    # Image.open refuses large images as decompression bombs, and imagecodecs fills the missing part of a truncated
    # file with grey.
    with JpegImageFile(path) as jpeg:
        return np.asarray(jpeg if jpeg.mode == "L" else jpeg.convert("RGB"))


def write_png(path: str | os.PathLike, pixels: np.ndarray) -> None:
    """Write pixels (uint8 or uint16, `[H, W]` or `[H, W, C]`) as a PNG, whole or not at all."""
    with atomic_write(path) as draft:
        draft.write_bytes(imagecodecs.png_encode(pixels))


def without_alpha(raw: np.ndarray, name: object) -> np.ndarray:
    """Return `[H, W, 1]` or `[H, W, 3]` from grey, grey + alpha, RGB or RGBA; `name` appears in the error."""
    if raw.ndim == 2:
        return raw[..., None]
    if raw.ndim != 3 or raw.shape[2] not in (1, 2, 3, 4):
        raise UserError(f"{name} has the shape {raw.shape}: save it as one plane, grey or RGB.")
    return raw[..., :1] if raw.shape[2] < 3 else raw[..., :3]
