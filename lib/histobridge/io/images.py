"""Images and masks at the border: reading, the mask codec, intensities and pixel size.

Inside the library an image is float32 `[H, W]` and a mask uint8 `[H, W]` with 0 background, 1 myelin, 2 axon.
Only this file knows what they look like on disk. What cannot be read for certain is refused with a
`UserError`: nothing is guessed, neither a pixel size nor a page of a stack.
"""

from __future__ import annotations

import os
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL.JpegImagePlugin import JpegImageFile
from skimage.transform import resize

from histobridge.errors import UserError, check_pixel_size
from histobridge.io.files import atomic_write

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""

LEVEL_OF_CLASS = np.array([0, 127, 255], dtype=np.uint8)
"""The grey level of background, myelin and axon in a mask file."""

IS_KNOWN_LEVEL = np.isin(np.arange(256), (0, 127, 128, 254, 255))
"""Half of 255 is no integer: masks in the wild round it both ways, and some double the lower one."""

CLASS_OF_LEVEL = np.rint(np.arange(256) / 127.5).astype(np.uint8)
"""The class whose level (0, 127.5 or 255) is nearest to each grey level."""

MOST_SNAPPED = 0.01
"""The largest share of foreign pixels that still passes as a slip of the pen."""

STRETCHED = 0.5, 99.5
"""The percentiles between which the contrast of an image lies."""

TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read one microscopy image, of any size, as raw grey values.

    Integers are divided by the largest value of their type, so 8 and 16 bits come out in 0..1; floats are
    kept as they are. Colour (palettes too) becomes luminance. An alpha channel is dropped: what lies under
    a transparent place counts like any other pixel.

    Parameters
    ----------
    path : str or path-like
        A PNG, TIFF (any compression), OME-TIFF or JPEG, whatever its name says.

    Returns
    -------
    ndarray
        float32 `[H, W]`.

    Raises
    ------
    UserError
        If the file is missing, damaged or of another format, holds more than one plane, or NaN or infinity.
    """
    return read_described(path)[0]


def read_described(path: str | os.PathLike) -> tuple[np.ndarray, str]:
    """Return what `read_image` (which see) returns, and how it was stored, such as `16-bit grey` or `8-bit colour`."""
    raw = _read_raw(path)
    if raw.dtype.kind not in "uif":
        raise UserError(f"{path} holds {raw.dtype} pixels: save it with integer or real grey values.")
    full_scale = 1 if raw.dtype.kind == "f" else np.iinfo(raw.dtype).max
    colours = _without_alpha(raw, path)
    image = _luminance(colours) / full_scale
    _check_finite(image, path)
    return image, f"{8 * raw.dtype.itemsize}-bit {'grey' if colours.shape[2] == 1 else 'colour'}"


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an image (float `[H, W]`) as an 8-bit grey PNG, whole or not at all.

    Values outside 0..1 are clipped; NaN and infinity, or a file that cannot be written, raise `UserError`.
    """
    _check_finite(image, path)
    _write_png(path, np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8))


def normalise(image: np.ndarray, *, name: object = "The image") -> np.ndarray:
    """Stretch an image so that two percentiles (`STRETCHED`) become 0 and 1, and clip what lies beyond.

    Parameters
    ----------
    image : ndarray
        `[H, W]`, any finite grey values.
    name : object
        What the message calls the image, usually its path.

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
    bottom, top = np.percentile(image, STRETCHED)
    if not top > bottom:
        raise UserError(f"{name} is constant (grey value {bottom:g}): it shows nothing, leave it out.")
    return np.clip((image - bottom) / (top - bottom), 0, 1).astype(np.float32)


def decode_mask(raw: np.ndarray, *, name: object = "The mask") -> tuple[np.ndarray, int]:
    """Turn the grey levels of a mask file into classes.

    0 is background, 127 or 128 myelin, 254 or 255 axon. Any other level, and any pixel that is not grey, is
    foreign: it is snapped to the nearest of 0, 127.5 and 255 and counted. A few are the trace of an editor's
    brush; more than 1 % mean that the mask was interpolated, compressed with losses or coded otherwise.

    Parameters
    ----------
    raw : ndarray
        uint8 `[H, W]`, or `[H, W, C]` with grey, grey + alpha, RGB or RGBA; alpha is dropped.
    name : object
        What the message calls the mask, usually its path.

    Returns
    -------
    mask : ndarray
        uint8 `[H, W]` with 0 background, 1 myelin, 2 axon.
    n_snapped : int
        How many pixels were foreign.

    Raises
    ------
    UserError
        If the mask is not 8-bit, or more than 1 % of its pixels are foreign.

    Examples
    --------
    >>> mask, n_snapped = decode_mask(np.array([[0, 127, 128, 254, 255]], dtype=np.uint8))
    >>> mask.tolist(), n_snapped
    ([[0, 1, 1, 2, 2]], 0)
    """
    if raw.dtype != np.uint8:
        raise UserError(f"{name} holds {raw.dtype} pixels: save the mask as 8-bit grey with 0, 127 and 255.")
    colours = _without_alpha(raw, name)
    levels = np.rint(colours.mean(axis=2, dtype=np.float32)).astype(np.uint8)
    foreign = ~IS_KNOWN_LEVEL[levels] | (colours != levels[..., None]).any(axis=2)
    n_snapped = int(foreign.sum())
    if n_snapped > MOST_SNAPPED * foreign.size:
        raise UserError(
            f"{name} is no mask of 0 background, 127 myelin, 255 axon: {n_snapped / foreign.size:.1%} of its "
            f"pixels have other values (mostly {_most_common(colours[foreign])}); export it again without "
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


def read_mask(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """Read a mask file: `decode_mask` (which see) of any format that `read_image` reads."""
    return decode_mask(_read_raw(path), name=path)


def write_mask(path: str | os.PathLike, mask: np.ndarray) -> None:
    """Write a mask (uint8 `[H, W]` of classes 0, 1, 2) as a PNG with 0, 127, 255, whole or not at all.

    Raises `UserError` if the file cannot be written.
    """
    _write_png(path, encode_mask(mask))


def check_same_size(image: np.ndarray, mask: np.ndarray, name: object) -> None:
    """Raise a `UserError` about `name` unless image and mask have the same height and width."""
    if image.shape[:2] != mask.shape[:2]:
        sizes = [f"{width} × {height} px" for height, width in (image.shape[:2], mask.shape[:2])]
        raise UserError(f"{name} is {sizes[0]} but its mask {sizes[1]}: give the mask drawn on this image.")


def resample(image: np.ndarray, um_per_px: float, to_um_per_px: float, *, name: object = "The image") -> np.ndarray:
    """Bring an image to another pixel size, linearly, with a Gaussian against aliasing where it shrinks.

    The extent is kept (not the centres of the corner pixels), so that image and mask stay aligned.

    Parameters
    ----------
    image : ndarray
        float `[H, W]`.
    um_per_px, to_um_per_px : float
        Present and wanted pixel size in µm/px.
    name : object
        What the message calls the image, usually its path.

    Returns
    -------
    ndarray
        float32, `[H, W]` times `um_per_px / to_um_per_px`, rounded, within the range of the values given.

    Raises
    ------
    UserError
        If a pixel size is missing or not a positive number.

    Examples
    --------
    >>> resample(np.ones((30, 40)), um_per_px=0.05, to_um_per_px=0.1).shape
    (15, 20)
    """
    shape = _shape_at(image.shape, um_per_px, to_um_per_px, name)
    return resize(image.astype(np.float32), shape, order=1, mode="edge", anti_aliasing=True)


def resample_mask(mask: np.ndarray, um_per_px: float, to_um_per_px: float, *, name: object = "The mask") -> np.ndarray:
    """Bring a mask to another pixel size by the nearest pixel: no class appears that was not there.

    The result has the shape and extent that `resample` gives an image of the same shape; parameters and
    errors are the same too.

    Returns
    -------
    ndarray
        uint8, `[H, W]` times `um_per_px / to_um_per_px`, rounded.

    Examples
    --------
    >>> resample_mask(np.array([[0, 2]], dtype=np.uint8), um_per_px=0.2, to_um_per_px=0.1).tolist()
    [[0, 0, 2, 2], [0, 0, 2, 2]]
    """
    height, width = _shape_at(mask.shape, um_per_px, to_um_per_px, name)
    rows, columns = _nearest(mask.shape[0], height), _nearest(mask.shape[1], width)
    return mask[np.ix_(rows, columns)].astype(np.uint8)


def middle(image: np.ndarray, side: int) -> np.ndarray:
    """Return the central square of `side` px of an image or a colour picture; all of a shorter side.

    >>> middle(np.arange(5)[None].repeat(3, axis=0), 1).tolist()
    [[2]]
    """
    top, left = (max(0, (length - side) // 2) for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def _shape_at(shape: tuple[int, int], um_per_px: float, to_um_per_px: float, name: object) -> tuple[int, int]:
    """Height and width that an image of this shape has at the wanted pixel size, at least one pixel."""
    for size in (um_per_px, to_um_per_px):
        check_pixel_size(size, name)
    scale = um_per_px / to_um_per_px
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _nearest(n_source: int, n_target: int) -> np.ndarray:
    """Index of the source pixel under the centre of each target pixel, for one axis of the same extent.

    The centre of target i lies at (i + 1/2) n_source / n_target. At even factors it falls on the border of
    two source pixels; always taking the same side would shift the mask by half a pixel: the sides alternate.
    """
    target = np.arange(n_target)
    source, beyond_border = np.divmod((2 * target + 1) * n_source, 2 * n_target)
    return source - ((beyond_border == 0) & (target % 2 == 0))


def _read_raw(path: str | os.PathLike) -> np.ndarray:
    """Pixels as stored, `[H, W]` or `[H, W, C]`, palettes looked up."""
    try:
        return _decode_file(Path(path))
    except UserError:
        raise
    except Exception as error:  # each decoder has its own exceptions for a damaged file
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read ({reason}): is the file there and whole?") from error


def _decode_file(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        signature = file.read(4)
    if signature == b"\x89PNG":
        return imagecodecs.png_decode(path.read_bytes())  # unlike Pillow, keeps 16 bits in colour
    if signature in TIFF_SIGNATURES:
        return _decode_tiff(path)
    if signature.startswith(b"\xff\xd8\xff"):
        return _decode_jpeg(path)
    raise UserError(f"{path} is not a PNG, TIFF or JPEG file: convert it to one of these.")


def _decode_jpeg(path: Path) -> np.ndarray:
    # Image.open would refuse large images as decompression bombs, and imagecodecs would fill what a truncated
    # file lacks with grey.
    with JpegImageFile(path) as jpeg:
        return np.asarray(jpeg if jpeg.mode == "L" else jpeg.convert("RGB"))


def _decode_tiff(path: Path) -> np.ndarray:
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
    """Make stored numbers mean brightness: look up palettes, turn 'white is zero' round, refuse inks."""
    kind = tifffile.PHOTOMETRIC(page.photometric).name
    if kind == "PALETTE":
        return np.moveaxis(page.colormap[:, raw] >> 8, 0, -1).astype(np.uint8)
    if kind == "MINISWHITE":
        return np.iinfo(raw.dtype).max - raw
    if kind not in ("MINISBLACK", "RGB", "YCBCR"):
        raise UserError(f"{path} has {kind} colours: save it as grey or RGB.")
    return raw


def _write_png(path: str | os.PathLike, pixels: np.ndarray) -> None:
    with atomic_write(path) as draft:
        draft.write_bytes(imagecodecs.png_encode(pixels))


def _without_alpha(raw: np.ndarray, name: object) -> np.ndarray:
    """`[H, W, 1]` or `[H, W, 3]` from grey, grey + alpha, RGB or RGBA."""
    if raw.ndim == 2:
        return raw[..., None]
    if raw.ndim != 3 or raw.shape[2] not in (1, 2, 3, 4):
        raise UserError(f"{name} has the shape {raw.shape}: save it as one plane, grey or RGB.")
    return raw[..., :1] if raw.shape[2] < 3 else raw[..., :3]


def _luminance(colours: np.ndarray) -> np.ndarray:
    if colours.shape[2] == 1:
        return colours[..., 0].astype(np.float32)
    grey = np.zeros(colours.shape[:2], dtype=np.float32)  # never a float copy of all three: it may be huge
    for channel, weight in enumerate(LUMINANCE):
        grey += np.float32(weight) * colours[..., channel]
    return grey


def _check_finite(image: np.ndarray, name: object) -> None:
    n_bad = int(image.size - np.isfinite(image).sum())
    if n_bad:
        raise UserError(f"{name} holds {n_bad} pixels that are NaN or infinite: replace them first.")


def _most_common(colours: np.ndarray, n: int = 5) -> str:
    """The most frequent rows of an `[N, C]` array, as '64, 191' or '255/0/0, 0/0/255'."""
    values, counts = np.unique(colours, axis=0, return_counts=True)
    return ", ".join("/".join(map(str, value)) for value in values[np.argsort(-counts, kind="stable")[:n]])
