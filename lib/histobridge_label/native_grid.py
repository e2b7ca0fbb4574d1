"""Masks and maps resized to the pixel grid of the user's file.

Images are labelled at the pixel size of a segmenter, and labels are returned at that of the file. The target is a shape
and not a pixel size, because rounding to whole pixels on the way there and back may lose a row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from skimage.transform import resize

from histobridge.classes import AXON, BACKGROUND, MYELIN


def resize_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a class mask to a shape of the same extent, with smooth outlines.

    Each class is interpolated linearly, and the class with the largest share of a pixel wins.

    Parameters
    ----------
    mask : ndarray
        uint8 `[H, W]` of classes 0, 1, 2.
    shape : (int, int)
        Height and width of the result, px.

    Returns
    -------
    ndarray
        uint8 of that shape. A mask that already has it is returned unchanged.

    Examples
    --------
    >>> resize_mask(np.array([[0, 2]], dtype=np.uint8), (2, 4)).tolist()
    [[0, 0, 2, 2], [0, 0, 2, 2]]
    """
    if mask.shape == tuple(shape):
        return mask
    return class_of_largest_share(lambda value: resize_map((mask == value).astype(np.float32), shape), shape)


def class_of_largest_share(share_of: Callable[[int], np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return the mask uint8 of a shape in which each pixel has the class of its largest share; `share_of` gives one."""
    largest_share, classes = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    for value in (BACKGROUND, MYELIN, AXON):  # one at a time: an image may be huge
        share = share_of(value)
        wins = share > largest_share
        classes[wins], largest_share[wins] = value, share[wins]
    return classes


def resize_map(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a map (an uncertainty, a probability) linearly to a shape of the same extent, as float32.

    Examples
    --------
    >>> resize_map(np.array([[0.0, 1.0]]), (1, 4)).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    return resize(values.astype(np.float32), shape, order=1, mode="edge", anti_aliasing=True)
