"""Images and masks at another pixel size, aligned with each other."""

from __future__ import annotations

import numpy as np
from skimage.transform import resize

from histobridge.errors import check_pixel_size


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
    shape = _shape_at(image.shape, um_per_px, to_um_per_px, name)
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
    height, width = _shape_at(mask.shape, um_per_px, to_um_per_px, name)
    rows, columns = _nearest(mask.shape[0], height), _nearest(mask.shape[1], width)
    return mask[np.ix_(rows, columns)].astype(np.uint8)


def _shape_at(shape: tuple[int, int], um_per_px: float, to_um_per_px: float, name: object) -> tuple[int, int]:
    """Return height and width at the wanted pixel size, at least one pixel each."""
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
