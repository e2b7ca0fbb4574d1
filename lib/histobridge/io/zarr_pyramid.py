"""Write OME-Zarr 0.4, part by part: an image with its labels, each with a pyramid, a pixel size and colours.

Version 0.4 (https://ngff.openmicroscopy.org/0.4) is the one that napari, Fiji, QuPath and OMERO all read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from histobridge.tiles import blocks

if TYPE_CHECKING:
    import zarr

CHUNK_PX, BLOCK_PX = 512, 2048
SMALLEST_PX = 256
"""Levels are added until the longer side is at most this."""
VERSION = "0.4"


@dataclass(frozen=True)
class Pyramid:
    """A multiscale array in the making: fill `finest`, then call `finish`.

    Attributes
    ----------
    finest : zarr.Array
        `[H, W]`, level 0. It is written in parts; aligned with `CHUNK_PX`, no chunk is written twice.
    group : zarr.Group
    """

    finest: zarr.Array
    group: zarr.Group

    def finish(self, reduce: Callable[[np.ndarray], np.ndarray]) -> None:
        """Add coarser levels, each half as large: by `mean_of_four` for images, `first_of_four` for labels."""
        um_per_px = self.group.attrs["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"][0]
        datasets, finer = [_dataset(0, um_per_px, centred=False)], self.finest
        while max(finer.shape) > SMALLEST_PX:
            coarser = _array(self.group, len(datasets), tuple(-(-side // 2) for side in finer.shape), finer.dtype)
            for where in blocks(coarser.shape, BLOCK_PX):
                rows, columns = (slice(2 * side.start, 2 * side.stop) for side in where)
                coarser[where] = reduce(finer[rows, columns])
            datasets.append(_dataset(len(datasets), um_per_px, centred=reduce is mean_of_four))
            finer = coarser
        multiscale = self.group.attrs["multiscales"][0] | {"datasets": datasets}
        self.group.attrs["multiscales"] = [multiscale]


def create_image(path: Path, shape: tuple[int, int], um_per_px: float, name: str) -> Pyramid:
    """Begin an OME-Zarr image, uint8 `[H, W]`, in a folder that is new.

    Parameters
    ----------
    path : Path
    shape : (int, int)
        Height and width, px.
    um_per_px : float
        Pixel size, µm/px.
    name : str

    Raises
    ------
    OSError
        If the folder is there, or cannot be written.
    """
    pyramid = _create(path, shape, um_per_px, name, np.uint8)
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    channel = {"label": name, "color": "FFFFFF", "active": True, "window": window}
    pyramid.group.attrs["omero"] = {"version": VERSION, "channels": [channel], "rdefs": {"model": "greyscale"}}
    return pyramid


def create_label(
    image: Pyramid, name: str, dtype: type, um_per_px: float, classes: Mapping[str, tuple[int, list[int]]] | None = None
) -> Pyramid:
    """Begin labels of an image, integers `[H, W]` of its shape, of which 0 is nothing.

    Parameters
    ----------
    image : Pyramid
        Of `create_image`.
    name : str
        Of the labels.
    dtype : type
        Of integers.
    um_per_px : float
        Pixel size, µm/px.
    classes : dict of str to (int, list of int), optional
        The number of each class, and its colour (red, green, blue, 0..255), by its name.
    """
    labels = image.group.require_group("labels")
    labels.attrs["labels"] = [*labels.attrs.get("labels", []), name]
    pyramid = _create(labels, image.finest.shape, um_per_px, name, dtype)
    about = {"version": VERSION, "source": {"image": "../../"}}
    if classes:
        about["colors"] = [{"label-value": value, "rgba": [*colour, 255]} for value, colour in classes.values()]
        about["properties"] = [{"label-value": value, "class": key} for key, (value, _) in classes.items()]
    pyramid.group.attrs["image-label"] = about
    return pyramid


def mean_of_four(finer: np.ndarray) -> np.ndarray:
    """Return an image half as large, of the means of 2 by 2 pixels; an odd last row or column is repeated.

    >>> mean_of_four(np.array([[0, 2, 9], [4, 6, 9]], dtype=np.uint8)).tolist()
    [[3, 9]]
    """
    even = np.pad(finer, [(0, side % 2) for side in finer.shape], mode="edge").astype(np.uint16)
    return ((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2] + 2) // 4).astype(finer.dtype)


def first_of_four(finer: np.ndarray) -> np.ndarray:
    """Return labels half as large: the upper left of 2 by 2 pixels, because numbers have no mean."""
    return finer[::2, ::2]


def _create(parent: Path | zarr.Group, shape: tuple[int, int], um_per_px: float, name: str, dtype: type) -> Pyramid:
    import zarr

    is_path = isinstance(parent, Path)
    group = zarr.open_group(parent, mode="w-", zarr_format=2) if is_path else parent.create_group(name)
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    datasets = [_dataset(0, um_per_px, centred=False)]
    group.attrs["multiscales"] = [{"version": VERSION, "name": name, "axes": axes, "datasets": datasets}]
    return Pyramid(_array(group, 0, shape, dtype), group)


def _array(group: zarr.Group, level: int, shape: tuple[int, int], dtype: type) -> zarr.Array:
    chunks = tuple(min(CHUNK_PX, side) for side in shape)
    nested = {"name": "v2", "separator": "/"}  # as version 0.4 wants it
    return group.create_array(str(level), shape=shape, chunks=chunks, dtype=dtype, chunk_key_encoding=nested)


def _dataset(level: int, um_per_px: float, *, centred: bool) -> dict:
    """Return the entry of a level; the first mean of 2 by 2 pixels lies between them, not on the first."""
    side = um_per_px * 2**level
    transformations = [{"type": "scale", "scale": [side, side]}]
    if centred and level:
        transformations.append({"type": "translation", "translation": [(side - um_per_px) / 2] * 2})
    return {"path": str(level), "coordinateTransformations": transformations}
