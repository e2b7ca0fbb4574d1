"""Commands that run the study, whole or in part, and publish what it found."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from histobridge.errors import one_of
from histobridge_study.cli.data import fetch_pair
from histobridge_study.cli.options import (
    Data,
    Folds,
    Mirror,
    Out,
    Pairs,
    ProfileName,
    Protocols,
    Seed,
    SplitName,
    app,
    console,
    some,
)

PANEL = "Study"


@app.command(rich_help_panel=PANEL)
def run(
    pair: Pairs = None,
    fold: Folds = None,
    profile: ProfileName = "phantom",
    protocol: Annotated[str, typer.Option(help="transductive, or inductive.")] = "transductive",
    split: SplitName = "development",
    seed: Seed = 0,
    mirror: Mirror = None,
    data: Data = Path("data"),
    out: Out = Path("runs"),
) -> None:
    """Run the notebooks for pairs and folds (the profile's by default), one after another, then the report.

    Finished stages are skipped, so the same command takes up a run that was stopped.
    """
    from histobridge_study.execute import report, run_fold
    from histobridge_study.grid import Plan

    plan = Plan(profile, some(pair), (protocol,), some(fold), split, seed, str(out), str(data))
    for name in dict.fromkeys(name for name, _, _ in plan.cells):
        fetch_pair(plan.study.pairs[name], split, data, mirror)
    for number, cell in enumerate(plan.cells, 1):
        print(f"[{number}/{len(plan.cells)}]", *cell, flush=True)
        run_fold(plan.parameters(*cell))
    page = report(plan)
    _print_dice(out / profile, seed)
    console.print(f"\nReport: {os.path.relpath(page)}", markup=False, soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def study(
    profile: ProfileName = "phantom",
    pair: Pairs = None,
    fold: Folds = None,
    protocol: Protocols = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Processor cores to use; all by default.")] = None,
    split: SplitName = "development",
    seed: Seed = 0,
    mirror: Mirror = None,
    data: Data = Path("data"),
    out: Out = Path("runs"),
    dry_run: Annotated[bool, typer.Option(help="Say what would run, and stop.")] = False,
) -> None:
    """Run the whole study as a graph of jobs, several at once where cores allow; a thin front for the Snakefile.

    Kill it at any moment and start it again: only what is unfinished runs. A job that fails does not stop the
    others; the report names the cells that are missing, and the exit code is 1.
    """
    from histobridge_study.execute import run_graph
    from histobridge_study.grid import Plan

    plan = Plan(profile, some(pair), some(protocol), some(fold), split, seed, str(out), str(data))
    done = run_graph(plan, cores=cores, mirror=mirror, dry_run=dry_run)
    if not dry_run:
        _print_outcome(plan)
    raise typer.Exit(0 if done else 1)


@app.command(rich_help_panel=PANEL)
def notebook(
    stage: Annotated[str, typer.Argument(help="01_data, 02_translate, 03_label, 04_refine or 05_report.")],
    pair: Annotated[str, typer.Option(help="Pair of study.yaml.")] = "phantom-sem",
    profile: ProfileName = "phantom",
    fold: Annotated[int, typer.Option(help="Fold, from 0.")] = 0,
    protocol: Annotated[str, typer.Option(help="transductive, or inductive.")] = "transductive",
    split: SplitName = "development",
    seed: Seed = 0,
    data: Data = Path("data"),
    out: Out = Path("runs"),
) -> None:
    """Run one notebook by papermill: a single job of the study. Its lines begin with what it works on."""
    from histobridge_study.execute import STAGES, Prefixed, report, run_stage
    from histobridge_study.grid import Plan

    one_of("notebook", stage, (*STAGES, "05_report"))
    plan = Plan(profile, split=split, seed=seed, out=str(out), data=str(data))
    if stage == "05_report":
        report(plan)
        return
    told = Prefixed(sys.stdout, f"{pair} {protocol} fold {fold}")
    run_stage(stage, plan.parameters(pair, protocol, fold), told=told)


@app.command(rich_help_panel=PANEL)
def report(
    folder: Annotated[Path, typer.Argument(help="A profile's runs, such as runs/phantom.")],
    to: Annotated[Path | None, typer.Option(help="Folder for the site; FOLDER/site by default.")] = None,
    fold: Annotated[
        list[int] | None, typer.Option(help="Show pictures and notebooks of this fold only; repeat for more.")
    ] = None,
    data: Data = Path("data"),
    seed: Seed = 0,
) -> None:
    """Write finished runs as a site: static pages that need no server and no network.

    Five folds of real images are some 160 MB; --fold 0 makes a fifth of that, with the same tables.
    """
    from histobridge_study.report.site import build

    page = build(folder, to, data=data, seed=seed, shown=some(fold))
    console.print(f"Report: {os.path.relpath(page)}", markup=False, highlight=False, soft_wrap=True)


@app.command(rich_help_panel=PANEL)
def publish(
    profile: Annotated[str, typer.Option(help="Profile whose runs are published.")] = "cpu",
    out: Out = Path("runs"),
    reports: Annotated[Path, typer.Option(help="Folder for tables and plots.")] = Path("reports"),
) -> None:
    """Publish finished runs: of a real profile the tables, in reports/ and the README; of `phantom` the figures."""
    from histobridge.data.manifest import ROOT
    from histobridge_study.report import paper_figures as gallery
    from histobridge_study.report import publish as publishing

    if profile == "phantom":
        gallery.write(out.resolve(), profile, reports.resolve())
    else:
        publishing.publish(out / profile, reports, ROOT / "README.md")
    console.print(f"Published in {reports}")


@app.command(rich_help_panel=PANEL)
def recompute(reports: Annotated[Path, typer.Option(help="Folder of published rows.")] = Path("reports")) -> None:
    """Compute every table and plot of reports/ and the README anew from the published rows."""
    from histobridge.data.manifest import ROOT
    from histobridge_study.report import publish as publishing

    publishing.recompute(reports, ROOT / "README.md")
    console.print(f"Recomputed {reports} and the tables of README.md")


def _print_outcome(plan) -> None:
    """Print the Dice of what has been labelled, where the report is, and what has not finished."""
    runs = {cell: plan.run(*cell) for cell in plan.cells}
    if any(run.finished("03_label") for run in runs.values()):
        _print_dice(plan.folder, plan.seed)
        console.print(f"\nReport: {os.path.relpath(plan.folder / 'report' / '05_report.html')}", soft_wrap=True)
    for cell, run in runs.items():
        if not run.finished("04_refine"):
            console.print("Not finished (why stands above):", *cell, highlight=False)


def _print_dice(folder: Path, seed: int) -> None:
    from histobridge_study.analysis.tables import dice_overview
    from histobridge_study.report.collect import collect

    overview = dice_overview(collect(folder, "dice", seed=seed))
    for column in ("protocol", "split"):
        if overview[column].nunique() == 1:
            overview = overview.drop(columns=column)
    columns = [Column(name, overflow="fold") for name in overview.columns]  # cut short, names would be alike
    table = Table(*columns, title="Dice, and F1 of fibres (IoU 0.5): mean over images, ± SD over folds")
    for row in overview.itertuples(index=False):
        table.add_row(*row)
    console.print(table)
