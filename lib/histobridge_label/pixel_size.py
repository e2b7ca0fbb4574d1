"""The pixel size that an image file comes with: in JSON sidecars of BIDS, or in the metadata of an OME-TIFF."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as XML
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import tifffile

from histobridge.data.bids import UM, in_um, inherited, sidecars_of, stem
from histobridge.errors import UserError
from histobridge.io.limits import printable

SQUARE = 0.01  # largest relative difference between the sides of a pixel that counts as square


class PixelSize(NamedTuple):
    """A pixel size in µm/px, and where it comes from."""

    um_per_px: float
    source: str


class Sidecars:
    """The JSON files of a dataset, each of which is listed and read once.

    Parameters
    ----------
    root : Path
        The folder of the dataset: sidecars are searched from the image's folder up to this one.
    """

    def __init__(self, root: Path):
        self.root = root
        self._folders: dict[Path, dict[tuple[str, str], list[str]]] = {}
        self._read = cache(_read_json)

    def of(self, image: Path) -> dict[Path, dict]:
        """Return the content of the sidecars of an image, from the general to the specific."""
        *entities, suffix = stem(image).split("_")
        folders = [image.parent, *image.parent.parents]
        possible = [
            name
            for folder in folders[: folders.index(self.root) + 1]
            for entity in ("", *dict.fromkeys(entities))
            for name in self._listed(folder).get((suffix, entity), [])
        ]
        names = sidecars_of(image.relative_to(self.root).as_posix(), possible)
        return {self.root / name: self._read(self.root / name) for name in names}

    def _listed(self, folder: Path) -> dict[tuple[str, str], list[str]]:
        """Return the JSON files of a folder by suffix and rarest entity: an image has few of its rarest ones."""
        if folder not in self._folders:
            found = {sidecar: stem(sidecar).split("_") for sidecar in sorted(folder.glob("*.json"))}
            frequency = Counter(entity for entities in found.values() for entity in entities[:-1])
            listed = self._folders[folder] = defaultdict(list)
            for sidecar, (*entities, suffix) in found.items():
                rarest = min(entities, key=frequency.__getitem__, default="")
                listed[suffix, rarest].append(sidecar.relative_to(self.root).as_posix())
        return self._folders[folder]


def pixel_size(path: Path, sidecars: Sidecars) -> PixelSize | None:
    """Return the pixel size that a sidecar or the file itself gives; None if neither does.

    Parameters
    ----------
    path : Path
        The image.
    sidecars : Sidecars
        Of its dataset.

    Raises
    ------
    UserError
        If the size cannot be used: pixels that are not square, an unknown unit, broken JSON.
    """
    return _from_sidecars(sidecars.of(path)) or _from_ome(path)


def _from_sidecars(fields: dict[Path, dict]) -> PixelSize | None:
    """Return the pixel size that the sidecars of an image give together, by BIDS's inheritance principle."""
    sources = [sidecar for sidecar, content in fields.items() if "PixelSize" in content]
    if not sources:
        return None
    merged, source = inherited(fields.values()), sources[-1]
    size = merged["PixelSize"]
    sides = size[:2] if isinstance(size, list) else [size] * 2
    return PixelSize(_square_side_um(sides, merged.get("PixelSizeUnits"), source), printable(source.name))


def _from_ome(path: Path) -> PixelSize | None:
    """Return the physical pixel size of an OME-TIFF; None if the file is not one, or gives no size."""
    try:
        with tifffile.TiffFile(path) as tiff:
            metadata = tiff.ome_metadata
        pixels = XML.fromstring(metadata).find(".//{*}Pixels") if metadata else None
    except (OSError, tifffile.TiffFileError, XML.ParseError):
        return None  # reading the image will report a broken file
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return None
    sides = [pixels.get(f"PhysicalSize{axis}", pixels.get("PhysicalSizeX")) for axis in "XY"]
    return PixelSize(_square_side_um(sides, pixels.get("PhysicalSizeXUnit", "µm"), path), "OME metadata")


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON that can be read: mend or remove it.") from error
    return content if isinstance(content, dict) else {}


def _square_side_um(sides: list, unit: str | None, source: Path) -> float:
    if not isinstance(unit, str) or unit not in UM:
        raise UserError(f"{source} gives a pixel size in '{unit}': write one of {', '.join(UM)}.")
    try:
        width, height = (in_um(float(side), unit) for side in sides)
    except (TypeError, ValueError):
        raise UserError(f"{source} gives the pixel size {sides}: write two numbers.") from None
    if not (0 < width < math.inf and math.isclose(width, height, rel_tol=SQUARE)):
        raise UserError(f"{source} gives pixels of {width:g} × {height:g} µm: only square ones can be used.")
    return width
