"""Files that are written whole or not at all, and a lock for work that only one process may do at a time.

A kill, a full disk or Ctrl-C leaves the old file or the new one, never a part of it. What a kill leaves is a draft,
`.draft-RANDOM`, which no code reads; `sweep_drafts` removes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from histobridge.errors import BrokenError, OutputError, UserError

if TYPE_CHECKING:
    import pandas as pd

DRAFT = ".draft-"
ABANDONED_S = 3600
"""Age (s) from which a draft cannot belong to a process that still writes it."""
FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""Beginnings of a cell that spreadsheets take for a formula; also after the apostrophes that forbid it."""
NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?%?")
"""A cell that begins like a formula and is a number."""


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a draft beside `path`, which replaces `path` if the block succeeds and is removed if it fails.

    Missing folders are made. The name of the draft is random: processes of several machines may write the same file.

    Parameters
    ----------
    path : path-like
        The file to be written or replaced.

    Yields
    ------
    Path
        The draft. The block must write no other file: every OSError in it is reported as a fault of this one.

    Raises
    ------
    OutputError
        If the folder cannot be written or the disk is full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(f"{folder}/new/a.txt") as draft:
    ...         _ = draft.write_text("all of it")
    ...     Path(folder, "new", "a.txt").read_text()
    'all of it'
    """
    path = Path(path)
    draft = path.with_name(f"{DRAFT}{secrets.token_hex(8)}")  # short: beside a name of any length that is allowed
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        _to_disk(draft)
        os.replace(draft, path)
    except OSError as error:
        why = getattr(error, "strerror", None) or error
        raise OutputError(
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


def sweep_drafts(folder: Path) -> None:
    """Remove the drafts below a folder, files and folders, that killed processes have left."""
    for draft in list(Path(folder).rglob(f"{DRAFT}*")):
        with contextlib.suppress(OSError):
            if time.time() - draft.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink()


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write UTF-8 text whole or not at all, line ends unchanged; return the path.

    Bytes of a file name that are no UTF-8 are written as escapes, such as `\\udcff`.

    Raises
    ------
    OutputError
        As `atomic_write` does.
    """
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
    return Path(path)


# --- Records: the program's own JSON ------------------------------------------------------------------------


def write_json(path: str | os.PathLike, content: dict | list) -> Path:
    """Write JSON whole or not at all; return the path.

    Raises
    ------
    OutputError
        As `atomic_write` does.
    """
    return write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: str | os.PathLike, *, fields: tuple[str, ...] = ()) -> dict:
    """Read a JSON object of the program's own, which has at least the given fields.

    Raises
    ------
    BrokenError
        If the file is missing, cannot be read, holds other JSON, or lacks a field.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if not isinstance(content, dict) or not content.keys() >= set(fields):
        raise BrokenError(f"{path} lacks what it was written with ({', '.join(fields) or 'a JSON object'}).")
    return content


# --- Tables -------------------------------------------------------------------------------------------------


def write_table(path: str | os.PathLike, table: pd.DataFrame, *, separator: str = ",") -> pd.DataFrame:
    """Write a table as CSV without its index, whole or not at all; return the table.

    Text that a spreadsheet would take for a formula is preceded by an apostrophe, as spreadsheets themselves do.

    Raises
    ------
    OutputError
        As `atomic_write` does.
    """
    write_text(path, table.map(_as_text).to_csv(index=False, sep=separator))
    return table


def read_table(path: str | os.PathLike, *, separator: str = ",", **options) -> pd.DataFrame:
    """Read a table of `write_table`; names that look like numbers (`001`) or like nothing (`NA`) stay text.

    Parameters
    ----------
    path : path-like
    separator : str
    **options
        Of `pandas.read_csv`.

    Raises
    ------
    BrokenError
        If the file is missing, empty or no table.
    """
    import pandas as pd  # half a second, which importing the core need not cost

    options = {"dtype": {"image": str, "subject": str, "mask": str}} | options
    options = {"keep_default_na": False, "na_values": [""]} | options  # `NA`, `None` and `nan` are names
    try:
        return pd.read_csv(path, sep=separator, **options).map(_as_written)
    except (OSError, ValueError) as error:  # the errors of pandas are ValueErrors
        raise BrokenError(f"{path} is no table that can be read ({error}).") from error


def _as_text(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell) else cell


def _as_written(cell: object) -> object:
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and FORMULA.match(cell) else cell


# --- Locks and checksums ------------------------------------------------------------------------------------


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
        If another process holds the lock and this one is not to `wait`; or the lock cannot be opened, because it
        belongs to another user or the folder cannot be written.
    """
    if lock.is_symlink():  # opening it would empty the file that it points to
        raise UserError(f"{lock} is a link, and a lock must be a file of its own: choose another --out.")
    held = FileLock(lock)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise UserError(f"Another process is at work in {lock.parent}: wait for it, or choose another --out.") from None
    except OSError as error:
        why = f"{lock.parent} cannot be used for results ({error.strerror or error})"
        raise OutputError(f"{why}: choose another --out, or ask its owner.") from error
    try:
        yield held._context.lock_file_fd  # filelock has no public name for it
    finally:
        held.release()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 checksum of a file, which is read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
