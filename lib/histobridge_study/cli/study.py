"""Commands that run the study, whole or in part."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from histobridge.cli import Data, Mirror, ProfileName, Seed, app, console, finish
from histobridge.errors import one_of
from histobridge.items import Account
from histobridge_study.cli.data import fetch_datasets
from histobridge_study.cli.options import Folds, Out, Pairs, Protocols, SplitName, StudyFile, named, text

PANEL = "Study"


@app.command(rich_help_panel=PANEL)
def study(
    profile: ProfileName = "phantom",
    pair: Pairs = None,
    fold: Folds = None,
    protocol: Protocols = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Processor cores to use; all by default.")] = None,
    split: SplitName = "development",
    seed: Seed = 0,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Afterwards, train the default recipe with one piece changed at a time.")
    ] = False,
    corrections: Annotated[
        bool, typer.Option("--corrections", help="Afterwards, score what 1, 2 and 4 corrected images are worth.")
    ] = False,
    mirror: Mirror = None,
    data: Data = Path("data"),
    out: Out = Path("runs"),
    study_file: StudyFile = None,
    dry_run: Annotated[bool, typer.Option(help="Show what would run, and stop.")] = False,
) -> None:
    """Run the study: translate, label both ways, refine and report, for every pair and fold.

    Several jobs run at once where cores allow. Kill it at any moment and start it again: only what is unfinished runs.
    A job that fails does not stop the others; the report names the missing cells, and the exit code is 1. Results that
    are no longer as they were written are made anew.
    """
    from histobridge_study.execute import run_grid
    from histobridge_study.grid import Grid
    from histobridge_study.processes import Ended, raised_when_ended

    places = {"out": str(out), "data": str(data), "study_file": text(study_file)}
    grid = Grid(profile, named(pair), named(protocol), named(fold), split, seed, **places)
    try:
        with raised_when_ended():
            if dry_run:
                raise typer.Exit(0 if run_grid(grid, cores=cores, dry_run=True) else 1)
            _fetch(grid, mirror)
            done = run_grid(grid, cores=cores)
            done &= not ablation or _ablate(grid)
            done &= not corrections or _correct(grid)
            done &= _print_outcome(grid)
    except Ended as ended:
        with suppress(OSError):  # the terminal may be gone
            console.print(f"Ended by {ended}: the same command continues where this one stopped.", soft_wrap=True)
        raise typer.Exit(ended.exit_code) from None
    raise typer.Exit(0 if done else 1)


@app.command(hidden=True)
def notebook(
    stage: Annotated[str, typer.Argument(help="01_data, 02_translate, 03_label, 04_refine or 05_report.")],
    pair: Annotated[str, typer.Option(help="Pair of the study.")] = "phantom-sem",
    profile: ProfileName = "phantom",
    fold: Annotated[int, typer.Option(help="Fold, from 0.")] = 0,
    protocol: Annotated[str, typer.Option(help="transductive, or inductive.")] = "transductive",
    split: SplitName = "development",
    seed: Seed = 0,
    data: Data = Path("data"),
    out: Out = Path("runs"),
    study_file: StudyFile = None,
    card_places: Annotated[str, typer.Option(help="Cards, one of which the job takes, as `0,1,0,1`.")] = "",
    ends_with: Annotated[int | None, typer.Option(help="Process whose end ends this one.")] = None,
) -> None:
    """Run one notebook by papermill: a single job of the study. Its lines begin with what it works on."""
    from histobridge_study.cards import on_a_card
    from histobridge_study.execute import REPORT, PrefixedStream, execute_report, run_stage
    from histobridge_study.grid import Grid
    from histobridge_study.processes import end_with
    from histobridge_study.runs import STAGES

    if ends_with:
        end_with(ends_with)
    one_of("notebook", stage, (*STAGES, REPORT))
    grid = Grid(profile, split=split, seed=seed, out=str(out), data=str(data), study_file=text(study_file))
    if stage == REPORT:
        execute_report(grid)
        return
    grid.study.pair(pair)
    stream = PrefixedStream(sys.stdout, f"{pair} {protocol} fold {fold}")
    with on_a_card(card_places.split(",") if card_places else [], grid.folder):
        run_stage(grid.run(pair, protocol, fold), stage, stream=stream)


@app.command(rich_help_panel=PANEL)
def report(
    folder: Annotated[Path, typer.Argument(help="The runs of a profile, such as runs/phantom.")],
    to: Annotated[Path | None, typer.Option(help="Folder for the site; FOLDER/site by default.")] = None,
    fold: Annotated[list[int] | None, typer.Option(help="Show pictures of this fold only; repeat for more.")] = None,
    data: Data = Path("data"),
    seed: Seed = 0,
    study_file: StudyFile = None,
) -> None:
    """Write finished runs as a site of static pages that need no server and no network.

    Five folds of real images are some 160 MB; --fold 0 makes a fifth of that, with the same tables.
    """
    from histobridge_study.report.site import build

    account = Account(noun="runs")
    page = build(folder, to, data=data, seed=seed, shown=named(fold), study_file=text(study_file), account=account)
    console.print(f"Report: {os.path.relpath(page)}", soft_wrap=True)
    finish(account)


def _fetch(grid, mirror: Path | None) -> None:
    """Get the files of all datasets that the grid needs; name those that cannot be had, and go on with the rest."""
    from histobridge.data.status import complaints, status

    splits = ("development", "locked-test") if grid.split == "locked-test" else ("development",)
    names = dict.fromkeys(name for pair, _, _ in grid.cells for name in grid.study.pairs[pair].datasets)
    for dataset in map(grid.study.dataset, names):
        files = [file for file in status(dataset, Path(grid.data)) if file.split in splits]
        if any(file.state == "missing" for file in files):
            console.print(
                f"Fetching {dataset.name}: {sum(file.state == 'missing' for file in files)} files are missing"
            )
            files = fetch_datasets([dataset], Path(grid.data), mirror=mirror, splits=splits)
        for line in complaints(files):
            console.print(line, soft_wrap=True)


def _ablate(grid) -> bool:
    """Run the ablation of all finished runs; return whether all succeeded."""
    from histobridge_study.stages.refine import ablate

    return _add(grid, "ablation", ablate)


def _correct(grid) -> bool:
    """Score what corrected images are worth in all finished runs; return whether all succeeded."""
    from histobridge_study.stages.corrections import correct

    return _add(grid, "corrections", correct)


def _add(grid, name: str, make: Callable) -> bool:
    """Add a table to all finished runs, one after another; return whether all succeeded."""
    from histobridge_study.stages.refine import STAGE
    from histobridge_study.stages.translate import trained_translators

    runs, account = grid.finished_runs(STAGE), Account()
    for number, run in enumerate(runs, 1):
        console.print(f"[{number}/{len(runs)}] {name} of", run.title)
        with account.item(run.title):
            make(run, trained_translators(run))
    for line in account.lines:
        console.print(line, soft_wrap=True)
    return not account.skipped


def _print_outcome(grid) -> bool:
    """Print the Dice of what has been labelled, where the report is, and what has not finished; return if all has."""
    from histobridge_study.runs import STAGES

    if grid.finished_runs("03_label"):
        _print_dice(grid)
        page = grid.folder / "report" / "05_report.html"
        console.print(f"\nReport: {os.path.relpath(page)}", soft_wrap=True)
    finished = [{run.title for run in grid.finished_runs(stage)} for stage in STAGES[1:]]
    missing = [cell for cell in grid.cells if any(grid.run(*cell).title not in titles for titles in finished)]
    for cell in missing:
        console.print("Not finished (the reason stands above):", *cell)
    return bool(grid.cells) and not missing


def _print_dice(grid) -> None:
    from histobridge_study.analysis.tables import SPREADS, dice_overview
    from histobridge_study.report.collect import collect, shown

    places = {"out": grid.out, "data": grid.data, "study_file": grid.study_file}
    rows = collect(grid.profile, seed=grid.seed, **places).rows["dice"]
    overview = shown(dice_overview(rows, profile=grid.profile)).drop(columns=list(SPREADS.values()))
    for column in ("protocol", "split"):
        if overview[column].nunique() == 1:
            overview = overview.drop(columns=column)
    columns = [Column(name, overflow="fold") for name in overview.columns]  # cut short, names would be alike
    table = Table(*columns, title="Dice, and F1 of fibres (IoU 0.5): mean over subjects")
    for row in overview.itertuples(index=False):
        table.add_row(*row)
    console.print(table)
