"""Commands on the datasets: fetch them, show which files are here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from histobridge.cli import Data, Json, Mirror, app, console, finish, print_json, progress_to_stderr
from histobridge.errors import UserError, one_of
from histobridge.items import Account
from histobridge_study.cli.options import StudyFile

PANEL = "Data"
Names = Annotated[list[str] | None, typer.Argument(help="Datasets; all by default.")]


@app.command(rich_help_panel=PANEL)
def fetch(datasets: Names = None, mirror: Mirror = None, data: Data = Path("data"), study: StudyFile = None) -> None:
    """Download the missing files of datasets, or copy them from a mirror.

    The exit code is 2 if a file is wrong, or a development image or mask is missing, afterwards, or a manifest cannot
    be read; the others are fetched. Locked-test files may be missing: not all of them are public.
    """
    account = Account()
    statuses = fetch_datasets(_datasets(datasets, study, account), data, mirror=mirror)
    _show(statuses)
    _note(statuses, account, fetched=True)
    finish(account)


@app.command("data", rich_help_panel=PANEL)
def show_data(
    datasets: Names = None, data: Data = Path("data"), study: StudyFile = None, as_json: Json = False
) -> None:
    """Show which files of the datasets are here, missing or wrong.

    The exit code is 2 if a file is wrong or a manifest cannot be read.
    """
    from histobridge.data.status import status, summary

    account = Account()
    statuses = [file for dataset in _datasets(datasets, study, account) for file in status(dataset, data)]
    _note(statuses, account, fetched=False)
    if as_json:
        print_json(summary(statuses))
    else:
        _show(statuses)
    with progress_to_stderr(as_json):
        finish(account)


def _note(statuses: list, account: Account, *, fetched: bool) -> None:
    """Note what became of each file: `fetched` ones of the development split should be here now."""
    for file in statuses:
        name = f"{file.dataset}/{file.path}"
        if file.state == "here":
            account.used[name] = None
        elif file.state == "wrong" or (fetched and file.split == "development"):
            account.skip(name, f"{file.state}, {file.reason}")
        else:
            account.harmless[name] = f"{file.split}, not here"
    for file in statuses:
        if file.state == "here" and file.reason:
            print(f"{file.dataset}/{file.path} is here, but {file.reason}")


def fetch_datasets(datasets: list, data: Path, *, mirror: Path | None, splits: tuple[str, ...] | None = None) -> list:
    """Fetch datasets with a line of progress in a terminal; return the status of every file."""
    from histobridge.data.download import fetch_dataset
    from histobridge.data.manifest import SPLITS

    done = 0

    def progress(file) -> None:
        nonlocal done
        done += 1
        if console.is_terminal:
            print(f"\r{file.dataset}: {done} files", end="", flush=True)

    wanted = splits or SPLITS
    return [
        file
        for dataset in datasets
        for file in fetch_dataset(dataset, data, mirror=mirror, splits=wanted, progress=progress)
    ]


def _datasets(names: list[str] | None, study: Path | None, account: Account) -> list:
    """Return the named datasets, or all; one whose manifest cannot be read is skipped."""
    from histobridge.data.manifest import dataset_names
    from histobridge_study.config import load_study

    opened, found = load_study(study), []
    known = dataset_names(folders=opened.manifest_folders)
    for name in [one_of("dataset", name, known) for name in names or known]:
        try:
            found.append(opened.dataset(name))
        except UserError as error:
            account.skip(name, str(error))
    return list({dataset.name: dataset for dataset in found}.values())


def _show(statuses: list) -> None:
    from histobridge.data.status import summary

    rows = summary(statuses)
    if not rows:
        console.print("Drawn by the program: there are no files to fetch.")
        return
    table = Table(*rows[0].keys())
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
