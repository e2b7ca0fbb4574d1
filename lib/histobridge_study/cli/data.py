"""Commands on the datasets: fetch them, say what is here."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table

from histobridge.errors import UserError
from histobridge_study.cli.options import Data, Json, Mirror, Names, app, console, print_json, told_apart

PANEL = "Data"


@app.command(rich_help_panel=PANEL)
def fetch(
    datasets: Names = None,
    mirror: Mirror = None,
    data: Data = Path("data"),
) -> None:
    """Download what is missing of the datasets, or copy it from a mirror; show what is here, missing or wrong."""
    from histobridge.data.download import fetch as fetch_dataset

    done = 0

    def progress(file) -> None:
        nonlocal done
        done += 1
        if console.is_terminal:
            print(f"\r{file.dataset}: {done} files", end="", flush=True)

    statuses = [s for d in _datasets(datasets) for s in fetch_dataset(d, data, mirror=mirror, progress=progress)]
    _show(statuses)
    if any(s.state != "here" and s.split == "development" for s in statuses):
        raise typer.Exit(2)


@app.command("data", rich_help_panel=PANEL)
def show_data(
    datasets: Names = None,
    data: Data = Path("data"),
    as_json: Json = False,
) -> None:
    """Show which files of the datasets are here, missing or wrong."""
    from histobridge.data.status import status, summary

    with told_apart(as_json):
        statuses = [s for d in _datasets(datasets) for s in status(d, data)]
    if as_json:
        print_json(summary(statuses))
    else:
        _show(statuses)


def _datasets(names: list[str] | None) -> list:
    """Return the named datasets, or all."""
    from histobridge.data.manifest import dataset_names, load_dataset
    from histobridge_study.config import manifest_folders

    folders = manifest_folders()
    return [load_dataset(name, folders=folders) for name in names or dataset_names(folders)]


def fetch_pair(pair, split: str, data: Path, mirror: Path | None) -> None:
    """Get what the pair needs: development images always, those of the scored split too."""
    from histobridge.data.download import fetch as fetch_dataset
    from histobridge.data.status import complaints, status

    splits = ("development", "locked-test") if split == "locked-test" else ("development",)
    for name in (pair.source.dataset, pair.target.dataset):
        (dataset,) = _datasets([name])
        found = [s for s in status(dataset, data) if s.split in splits]
        missing = sum(s.state == "missing" for s in found)
        if missing:
            console.print(f"Fetching {name}: {missing} files are missing")
            found = fetch_dataset(dataset, data, mirror=mirror, splits=splits)
        unusable = [s for s in found if s.state != "here"]
        if unusable:
            told = " ".join(complaints(unusable))
            raise UserError(f"{len(unusable)} files of {name} cannot be used: {told} See `histobridge fetch --help`.")


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
        console.print(line, markup=False, highlight=False)
