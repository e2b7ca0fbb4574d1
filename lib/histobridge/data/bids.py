"""What BIDS says about the pixels of an image: which JSON files speak about it, and in which units.

One rule for a folder on this machine (`own.pixel_size`) and for a dataset in an archive (`dandisets`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath, PurePosixPath

UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4}
"""µm in the units that BIDS and OME write; both signs of the micro are in use."""


def in_um(size: float, unit: str) -> float:
    """Return a size in one of the units of `UM` in µm.

    >>> in_um(4.93, "nm")  # and not a bit beside it
    0.00493
    """
    return float(f"{size * UM[unit]:.12g}")


def stem(path: str | PurePath) -> str:
    """Return the name of a file without its ending, be it .ome.tif.

    >>> stem("a/b_SEM.ome.tif"), stem("nerve_1.5.png")
    ('b_SEM', 'nerve_1.5')
    """
    return PurePath(path).stem.removesuffix(".ome")


def sidecars_of(image: str, jsons: Iterable[str]) -> list[str]:
    """Return which JSON files speak about an image, from the general to the particular.

    BIDS' inheritance principle: one in the image's folder or above it, whose name has the image's suffix and none
    but the image's entities. Where two give the same field, the later of this list counts.

    Parameters
    ----------
    image, jsons : str
        Paths in the dataset, with forward slashes.

    >>> jsons = ["sub-a/micr/sub-a_sample-2_SEM.json", "sub-a/micr/sub-a_SEM.json", "sub-b/micr/sub-b_SEM.json"]
    >>> sidecars_of("sub-a/micr/sub-a_sample-1_SEM.png", ["SEM.json", *jsons])
    ['SEM.json', 'sub-a/micr/sub-a_SEM.json']
    """
    *entities, suffix = stem(image).split("_")

    def speaks(json_path: str) -> bool:
        *own, own_suffix = stem(json_path).split("_")
        above = PurePosixPath(json_path).parent in PurePosixPath(image).parents
        return above and own_suffix == suffix and set(own) <= set(entities)

    return sorted(filter(speaks, jsons), key=lambda path: (path.count("/"), stem(path).count("_"), path))


def inherited(fields: Iterable[Mapping]) -> dict:
    """Return the fields that JSON files give together, which come from the general to the particular.

    >>> inherited([{"PixelSize": 9, "PixelSizeUnits": "nm"}, {"PixelSize": 5}])
    {'PixelSize': 5, 'PixelSizeUnits': 'nm'}
    """
    return {name: value for one in fields for name, value in one.items()}
