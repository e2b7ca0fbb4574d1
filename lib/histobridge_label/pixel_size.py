"""What image files say about the size of their pixels: JSON sidecars of BIDS, and the metadata of OME-TIFF."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as XML
from pathlib import Path
from typing import NamedTuple

import tifffile

from histobridge.data.bids import UM, in_um, inherited, sidecars_of
from histobridge.errors import UserError

SQUARE = 0.01  # relative difference of the sides of a pixel that still passes


class PixelSize(NamedTuple):
    """µm/px, and who says so."""

    um_per_px: float
    said_by: str


def pixel_size(path: Path, root: Path) -> PixelSize | None:
    """Return the pixel size that a sidecar or the file itself states; None if neither does.

    Parameters
    ----------
    path : Path
        The image.
    root : Path
        The folder of the dataset: sidecars are looked for from the image's folder up to it.

    Raises
    ------
    UserError
        If a size is stated that cannot be used: pixels that are not square, an unknown unit, broken JSON.
    """
    return of_sidecars(path, root) or of_ome(path)


def of_sidecars(path: Path, root: Path) -> PixelSize | None:
    """Return the `PixelSize` that the JSON sidecars of BIDS give an image together; None if none has one.

    A sidecar holds for all images below its folder whose name ends alike and has all of its entities, and each field
    comes from the nearest that has it (BIDS calls this the inheritance principle, see `bids.sidecars_of`).
    """
    folders = [path.parent, *path.parent.parents]
    jsons = [found for folder in folders[: folders.index(root) + 1] for found in folder.glob("*.json")]
    names = [found.relative_to(root).as_posix() for found in jsons]
    fields = {name: _json(root / name) for name in sidecars_of(path.relative_to(root).as_posix(), names)}
    said, by = inherited(fields.values()), [root / name for name, has in fields.items() if "PixelSize" in has]
    if not by:
        return None
    sides = said["PixelSize"] if isinstance(said["PixelSize"], list) else [said["PixelSize"]] * 2
    return PixelSize(_square(sides[:2], said.get("PixelSizeUnits"), by[-1]), by[-1].name)


def of_ome(path: Path) -> PixelSize | None:
    """Return the physical size of the pixels of an OME-TIFF; None if the file is none, or does not say."""
    try:
        with tifffile.TiffFile(path) as tiff:
            said = tiff.ome_metadata
        pixels = XML.fromstring(said).find(".//{*}Pixels") if said else None
    except (OSError, tifffile.TiffFileError, XML.ParseError):
        return None  # whether it can be read as an image is told by whoever reads it
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return None
    sides = [pixels.get(f"PhysicalSize{axis}", pixels.get("PhysicalSizeX")) for axis in "XY"]
    return PixelSize(_square(sides, pixels.get("PhysicalSizeXUnit", "µm"), path), "OME metadata")


def _json(path: Path) -> dict:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no JSON that can be read: mend or remove it.") from error
    return said if isinstance(said, dict) else {}


def _square(sides: list, unit: str | None, said_by: Path) -> float:
    """Return the side of a square pixel in µm."""
    if unit not in UM:
        raise UserError(f"{said_by} gives a pixel size in '{unit}': write one of {', '.join(UM)}.")
    try:
        width, height = (in_um(float(side), unit) for side in sides)
    except (TypeError, ValueError):
        raise UserError(f"{said_by} gives the pixel size {sides}: write two numbers.") from None
    if not (0 < width < math.inf and math.isclose(width, height, rel_tol=SQUARE)):
        raise UserError(f"{said_by} gives pixels of {width:g} × {height:g} µm: only square ones can be used.")
    return width
