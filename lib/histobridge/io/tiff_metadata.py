"""What the metadata of a TIFF say beyond its tags: OME-XML, and the resolution of an ImageJ file."""

from __future__ import annotations

import contextlib
import math
import os
import xml.etree.ElementTree as XML
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import tifffile

from histobridge.errors import UserError
from histobridge.io.units import UM, DeclaredSize, square_side

IMAGEJ_UNITS = {**{unit: unit for unit in UM}, "micron": "um", "microns": "um", "micrometer": "um", "micrometre": "um"}
"""Units that ImageJ files name, as units of `UM`. ImageJ takes inch from the resolution of printing: not among them."""
MOST_NAMED = 5


@dataclass(frozen=True)
class Ome:
    """What OME-XML declares.

    Attributes
    ----------
    axes : str
        Dimensions of the set that are larger than one, such as `CZYX`.
    n_planes : int
        Planes in the set; red, green and blue count as three.
    other_files : tuple of str
        Names of the files of the set, except the one that was read.
    size : DeclaredSize or None
    """

    axes: str
    n_planes: int
    other_files: tuple[str, ...]
    size: DeclaredSize | None

    def missing(self, beside: Path) -> list[str]:
        """Return the other files of the set that are not in the folder of the file that was read."""
        return [name for name in self.other_files if not os.path.exists(beside.with_name(name))]


def read_ome(description: str, name: object) -> Ome | None:
    """Read the OME-XML in the description of a page; None if it is none, or damaged."""
    if not description.strip().endswith("OME>"):
        return None
    try:
        root = XML.fromstring(description)
    except XML.ParseError:
        return None
    pixels = root.findall(".//{*}Pixels")
    dimensions = [{axis: int(one.get(f"Size{axis}", 1)) for axis in "TCZ"} for one in pixels]
    return Ome(
        axes="".join(axis for axis in "TCZ" if any(sizes[axis] > 1 for sizes in dimensions)) + "YX",
        n_planes=sum(math.prod(sizes.values()) for sizes in dimensions),
        other_files=_other_files(root, Path(str(name)).name),
        size=_ome_size(pixels, name),
    )


def _other_files(root: XML.Element, own_name: str) -> tuple[str, ...]:
    """Return the files that OME-XML names, except this one, which has the document's UUID, or else its name."""
    names = {mark.get("FileName", ""): mark.text for mark in root.iterfind(".//{*}TiffData/{*}UUID")}
    own = {file for file, uuid in names.items() if uuid == root.get("UUID")} or {own_name}
    if len(names) == 1 and root.get("UUID") is None:  # a single file that was renamed
        own = set(names)
    companions = [mark.get("MetadataFile", "") for mark in root.iterfind("{*}BinaryOnly")]
    return tuple(sorted(_bare(file) for file in {*names, *companions} - own if _bare(file)))


def _bare(file: str) -> str:
    """Return the name without folders, of either system: nothing outside the file's folder is looked for."""
    return PurePosixPath(PureWindowsPath(file).name).name


def _ome_size(pixels: list[XML.Element], name: object) -> DeclaredSize | None:
    sizes = {
        tuple((one.get(f"PhysicalSize{axis}"), one.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "XY")
        for one in pixels
        if "PhysicalSizeX" in one.attrib
    }
    if not sizes:
        return None
    if len(sizes) > 1:
        return DeclaredSize("OME metadata", fault=f"{name} gives {len(sizes)} pixel sizes: it must be one.")
    ((across, down),) = sizes
    return _declared("OME metadata", [across, across if down[0] is None else down], name)


def imagej_size(tiff: tifffile.TiffFile, page: tifffile.TiffPage, name: object) -> DeclaredSize | None:
    """Return the pixel size of an ImageJ file; None if it is none, or names no unit of length."""
    metadata = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
    unit = IMAGEJ_UNITS.get(_plain(metadata.get("unit")))
    resolutions = [page.tags.valueof(tag) for tag in ("XResolution", "YResolution")]
    if unit is None or None in resolutions:
        return None
    sides = [(units / px if px else math.nan, unit) for px, units in resolutions]  # stored as px per unit, a fraction
    return _declared("ImageJ metadata", sides, name)


def _plain(unit: object) -> str:
    """Return a unit without ImageJ's escapes: it writes `µm` as a backslash, `u00B5` and `m`."""
    return str(unit).replace("\\u00B5", "µ").replace("\\u00b5", "µ").strip()


def _declared(source: str, sides: list[tuple], name: object) -> DeclaredSize:
    with contextlib.suppress(ValueError):  # square_side tells what is no number
        sides = [(float(side), unit) for side, unit in sides]
    try:
        return DeclaredSize(source, square_side(sides, name))
    except UserError as error:
        return DeclaredSize(source, fault=str(error))


def listed(names: list[str]) -> str:
    """Return a few names, and how many more there are.

    >>> listed(["a", "b"]), listed([str(n) for n in range(9)])
    ('a, b', '0, 1, 2, 3, 4 and 4 more')
    """
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
