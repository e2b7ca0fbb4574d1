"""Files written whole or not at all: a kill, a full disk or Ctrl-C leaves the old file or the new one, never a half.

And a lock, for what two processes must not make at the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pandas as pd

from histobridge.errors import UserError


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, *, also: tuple[type[Exception], ...] = ()) -> Iterator[Path]:
    """Lend a draft beside `path`, which takes its place if the block ends well and is removed if not.

    Missing folders are made. A process that is killed outright may leave its draft, `.name.PID.part`; nothing
    reads those.

    Parameters
    ----------
    path : path-like
        The file to be written or replaced.
    also : tuple of exception types
        What the writing library raises, besides OSError, where the disk is full.

    Yields
    ------
    Path
        The draft. The block writes this file and touches no other, for every OSError is taken to be about it.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(f"{folder}/new/a.txt") as draft:
    ...         _ = draft.write_text("all of it")
    ...     Path(folder, "new", "a.txt").read_text()
    'all of it'
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")  # two processes may write the same file at once
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        _to_disk(draft)
        os.replace(draft, path)
    except (OSError, *also) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(
            f"Could not write {path} ({why}): free some space or choose another folder (--out or --data); "
            "what was there is untouched."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _to_disk(path: Path) -> None:
    """Wait until the content is on the disk: after a power cut a renamed file may otherwise be empty."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write UTF-8 text whole or not at all, its line ends as they are; return the path.

    Raises
    ------
    UserError
        As `whole_file` does.
    """
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="")
    return Path(path)


def write_json(path: str | os.PathLike, content: dict | list) -> Path:
    """Write JSON whole or not at all; return the path.

    Raises
    ------
    UserError
        As `whole_file` does.
    """
    return write_text(path, json.dumps(content, indent=1) + "\n")


def write_table(path: str | os.PathLike, table: pd.DataFrame) -> pd.DataFrame:
    """Write a table as CSV without its index, whole or not at all; return the table.

    Raises
    ------
    UserError
        As `whole_file` does.
    """
    write_text(path, table.to_csv(index=False))
    return table


def read_table(path: str | os.PathLike) -> pd.DataFrame:
    """Read what `write_table` wrote; names stay names, though they may look like numbers (`001`)."""
    return pd.read_csv(path, dtype={"image": str, "subject": str})


@contextlib.contextmanager
def file_lock(lock: Path, *, wait: bool = True) -> Iterator[TextIO | None]:
    """Hold a lock; wait while another process does (one may have outlived the batch that started it), or refuse.

    Raises
    ------
    UserError
        If another process holds it and this one is not to `wait`.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield None
        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:  # the lock goes with the process, however that ends
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise UserError(
                f"Another process is at work in {lock.parent}: wait for it, or choose another --out."
            ) from None
        yield file


def sha256_of(path: Path) -> str:
    """Return the checksum of a file, which is read piece by piece."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
