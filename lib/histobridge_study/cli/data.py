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
    """Download what is missing of the datasets, or copy it from a mirror; show what is here, missing or wrong.

    A dandiset is fetched only if it is named; the DANDI archive is then asked which files it has.
    """
    from histobridge.data.download import fetch as fetch_dataset

    done = 0

    def progress(file) -> None:
        nonlocal done
        done += 1
        if console.is_terminal:
            print(f"\r{file.dataset}: {done} files", end="", flush=True)

    chosen = _datasets(datasets, ask=bool(datasets))
    statuses = [s for d in chosen for s in fetch_dataset(d, data, mirror=mirror, progress=progress)]
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
    from histobridge.data.download import status, summary

    with told_apart(as_json):
        statuses = [s for d in _datasets(datasets) for s in status(d, data)]
    if as_json:
        print_json(summary(statuses))
    else:
        _show(statuses)


def _datasets(names: list[str] | None, *, ask: bool = False) -> list:
    """Return the named datasets, or all whose files are listed; `ask` the archive for those that are not."""
    from histobridge.data.manifest import dataset_names, describe_dataset, is_unresolved, load_dataset

    waiting = [name for name in names or dataset_names() if is_unresolved(describe_dataset(name))]
    if ask:
        for name in waiting:
            _ask_archive(name)
    elif waiting and not names:
        console.print(f"Left out until `histobridge fetch NAME` asks for their files: {', '.join(waiting)}")
    return [load_dataset(name) for name in names or dataset_names() if names or name not in waiting]


def _ask_archive(name: str) -> None:
    from histobridge.data.dandisets import resolve
    from histobridge.data.manifest import describe_dataset

    described = describe_dataset(name)
    print(f"Asking {described.dandiset.api} for the files of {name} ...", flush=True)
    images = resolve(described).images
    masks, subjects = sum(image.mask is not None for image in images), len({image.subject for image in images})
    print(f"{name}: {len(images)} images, {masks} with a mask, of {subjects} subjects", flush=True)


def fetch_pair(pair, split: str, data: Path, mirror: Path | None) -> None:
    """Get what the pair needs: development images always, those of the scored split too."""
    from histobridge.data.download import complaints, status
    from histobridge.data.download import fetch as fetch_dataset

    splits = ("development", "locked-test") if split == "locked-test" else ("development",)
    for name in (pair.source.dataset, pair.target.dataset):
        (dataset,) = _datasets([name], ask=True)
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
    from histobridge.data.download import complaints, summary

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
