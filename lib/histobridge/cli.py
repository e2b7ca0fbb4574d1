"""The command line: one application, to which each installed package adds its commands.

A package names its module of commands in the entry-point group `histobridge.commands`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from histobridge.errors import UserError
from histobridge.extras import missing_extra
from histobridge.items import Account

if TYPE_CHECKING:
    import pandas as pd

EXIT_CODES = "Exit codes: 0 done; 1 a part failed, or a fault of the program; 2 something for you to mend."

app = typer.Typer(
    help="Label one modality of microscopy, segment another.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(markup=False, emoji=False, highlight=False)  # names are printed as they are

Data = Annotated[Path, typer.Option(help="Folder that holds (or will hold) the datasets.")]
Mirror = Annotated[
    Path | None,
    typer.Option(envvar="HISTOBRIDGE_MIRROR", help="Local folder to take files from, by the same checksums."),
]
ProfileName = Annotated[str, typer.Option(help="How much is spent: smoke, phantom, cpu or gpu.")]
Seed = Annotated[int, typer.Option(min=0, help="Added to the seed of the profile.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]


def main() -> None:
    """Run the command line; a user's mistake, or a fault of the machine, is one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name may hold what a terminal cannot show
    for commands in sorted(entry_points(group="histobridge.commands"), key=lambda entry: entry.name):
        commands.load()
    try:
        app()
    except UserError as error:
        _stop(str(error))
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        _stop(str(missing))
    except MemoryError:
        _stop("There is not enough memory: give smaller images, or close other programs.")
    except OSError as error:
        if error.strerror is None:
            raise  # not of the system, so a fault of this program
        where = f"{error.filename}: " if error.filename else ""
        _stop(f"{where}{error.strerror}. What is finished is kept: mend this and run the same command again.")


def _stop(sentence: str) -> NoReturn:
    error_console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    error_console.print(f"histobridge: {sentence}", style="bold", soft_wrap=True)
    sys.exit(2)


def finish(*accounts: Account) -> NoReturn:
    """Print what became of all that a command was given, and end it: exit code 2 if anything was skipped."""
    for account in accounts:
        if account is accounts[0] or account != Account(noun=account.noun):
            print_account(account)
    raise typer.Exit(max(account.exit_code for account in accounts))


def print_account(account: Account) -> None:
    """Print what was skipped and why, and the numbers."""
    for line in (*account.lines, account.summary):
        print(line)


@contextmanager
def progress_to_stderr(as_json: bool) -> Iterator[None]:
    """Send progress to standard error if standard output is to hold JSON alone."""
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        yield


def print_json(rows: pd.DataFrame | list[dict]) -> None:
    """Print rows as a JSON array of objects; what is undefined is null."""
    import pandas as pd  # a second, which help should not cost

    records = pd.DataFrame(rows).to_json(orient="records", double_precision=10)
    print_record(json.loads(records))


def print_record(record: dict | list) -> None:
    """Print plain values as JSON."""
    print(json.dumps(record, indent=1, ensure_ascii=False))
