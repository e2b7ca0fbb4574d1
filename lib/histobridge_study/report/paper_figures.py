"""The published study's figures (arXiv 2412.02858), drawn from what finished runs have left.

Nothing is trained or translated here. Pictures of real images stay out of the repository; those of drawn tissue,
the same figures, may be published.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from histobridge.data.datasets import Sample
from histobridge.data.manifest import ROOT, load_dataset
from histobridge.errors import UserError
from histobridge_study import plotting as figures
from histobridge_study.analysis.tables import dice_table
from histobridge_study.config import Pair, load_study
from histobridge_study.grid import Plan
from histobridge_study.plotting import Example
from histobridge_study.plotting.examples import NO_DATA, NOT_RUN, STRATEGIES
from histobridge_study.report.collect import TABLES, collect
from histobridge_study.runs import Run, open_run
from histobridge_study.stages import label as strategies
from histobridge_study.stages import translate as translation
from histobridge_study.stages.export import labelled
from histobridge_study.stages.refine import STAGE

TRANSLATOR = "syndiff"


def write(out: Path | str, profile: str, to: Path | str, *, data: Path | str = "data", **settings) -> list[Path]:
    """Draw figures 2 to 4 of all finished pairs below `out`/`profile`, and a hand-off; return the paths, SVG and PNG.

    Drawn and real pairs come in figures of their own. A pair of study.yaml without a finished run has a note in
    its place.

    Parameters
    ----------
    out : path-like
        Where the runs are; like `to` and `data`, relative to the repository.
    profile : str
        Whose runs.
    to : path-like
        Folder for the figures. Those of real pairs may not enter the repository: with a real pair it must lie
        below `out` or outside the repository.
    data : path-like
        The datasets.
    **settings
        `protocol`, `split` and `seed` of the runs, as in `histobridge_study.parameters.Parameters`.

    Raises
    ------
    UserError
        If no pair is finished, real images would enter the repository, or an image is not here any more.
    """
    out, to = ROOT / out, ROOT / to
    runs = {
        pair: finished_run(pair=pair, profile=profile, out=str(out), data=str(data), **settings)
        for pair in load_study().pairs
    }
    if not any(runs.values()):
        raise UserError(f"There are no finished runs below {out / profile}: start one with `histobridge run`.")
    _refuse_real_in_repository(runs, out, to)
    drawn = {}
    for kind in ("phantom", "real"):
        chosen = {pair: run for pair, run in runs.items() if kind_of(load_study().pairs[pair]) == kind}
        if any(chosen.values()):
            drawn |= _figures(chosen, kind, out / profile)
    return [path for name, figure in drawn.items() for path in figures.save(figure, to / name)]


def finished_run(**parameters) -> Run | None:
    """Return the run of the first fold of a pair for which notebooks 02 and 03 have finished, or None.

    What was made with other settings than study.yaml has now counts as not run: to draw it would be to train anew.

    Parameters
    ----------
    **parameters
        As for `histobridge_study.runs.open_run`, without `fold`.
    """
    first = open_run(parameters)
    for fold in range(first.profile.folds):
        run = replace(first, parameters=first.parameters.model_copy(update={"fold": fold}))
        if all(run.finished(stage) for stage in TABLES.values()):
            return run
    return None


def kind_of(pair: Pair) -> str:
    """Tell whether a pair is `phantom` (both domains are drawn) or `real`."""
    both = (pair.source.dataset, pair.target.dataset)
    return "phantom" if all(load_dataset(name).procedural for name in both) else "real"


def why_missing(plan: Plan, pair: str) -> str:
    """Say why a pair has no example: its images cannot be had, or it has not been run."""
    return NO_DATA if plan.unavailable(pair) else NOT_RUN


def scores(run: Run, folder: Path, table: str) -> pd.DataFrame:
    """Return the rows of `dice` or `translation` of finished runs of the protocol, split and seed of `run`."""
    p = run.parameters
    rows = collect(folder, table, seed=p.seed)
    return rows[(rows["protocol"] == p.protocol) & (rows["split"] == p.split)]


def example(run: Run, dice: pd.DataFrame, round_trips: pd.DataFrame) -> Example:
    """Gather one image of L and one of U of a finished run, and what SynDiff and the strategies made of them.

    They are typical images, neither the best nor the worst: of L the one whose round trip has the median SSIM,
    of U the one whose labels have the median Dice.

    Parameters
    ----------
    run : Run
        Notebooks 02 and 03 have finished.
    dice, round_trips : DataFrame
        Rows of `dice.csv` and `translation.csv`; those of other pairs and folds do not matter.
    """
    p = run.parameters
    dice = dice[(dice["pair"] == p.pair) & (dice["fold"] == p.fold) & (dice["translator"] == TRANSLATOR)]
    trips = round_trips[(round_trips["pair"] == p.pair) & (round_trips["translator"] == TRANSLATOR)]
    there = _named(run.source_images(), typical(trips[trips["direction"] == "L->U"], "ssim"))
    here = _named(run.target_images(), typical(dice, "dice"))
    translator = translation.trained_translators(run)[TRANSLATOR]
    labels = strategies.all_pseudo_labels(run, {TRANSLATOR: translator})
    masks = {name: masks[here.name] for (name, _), masks in labels.items() if name in STRATEGIES}
    source = {"image": there.image, "mask": run.source_masks()[there.name]}
    target = {"image": here.image, "truth": run.target_masks()[here.name], **masks}
    source["translation"] = translation.translated(run, translator, [there], "U")[0].image
    target["translation"] = translation.translated(run, translator, [here], "L")[0].image
    both = (run.pair.source, run.pair.target)
    return Example(source, target, tuple(at.um_per_px for at in both), tuple(at.dataset for at in both))


def typical(rows: pd.DataFrame, measure: str) -> str:
    """Return the image whose mean of a measure is the median of all images (the lower of two).

    >>> typical(pd.DataFrame({"image": list("abc"), "dice": [0.9, 0.1, 0.5]}), "dice")
    'c'
    """
    mean = rows.groupby("image")[measure].mean().dropna().sort_values(kind="stable")
    return mean.index[(len(mean) - 1) // 2]


def _named(samples: Iterable[Sample], name: str) -> Sample:
    return next(sample for sample in samples if sample.name == name)


def _figures(runs: dict[str, Run | None], kind: str, folder: Path) -> dict[str, Figure]:
    """Return the figures of one kind of pairs, by file name."""
    one, plan = next(run for run in runs.values() if run), Plan(folder.name)
    dice, round_trips = (scores(one, folder, table)[lambda t: t["pair"].isin(runs)] for table in TABLES)
    examples = {pair: example(run, dice, round_trips) if run else why_missing(plan, pair) for pair, run in runs.items()}
    handed = {f"handoff-{kind}": _handed_off(one)} if one.finished(STAGE) else {}
    return {
        **handed,
        **{f"strategies-{pair}": figures.two_strategies(examples[pair]) for pair, run in runs.items() if run},
        f"translations-{kind}": figures.translation_examples(examples, round_trips),
        f"pseudo_labels-{kind}": figures.pseudo_label_examples(examples, dice_table(dice), translator=TRANSLATOR),
    }


def _handed_off(run: Run) -> Figure:
    first = next(labelled(run))
    return figures.handoff_panel(first.image, first.mask, first.uncertainty, um_per_px=first.um_per_px)


def _refuse_real_in_repository(runs: dict[str, Run | None], out: Path, to: Path) -> None:
    real = [pair for pair, run in runs.items() if run and kind_of(run.pair) == "real"]
    if real and to.resolve().is_relative_to(ROOT) and not to.resolve().is_relative_to(out.resolve()):
        raise UserError(
            f"The figures of {', '.join(real)} show real images, which are never committed: choose a folder below "
            f"{out} or outside the repository."
        )
