"""The commands, thin: each reads its options, calls the library and prints.

============  ===================================================
`options`     what the commands share
`data`        fetch, data
`study`       run, study, notebook, report, publish, recompute
`finished`    ablate, recommend, handoff
`masks`       measure, import
`own`         label, apply
============  ===================================================
"""

from __future__ import annotations

import sys

from rich.console import Console

from histobridge.errors import UserError
from histobridge_study.cli import data, finished, masks, own, study  # noqa: F401 - commands register themselves
from histobridge_study.cli.options import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    try:
        app()
    except UserError as error:
        Console(stderr=True).print(f"histobridge: {error}", style="bold", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
