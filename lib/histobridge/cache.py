"""What is kept says what it was made from, so that nothing is made twice and nothing stale is taken for new."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from histobridge.errors import UserError
from histobridge.io.files import write_json

MARK = "made_from.json"


def digest(*parts) -> str:
    """Return a short hash of arrays, numbers and text, and of lists and dicts of them: equal contents, equal hash.

    >>> digest(np.zeros(2), "a") == digest(np.zeros(2), "a")
    True
    >>> digest(np.zeros(2)) == digest(np.zeros((1, 2)))
    False
    """
    sha = hashlib.sha256()
    _feed(sha, parts)
    return sha.hexdigest()[:16]


def _feed(sha, part) -> None:
    if isinstance(part, np.ndarray):
        sha.update(f"{part.dtype}{part.shape}".encode())
        sha.update(np.ascontiguousarray(part))
    elif isinstance(part, Mapping):
        _feed(sha, sorted(part.items()))
    elif isinstance(part, list | tuple):
        sha.update(f"[{len(part)}".encode())
        for item in part:
            _feed(sha, item)
    else:
        sha.update(f"{part!r};".encode())


def kept(folder: Path, **made_from) -> Path:
    """Return `folder` for what is made from exactly these facts.

    What lies there from other facts is set aside, as `NAME~HASH` beside it, and comes back when its facts do: a
    setting tried and taken back costs nothing.

    Parameters
    ----------
    folder : Path
        Holds `made_from.json` and whatever the caller puts there.
    **made_from
        Plain values (settings, seeds, `digest`s of inputs) that decide the content.

    Raises
    ------
    UserError
        If the folder holds files of unknown origin.
    """
    facts = json.loads(json.dumps(made_from))  # as they will be read back
    then = _facts(folder)
    if then == facts:
        return folder
    if then is not None:
        folder.rename(_aside(folder, then))
    if (before := _aside(folder, facts)).exists():
        shutil.rmtree(folder, ignore_errors=True)  # at most drafts of a killed write
        before.rename(folder)
    else:
        write_json(folder / MARK, facts)
    return folder


def _facts(folder: Path) -> dict | None:
    """Return what the content was made from; None if there is no content."""
    if (folder / MARK).exists():
        return json.loads((folder / MARK).read_text())
    unknown = folder.exists() and any(not p.name.endswith(".part") for p in folder.iterdir())  # a killed write's draft
    if unknown and (folder / MARK).exists():  # another process was quicker
        return _facts(folder)
    if unknown:
        raise UserError(
            f"{folder} holds files that do not say what they were made from: choose another --out, or delete it."
        )
    return None


def _aside(folder: Path, facts: dict) -> Path:
    return folder.with_name(f"{folder.name}~{digest(facts)[:8]}")
