"""PNG files as one plane of pixels."""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

import imagecodecs
import numpy as np

from histobridge.io.plane import Plane, check_room, refuse_stack

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""Decoded samples a pixel, for the colour types of PNG: grey, RGB, palette, grey + alpha, RGB + alpha."""


REFERENCES: list[None] = []
"""One for each PNG that could not be decoded: imagecodecs 2026.3 then drops a reference to None that it does not own,
and a Python before 3.12 ends in a fatal error when they are used up, such as by a folder of damaged files."""


class PngHeader(NamedTuple):
    """What a PNG declares before its pixels."""

    height: int
    width: int
    bits: int
    colour_type: int
    n_frames: int
    has_colour_key: bool

    @property
    def channels(self) -> int:
        """Decoded samples a pixel; a colour key (tRNS) becomes an alpha channel."""
        return CHANNELS[self.colour_type] + self.has_colour_key


def png_header(file: BinaryIO) -> PngHeader:
    """Read the chunks before the pixels; raise a `struct.error`, `KeyError` or `ValueError` if they are damaged."""
    file.seek(len(PNG_SIGNATURE))
    n_frames, has_colour_key, first = 1, False, None
    while True:
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind in (b"IDAT", b"IEND"):
            break
        body = file.read(length) if kind in (b"IHDR", b"acTL") else file.seek(length, 1)
        file.seek(4, 1)  # the checksum, which the decoder verifies
        if kind == b"IHDR":
            first = struct.unpack(">IIBB", body[:10])
        elif kind == b"acTL":
            (n_frames,) = struct.unpack(">I", body[:4])
        elif kind == b"tRNS":
            has_colour_key = True
    if first is None:
        raise ValueError("it has no header")
    width, height, bits, colour_type = first
    return PngHeader(height, width, bits, colour_type, n_frames, has_colour_key)


def decode_png(file: BinaryIO, name: object) -> Plane:
    """Return the plane of a PNG; raise a `UserError` if it is animated or too large for the memory."""
    header = png_header(file)
    if header.n_frames > 1:
        refuse_stack(name, f"animated, {header.n_frames} frames")
    bytes_per_sample = 2 if header.bits == 16 else 1
    check_room((header.height, header.width), header.channels * bytes_per_sample, name)
    pixels = _decoded(file)
    if header.colour_type == 0 and header.bits < 8:
        full_scale = 2**header.bits - 1
        pixels //= 255 // full_scale  # the decoder stretches grey to 8 bits
    else:
        full_scale = 256**bytes_per_sample - 1
    if pixels.ndim == 2:
        return Plane(pixels, full_scale)
    if pixels.shape[2] in (2, 4):
        colours = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]
        return Plane(colours, full_scale, alpha=pixels[..., -1])
    return Plane(pixels, full_scale)


def _decoded(file: BinaryIO) -> np.ndarray:
    file.seek(0)
    try:
        return imagecodecs.png_decode(file.read())  # unlike Pillow, keeps 16 bits in colour
    except Exception:
        REFERENCES.append(None)
        raise
