"""Files that are written whole or not at all, and a lock for work that only one process may do at a time.

A kill, a full disk or Ctrl-C leaves the old file or the new one, never a part of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from histobridge.errors import UserError


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, *, also: tuple[type[Exception], ...] = ()) -> Iterator[Path]:
    """Yield a draft beside `path`, which replaces `path` if the block succeeds and is removed if it fails.

    Missing folders are made. A process that is killed may leave its draft, `.name.PID.part`; no code reads it.

    Parameters
    ----------
    path : path-like
        The file to be written or replaced.
    also : tuple of exception types
        Exceptions, besides OSError, that the writing library raises if the disk is full.

    Yields
    ------
    Path
        The draft. The block must write no other file: every OSError in it is reported as a fault of this one.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(f"{folder}/new/a.txt") as draft:
    ...         _ = draft.write_text("all of it")
    ...     Path(folder, "new", "a.txt").read_text()
    'all of it'
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")  # two processes may write the same file at the same time
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
    """Wait until the content is on the disk: otherwise a renamed file may be empty after a power failure."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write UTF-8 text whole or not at all, line ends unchanged; return the path.

    Raises
    ------
    UserError
        As `atomic_write` does.
    """
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8", newline="")
    return Path(path)


def write_json(path: str | os.PathLike, content: dict | list) -> Path:
    """Write JSON whole or not at all; return the path.

    Raises
    ------
    UserError
        As `atomic_write` does.
    """
    return write_text(path, json.dumps(content, indent=1) + "\n")


def write_table(path: str | os.PathLike, table: pd.DataFrame) -> pd.DataFrame:
    """Write a table as CSV without its index, whole or not at all; return the table.

    Raises
    ------
    UserError
        As `atomic_write` does.
    """
    write_text(path, table.to_csv(index=False))
    return table


def read_table(path: str | os.PathLike) -> pd.DataFrame:
    """Read a table of `write_table`; names that look like numbers (`001`) stay text."""
    return pd.read_csv(path, dtype={"image": str, "subject": str})


@contextlib.contextmanager
def file_lock(lock: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold a lock that disappears with the process, however the process ends.

    Parameters
    ----------
    lock : Path
        The lock file; missing folders are made. It stays after the lock is released.
    wait : bool
        Whether to wait while another process holds the lock, or to refuse.

    Yields
    ------
    int
        The file descriptor of the lock: a child process that inherits it holds the lock too.

    Raises
    ------
    UserError
        If another process holds the lock and this one is not to `wait`.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise UserError(f"Another process is at work in {lock.parent}: wait for it, or choose another --out.") from None
    try:
        yield held._context.lock_file_fd  # filelock has no public name for it
    finally:
        held.release()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 checksum of a file, which is read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
