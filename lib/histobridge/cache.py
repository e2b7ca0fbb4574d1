"""Results by what they were made from: nothing is made twice, and nothing stale is taken for new.

A result lives in a folder whose name ends in a hash of every fact that decides it: settings, seeds, hashes of the data
and of the models, the version of this library, the number format of its networks. Other facts give another folder. So
nothing in a folder is ever out of date; whether a file in it is complete and as it was written, its seal tells
(`histobridge.io.kept`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histobridge import __version__
from histobridge.errors import BrokenError
from histobridge.io.files import read_json, write_json
from histobridge.machine import precision

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
        folder, facts = self.path(name, **made_from), _facts(made_from)
        try:
            written = read_json(folder / FACTS)
        except BrokenError:
            written = None
        if written != facts:  # not written yet, or broken: the name of the folder decides
            write_json(folder / FACTS, facts)
        return folder

    def path(self, name: str, **made_from) -> Path:
        """Return where the folder of a result is or would be, without creating it."""
        return self.root / f"{name}-{digest(_facts(made_from))[:12]}"


def _facts(made_from: dict) -> dict:
    """Return the facts as JSON holds them (a tuple and a list are one), with the code and the number format."""
    return json.loads(json.dumps({**made_from, "histobridge": __version__, "precision": precision()}))
