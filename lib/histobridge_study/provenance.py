"""Which code made a number, and on which machine: facts for its provenance."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from histobridge import __version__
from histobridge.machine import machine


@cache
def git_commit() -> str:
    """Return the last commit that touched what decides a result, with `+` if that has changed since.

    Outside a checkout it is the version of the package.
    """
    library = Path(__file__).resolve().parents[1]
    decides = ["--", ".", "../notebooks", "../data_manifest"]
    try:
        commit, changed = (
            subprocess.run(["git", *command, *decides], cwd=library, capture_output=True, text=True, check=True).stdout
            for command in (["log", "-1", "--format=%h"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        commit, changed = "", ""
    return commit.strip() + ("+" if changed else "") or f"version {__version__}"


def origin(**facts) -> dict:
    """Return what is written beside a table that no run has left: the code, the machine, and what it was asked for."""
    return {"git_commit": git_commit(), **machine(), **facts}
