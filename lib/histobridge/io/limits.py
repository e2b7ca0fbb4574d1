"""Bounds before work: memory, disk, and the length of names."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

import psutil

from histobridge.errors import OutputError, UserError

LONGEST_NAME = 100
"""Bytes of a name that is composed for a file or folder; endings follow, and file systems allow 255."""
CGROUP = Path("/sys/fs/cgroup")


def short_name(name: str, most: int = LONGEST_NAME) -> str:
    """Return a name that a file may have on any system: at most `most` bytes, and printable.

    A longer name is cut, and a hash of all of it keeps it unique.

    >>> short_name("rat 3"), len(short_name("rat" * 99)), short_name("a\\udcff\\n")
    ('rat 3', 100, 'a\\\\udcff\\\\n')
    """
    name = printable(name)
    if len(name.encode()) <= most:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name.encode()[: most - 13].decode(errors='ignore')}-{digest}"


def printable(text: object) -> str:
    """Return text in which control characters, and bytes that are no UTF-8, stand as escapes."""
    escaped = str(text).encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: found[0].encode("unicode_escape").decode(), escaped)


def free_memory() -> int:
    """Return the bytes of memory that this process may still take, by the machine and by its container."""
    free = psutil.virtual_memory().available
    try:
        most, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        return min(free, most - used)
    except (OSError, ValueError):  # no container, or one without a limit
        return free


def check_memory(needed: float, what: object) -> None:
    """Raise a `UserError` about `what` unless there is memory for `needed` bytes."""
    if needed > (free := free_memory()):
        raise UserError(f"{what} needs about {_gib(needed)} of memory, and {_gib(free)} are free: cut it into parts.")


def check_disk(needed: float, folder: Path) -> None:
    """Raise an `OutputError` unless the disk of a folder, which exists, has `needed` bytes left."""
    if needed > (free := shutil.disk_usage(folder).free):
        raise OutputError(
            f"About {_gib(needed)} will be written to {folder}, and {_gib(free)} are free there: free some space or "
            "choose another folder."
        )


def check_path(path: Path) -> None:
    """Raise an `OutputError` if a path is too long for the file system; its folder need not exist."""
    if len(os.fsencode(path.absolute())) > 4000 or any(len(os.fsencode(part)) > 255 for part in path.parts):
        raise OutputError(f"{path} is too long a path: choose a folder with a shorter one.")


def _gib(size: float) -> str:
    return f"{size / 2**30:.2g} GiB"
