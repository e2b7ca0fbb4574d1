"""The commands, thin: each reads its options, calls the library and prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from histobridge.errors import UserError, one_of

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console()

Data = Annotated[Path, typer.Option(help="Folder that holds (or will hold) the datasets.")]
Out = Annotated[Path, typer.Option(help="Folder for everything a run makes.")]
Names = Annotated[list[str] | None, typer.Argument(help="Datasets; by default all whose files are listed.")]
Mirror = Annotated[
    Path | None,
    typer.Option(envvar="HISTOBRIDGE_MIRROR", help="Local folder to take files from, by the same checksums."),
]


@app.command()
def fetch(
    datasets: Names = None,
    mirror: Mirror = None,
    data: Data = Path("data"),
) -> None:
    """Download what is missing of the datasets, or copy it from a mirror; show what is here, missing or wrong.

    A dandiset is fetched only if it is named; the DANDI archive is then asked which files it has.
    """
    from histobridge.manifest import fetch as fetch_dataset

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


@app.command("data")
def show_data(
    datasets: Names = None,
    data: Data = Path("data"),
) -> None:
    """Show which files of the datasets are here, missing or wrong."""
    from histobridge.manifest import status

    _show([s for d in _datasets(datasets) for s in status(d, data)])


@app.command()
def run(
    pair: Annotated[list[str] | None, typer.Option(help="Pair of study.yaml; repeat for more.")] = None,
    fold: Annotated[list[int] | None, typer.Option(help="Fold, from 0; repeat for more.")] = None,
    profile: Annotated[str, typer.Option(help="How much is spent: smoke, phantom or cpu.")] = "phantom",
    protocol: Annotated[str, typer.Option(help="transductive, or inductive.")] = "transductive",
    split: Annotated[str, typer.Option(help="Which images are scored: development, or locked-test.")] = "development",
    seed: Annotated[int, typer.Option(help="Added to the seed of the profile.")] = 0,
    mirror: Mirror = None,
    data: Data = Path("data"),
    out: Out = Path("runs"),
) -> None:
    """Run notebooks 01 to 03 for pairs and folds (the profile's by default), then the report.

    Finished stages are skipped, so the same command takes up a run that was stopped.
    """
    from histobridge.batch import report, run_fold
    from histobridge.folds import PROTOCOLS
    from histobridge.manifest import SPLITS
    from histobridge.study import Parameters, load_study

    study = load_study()
    chosen = study.profiles[one_of("profile", profile, study.profiles)]
    for name in pair or chosen.pairs:
        _fetch_pair(study.pairs[one_of("pair", name, study.pairs)], split, data, mirror)
        for number in fold or chosen.run_folds:
            parameters = Parameters(
                pair=name,
                profile=profile,
                fold=number,
                protocol=one_of("protocol", protocol, PROTOCOLS),
                split=one_of("split", split, SPLITS),
                seed=seed,
                out=str(out.resolve()),
                data=str(data.resolve()),
            )
            run_fold(parameters)
    page = report(out.resolve(), profile, seed)
    _print_dice(out / profile, seed)
    console.print(f"\nReport: {os.path.relpath(page)}", markup=False, soft_wrap=True)


@app.command()
def publish(
    profile: Annotated[str, typer.Option(help="Profile whose runs are published.")] = "cpu",
    out: Out = Path("runs"),
    reports: Annotated[Path, typer.Option(help="Folder for tables and plots.")] = Path("reports"),
) -> None:
    """Publish finished runs in reports/ and the README: tables of a real profile, the picture of a drawn one."""
    from histobridge import collect
    from histobridge.manifest import ROOT

    if profile == "phantom":
        collect.publish_example(out.resolve(), reports / "example.png")
    else:
        collect.publish(out / profile, reports, ROOT / "README.md")
    console.print(f"Published in {reports}")


def _datasets(names: list[str] | None, *, ask: bool = False) -> list:
    """Return the named datasets, or all whose files are listed; `ask` the archive for those that are not."""
    from histobridge.manifest import dataset_names, describe_dataset, is_unresolved, load_dataset

    waiting = [name for name in names or dataset_names() if is_unresolved(describe_dataset(name))]
    if ask:
        for name in waiting:
            _ask_archive(name)
    elif waiting and not names:
        console.print(f"Left out until `histobridge fetch NAME` asks for their files: {', '.join(waiting)}")
    return [load_dataset(name) for name in names or dataset_names() if names or name not in waiting]


def _ask_archive(name: str) -> None:
    from histobridge.dandisets import resolve
    from histobridge.manifest import describe_dataset

    described = describe_dataset(name)
    print(f"Asking {described.dandiset.api} for the files of {name} ...", flush=True)
    images = resolve(described).images
    masks, subjects = sum(image.mask is not None for image in images), len({image.subject for image in images})
    print(f"{name}: {len(images)} images, {masks} with a mask, of {subjects} subjects", flush=True)


def _fetch_pair(pair, split: str, data: Path, mirror: Path | None) -> None:
    """Get what the pair needs: development images always, those of the scored split too."""
    from histobridge.manifest import complaints, status
    from histobridge.manifest import fetch as fetch_dataset

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
    from histobridge.manifest import complaints, summary

    rows = summary(statuses)
    table = Table(*rows[0].keys()) if rows else Table("no files")
    for row in rows:
        table.add_row(*map(str, row.values()))
    console.print(table)
    for line in complaints(statuses):
        console.print(line, markup=False, highlight=False)


def _print_dice(folder: Path, seed: int) -> None:
    from histobridge.collect import collect
    from histobridge.tables import dice_overview

    overview = dice_overview(collect(folder, "dice", seed=seed))
    for column in ("protocol", "split"):
        if overview[column].nunique() == 1:
            overview = overview.drop(columns=column)
    table = Table(*overview.columns, title="Dice: mean over images, ± SD over folds")
    for row in overview.itertuples(index=False):
        table.add_row(*row)
    console.print(table)


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2."""
    try:
        app()
    except UserError as error:
        Console(stderr=True).print(f"histobridge: {error}", style="bold", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
