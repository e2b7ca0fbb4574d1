"""Fibres as a label image for napari, Cellpose and Fiji: each fibre has its own number."""

from __future__ import annotations

import os

import numpy as np
import tifffile
from skimage.segmentation import relabel_sequential

from histobridge.io.files import atomic_write
from histobridge.metrics.instances import axon_instances
from histobridge.metrics.morphometrics import fibre_instances, min_axon_px

MAX_UINT16 = np.iinfo(np.uint16).max


def fibre_labels(mask: np.ndarray, um_per_px: float) -> np.ndarray:
    """Number the fibres of a class mask: an axon and its share of the myelin have the same number.

    Number n is the row of fibre n in `morphometrics.fibres`. Specks too small for an axon, and myelin that is connected
    to no axon, are 0.

    Parameters
    ----------
    mask : ndarray
        uint8 `[H, W]` of classes 0, 1, 2.
    um_per_px : float
        Pixel size, µm/px.

    Returns
    -------
    ndarray
        uint16 `[H, W]`, or uint32 if there are more than 65535 fibres. 0 is background; numbers have no gaps.

    Raises
    ------
    ValueError
        If the mask holds other values than the classes.

    Examples
    --------
    >>> mask = np.zeros((5, 12), dtype=np.uint8)
    >>> mask[:, :5], mask[1:4, 1:4], mask[2, 8] = 1, 2, 2  # a fibre, and a speck
    >>> fibre_labels(mask, 0.1)[2].tolist()
    [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    """
    axons = axon_instances(mask, min_px=min_axon_px(um_per_px))
    numbers = relabel_sequential(fibre_instances(mask, axons))[0]
    return numbers.astype(np.uint16 if numbers.max(initial=0) <= MAX_UINT16 else np.uint32)


def write_instances(path: str | os.PathLike, labels: np.ndarray, um_per_px: float) -> None:
    """Write a label image as a compressed TIFF with its pixel size.

    uint16 becomes an ImageJ TIFF with the unit µm. ImageJ has no 32-bit integers, so uint32 becomes a plain TIFF with
    its resolution per cm, for napari, Cellpose, and Fiji by way of Bio-Formats.

    Parameters
    ----------
    path : path-like
    labels : ndarray
        uint16 or uint32 `[H, W]`.
    um_per_px : float
        Pixel size, µm/px.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    per_um = 1 / um_per_px
    options = {"resolutionunit": "CENTIMETER", "resolution": (1e4 * per_um, 1e4 * per_um)}
    if labels.dtype == np.uint16:
        options = {"imagej": True, "metadata": {"unit": "um"}, "resolution": (per_um, per_um)}
    with atomic_write(path) as draft:
        tifffile.imwrite(draft, labels, compression="zlib", photometric="minisblack", **options)
