"""TIFF and OME-TIFF files as one plane of pixels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tifffile

from histobridge.errors import UserError
from histobridge.io.plane import Plane, check_room, refuse_stack
from histobridge.io.tiff_metadata import Ome, imagej_size, listed, read_ome
from histobridge.io.units import DeclaredSize

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
COLOURS = {"MINISBLACK": 1, "MINISWHITE": 1, "PALETTE": 1, "RGB": 3, "YCBCR": 3}
"""Samples a pixel, without extra ones, of each photometric interpretation that can be read."""
JPEG = (6, 7, 34892, 33007)  # compressions whose decoder converts YCbCr to RGB
NO_COMPRESSION = 1
NUMBERS, COMPLEX = (1, 2, 3), (5, 6)  # sample formats: unsigned, signed and real numbers; complex ones
ALPHA = {1: "associated", 2: "unassociated"}


def open_tiff(file: BinaryIO, name: object) -> tifffile.TiffFile:
    """Open a TIFF so that its pages are those of this file: of a set, no other file is opened."""
    of_sets = {"is_ome": False, "is_mmstack": False, "is_ndtiff": False}
    return tifffile.TiffFile(file, name=Path(str(name)).name, **of_sets)


def decode_tiff(file: BinaryIO, name: object) -> Plane:
    """Return the plane of a TIFF; raise a `UserError` for what `histobridge.io.plane` says is refused."""
    with open_tiff(file, name) as tiff:
        page, ome = single_page(tiff, name)
        kind, alpha = _checked_kind(page, name), _alpha(page, name)
        _check_size(page, kind, name)
        remarks = [*_set_remark(ome, name), *_check_stored(page, tiff, name)]
        samples = page.asarray(squeeze=False)  # samples apart, depth, height, width, samples together
        size = declared_size(tiff, page, ome, name)
    samples = np.moveaxis(samples[:, 0], 0, 2).reshape(*samples.shape[2:4], -1)
    opacity = samples[..., -1] if alpha else None
    values, full_scale = _brightness(samples[..., : COLOURS[kind]], kind, page, name)
    if values.shape[2] == 1:
        values = values[..., 0]
    return Plane(values, full_scale, opacity, alpha == "associated", size, tuple(remarks))


def declared_size(
    tiff: tifffile.TiffFile, page: tifffile.TiffPage, ome: Ome | None, name: object
) -> DeclaredSize | None:
    """Return the pixel size that OME-XML, or else ImageJ's metadata, declare."""
    return (ome and ome.size) or imagej_size(tiff, page, name)


def single_page(tiff: tifffile.TiffFile, name: object) -> tuple[tifffile.TiffPage, Ome | None]:
    """Return the one page that is a plane of its own, and what OME-XML says; refuse a stack.

    Reduced pages are left out: they show the same plane.
    """
    series = [one for one in tiff.series if not one.keyframe.is_reduced] or tiff.series
    if not series:
        raise UserError(f"{name} holds no image.")
    page = series[0].keyframe
    ome = read_ome(tiff.pages.first.description, name)
    missing = ome.missing(Path(str(name))) if ome else []
    if len(series) > 1 or series[0].size > page.size or page.imagedepth > 1:
        n_pages = sum(len(one) for one in series)
        what = f"{n_pages} pages, axes {ome.axes if ome else series[0].axes}"
        refuse_stack(name, f"{what}; of its set are missing: {listed(missing)}" if missing else what)
    if ome and not ome.other_files and ome.n_planes > len(tiff.pages) * page.samplesperpixel:
        refuse_stack(name, f"{ome.n_planes} planes declared, 1 there, axes {ome.axes}", "export the plane again.")
    n_images = (tiff.imagej_metadata or {}).get("images", 1) if tiff.is_imagej else 1
    if n_images > page.samplesperpixel:
        refuse_stack(name, f"{n_images} images declared, 1 there", "export the plane again.")
    return page, ome


def _set_remark(ome: Ome | None, name: object) -> list[str]:
    missing = ome.missing(Path(str(name))) if ome else []
    return [f"it is one file of a set, and is read alone; missing beside it: {listed(missing)}"] if missing else []


def _checked_kind(page: tifffile.TiffPage, name: object) -> str:
    """Return the photometric interpretation, after everything that is not read was refused."""
    if "PhotometricInterpretation" not in page.tags and page.compression not in JPEG:
        raise UserError(f"{name} does not declare whether 0 is black or white: save it as grey or RGB.")
    try:
        kind = tifffile.PHOTOMETRIC(page.photometric).name
    except ValueError:
        kind = f"unknown ({page.photometric})"
    if kind not in COLOURS:
        raise UserError(f"{name} has {kind} colours: save it as grey or RGB.")
    if kind == "YCBCR" and (page.compression not in JPEG or page.planarconfig != 1 or page.extrasamples):
        raise UserError(f"{name} has YCBCR colours that no JPEG decoder converts: save it as grey or RGB.")
    if page.dtype is None or page.dtype.kind not in "buif" or page.sampleformat not in NUMBERS:
        held = (
            page.dtype
            if page.sampleformat in COMPLEX
            else f"{page.bitspersample}-bit samples of format {page.sampleformat}"
        )
        raise UserError(f"{name} holds {held}: save it with integer or real grey values.")
    if kind == "PALETTE" and page.dtype.kind not in "bu":
        raise UserError(f"{name} has {page.dtype} numbers of colours: save it as grey or RGB.")
    return kind


def _alpha(page: tifffile.TiffPage, name: object) -> str | None:
    """Return how alpha is stored, None if there is none; refuse extra samples that are channels."""
    kind = tifffile.PHOTOMETRIC(page.photometric).name
    n_extra = page.samplesperpixel - COLOURS[kind]
    declared = [int(one) for one in np.atleast_1d(page.extrasamples)]
    if n_extra == 0:
        return None
    if n_extra == 1 and len(declared) == 1 and declared[0] in ALPHA:
        return ALPHA[declared[0]]
    if n_extra < 0:
        raise UserError(f"{name} declares {kind} in {page.samplesperpixel} samples a pixel: save it as grey or RGB.")
    raise UserError(
        f"{name} holds several planes ({page.samplesperpixel} channels, {n_extra} of them beyond {kind} and not "
        "declared to be alpha): save the plane you want as a file of its own."
    )


def _check_size(page: tifffile.TiffPage, kind: str, name: object) -> None:
    """Refuse an image without pixels, or one for which there is no memory."""
    if 0 in page.shaped:
        raise UserError(f"{name} is {page.imagewidth} × {page.imagelength} px: there is nothing in it.")
    looked_up = 3 * 2 if kind == "PALETTE" else 0
    bytes_per_px = page.samplesperpixel * page.dtype.itemsize + looked_up
    segment = math.prod(page.chunks) * page.dtype.itemsize
    check_room((page.imagelength, page.imagewidth), bytes_per_px, name, more=segment)


def _check_stored(page: tifffile.TiffPage, tiff: tifffile.TiffFile, name: object) -> list[str]:
    """Refuse a page whose pixels end early, which some decoders fill; return a remark on pixels that are left out."""
    n_segments, length = math.prod(page.chunked), tiff.filehandle.size
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))[:n_segments]
    ends = [offset + size for offset, size in segments]
    if len(segments) < n_segments or (page.compression != NO_COMPRESSION and max(ends) > length):
        raise UserError(f"{name} cannot be read (it ends before its last pixels): is the file there and whole?")
    left_out = sum(size == 0 for _, size in segments)
    return [f"{left_out} of its {n_segments} strips or tiles are not stored, and read as {page.nodata}"] * (
        left_out > 0
    )


def _brightness(samples: np.ndarray, kind: str, page: tifffile.TiffPage, name: object) -> tuple[np.ndarray, int]:
    """Return values of which high is bright, `[H, W, C]`, and that of white."""
    if kind == "PALETTE":
        return _look_up(samples[..., 0], page.colormap, name)
    if samples.dtype == bool:
        samples = samples.astype(np.uint8)
    bits = page.bitspersample if isinstance(page.bitspersample, int) else 8 * samples.itemsize  # 5, 6, 5 become 8
    full_scale = {"u": 2**bits - 1, "i": 2 ** (bits - 1) - 1, "f": 1}[samples.dtype.kind]
    if kind != "MINISWHITE":
        return samples, full_scale
    if samples.dtype.kind == "u":
        return full_scale - samples, full_scale
    if samples.dtype.kind == "i":
        return ~samples, full_scale
    with np.errstate(invalid="ignore"):  # NaN stays NaN, and an image refuses it
        return np.float32(1) - samples, full_scale


def _look_up(index: np.ndarray, table: np.ndarray | None, name: object) -> tuple[np.ndarray, int]:
    """Return the colours `[H, W, 3]` of a table `[3, N]`: uint8 where it has 8 bits, else uint16; and their white."""
    if table is None or np.ndim(table) != 2 or int(index.max()) >= table.shape[1]:
        raise UserError(f"{name} has numbers of colours that its colour table lacks: save it as grey or RGB.")
    high, low = table >> 8, table & 255
    if not high.any():
        table, full_scale = low.astype(np.uint8), 255
    elif not low.any() or (low == high).all():
        table, full_scale = high.astype(np.uint8), 255
    else:
        full_scale = 65535
    return np.ascontiguousarray(table.T)[index.astype(np.uint8) if index.dtype == bool else index], full_scale
