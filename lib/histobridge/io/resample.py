"""Images and masks at another pixel size, aligned with each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage.transform import resize

from histobridge.errors import check_pixel_size
from histobridge.tiles import Place, blocks, widened

Read = Callable[[Place], np.ndarray]
"""Returns a part, rows and columns, of an image [H, W] that need not be in memory."""

GAUSSIAN_SIGMAS = 4
"""Standard deviations at which the Gaussian against aliasing ends (that of `scipy.ndimage`)."""
MOST_READ_PX = 2**24
"""Pixels of an image that are read at a time for a part of it at another size."""


def resample(image: np.ndarray, um_per_px: float, to_um_per_px: float, *, name: object = "The image") -> np.ndarray:
    """Bring an image to another pixel size by linear interpolation, with a Gaussian against aliasing if it shrinks.

    The field of view is kept (not the centres of the corner pixels), so image and mask stay aligned.

    Parameters
    ----------
    image : ndarray
        float `[H, W]`.
    um_per_px, to_um_per_px : float
        Present and wanted pixel size in µm/px.
    name : object
        What the error message calls the image, usually its path.

    Returns
    -------
    ndarray
        float32, `[H, W]` times `um_per_px / to_um_per_px`, rounded, within the range of the input.

    Raises
    ------
    UserError
        If a pixel size is missing or not a positive number.

    Examples
    --------
    >>> resample(np.ones((30, 40)), um_per_px=0.05, to_um_per_px=0.1).shape
    (15, 20)
    """
    shape = shape_at(image.shape, um_per_px, to_um_per_px, name)
    return resize(image.astype(np.float32), shape, order=1, mode="edge", anti_aliasing=True)


def resample_mask(mask: np.ndarray, um_per_px: float, to_um_per_px: float, *, name: object = "The mask") -> np.ndarray:
    """Bring a mask to another pixel size by nearest-neighbour interpolation, so no new class appears.

    Shape, field of view, parameters and errors are those of `resample`.

    Returns
    -------
    ndarray
        uint8, `[H, W]` times `um_per_px / to_um_per_px`, rounded.

    Examples
    --------
    >>> resample_mask(np.array([[0, 2]], dtype=np.uint8), um_per_px=0.2, to_um_per_px=0.1).tolist()
    [[0, 0, 2, 2], [0, 0, 2, 2]]
    """
    height, width = shape_at(mask.shape, um_per_px, to_um_per_px, name)
    rows, columns = _nearest(mask.shape[0], height), _nearest(mask.shape[1], width)
    return mask[np.ix_(rows, columns)].astype(np.uint8)


# --- Part by part ---------------------------------------------------------------------------------------


def resize_part(read: Read, shape: tuple[int, int], to_shape: tuple[int, int], where: Place) -> np.ndarray:
    """Return a part of what `skimage.transform.resize` makes of an image, which is read part by part.

    Interpolation, Gaussian and edges are those of `resample`, so that the parts of an image fit together without a
    seam, and the memory is that of one part.

    Parameters
    ----------
    read : callable
        Returns the part at a place of the image, float `[h, w]`.
    shape, to_shape : (int, int)
        Height and width of the image, px, and of the whole result.
    where : (slice, slice)
        Rows and columns of the result that are wanted.

    Returns
    -------
    ndarray
        float32 `[h, w]`, of the size of `where`.

    Examples
    --------
    >>> image = np.random.default_rng(0).random((90, 72))
    >>> part = resize_part(lambda where: image[where], (90, 72), (30, 24), (slice(10, 20), slice(0, 24)))
    >>> bool(np.allclose(part, resample(image, 1, 3)[10:20], atol=1e-6))
    True
    """
    rows, columns = where
    result = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
    factors = tuple(old / new for old, new in zip(shape, to_shape, strict=True))
    side = max(1, int(np.sqrt(MOST_READ_PX / max(1.0, factors[0] * factors[1]))))
    for top, left in blocks(result.shape, side):
        inner = tuple(
            slice(part.start + whole.start, part.stop + whole.start)
            for part, whole in zip((top, left), where, strict=True)
        )
        result[top, left] = _resized(read, shape, factors, inner)
    return result


def _resized(read: Read, shape: tuple[int, int], factors: tuple[float, float], where: Place) -> np.ndarray:
    """Return one part of the result; the pixel in row i of it has its centre at (i + 1/2) factor - 1/2."""
    sigmas = [max(0.0, (factor - 1) / 2) for factor in factors]
    first = [(side.start + 0.5) * factor - 0.5 for side, factor in zip(where, factors, strict=True)]
    last = [(side.stop - 0.5) * factor - 0.5 for side, factor in zip(where, factors, strict=True)]
    needed = tuple(slice(int(np.floor(a)), int(np.ceil(b)) + 1) for a, b in zip(first, last, strict=True))
    around = widened(needed, tuple(int(GAUSSIAN_SIGMAS * sigma + 0.5) + 1 for sigma in sigmas), shape)
    part = read(around).astype(np.float32)
    if any(sigmas):
        part = ndimage.gaussian_filter(part, sigmas, mode="nearest", truncate=GAUSSIAN_SIGMAS)
    size = tuple(side.stop - side.start for side in where)
    offsets = [centre - side.start for centre, side in zip(first, around, strict=True)]
    return ndimage.affine_transform(part, factors, offsets, output_shape=size, order=1, mode="nearest")


def shape_at(
    shape: tuple[int, int], um_per_px: float, to_um_per_px: float, name: object = "The image"
) -> tuple[int, int]:
    """Return height and width, px, at the wanted pixel size (µm/px), at least one pixel each."""
    for size in (um_per_px, to_um_per_px):
        check_pixel_size(size, name)
    scale = um_per_px / to_um_per_px
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _nearest(n_source: int, n_target: int) -> np.ndarray:
    """Return the index of the source pixel under the centre of each target pixel, along one axis.

    The centre of target i lies at (i + 1/2) n_source / n_target. At even factors it falls on the border of two source
    pixels; always taking the same side would shift the mask by half a pixel, so the sides alternate.
    """
    target = np.arange(n_target)
    source, beyond_border = np.divmod((2 * target + 1) * n_source, 2 * n_target)
    return source - ((beyond_border == 0) & (target % 2 == 0))
