"""The one reader of image files: PNG, TIFF and JPEG become a `Plane`. `histobridge.io.plane` says what is read how."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

import imagecodecs
import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from histobridge.errors import UserError
from histobridge.io.files import atomic_write
from histobridge.io.limits import check_memory, printable
from histobridge.io.plane import Plane, check_room
from histobridge.io.png import PNG_SIGNATURE, decode_png, png_header
from histobridge.io.tiff import TIFF_SIGNATURES, declared_size, decode_tiff, open_tiff, single_page
from histobridge.io.units import DeclaredSize

JPEG_SIGNATURE = b"\xff\xd8\xff"
LFS_POINTER, ANNEX_POINTER = b"version https://git-lfs", b"annex/objects/"
LONGEST_POINTER = 32_768  # bytes; git-annex takes no longer file for a pointer


def read_plane(path: str | os.PathLike) -> Plane:
    """Read one plane of pixels; the file is read once, and the checksum is that of what was decoded.

    Raises
    ------
    UserError
        If the file is missing, not fetched, empty, damaged, of another format, a stack, or stored in a way that is
        refused (see `histobridge.io.plane`); if there is not enough memory, which is known before it is taken.
    """
    path = Path(path)
    with _faults_of(path):
        status = _status(path)
        check_memory(status.st_size, path)
        content = path.read_bytes()
    return decode_plane(content, path)


def decode_plane(content: bytes, name: object) -> Plane:
    """Decode the content of an image file; `name` is what messages call it, usually its path. Raises `UserError`."""
    file = io.BytesIO(content)
    with _faults_of(name):
        decode = {"PNG": decode_png, "TIFF": decode_tiff, "JPEG": _decode_jpeg}[_format(file, name)]
        return replace(decode(file, name), sha256=hashlib.sha256(content).hexdigest())


class Header(NamedTuple):
    """What an image file declares of its plane: format, height and width (px), and the pixel size in its metadata."""

    format: str
    shape: tuple[int, int]
    declared_size: DeclaredSize | None = None


def size_of(path: str | os.PathLike) -> tuple[int, int]:
    """Return height and width, px, of an image file, which is not decoded; raises a `UserError` as `read_plane`."""
    return header_of(path).shape


def header_of(path: str | os.PathLike) -> Header:
    """Read what an image file declares; no pixel is decoded. Raises a `UserError` as `read_plane`."""
    path = Path(path)
    with _faults_of(path):
        _status(path)
        with path.open("rb") as file:
            kind = _format(file, path)
            if kind == "PNG":
                return Header(kind, png_header(file)[:2])
            if kind == "JPEG":
                return Header(kind, JpegImageFile(file).size[::-1])
            with open_tiff(file, path) as tiff:
                page, ome = single_page(tiff, path)
                size = declared_size(tiff, page, ome, path)
                return Header(kind, (page.imagelength, page.imagewidth), size)


def write_png(path: str | os.PathLike, pixels: np.ndarray) -> None:
    """Write pixels (uint8 or uint16, `[H, W]` or `[H, W, C]`) as a PNG, whole or not at all."""
    with atomic_write(path) as draft:
        draft.write_bytes(imagecodecs.png_encode(pixels))


def format_of(start: bytes) -> str | None:
    """Return the format, PNG, TIFF or JPEG, that the first bytes of a file declare; None for any other.

    >>> format_of(b"II*\\0"), format_of(b"GIF89a")
    ('TIFF', None)
    """
    signatures = {"PNG": PNG_SIGNATURE, "TIFF": TIFF_SIGNATURES, "JPEG": JPEG_SIGNATURE}
    return next((name for name, signature in signatures.items() if start.startswith(signature)), None)


@contextmanager
def _faults_of(name: object) -> Iterator[None]:
    """Turn whatever a decoder or the file system raises into one sentence about a file."""
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{name} needs more memory than there is: cut it into parts.") from error
    except Exception as error:  # each decoder raises its own exceptions for a damaged file
        reason = printable(getattr(error, "strerror", None) or error)
        raise UserError(f"{name} cannot be read ({reason:.200}): is the file there and whole?") from error


def _status(path: Path) -> os.stat_result:
    """Return what the file system knows of a file; refuse a link to nowhere, and what is no file."""
    if path.is_symlink() and not path.exists():
        advice = "not fetched? Run `git annex get`, or mend the link."
        raise UserError(f"{path} is a link to {printable(os.readlink(path))}, which is not there: {advice}")
    status = path.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise UserError(f"{path} is no regular file: give one that holds an image.")
    return status


def _format(file: BinaryIO, name: object) -> str:
    """Return the format that the first bytes of a file declare, and go back to its start; refuse all others."""
    start = file.read(LONGEST_POINTER + 1)
    file.seek(0)
    if found := format_of(start):
        return found
    if not start:
        raise UserError(f"{name} is empty: copy or export it again.")
    if start.startswith(LFS_POINTER):
        raise UserError(f"{name} is a pointer of git-lfs, not the image itself: not fetched? Run `git lfs pull`.")
    if len(start) <= LONGEST_POINTER and ANNEX_POINTER in start.replace(b"\\", b"/").split(b"\n")[0]:
        raise UserError(f"{name} is a pointer of git-annex, not the image itself: not fetched? Run `git annex get`.")
    raise UserError(f"{name} is not a PNG, TIFF or JPEG file: convert it to one of these.")


def _decode_jpeg(file: BinaryIO, name: object) -> Plane:
    # Image.open refuses large images as decompression bombs, and imagecodecs fills the missing part of a truncated
    # file with grey.
    with JpegImageFile(file) as jpeg:
        check_room(jpeg.size, len(jpeg.getbands()), name)
        return Plane(np.asarray(jpeg if jpeg.mode == "L" else jpeg.convert("RGB")), 255)
