"""Pixel sizes in BIDS datasets: which JSON files describe an image, and in which units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath, PurePosixPath

UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4}
"""Length of the units in BIDS and OME files, in µm; both Unicode characters for micro are in use."""


def in_um(size: float, unit: str) -> float:
    """Convert a size from one of the units of `UM` to µm, without a rounding error in the last digit.

    >>> in_um(4.93, "nm")
    0.00493
    """
    return float(f"{size * UM[unit]:.12g}")


def stem(path: str | PurePath) -> str:
    """Return the name of a file without its ending; `.ome.tif` counts as one ending.

    >>> stem("a/b_SEM.ome.tif"), stem("nerve_1.5.png")
    ('b_SEM', 'nerve_1.5')
    """
    return PurePath(path).stem.removesuffix(".ome")


def sidecars_of(image: str, jsons: Iterable[str]) -> list[str]:
    """Return the JSON files that describe an image, from the general to the specific.

    This is the inheritance principle of BIDS: a JSON file applies if it lies in the image's folder or above, its name
    has the same suffix, and all its entities are entities of the image. Of two files with the same field, the later
    one in this list counts.

    Parameters
    ----------
    image, jsons : str
        Paths in the dataset, with forward slashes.

    >>> jsons = ["sub-a/micr/sub-a_sample-2_SEM.json", "sub-a/micr/sub-a_SEM.json", "sub-b/micr/sub-b_SEM.json"]
    >>> sidecars_of("sub-a/micr/sub-a_sample-1_SEM.png", ["SEM.json", *jsons])
    ['SEM.json', 'sub-a/micr/sub-a_SEM.json']
    """
    *entities, suffix = stem(image).split("_")

    def applies(json_path: str) -> bool:
        *json_entities, json_suffix = stem(json_path).split("_")
        above = PurePosixPath(json_path).parent in PurePosixPath(image).parents
        return above and json_suffix == suffix and set(json_entities) <= set(entities)

    return sorted(filter(applies, jsons), key=lambda path: (path.count("/"), stem(path).count("_"), path))


def inherited(fields: Iterable[Mapping]) -> dict:
    """Merge the fields of JSON files that are given from the general to the specific.

    >>> inherited([{"PixelSize": 9, "PixelSizeUnits": "nm"}, {"PixelSize": 5}])
    {'PixelSize': 5, 'PixelSizeUnits': 'nm'}
    """
    return {name: value for one in fields for name, value in one.items()}
