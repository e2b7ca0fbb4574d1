"""BIDS datasets: which JSON files describe an image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePath, PurePosixPath


def stem(path: str | PurePath) -> str:
    """Return the name of a file without its ending; `.ome.tif` counts as one ending.

    >>> stem("a/b_SEM.ome.tif"), stem("nerve_1.5.png")
    ('b_SEM', 'nerve_1.5')
    """
    return PurePath(path).stem.removesuffix(".ome")


class SidecarIndex:
    """Finds the JSON files that describe an image among many, without a comparison of all images with all files.

    This is the inheritance principle of BIDS: a JSON file applies if it lies in the image's folder or above, its name
    has the same suffix, and all its entities are entities of the image.

    Parameters
    ----------
    jsons : iterable of str
        Paths in the dataset, with forward slashes.
    """

    def __init__(self, jsons: Iterable[str]):
        names = {path: _entities(path) for path in jsons}
        n_files = Counter(entity for entities, _ in names.values() for entity in entities)
        self._found: dict[tuple, list[tuple[frozenset, str]]] = defaultdict(list)
        for path, (entities, suffix) in names.items():
            # Under its rarest entity a file is looked up by the fewest images.
            rarest = min(entities, key=lambda entity: (n_files[entity], entity), default=None)
            self._found[PurePosixPath(path).parent, suffix, rarest].append((entities, path))

    def sidecars_of(self, image: str) -> list[str]:
        """Return the JSON files that describe an image, from the general to the specific.

        Of two files with the same field, the later one in this list counts.

        >>> jsons = ["SEM.json", "sub-a/micr/sub-a_SEM.json", "sub-a/micr/sub-a_sample-2_SEM.json", "sub-b_SEM.json"]
        >>> SidecarIndex(jsons).sidecars_of("sub-a/micr/sub-a_sample-1_SEM.png")
        ['SEM.json', 'sub-a/micr/sub-a_SEM.json']
        """
        entities, suffix = _entities(image)
        applying = [
            path
            for folder in PurePosixPath(image).parents
            for entity in (None, *entities)
            for of_json, path in self._found.get((folder, suffix, entity), ())
            if of_json <= entities
        ]
        return sorted(applying, key=lambda path: (path.count("/"), stem(path).count("_"), path))


def _entities(path: str) -> tuple[frozenset[str], str]:
    """Return the entities and the suffix in the name of a file."""
    *entities, suffix = stem(path).split("_")
    return frozenset(entities), suffix


def inherited(fields: Iterable[Mapping]) -> dict:
    """Merge the fields of JSON files that are given from the general to the specific.

    >>> inherited([{"PixelSize": 9, "PixelSizeUnits": "nm"}, {"PixelSize": 5}])
    {'PixelSize': 5, 'PixelSizeUnits': 'nm'}
    """
    return {name: value for one in fields for name, value in one.items()}
