"""The figures of the published study (arXiv 2412.02858), drawn from what finished runs have left.

Nothing is trained here. Pictures of real images stay below the folder of runs; those of drawn tissue, the same figures,
may be published.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from histobridge.data.datasets import Sample
from histobridge.errors import UserError
from histobridge.items import Account
from histobridge_study import plotting
from histobridge_study.analysis.tables import typical_image
from histobridge_study.grid import Grid
from histobridge_study.plotting import Example
from histobridge_study.plotting.examples import NO_DATA, NOT_RUN, STRATEGIES
from histobridge_study.report.collect import Collected, collect
from histobridge_study.runs import Run
from histobridge_study.stages.export import labelled_images
from histobridge_study.stages.label import read_labels
from histobridge_study.stages.translate import trained_translators

TRANSLATOR = "syndiff"
PROTOCOL, SPLIT = "transductive", "development"
"""Of the runs that are shown."""


def write(profile: str, to: Path, *, seed: int = 0, account: Account | None = None, **places: str) -> list[Path]:
    """Draw figures 2 to 4 of all finished pairs of a profile, and a hand-off; return the paths, SVG and PNG.

    Drawn and real pairs come in figures of their own. A pair without a finished run has a note in its place.

    Parameters
    ----------
    profile : str
        Whose runs.
    to : Path
        Folder for the figures. With a real pair it must lie below the folder of the runs.
    seed : int
    account : Account, optional
        Is told of runs that are skipped because files of theirs are not as they were written.
    **places : str
        `out`, `data` and `study_file`, as in `Grid`.

    Raises
    ------
    UserError
        If no pair is finished, figures of real images would leave the folder of the runs, or an image is not here.
    """
    grid = Grid(profile, protocols=(PROTOCOL,), split=SPLIT, seed=seed, **places)
    runs = {pair: first_finished_run(grid, pair) for pair in grid.study.pairs}
    if not any(runs.values()):
        raise UserError(f"There are no finished runs below {grid.folder}: start one with `histobridge study`.")
    _refuse_real_elsewhere(grid, runs, to)
    collected, drawn = collect(profile, seed=seed, account=account, **places), {}
    for kind in ("phantom", "real"):
        chosen = {pair: run for pair, run in runs.items() if kind_of(grid, pair) == kind}
        if any(chosen.values()):
            drawn |= _figures(grid, chosen, kind, collected)
    return [path for name, figure in drawn.items() for path in plotting.save_figure(figure, to / name)]


def first_finished_run(grid: Grid, pair: str) -> Run | None:
    """Return the run of the first fold of a pair that has finished stages 02 and 03, or None."""
    if grid.unavailable(pair):
        return None
    for fold in range(grid.settings.folds):
        run = grid.run(pair, PROTOCOL, fold)
        if run.stage("02_translate").finished and run.stage("03_label").finished:
            return run
    return None


def kind_of(grid: Grid, pair: str) -> str:
    """Tell whether a pair is `phantom` (both domains are drawn) or `real`."""
    datasets = map(grid.study.dataset, grid.study.pairs[pair].datasets)
    return "phantom" if all(dataset.procedural for dataset in datasets) else "real"


def why_missing(grid: Grid, pair: str) -> str:
    """Say why a pair has no example: its images cannot be had, or it has not been run."""
    return NO_DATA if grid.unavailable(pair) else NOT_RUN


def example(run: Run, dice: pd.DataFrame, translation: pd.DataFrame) -> Example:
    """Gather one image of L and one of U of a finished run, and what SynDiff and the strategies made of them.

    They are typical images: of L the one whose round trip has the median SSIM, of U the one whose labels have the
    median Dice.

    Parameters
    ----------
    run : Run
        Stages 02 and 03 have finished.
    dice, translation : DataFrame
        Rows of `dice.csv` and `translation.csv`; those of other pairs and folds do not matter.
    """
    p = run.parameters
    dice = dice[(dice["pair"] == p.pair) & (dice["fold"] == p.fold) & (dice["translator"] == TRANSLATOR)]
    trips = translation[(translation["pair"] == p.pair) & (translation["translator"] == TRANSLATOR)]
    of_l = _named(run.data.source_images, typical_image(trips[trips["direction"] == "L->U"], "ssim"))
    of_u = _named(run.data.target_images, typical_image(dice, "dice"))
    translator = trained_translators(run)[TRANSLATOR]
    labels = read_labels(run.stage("03_label"))
    wanted = {
        name: method for method in labels if (name := method[0]) in STRATEGIES and method[1] in (TRANSLATOR, "none")
    }
    source = {"image": of_l.image, "mask": run.data.source_masks[of_l.name]}
    target = {"image": of_u.image, "truth": run.data.target_masks[of_u.name]}
    target |= {name: labels[method][of_u.name] for name, method in wanted.items() if of_u.name in labels[method]}
    source["translation"] = translator.translate(of_l.image, "U", seed=run.translator_seed)
    target["translation"] = translator.translate(of_u.image, "L", seed=run.translator_seed)
    both = (run.pair.source, run.pair.target)
    return Example(source, target, tuple(at.um_per_px for at in both), tuple(at.dataset for at in both))


def _named(samples: Iterable[Sample], name: str) -> Sample:
    return next(sample for sample in samples if sample.name == name)


def _figures(grid: Grid, runs: dict[str, Run | None], kind: str, collected: Collected) -> dict[str, Figure]:
    """Return the figures of one kind of pairs, by file name."""
    dice, translation = (
        table[(table["protocol"] == PROTOCOL) & (table["split"] == SPLIT) & table["pair"].isin(runs)]
        for table in (collected.rows["dice"], collected.rows["translation"])
    )
    examples = {pair: example(run, dice, translation) if run else why_missing(grid, pair) for pair, run in runs.items()}
    figures = {f"strategies-{pair}": plotting.two_strategies(examples[pair]) for pair, run in runs.items() if run}
    figures[f"translations-{kind}"] = plotting.translation_examples(examples, translation)
    figures[f"pseudo_labels-{kind}"] = plotting.pseudo_label_examples(examples, dice, translator=TRANSLATOR)
    first = next(run for run in runs.values() if run)
    if first.stage("04_refine").finished:
        shown = next(labelled_images(first))
        figures[f"handoff-{kind}"] = plotting.handoff_panel(
            shown.image, shown.mask, shown.uncertainty, um_per_px=shown.um_per_px
        )
    return figures


def _refuse_real_elsewhere(grid: Grid, runs: dict[str, Run | None], to: Path) -> None:
    real = [pair for pair, run in runs.items() if run and kind_of(grid, pair) == "real"]
    if real and not to.resolve().is_relative_to(Path(grid.out).resolve()):
        raise UserError(
            f"The figures of {', '.join(real)} show real images, which are never committed: choose a folder below "
            f"{grid.out}."
        )
