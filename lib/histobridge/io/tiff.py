"""TIFF and OME-TIFF files as one plane of pixels whose numbers mean brightness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from histobridge.errors import UserError

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def decode_tiff(path: Path) -> np.ndarray:
    """Return the single plane of a TIFF, `[H, W]` or `[H, W, C]`; raise a `UserError` if it is a stack."""
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        if len(tiff.series) > 1 or series.axes not in ("YX", "YXS", "SYX"):
            stack = f"{len(tiff.pages)} pages, axes {series.axes}"
            raise UserError(f"{path} is a stack ({stack}): save the plane you want as a file of its own.")
        raw = series.asarray()
        if series.axes == "SYX":
            raw = np.moveaxis(raw, 0, -1)
        if raw.dtype == bool:
            raw = raw.astype(np.uint8) * 255
        return _apply_photometric(raw, tiff.pages[0], path)


def _apply_photometric(raw: np.ndarray, page: tifffile.TiffPage, path: Path) -> np.ndarray:
    """Look up palettes, invert images that store white as zero, and refuse inks."""
    kind = tifffile.PHOTOMETRIC(page.photometric).name
    if kind == "PALETTE":
        return np.moveaxis(page.colormap[:, raw] >> 8, 0, -1).astype(np.uint8)
    if kind == "MINISWHITE":
        return np.iinfo(raw.dtype).max - raw
    if kind not in ("MINISBLACK", "RGB", "YCBCR"):
        raise UserError(f"{path} has {kind} colours: save it as grey or RGB.")
    return raw
