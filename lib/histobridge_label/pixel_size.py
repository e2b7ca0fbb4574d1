"""The pixel size that an image file comes with: in JSON sidecars of BIDS, or in its own metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from histobridge.data.bids import SidecarIndex, inherited
from histobridge.errors import UserError
from histobridge.io.pixels import Header
from histobridge.io.plane import Plane
from histobridge.io.units import square_side
from histobridge.io.zarr_image import ZarrLevel

FIELDS = ("PixelSize", "PixelSizeUnits")


class PixelSize(NamedTuple):
    """A pixel size in µm/px, and where it comes from."""

    um_per_px: float
    source: str


def pixel_size(path: Path, plane: Plane | ZarrLevel | Header, sidecars: Sidecars) -> PixelSize | None:
    """Return the pixel size that a sidecar or else the file itself gives; None if neither does.

    Parameters
    ----------
    path : Path
        The image, below the folder of the sidecars.
    plane : Plane, ZarrLevel or Header
        Its content, or what it declares, with the pixel size of its metadata.
    sidecars : Sidecars
        Of the dataset: one object for all its images reads each sidecar once.

    Raises
    ------
    UserError
        If the size cannot be used: pixels that are not square, an unknown unit, broken JSON.
    """
    if (found := sidecars.pixel_size(path)) is not None or plane.declared_size is None:
        return found
    if plane.declared_size.um_per_px is None:
        raise UserError(plane.declared_size.fault)
    return PixelSize(plane.declared_size.um_per_px, plane.declared_size.source)


class Sidecars:
    """The JSON files below a folder. They are listed once, and each that describes an image is read once.

    Parameters
    ----------
    root : Path
        The folder of the dataset: sidecars are searched from an image's folder up to this one.
    """

    def __init__(self, root: Path):
        self.root = Path(root)
        self._indices: dict[Path, SidecarIndex] = {}
        self._contents: dict[str, dict] = {}

    def pixel_size(self, path: Path) -> PixelSize | None:
        """Return the pixel size that the sidecars of an image give together, by BIDS's inheritance principle."""
        fields = {name: self._read(name) for name in self._names_for(path)}
        sources = [name for name, content in fields.items() if "PixelSize" in content]
        if not sources:
            return None
        merged, source = inherited(fields.values()), Path(sources[-1])
        side = square_side(_sides(merged["PixelSize"], merged.get("PixelSizeUnits")), self.root / source)
        return PixelSize(side, source.name)

    def _names_for(self, path: Path) -> list[str]:
        """Return the sidecars of an image, relative to the root, from the general to the specific."""
        image = path.relative_to(self.root).as_posix()
        folders = [path.parent, *path.parent.parents]
        folders = reversed(folders[: folders.index(self.root) + 1])
        return [name for folder in folders for name in self._index(folder).sidecars_of(image)]

    def _index(self, folder: Path) -> SidecarIndex:
        if folder not in self._indices:
            jsons = sorted(folder.glob("*.json")) if folder.is_dir() else []
            self._indices[folder] = SidecarIndex(json.relative_to(self.root).as_posix() for json in jsons)
        return self._indices[folder]

    def _read(self, name: str) -> dict:
        if name not in self._contents:
            self._contents[name] = _read_json(self.root / name)
        return self._contents[name]


def _sides(size: object, unit: object) -> list[tuple]:
    """Return width and height, each with its unit."""
    sides = size[:2] if isinstance(size, list) and len(size) > 1 else [size] * 2
    return [(side, unit) for side in sides]


def _read_json(path: Path) -> dict:
    """Return the fields on pixel size; raise a `UserError` if the file is no JSON object."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON that can be read: mend or remove it.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no fields, such as PixelSize, but {type(content).__name__}: mend or remove it.")
    return {name: content[name] for name in FIELDS if name in content}
