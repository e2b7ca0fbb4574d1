"""Commands on finished runs: which method to trust, hand-off to annotators, publishing; and copies of the notebooks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from histobridge.cli import Data, Json, ProfileName, Seed, app, console, finish, print_json, progress_to_stderr
from histobridge.errors import UserError
from histobridge.items import Account
from histobridge_study.cli.options import Folds, Out, Pairs, Protocols, SplitName, StudyFile, named, text

PANEL = "Finished runs"


@app.command(rich_help_panel=PANEL)
def recommend(
    profile: ProfileName = "phantom",
    pair: Pairs = None,
    fold: Folds = None,
    protocol: Protocols = None,
    split: SplitName = "development",
    seed: Seed = 0,
    data: Data = Path("data"),
    out: Out = Path("runs"),
    study_file: StudyFile = None,
    reports: Annotated[Path, typer.Option(help="Folder of published tables, for how well such advice did.")] = Path(
        "reports"
    ),
    as_json: Json = False,
) -> None:
    """Say which method to trust, without any mask of the target.

    Every method is scored by what needs no mask: minutes a run, once.
    """
    import pandas as pd

    from histobridge.io.files import read_table
    from histobridge.strategies.recommend import recommend_method
    from histobridge_study.stages.recommend import score_run

    places, account = {"out": str(out), "data": str(data), "study_file": text(study_file)}, Account(noun="runs")
    runs = _finished_runs(account, profile, named(pair), named(protocol), named(fold), split, seed, **places)
    known = reports / "guidance_overview.csv"
    experience = read_table(known) if known.exists() else None
    scored, advice = [], []
    with progress_to_stderr(as_json):
        for number, run in enumerate(runs, 1):
            console.print(f"[{number}/{len(runs)}]", run.title)
            with account.item(run.title):
                scored.append(score_run(run))
        for (name, kind), rows in pd.concat(scored).groupby(["pair", "protocol"], sort=False) if scored else ():
            given = recommend_method(rows, experience)
            console.print(f"\n{name}, {kind}: {given.text}")
            advice.append({"pair": name, "protocol": kind, **given._asdict()})
    if as_json:
        print_json(advice)
    _finish(account, as_json)


@app.command(rich_help_panel=PANEL)
def handoff(
    profile: ProfileName = "phantom",
    pair: Pairs = None,
    fold: Folds = None,
    protocol: Protocols = None,
    split: SplitName = "development",
    seed: Seed = 0,
    data: Data = Path("data"),
    out: Out = Path("runs"),
    study_file: StudyFile = None,
    as_json: Json = False,
) -> None:
    """Hand the refined labels of finished runs to annotators, in the formats of their tools.

    A BIDS derivative dataset a run: masks as AxonDeepSeg names them, numbered fibres for napari, Cellpose and Fiji,
    polygons for QuPath, uncertainty, and where to look first.
    """
    import pandas as pd

    from histobridge_study.stages.export import hand_off_run

    places, account = {"out": str(out), "data": str(data), "study_file": text(study_file)}, Account(noun="runs")
    runs, written = (
        _finished_runs(account, profile, named(pair), named(protocol), named(fold), split, seed, **places),
        [],
    )
    with progress_to_stderr(as_json):
        for run in runs:
            with account.item(run.title):
                made = hand_off_run(run)
                axons = made.images["n_fibres"].sum()
                console.print(
                    f"{os.path.relpath(made.folder)}: {len(made.images)} images, {axons} axons", soft_wrap=True
                )
                written.append(made.images.assign(folder=str(made.folder)))
    if as_json:
        print_json(pd.concat(written) if written else [])
    _finish(account, as_json)


@app.command(rich_help_panel=PANEL)
def publish(
    profile: Annotated[str, typer.Option(help="Profile whose runs are published.")] = "cpu",
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute tables and plots anew from the rows that are published.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let published cells go that these runs do not have.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep published cells that these runs do not have, of the same version.")
    ] = False,
    out: Out = Path("runs"),
    data: Data = Path("data"),
    reports: Annotated[Path, typer.Option(help="Folder for tables and plots.")] = Path("reports"),
    readme: Annotated[Path, typer.Option(help="Page with tables between comments.")] = Path("README.md"),
    study_file: StudyFile = None,
) -> None:
    """Publish finished runs: of a real profile the tables in reports/ and README.md, of `phantom` the figures."""
    from histobridge_study.report import paper_figures
    from histobridge_study.report import publish as publishing
    from histobridge_study.report.collect import collect

    places, account = {"out": str(out), "data": str(data), "study_file": text(study_file)}, Account(noun="runs")
    if recompute:
        publishing.recompute(reports, readme)
    elif profile == "phantom":
        paper_figures.write(profile, reports.resolve(), account=account, **places)
    else:
        collected = collect(profile, account=account, **places)
        publishing.publish_runs(collected, reports, readme, replace=replace, keep=keep)
    console.print(f"Written: {reports}", soft_wrap=True)
    if account.used or account.skipped:
        finish(account)


@app.command(rich_help_panel="Study")
def notebooks(to: Annotated[Path, typer.Argument(help="Folder for the copies.")]) -> None:
    """Copy the notebooks and the study file into a folder of your own."""
    from importlib import resources

    from histobridge_study.execute import notebook_folder

    to.mkdir(parents=True, exist_ok=True)
    study = Path(str(resources.files("histobridge_study").joinpath("study.yaml")))
    for file in [*sorted(notebook_folder().glob("*.ipynb")), study]:
        if (to / file.name).exists():
            raise UserError(f"{to / file.name} exists already: name another folder, so that nothing is overwritten.")
    for file in [*sorted(notebook_folder().glob("*.ipynb")), study]:
        shutil.copyfile(file, to / file.name)
    console.print(f"Copied to {to}: open 00_tour.ipynb first", soft_wrap=True)


def _finish(account: Account, as_json: bool) -> NoReturn:
    """End a command with its account, which stands in standard error if standard output is to hold JSON alone."""
    with progress_to_stderr(as_json):
        finish(account)


def _finished_runs(account: Account, *args, **places) -> list:
    """Return the runs of a grid that have finished the last stage; the account is told of the others.

    Raises
    ------
    UserError
        If there is none.
    """
    from histobridge_study.grid import Grid
    from histobridge_study.stages.refine import STAGE

    grid = Grid(*args, **places)
    finished = grid.finished_runs(STAGE, account)
    if finished or account.skipped:
        return finished
    raise UserError(f"No run with these settings has finished {STAGE} in {grid.out}: run `histobridge study` first.")
