"""OME-Zarr images: one level of the pyramid, read part by part, so that an image may be larger than the memory.

Versions 0.1 to 0.5 of the format are read (https://ngff.openmicroscopy.org). As in `histobridge.io.plane`, what a file
declares decides, and what it does not declare is refused:

============  =======================================================================================================
declaration   reading
============  =======================================================================================================
*axes*        Rows (y) and columns (x), in this order, come last; any other axis must have length one. Versions 0.1 and
              0.2 name no axes, and mean t, c, z, y, x.
*levels*      Each pyramid level has a grid and a pixel size of its own; level 0 is the finest.
*pixel size*  The scale of the level (times that of the pyramid) in the unit of the axes. Without a unit there is none.
*samples*     Integers and floats. Unlike in a TIFF, integers are never black where they are high.
*no chunk*    Chunks that are not stored have the fill value, as the format says; told.
============  =======================================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from histobridge.errors import UserError
from histobridge.io.limits import printable
from histobridge.io.plane import refuse_stack
from histobridge.io.units import DeclaredSize, square_side
from histobridge.tiles import Place

if TYPE_CHECKING:
    import zarr

MARKS = (".zgroup", ".zattrs", ".zarray", "zarr.json")
"""Files of which each Zarr folder has at least one."""
OLD_AXES = ("t", "c", "z", "y", "x")
UNITS = {"micrometer": "um", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm", "meter": "m"}
UNITS |= {"picometer": "pm", "angstrom": "Å"}
"""Units of OME-Zarr, as `histobridge.io.units` calls them."""
SOURCE = "OME-Zarr metadata"
BLOSC = ("Blosc", "BloscCodec")
"""Names of the compressor in both versions of Zarr."""


@dataclass(frozen=True, eq=False)
class ZarrLevel:
    """One level of the pyramid of an OME-Zarr image.

    Attributes
    ----------
    path : Path
        The folder of the image.
    shape : tuple of int
        Height and width, px.
    dtype : dtype
    declared_size : DeclaredSize or None
    remarks : tuple of str
        What the user should be told.
    """

    format: ClassVar[str] = "OME-Zarr"
    path: Path
    shape: tuple[int, int]
    dtype: np.dtype
    declared_size: DeclaredSize | None
    remarks: tuple[str, ...] = ()
    _array: zarr.Array | None = field(repr=False, default=None)

    def read(self, where: Place) -> np.ndarray:
        """Return a part, `[h, w]` of `dtype`; raise a `UserError` if a chunk of it is damaged."""
        with _faults_of(self.path):
            self._check_lengths(where)
            return self._array[(0,) * (self._array.ndim - 2) + where]

    def _check_lengths(self, where: Place) -> None:
        """Raise a `UserError` if a Blosc chunk is not as long as it declares, which its decoder does not see."""
        if type(self._array.compressors[-1] if self._array.compressors else None).__name__ not in BLOSC:
            return
        sides = zip(where, self.shape, self._array.chunks[-2:], strict=True)
        numbers = [range(*_chunk_range(side.indices(length), chunk)) for side, length, chunk in sides]
        for place in product(*numbers):
            key = self._array.metadata.encode_chunk_key((0,) * (self._array.ndim - 2) + place)
            file = Path(self._array.store.root) / self._array.path / key
            if file.is_file() and file.stat().st_size != _declared_bytes(file):
                raise UserError(f"{self.path} is damaged (chunk {key} is not as long as it says): copy it again.")

    @property
    def stored_as(self) -> str:
        """Bits and kind, such as `16-bit grey`."""
        return f"{8 * self.dtype.itemsize}-bit grey"


def is_zarr(path: Path) -> bool:
    """Return whether a path is a Zarr folder, by its content."""
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def open_zarr(path: Path, level: int = 0) -> ZarrLevel:
    """Open one level of an OME-Zarr image; no pixel is read.

    Parameters
    ----------
    path : Path
        The folder of the image. What bioformats2raw writes around a single image is passed through.
    level : int
        Of the pyramid; 0 is the finest.

    Raises
    ------
    UserError
        If there is no OME-Zarr image or no such level, or the image has several planes, axes in another order, or
        samples that are no numbers.
    """
    path = Path(path)
    with _faults_of(path):
        group = _image_group(path)
        multiscale = _attributes(group)["multiscales"][0]
        datasets = multiscale["datasets"]
        if not 0 <= level < len(datasets):
            raise UserError(f"{path} has the pyramid levels 0 to {len(datasets) - 1}, and no level {level}.")
        array = group[datasets[level]["path"]]
        axes = _axes(multiscale, array, path)
        if array.dtype.kind not in "uif":
            raise UserError(f"{path} holds {array.dtype}: save it with integer or real grey values.")
        size = _declared_size(multiscale, datasets[level], axes, path)
        return ZarrLevel(path, array.shape[-2:], array.dtype, size, tuple(_missing_chunks(array)), array)


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    """Turn whatever Zarr, a decoder or the file system raises into one sentence about an image."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # each decoder raises its own exceptions for a damaged chunk
        reason = printable(getattr(error, "strerror", None) or error)
        raise UserError(f"{path} cannot be read ({reason:.200}): is it all there, and whole?") from error


def _image_group(path: Path) -> zarr.Group:
    """Return the group of a multiscale image."""
    import zarr  # half a second, which other formats need not wait for

    if (path / ".zarray").is_file():
        raise UserError(f"{path} is a Zarr array without metadata: convert it to OME-Zarr, or export it as TIFF.")
    try:
        group = zarr.open_group(path, mode="r")
    except zarr.errors.GroupNotFoundError as error:
        raise UserError(f"{path} is no OME-Zarr image: convert it to one, or export it as TIFF.") from error
    attributes = _attributes(group)
    if "multiscales" in attributes:
        return group
    if "plate" in attributes:
        raise UserError(f"{path} is a plate of many images: give the folder of the image you want, such as A/1/0.")
    images = [name for name in sorted(group.group_keys()) if "multiscales" in _attributes(group[name])]
    if len(images) == 1:
        return group[images[0]]
    if images:
        raise UserError(
            f"{path} holds {len(images)} images ({', '.join(images)}): give the folder of the one you want."
        )
    raise UserError(f"{path} names no pyramid (multiscales), so it is no OME-Zarr image: convert it, or export a TIFF.")


def _attributes(group: zarr.Group) -> dict:
    """Return the metadata of OME-Zarr, which version 0.5 has put one level lower."""
    attributes = group.attrs.asdict()
    return attributes.get("ome", attributes)


def _axes(multiscale: dict, array: zarr.Array, path: Path) -> list[dict]:
    """Return the axes of a level, each with its name; refuse all but y, x and axes of length one before them."""
    declared = multiscale.get("axes") or (OLD_AXES if array.ndim == len(OLD_AXES) else None)
    if declared is None or len(declared) != array.ndim:
        raise UserError(f"{path} does not say what its {array.ndim} axes are: write it as OME-Zarr 0.4 or newer.")
    axes = [{"name": axis} if isinstance(axis, str) else axis for axis in declared]
    names = [axis["name"] for axis in axes]
    if names[-2:] != ["y", "x"]:
        raise UserError(
            f"{path} has the axes {', '.join(names)}: write it with y and x as the last two, in this order."
        )
    long = [f"{length} along {name}" for name, length in zip(names, array.shape[:-2], strict=False) if length != 1]
    if long:
        refuse_stack(path, ", ".join(long))
    return axes


def _declared_size(multiscale: dict, dataset: dict, axes: list[dict], path: Path) -> DeclaredSize | None:
    """Return the pixel size of a level: the product of the scales of level and pyramid, in the units of y and x."""
    transformations = (part.get("coordinateTransformations") or () for part in (dataset, multiscale))
    scales = [one["scale"] for some in transformations for one in some if one.get("type") == "scale"]
    if not scales:
        return None
    if not all("unit" in axis for axis in axes[-2:]):
        return DeclaredSize(
            SOURCE, fault=f"{path} gives a pixel size without a unit: state it, such as --um-per-px 0.1."
        )
    sides = [math.prod(scale[place] for scale in scales) for place in (-1, -2)]
    units = [UNITS.get(axis["unit"], axis["unit"]) for axis in (axes[-1], axes[-2])]
    try:
        return DeclaredSize(SOURCE, square_side(list(zip(sides, units, strict=True)), path))
    except UserError as error:
        return DeclaredSize(SOURCE, fault=str(error))


def _chunk_range(indices: tuple[int, int, int], chunk: int) -> tuple[int, int]:
    return indices[0] // chunk, -(-indices[1] // chunk)


def _declared_bytes(file: Path) -> int:
    """Return the length of a Blosc chunk by its header, of 16 bytes; 0 if that is not whole."""
    with file.open("rb") as opened:
        return int.from_bytes(opened.read(16)[12:], "little")


def _missing_chunks(array: zarr.Array) -> list[str]:
    missing = array.nchunks - array.nchunks_initialized
    return [f"{missing} of its {array.nchunks} chunks are not stored and have the fill value"] if missing > 0 else []
