"""Commands on runs that are finished."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from histobridge.errors import UserError
from histobridge_study.cli.options import (
    Data,
    Folds,
    Json,
    Out,
    Pairs,
    ProfileName,
    Protocols,
    Seed,
    SplitName,
    app,
    console,
    print_json,
    some,
    told_apart,
)

if TYPE_CHECKING:
    import pandas as pd

PANEL = "Finished runs"


def _of_finished_runs(command: Callable[[list], pd.DataFrame]) -> Callable[..., None]:
    """Make a command on options that say which runs of one on finished runs; what it returns is for machines."""

    def on_options(
        profile: ProfileName = "phantom",
        pair: Pairs = None,
        fold: Folds = None,
        protocol: Protocols = None,
        split: SplitName = "development",
        seed: Seed = 0,
        data: Data = Path("data"),
        out: Out = Path("runs"),
        as_json: Json = False,
    ) -> None:
        from histobridge_study.grid import Plan

        plan = Plan(profile, some(pair), some(protocol), some(fold), split, seed, str(out), str(data))
        with told_apart(as_json):
            made = command(_finished_runs(plan))
        if as_json:
            print_json(made)

    on_options.__name__, on_options.__doc__ = command.__name__, command.__doc__  # no `wraps`: the options are these
    return on_options


@app.command(rich_help_panel=PANEL)
@_of_finished_runs
def ablate(runs: list) -> pd.DataFrame:
    """Train `refined` anew without one of its pieces at a time, for finished runs: what is each piece worth?

    About four times the cost of `refined` itself. What was done before is skipped.
    """
    import pandas as pd

    from histobridge.io.files import read_table
    from histobridge_study.stages.refine import ablate_runs

    written = []
    for number, (_, file) in enumerate(ablate_runs(runs), 1):
        console.print(f"[{number}/{len(runs)}] {os.path.relpath(file)}", markup=False, highlight=False)
        written.append(file)
    return pd.concat(map(read_table, written))


@app.command(rich_help_panel=PANEL)
@_of_finished_runs
def recommend(runs: list) -> pd.DataFrame:
    """Say which way to pseudo labels to trust, without any mask of the target, for finished runs.

    Every way is scored by what needs no mask (minutes a run, kept as guidance.csv).
    """
    import pandas as pd

    from histobridge_study.analysis.recommend import recommend as advise
    from histobridge_study.stages.refine import experience, guide

    scored, advice = [], []
    for number, run in enumerate(runs, 1):
        p = run.parameters
        console.print(f"[{number}/{len(runs)}] {p.pair} {p.protocol} fold {p.fold}", highlight=False)
        scored.append(guide(run))
    known = experience()
    for (name, kind), rows in pd.concat(scored).groupby(["pair", "protocol"], sort=False):
        given = advise(rows, known)
        console.print(f"\n{name}, {kind}: {given.text}", highlight=False)
        advice.append({"pair": name, "protocol": kind, **given._asdict()})
    return pd.DataFrame(advice)


@app.command(rich_help_panel=PANEL)
@_of_finished_runs
def handoff(runs: list) -> pd.DataFrame:
    """Hand the refined labels of finished runs to the people who correct them, in the formats of their tools.

    A BIDS derivative dataset a run: masks as AxonDeepSeg names them, numbered fibres for napari, Cellpose and Fiji,
    polygons for QuPath, uncertainty, and where to look first.
    """
    import pandas as pd

    from histobridge_study.stages.export import hand_off

    written = []
    for run in runs:
        made = hand_off(run)
        told = f"{os.path.relpath(made.folder)}: {len(made.images)} images, {made.images['n_fibres'].sum()} axons"
        console.print(told, markup=False, highlight=False, soft_wrap=True)
        written.append(made.images.assign(folder=str(made.folder)))
    return pd.concat(written)


def _finished_runs(plan) -> list:
    """Return those runs of a plan that have finished notebook 05.

    Raises
    ------
    UserError
        If there is none.
    """
    from histobridge_study.stages.refine import STAGE

    finished = [run for run in (plan.run(*cell) for cell in plan.cells) if run.finished(STAGE)]
    if not finished:
        raise UserError(
            f"No run with these settings has finished {STAGE} in {plan.out}: start one with `histobridge run`."
        )
    return finished
