"""What the commands share: the application, its console, options, and how they speak to machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    import pandas as pd

EXIT_CODES = "Exit codes: 0 done; 1 a part failed, or a fault of the program; 2 something to mend, which is said."

app = typer.Typer(
    help="Label one modality of microscopy, segment another.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console()

Data = Annotated[Path, typer.Option(help="Folder that holds (or will hold) the datasets.")]
Out = Annotated[Path, typer.Option(help="Folder for everything a run makes.")]
Names = Annotated[list[str] | None, typer.Argument(help="Datasets; by default all whose files are listed.")]
Mirror = Annotated[
    Path | None,
    typer.Option(envvar="HISTOBRIDGE_MIRROR", help="Local folder to take files from, by the same checksums."),
]

Pairs = Annotated[list[str] | None, typer.Option("--pair", "--pairs", help="Pair of study.yaml; repeat for more.")]
Folds = Annotated[list[int] | None, typer.Option("--fold", "--folds", help="Fold, from 0; repeat for more.")]
Protocols = Annotated[list[str] | None, typer.Option(help="Protocol; repeat for more. The pair's by default.")]
ProfileName = Annotated[str, typer.Option(help="How much is spent: smoke, phantom, cpu or gpu.")]
SplitName = Annotated[str, typer.Option(help="Which images are scored: development, or locked-test.")]
Seed = Annotated[int, typer.Option(min=0, help="Added to the seed of the profile.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]


def some(values: list | None) -> tuple | None:
    """Return what was named, or None for nothing: the default."""
    return tuple(values) if values else None


@contextmanager
def told_apart(as_json: bool) -> Iterator[None]:
    """Send what is said on the way to standard error if standard output is to hold JSON alone."""
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        yield


def print_json(rows: pd.DataFrame | list[dict]) -> None:
    """Print rows as a JSON array of objects; what is undefined is null."""
    import pandas as pd  # a second, which help should not cost

    records = pd.DataFrame(rows).to_json(orient="records", double_precision=10)
    print(json.dumps(json.loads(records), indent=1, ensure_ascii=False))
