"""Options that the commands of the study share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder for everything that runs make.")]
StudyFile = Annotated[
    Path | None, typer.Option("--study", help="Study file of your own; manifests are looked for beside it too.")
]
Pairs = Annotated[list[str] | None, typer.Option("--pair", "--pairs", help="Pair of the study; repeat for more.")]
Folds = Annotated[list[int] | None, typer.Option("--fold", "--folds", help="Fold, from 0; repeat for more.")]
Protocols = Annotated[list[str] | None, typer.Option(help="Protocol; repeat for more. The pair's by default.")]
SplitName = Annotated[str, typer.Option(help="Which images are scored: development, or locked-test.")]


def text(path: Path | None) -> str:
    """Return a path as text, empty where there is none."""
    return str(path) if path else ""


def named(values: list | None) -> tuple | None:
    """Return what was named, or None for nothing: the default."""
    return tuple(values) if values else None
