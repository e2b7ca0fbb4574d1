"""Commands on the datasets: fetch them, show which files are here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from histobridge.cli import Data, Json, Mirror, app, console, print_json
from histobridge_study.cli.options import StudyFile

PANEL = "Data"
Names = Annotated[list[str] | None, typer.Argument(help="Datasets; all by default.")]


@app.command(rich_help_panel=PANEL)
def fetch(datasets: Names = None, mirror: Mirror = None, data: Data = Path("data"), study: StudyFile = None) -> None:
    """Download the missing files of datasets, or copy them from a mirror.

    The exit code is 2 if a development image or mask is missing or wrong afterwards.
    """
    statuses = fetch_datasets(_datasets(datasets, study), data, mirror=mirror)
    _show(statuses)
    if any(status.state != "here" and status.split == "development" for status in statuses):
        raise typer.Exit(2)


@app.command("data", rich_help_panel=PANEL)
def show_data(
    datasets: Names = None, data: Data = Path("data"), study: StudyFile = None, as_json: Json = False
) -> None:
    """Show which files of the datasets are here, missing or wrong."""
    from histobridge.data.status import status, summary

    statuses = [file for dataset in _datasets(datasets, study) for file in status(dataset, data)]
    if as_json:
        print_json(summary(statuses))
    else:
        _show(statuses)


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


def _datasets(names: list[str] | None, study: Path | None) -> list:
    """Return the named datasets, or all."""
    from histobridge.data.manifest import dataset_names
    from histobridge_study.config import load_study

    opened = load_study(study)
    return [opened.dataset(name) for name in names or dataset_names(folders=opened.manifest_folders)]


def _show(statuses: list) -> None:
    from histobridge.data.status import complaints, summary

    rows = summary(statuses)
    if not rows:
        console.print("Drawn by the program: there are no files to fetch.")
        return
    table = Table(*rows[0].keys())
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
    for line in complaints(statuses):
        console.print(line)
