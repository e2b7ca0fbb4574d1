"""Commands on finished runs: which method to trust, hand-off to annotators, publishing; and copies of the notebooks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from histobridge.cli import Data, Json, ProfileName, Seed, app, console, print_json, progress_to_stderr
from histobridge.errors import UserError
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

    from histobridge.strategies.recommend import recommend_method
    from histobridge_study.stages.recommend import score_run

    places = {"out": str(out), "data": str(data), "study_file": text(study_file)}
    runs = _finished_runs(profile, named(pair), named(protocol), named(fold), split, seed, **places)
    known = reports / "guidance_overview.csv"
    experience = pd.read_csv(known) if known.exists() else None
    with progress_to_stderr(as_json):
        scored = []
        for number, run in enumerate(runs, 1):
            console.print(f"[{number}/{len(runs)}]", *map(str, run.key.values()))
            scored.append(score_run(run))
        advice = []
        for (name, kind), rows in pd.concat(scored).groupby(["pair", "protocol"], sort=False):
            given = recommend_method(rows, experience)
            console.print(f"\n{name}, {kind}: {given.text}")
            advice.append({"pair": name, "protocol": kind, **given._asdict()})
    if as_json:
        print_json(advice)


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

    places = {"out": str(out), "data": str(data), "study_file": text(study_file)}
    written = []
    with progress_to_stderr(as_json):
        for run in _finished_runs(profile, named(pair), named(protocol), named(fold), split, seed, **places):
            made = hand_off_run(run)
            line = f"{os.path.relpath(made.folder)}: {len(made.images)} images, {made.images['n_fibres'].sum()} axons"
            console.print(line, soft_wrap=True)
            written.append(made.images.assign(folder=str(made.folder)))
    if as_json:
        print_json(pd.concat(written))


@app.command(rich_help_panel=PANEL)
def publish(
    profile: Annotated[str, typer.Option(help="Profile whose runs are published.")] = "cpu",
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute tables and plots anew from the rows that are published.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let published cells go that these runs do not have.")
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

    places = {"out": str(out), "data": str(data), "study_file": text(study_file)}
    if recompute:
        publishing.recompute(reports, readme)
    elif profile == "phantom":
        paper_figures.write(profile, reports.resolve(), **places)
    else:
        publishing.publish_runs(collect(profile, **places), reports, readme, replace=replace)
    console.print(f"Written: {reports}")


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


def _finished_runs(*args, **places) -> list:
    """Return the runs of a grid that have finished the last stage.

    Raises
    ------
    UserError
        If there is none.
    """
    from histobridge_study.grid import Grid
    from histobridge_study.stages.refine import STAGE

    grid = Grid(*args, **places)
    if finished := grid.finished_runs(STAGE):
        return finished
    raise UserError(f"No run with these settings has finished {STAGE} in {grid.out}: run `histobridge study` first.")
