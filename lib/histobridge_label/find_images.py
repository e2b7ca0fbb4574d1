"""Find the image files of a folder, and give each a unique name."""

from __future__ import annotations

from collections import Counter
from itertools import chain, count
from pathlib import Path

from histobridge.data.bids import stem
from histobridge.errors import UserError
from histobridge_label.export import names

READABLE = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
UNREADABLE = (".czi", ".nd2", ".lif", ".dm3", ".dm4", ".mrc", ".svs", ".ndpi", ".vsi", ".oib", ".oif", ".bmp", ".gif")
"""Image formats that cannot be read. They count as images, so that their files are reported instead of ignored."""

DERIVATIVES = "derivatives"  # masks in a BIDS dataset
TABLE, LOCK = "images.csv", ".lock"
"""Every run writes these two files into its output folder first; together they mark such a folder."""


def find_images(folder: Path, exclude: Path | None = None) -> list[Path]:
    """Return the image files of a folder and its sub-folders, sorted.

    Hidden files, the `derivatives` of a BIDS dataset, masks and maps of an earlier hand-off, and output folders of
    earlier runs are left out.

    Parameters
    ----------
    folder : Path
    exclude : Path, optional
        A folder that is left out.

    Raises
    ------
    UserError
        If the folder does not exist or holds no images.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: name the one that holds your images.")
    paths = sorted(folder.rglob("*"))
    excluded = _output_folders(paths, folder) | ({Path(exclude).resolve()} if exclude else set())
    images = [path for path in paths if _is_image(path, folder, excluded) and path.is_file()]
    if not images:
        raise UserError(f"{folder} holds no images: put some there as PNG, TIFF or JPEG ({', '.join(READABLE)}).")
    return images


def _output_folders(paths: list[Path], folder: Path) -> set[Path]:
    """Return the folders that earlier runs have written, except `folder` itself, which the user has named."""
    marked = [{path.parent for path in paths if path.name == mark} for mark in (TABLE, LOCK)]
    return set.intersection(*marked) - {folder}


def _is_image(path: Path, folder: Path, excluded: set[Path]) -> bool:
    hidden = any(part.startswith(".") or part == DERIVATIVES for part in path.relative_to(folder).parts)
    handed_off = path.name.endswith(names.ENDINGS)
    is_image = path.suffix.lower() in READABLE + UNREADABLE
    return is_image and not hidden and not handed_off and excluded.isdisjoint(path.parents)


def unique_names(paths: list[Path]) -> list[str]:
    """Return a name for each file: its stem, preceded by its folders if needed to make the name unique.

    Labels are stored by these names, so no two are alike, also where a file system ignores case. A name that another
    file could have too is not used; where every name of a file is ambiguous, a number is appended.

    >>> unique_names([Path("a.png"), Path("x/b.png"), Path("y/b.ome.tif"), Path("y/b.png")])
    ['a', 'x-b', 'y-b-ome-tif', 'y-b-png']
    >>> unique_names([Path("c/d.png"), Path("c-d.png"), Path("C-D.png")])
    ['d', 'c-d-png', 'C-D-png-2']
    """
    candidates = [_candidate_names(path) for path in paths]
    files_per_name = Counter(name for of_file in candidates for name in {name.casefold() for name in of_file})
    used: set[str] = set()
    return [_unused_name(of_file, files_per_name, used) for of_file in candidates]


def _candidate_names(path: Path) -> list[str]:
    """Return the possible names of a file, the shortest first."""
    folders = path.parts[:-1]
    return [stem(path), "-".join([*folders, stem(path)]), "-".join([*folders, path.name.replace(".", "-")])]


def _unused_name(candidates: list[str], files_per_name: Counter[str], used: set[str]) -> str:
    """Return the first name that no other file could have, else the longest, numbered if needed; add it to `used`."""
    unambiguous = [name for name in candidates if files_per_name[name.casefold()] == 1]
    numbered = (f"{candidates[-1]}-{number}" for number in count(2))
    ambiguous = chain(candidates[-1:], (name for name in numbered if name.casefold() not in files_per_name))
    name = next(name for name in unambiguous or ambiguous if name.casefold() not in used)
    used.add(name.casefold())
    return name
