"""Files that are kept to be taken up again: each has a seal, and is used only if it is what was sealed.

The seal is a file beside it, `NAME.sha256`, with a checksum and the name: a line as `sha256sum` writes it, so that
`sha256sum --check` reads it from the folder above. A file that was cut, changed or swapped with another one does not
fit its seal. It is set aside and made anew, and that is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import TypeVar

from histobridge.io.files import sha256_of, write_text

Kept = TypeVar("Kept")
SEAL, SET_ASIDE = ".sha256", ".set-aside"


def kept(path: Path, make: Callable[[Path], object], read: Callable[[Path], Kept]) -> Kept:
    """Return what a kept file holds; make it first, where it is missing or not what was sealed.

    Parameters
    ----------
    path : Path
    make : callable
        Writes the file to a path, atomically.
    read : callable
        Reads it from a path.
    """
    if not fits_seal(path):
        if seal_of(path).exists() and path.exists():
            set_aside(path, "is not what was kept there")
        make(path)
        seal(path)
    return read(path)


def seal(path: Path) -> None:
    """Write the seal of a file that is complete."""
    write_text(seal_of(path), _line(path))


def unseal(path: Path) -> None:
    """Remove the seal of a file, which then counts as unfinished."""
    seal_of(path).unlink(missing_ok=True)


def fits_seal(path: Path) -> bool:
    """Return whether a file is there and is what was sealed. Without a seal it is not: its writer was interrupted."""
    try:
        return path.is_file() and seal_of(path).read_text(encoding="utf-8", errors="replace") == _line(path)
    except OSError:
        return False


def set_aside(path: Path, what: str, then: str = "it is made anew") -> Path:
    """Rename a file or folder that cannot be used, so that another one can be made, and say so; return its new path."""
    names = (f"{path.name}{SET_ASIDE}{number}" for number in chain([""], count(2)))
    aside = next(found for name in names if not (found := path.with_name(name)).exists())
    with suppress(FileNotFoundError):  # another process was faster
        os.replace(path, aside)
    print(f"{path} {what}: {then}, and the old one is now called {aside.name}.", flush=True)
    return aside


def sealed_files(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder that has a seal, whether it is intact or not."""
    return (path.with_name(path.name.removesuffix(SEAL)) for path in sorted(Path(folder).rglob(f"*{SEAL}")))


def seal_of(path: Path) -> Path:
    """Return the path of the seal of a file."""
    return path.with_name(f"{path.name}{SEAL}")


def _line(path: Path) -> str:
    """Return the checksum and the name, with its folder: neither two files nor two folders can be swapped."""
    return f"{sha256_of(path)}  {path.parent.name}/{path.name}\n"
