"""What image files say about the size of their pixels: JSON sidecars of BIDS, and the metadata of OME-TIFF."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as XML
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tifffile

from histobridge.errors import UserError

UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4}
"""µm in the units that BIDS and OME write; both signs of the micro are in use."""
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
    """Return the `PixelSize` of the nearest JSON sidecar of BIDS that has one.

    A sidecar holds for all images below its folder whose name ends alike and has all of its entities (BIDS calls this
    the inheritance principle): `sub-1_SEM.json` for `sub-1/micr/sub-1_sample-a_SEM.png`.
    """
    for sidecar in _sidecars(path, root):
        said = _json(sidecar)
        if "PixelSize" in said:
            sides = said["PixelSize"] if isinstance(said["PixelSize"], list) else [said["PixelSize"]] * 2
            return PixelSize(_square(sides[:2], said.get("PixelSizeUnits"), sidecar), sidecar.name)
    return None


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


def _sidecars(path: Path, root: Path) -> Iterator[Path]:
    """Yield the sidecars that hold for an image, the nearest and most particular first."""
    *entities, ending = path.name.split(".")[0].split("_")
    for folder in [path.parent, *path.parent.parents]:
        found = [(sidecar, sidecar.stem.split("_")) for sidecar in folder.glob("*.json")]
        holds = [(s, parts) for s, parts in found if parts[-1] == ending and set(parts[:-1]) <= set(entities)]
        yield from (sidecar for sidecar, _ in sorted(holds, key=lambda one: (-len(one[1]), one[0].name)))
        if folder == root:
            return


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
        width, height = (UM[unit] * float(side) for side in sides)
    except (TypeError, ValueError):
        raise UserError(f"{said_by} gives the pixel size {sides}: write two numbers.") from None
    if not (0 < width < math.inf and math.isclose(width, height, rel_tol=SQUARE)):
        raise UserError(f"{said_by} gives pixels of {width:g} × {height:g} µm: only square ones can be used.")
    return width
