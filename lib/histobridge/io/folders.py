"""Every file below a folder, links included, and what cannot be reached."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

DANGLING = "is a link to nothing: fetch what it stands for, or remove it."
AGAIN = "is a link to a folder that is read already"
"""Not a fault: everything in that folder is found by its own name."""


def files_below(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield every file below a folder, sorted; links to files and to folders are followed.

    A folder is read once, by its own name rather than by that of a link to it, so circles of links end.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    path : Path
        Below `folder`.
    problem : str or None
        None for a file; for anything that cannot be reached, the end of a sentence that begins with its path.
    """
    return iter(sorted(_found(Path(folder)), key=lambda found: found[0]))


def _found(folder: Path) -> Iterator[tuple[Path, str | None]]:
    seen: set[tuple[int, int]] = set()
    waiting = deque([folder])  # folders at the left, links to folders at the right: a link is followed last
    while waiting:
        place = waiting.popleft()
        try:
            identity = (place.stat().st_dev, place.stat().st_ino)
            if identity in seen:
                yield place, AGAIN
                continue
            entries = list(os.scandir(place))
        except OSError as error:
            yield place, f"cannot be opened ({error.strerror}): ask its owner, or leave it out."
            continue
        seen.add(identity)
        for entry in entries:
            path = place / entry.name
            if os.path.isdir(path):  # unlike Path.is_dir, never an error
                (waiting.append if entry.is_symlink() else waiting.appendleft)(path)
            else:
                yield path, _problem(path)


def _problem(path: Path) -> str | None:
    if os.path.isfile(path):
        return None
    return DANGLING if os.path.islink(path) else "is neither a file nor a folder: leave it out."
