"""Results by what they were made from: nothing is made twice, and nothing stale is taken for new.

A result lives in a folder whose name ends in a hash of every fact that decides it: settings, seeds, hashes of the data
and of the models, the version of this library. Other facts give another folder. So a result is valid if and only if its
folder exists, and that is the only test of validity in this project.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histobridge import __version__
from histobridge.io.files import write_json

FACTS = "made_from.json"
"""The file in each folder that holds the facts, for a reader to compare."""


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


@dataclass(frozen=True)
class Cache:
    """A folder of results, each in a folder of its own.

    Attributes
    ----------
    root : Path
    """

    root: Path

    def folder(self, name: str, **made_from) -> Path:
        """Return the folder of a result, which it creates: `root`/NAME-KEY, where KEY is a hash of the facts.

        Parameters
        ----------
        name : str
            What a reader should call the result; slashes make folders.
        **made_from
            Plain values (settings, seeds, hashes of inputs) that decide the result.
        """
        folder = self.path(name, **made_from)
        if not (folder / FACTS).exists():
            write_json(folder / FACTS, _facts(made_from))
        return folder

    def path(self, name: str, **made_from) -> Path:
        """Return where the folder of a result is or would be, without creating it."""
        return self.root / f"{name}-{digest(_facts(made_from))[:12]}"


def _facts(made_from: dict) -> dict:
    """Return the facts as JSON holds them, with the version of the code: a tuple and a list are one."""
    return json.loads(json.dumps({**made_from, "histobridge": __version__}))
