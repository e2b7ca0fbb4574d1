"""Find the image files of a folder, account for every other file, and give each image a unique name."""

from __future__ import annotations

import os
import stat
from collections import Counter
from functools import lru_cache
from itertools import chain, count
from pathlib import Path

from histobridge.data.bids import stem
from histobridge.errors import UserError
from histobridge.io.limits import printable, short_name
from histobridge.io.zarr_image import is_zarr
from histobridge.items import Account
from histobridge_label.export import names
from histobridge_label.export.read import is_handoff
from histobridge_label.file_kinds import (
    FOLDER_FORMATS,
    READABLE,
    UNREADABLE,
    MaskNames,
    harmless_kind,
    looks_like,
    same,
)

DERIVATIVES = "derivatives"  # masks in a BIDS dataset
TABLE, LOCK = "images.csv", ".lock"
"""Every run writes these two files into its output folder first; together they mark such a folder."""
MARKS = ({TABLE, LOCK}, {"model.json", LOCK})
EARLIER_RUN, HANDED_OFF, HIDDEN, BIDS_DERIVATIVE = "of an earlier run", "handed off", "hidden", "BIDS derivative"


def find_images(folder: Path, exclude: Path | None = None) -> tuple[list[Path], Account]:
    """Return the image files of a folder and its sub-folders, sorted, and an account of every other file.

    Links to folders are followed. Skipped, with a reason, are masks of images (by their names), files that cannot be
    read, formats that are unknown, links to nowhere, and folders that cannot be opened or that are one image (N5). An
    OME-Zarr image is a folder, and counts as one file; it may also be `folder` itself.
    Harmless are what `file_kinds.harmless_kind` knows, hidden files, the `derivatives` of a BIDS dataset, masks and
    maps of an earlier hand-off, and output folders of earlier runs.

    Parameters
    ----------
    folder : Path
        Without links in it (resolved).
    exclude : Path, optional
        A folder that counts as one of an earlier run.

    Raises
    ------
    UserError
        If the folder does not exist.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: name the one that holds your images.")
    account = Account()
    if is_zarr(folder):
        return [folder], account
    files = _walk(folder, exclude, account)
    masks, images = MaskNames(folder, files), []
    for path in sorted(files):
        if path.name.endswith(names.ENDINGS) and _in_handoff(path.parent):
            account.harmless[path] = HANDED_OFF
        elif kind := harmless_kind(path.name):
            account.harmless[path] = kind
        elif reason := _fault_of_name(path, masks):
            account.skip(path, reason)
        else:
            images.append(path)
    return images, account


def _fault_of_name(path: Path, masks: MaskNames) -> str | None:
    """Return why a file is not an image to be labelled, as far as its name tells; None if it is one."""
    suffix = path.suffix.lower()
    if image := masks.image_of(path):
        return f"by its name it is a mask of {image}: rename it if it is an image."
    if path.name.endswith(names.ENDINGS):
        return "by its name it is a mask or map that was handed off, and its image is not beside it."
    if suffix in READABLE or path.is_dir():
        return None
    if suffix in UNREADABLE:
        return f"{path.suffix} cannot be read: export it as TIFF or PNG."
    if kind := looks_like(path):
        return f"it looks like a {kind}: rename it to {path.name}.{kind.lower()}, if it is an image."
    return "it is neither an image that can be read nor known to be something else: export it as TIFF or PNG."


@lru_cache(maxsize=1024)
def _in_handoff(folder: Path) -> bool:
    return is_handoff(folder) or (folder.parent != folder and _in_handoff(folder.parent))


# --- The walk -------------------------------------------------------------------------------------------


def _walk(root: Path, exclude: Path | None, account: Account) -> list[Path]:
    """Return the regular files below a folder; what lies in folders of no concern goes to the account.

    Links to folders come last, so that a folder that is reached in two ways has the name that is no link. Each folder
    is entered once, because links may lead in circles.
    """
    _in_handoff.cache_clear()
    excluded = _identity(exclude) if exclude and exclude.exists() else None
    files, folders, links, entered = [], [(root, None)], [], set()
    while folders or links:
        folder, kind = folders.pop() if folders else links.pop(0)
        try:
            identity = _identity(folder)
            entries = [] if identity in entered else list(os.scandir(folder))
        except OSError as error:
            account.skip(folder, f"this folder cannot be opened ({error.strerror}): give yourself access to it.")
            continue
        if identity in entered:
            account.harmless[folder] = "linked again"
            continue
        entered.add(identity)
        marked = folder != root and any(marks <= {entry.name for entry in entries} for marks in MARKS)
        kind = kind or (EARLIER_RUN if marked or identity == excluded else None)
        for entry in entries:
            _sort(entry, kind or (HIDDEN if entry.name.startswith(".") else None), account, files, folders, links)
    return files


def _sort(entry: os.DirEntry, kind: str | None, account: Account, files: list, folders: list, links: list) -> None:
    """Put what a folder holds where it belongs; `kind` says what it is if it is of no concern."""
    path, type_ = Path(entry.path), _type(entry)
    if kind:
        if entry.is_dir(follow_symlinks=False) and not is_zarr(path):
            folders.append((path, kind))
        else:
            account.harmless[path] = kind
    elif type_ == "folder" and is_zarr(path):
        files.append(path)
    elif type_ == "folder" and path.suffix.lower() in FOLDER_FORMATS:
        account.skip(path, f"a folder of the format {path.suffix} cannot be read: export it as TIFF or PNG.")
    elif type_ == "folder":
        waiting = links if entry.is_symlink() else folders
        waiting.append((path, BIDS_DERIVATIVE if entry.name == DERIVATIVES else None))
    elif type_ == "file":
        files.append(path)
    else:
        account.skip(path, type_)


def _type(entry: os.DirEntry) -> str:
    """Return `folder`, `file`, or what is wrong with an entry that is neither."""
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        if entry.is_symlink() and isinstance(error, FileNotFoundError):
            return f"it is a link to {printable(os.readlink(entry))}, which is not there: not fetched?"
        return f"it cannot be opened ({error.strerror}): give yourself access to it, or remove it."
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "it is no regular file, but a device, a pipe or a socket."


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


# --- Names ----------------------------------------------------------------------------------------------


def unique_names(paths: list[Path]) -> list[str]:
    """Return a name for each file: its stem, preceded by its folders if needed to make the name unique.

    Labels are stored by these names, so no two are alike, also where a file system ignores case or the form of accents.
    They are printable and short (`limits.short_name`). A name that another file could have too is not used; where every
    name of a file is ambiguous, a number is appended.

    >>> unique_names([Path("a.png"), Path("x/b.png"), Path("y/b.ome.tif"), Path("y/b.png")])
    ['a', 'x-b', 'y-b-ome-tif', 'y-b-png']
    >>> unique_names([Path("c/d.png"), Path("c-d.png"), Path("C-D.png")])
    ['d', 'c-d-png', 'C-D-png-2']
    """
    candidates = [_candidate_names(path) for path in paths]
    files_per_name = Counter(name for of_file in candidates for name in {same(name) for name in of_file})
    used: set[str] = set()
    return [_unused_name(of_file, files_per_name, used) for of_file in candidates]


def _candidate_names(path: Path) -> list[str]:
    """Return the possible names of a file, the shortest first."""
    folders = path.parts[:-1]
    possible = stem(path), "-".join([*folders, stem(path)]), "-".join([*folders, path.name.replace(".", "-")])
    return [short_name(name) for name in possible]


def _unused_name(candidates: list[str], files_per_name: Counter[str], used: set[str]) -> str:
    """Return the first name that no other file could have, else the longest, numbered if needed; add it to `used`."""
    unambiguous = [name for name in candidates if files_per_name[same(name)] == 1]
    numbered = (f"{candidates[-1]}-{number}" for number in count(2))
    ambiguous = chain(candidates[-1:], (name for name in numbered if same(name) not in files_per_name))
    name = next(name for name in unambiguous or ambiguous if same(name) not in used)
    used.add(same(name))
    return name
