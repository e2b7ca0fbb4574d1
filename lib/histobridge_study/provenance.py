"""What numbers depend on besides code and data, and which code it was: facts for their provenance."""

from __future__ import annotations

import subprocess
from functools import cache

from histobridge.data.manifest import ROOT
from histobridge.machine import available_cores as available_cores
from histobridge.machine import machine as machine
from histobridge.machine import peak_memory_gib as peak_memory_gib


@cache
def git_commit() -> str:
    """Return the last commit that touched what decides a result, with `+` if that has changed since.

    `unknown` outside a checkout.
    """
    decides = ["--", "lib", "notebooks", "data_manifest", "study.yaml"]
    try:
        commit, changed = (
            subprocess.run(["git", *command, *decides], cwd=ROOT, capture_output=True, text=True, check=True).stdout
            for command in (["log", "-1", "--format=%h"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.strip() + ("+" if changed else "")


def origin(**facts) -> dict:
    """Return what is written beside a table that no run has left: the code, the machine, and what it was asked for."""
    return {"git_commit": git_commit(), **machine(), **facts}
