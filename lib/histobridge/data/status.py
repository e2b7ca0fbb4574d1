"""Which files of a dataset are here and intact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from histobridge.data.manifest import DataFile, Dataset, Split
from histobridge.io.files import sha256_of


class FileStatus(NamedTuple):
    """Whether one file is here; `reason` states why not, or what went wrong during the download."""

    dataset: str
    path: str
    role: Literal["image", "mask"]
    split: Split
    state: Literal["here", "missing", "wrong"]
    reason: str = ""


def status(dataset: Dataset, data_dir: Path) -> list[FileStatus]:
    """Compare every file of a dataset below `data_dir` with its size and sha256.

    A file is `here` (and intact), `missing`, or `wrong` (with other content). A procedural dataset has no files.
    """
    return [file_status(dataset, file, data_dir) for file in dataset.files()]


def file_status(dataset: Dataset, file: DataFile, data_dir: Path, *, reason: str = "") -> FileStatus:
    """Compare one file with its size and sha256; `reason` is what is known about a failed download."""
    fault = _fault(dataset.local(data_dir, file.path), file)
    if fault is None:
        return FileStatus(dataset.name, file.path, file.role, file.split, "missing", reason)
    reason = f"{fault}; move it away and fetch again" if fault else reason
    return FileStatus(dataset.name, file.path, file.role, file.split, "wrong" if fault else "here", reason)


def _fault(path: Path, file: DataFile) -> str | None:
    """Return what is wrong with a file, nothing if it is intact, or None if it is missing."""
    try:
        if path.is_file():
            return "" if is_intact(path, file) else "its checksum is not the manifest's"
        if path.is_symlink():
            return "it is a link that leads to no file"
        return "it is no file" if path.exists() else None
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"


def is_intact(path: Path, file: DataFile) -> bool:
    """Return whether the content of `path` is that of the manifest."""
    return path.stat().st_size == file.bytes and sha256_of(path) == file.sha256


def summary(statuses: Iterable[FileStatus]) -> list[dict[str, str | int]]:
    """Count the files by dataset and split, in the order in which they come.

    >>> one = FileStatus("sem", "a.png", "image", "development", "here")
    >>> summary([one, one._replace(path="b.png", state="missing")])
    [{'dataset': 'sem', 'split': 'development', 'here': 1, 'missing': 1, 'wrong': 0}]
    """
    rows: dict[tuple[str, str], dict] = {}
    for one in statuses:
        empty = {"dataset": one.dataset, "split": one.split, "here": 0, "missing": 0, "wrong": 0}
        rows.setdefault((one.dataset, one.split), empty)[one.state] += 1
    return list(rows.values())


def complaints(statuses: Iterable[FileStatus]) -> list[str]:
    """Return what went wrong: a line for each wrong or refused file, one line for all files missing for one reason.

    >>> lost = FileStatus("sem", "a.png", "image", "development", "missing", "no public location known")
    >>> complaints([lost, lost._replace(path="b.png")])
    ['sem: missing 2 (no public location known)']
    """
    faults = [one for one in statuses if one.reason]
    lines = [f"{one.dataset}/{one.path}: {one.state}, {one.reason}" for one in faults if one.state != "missing"]
    missing = Counter((one.dataset, one.reason) for one in faults if one.state == "missing")
    return lines + [f"{name}: missing {count} ({reason})" for (name, reason), count in missing.items()]
