"""The commands, thin: each reads its options, calls the library and prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from histobridge.errors import UserError, one_of
from histobridge.own import commands as own

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
own.register(app)
console = Console()

Data = Annotated[Path, typer.Option(help="Folder that holds (or will hold) the datasets.")]
Out = Annotated[Path, typer.Option(help="Folder for everything a run makes.")]
Names = Annotated[list[str] | None, typer.Argument(help="Datasets; by default all whose files are listed.")]
Mirror = Annotated[
    Path | None,
    typer.Option(envvar="HISTOBRIDGE_MIRROR", help="Local folder to take files from, by the same checksums."),
]

Pairs = Annotated[list[str] | None, typer.Option("--pair", "--pairs", help="Pair of study.yaml; repeat for more.")]
Folds = Annotated[list[int] | None, typer.Option("--fold", "--folds", help="Fold, from 0; repeat for more.")]
Protocols = Annotated[list[str] | None, typer.Option(help="Protocol; repeat for more. The pair's by default.")]
ProfileName = Annotated[str, typer.Option(help="How much is spent: smoke, phantom, cpu or gpu.")]
SplitName = Annotated[str, typer.Option(help="Which images are scored: development, or locked-test.")]
Seed = Annotated[int, typer.Option(min=0, help="Added to the seed of the profile.")]


@app.command()
def fetch(
    datasets: Names = None,
    mirror: Mirror = None,
    data: Data = Path("data"),
) -> None:
    """Download what is missing of the datasets, or copy it from a mirror; show what is here, missing or wrong.

    A dandiset is fetched only if it is named; the DANDI archive is then asked which files it has.
    """
    from histobridge.fetching import fetch as fetch_dataset

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
    from histobridge.fetching import status

    _show([s for d in _datasets(datasets) for s in status(d, data)])


@app.command()
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
    from histobridge.batch import report, run_fold
    from histobridge.plan import Plan

    plan = Plan(profile, _some(pair), (protocol,), _some(fold), split, seed, str(out), str(data))
    for name in dict.fromkeys(name for name, _, _ in plan.cells):
        _fetch_pair(plan.study.pairs[name], split, data, mirror)
    for number, cell in enumerate(plan.cells, 1):
        print(f"[{number}/{len(plan.cells)}]", *cell, flush=True)
        run_fold(plan.parameters(*cell))
    page = report(plan)
    _print_dice(out / profile, seed)
    console.print(f"\nReport: {os.path.relpath(page)}", markup=False, soft_wrap=True)


@app.command()
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
    from histobridge.batch import run_graph
    from histobridge.plan import Plan

    plan = Plan(profile, _some(pair), _some(protocol), _some(fold), split, seed, str(out), str(data))
    done = run_graph(plan, cores=cores, mirror=mirror, dry_run=dry_run)
    if not dry_run:
        _print_dice(out / profile, seed)
        console.print(f"\nReport: {os.path.relpath(plan.folder / 'report' / '04_report.html')}", soft_wrap=True)
        for cell in plan.cells:
            if not plan.run(*cell).finished("05_beyond"):
                console.print("Not finished (why stands above):", *cell, highlight=False)
    raise typer.Exit(0 if done else 1)


@app.command()
def notebook(
    stage: Annotated[str, typer.Argument(help="01_data, 02_translate, 03_pseudo_label, 05_beyond or 04_report.")],
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
    from histobridge.batch import STAGES, Prefixed, report, run_stage
    from histobridge.plan import Plan

    one_of("notebook", stage, (*STAGES, "04_report"))
    plan = Plan(profile, split=split, seed=seed, out=str(out), data=str(data))
    if stage == "04_report":
        report(plan)
        return
    told = Prefixed(sys.stdout, f"{pair} {protocol} fold {fold}")
    run_stage(stage, plan.parameters(pair, protocol, fold), told=told)


def _of_finished_runs(command: Callable[[list], None]) -> Callable[..., None]:
    """Make a command on finished runs of one on options that say which."""

    def on_options(
        profile: ProfileName = "phantom",
        pair: Pairs = None,
        fold: Folds = None,
        protocol: Protocols = None,
        split: SplitName = "development",
        seed: Seed = 0,
        data: Data = Path("data"),
        out: Out = Path("runs"),
    ) -> None:
        from histobridge.plan import Plan

        plan = Plan(profile, _some(pair), _some(protocol), _some(fold), split, seed, str(out), str(data))
        command(_finished_runs(plan))

    on_options.__name__, on_options.__doc__ = command.__name__, command.__doc__  # no `wraps`: the options are these
    return on_options


@app.command()
@_of_finished_runs
def ablate(runs: list) -> None:
    """Train `refined` anew without one of its pieces at a time, for finished runs: what is each piece worth?

    About four times the cost of `refined` itself. What was done before is skipped.
    """
    from histobridge.beyond import ablate_runs

    for number, (_, file) in enumerate(ablate_runs(runs), 1):
        console.print(f"[{number}/{len(runs)}] {os.path.relpath(file)}", markup=False, highlight=False)


@app.command()
@_of_finished_runs
def recommend(runs: list) -> None:
    """Say which way to pseudo labels to trust, without any mask of the target, for finished runs.

    Every way is scored by what needs no mask (minutes a run, kept as guidance.csv).
    """
    import pandas as pd

    from histobridge.beyond import guide
    from histobridge.guidance import recommend as advise
    from histobridge.manifest import ROOT

    scored = []
    for number, run in enumerate(runs, 1):
        p = run.parameters
        console.print(f"[{number}/{len(runs)}] {p.pair} {p.protocol} fold {p.fold}", highlight=False)
        scored.append(guide(run))
    experience = ROOT / "reports" / "guidance_overview.csv"
    known = pd.read_csv(experience) if experience.exists() else None
    for (name, kind), rows in pd.concat(scored).groupby(["pair", "protocol"], sort=False):
        console.print(f"\n{name}, {kind}: {advise(rows, known).text}", highlight=False)


@app.command()
@_of_finished_runs
def handoff(runs: list) -> None:
    """Hand the refined labels of finished runs to the people who correct them, in the formats of their tools.

    A BIDS derivative dataset a run: masks as AxonDeepSeg names them, numbered fibres for napari, Cellpose and Fiji,
    polygons for QuPath, uncertainty, and where to look first.
    """
    from histobridge.handoff.of_run import hand_off

    for run in runs:
        made = hand_off(run)
        told = f"{os.path.relpath(made.folder)}: {len(made.images)} images, {made.images['n_fibres'].sum()} fibres"
        console.print(told, markup=False, highlight=False, soft_wrap=True)


@app.command("import")
def import_(
    handed_off: Annotated[Path, typer.Argument(help="The hand-off, as it was written.")],
    corrected: Annotated[Path, typer.Argument(help="Folder of corrected copies: masks, or polygons of QuPath.")],
    to: Annotated[Path, typer.Option(help="Folder for the table of edits.")] = Path("corrected"),
    finetune: Annotated[
        Path | None, typer.Option(help="Model of `histobridge label` that is to learn from the corrections.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of its training.")] = 100,
) -> None:
    """Take corrected masks back, and measure what was edited: pixels, fibres, Dice before and after. Writes edits.csv.

    With --finetune a model learns from them, and `histobridge apply` labels better from then on. The exit code is 2 if
    a corrected file belongs to no image of the hand-off; the others are taken all the same.
    """
    from histobridge.corrections import edit_table, read_corrections
    from histobridge.files import write_table

    found, strays = read_corrections(handed_off, corrected)
    table = write_table(to / "edits.csv", edit_table(found))
    shown = ["image", "share_changed", "added", "removed", "reshaped", "dice_axon", "dice_myelin"]
    print(table[shown].to_string(index=False, float_format="%.3f", na_rep="-"))
    console.print(f"\nWritten: {to / 'edits.csv'}", markup=False, highlight=False, soft_wrap=True)
    for stray in strays:
        console.print(f"Left out: {stray}", markup=False, highlight=False, soft_wrap=True)
    if finetune:
        own.learn(finetune, found, steps)
    raise typer.Exit(2 if strays else 0)


@app.command()
def ladder(
    profile: ProfileName = "phantom",
    seed: Seed = 0,
    reports: Annotated[Path, typer.Option(help="Folder for the table and the plot.")] = Path("reports"),
) -> None:
    """Climb the shift ladder: drawn tissue that moves in steps from TEM to each other modality, labelled both ways.

    Writes ladder.csv and a plot. About a minute a step with the settings of the profile `phantom`.
    """
    import pandas as pd

    from histobridge import figures
    from histobridge.files import write_table
    from histobridge.ladder import climb, modalities
    from histobridge.study import load_study

    settings = load_study().profiles
    chosen = settings[one_of("profile", profile, settings)]
    rows = pd.concat([climb(modality, chosen, seed=seed) for modality in modalities()], ignore_index=True)
    write_table(reports / "ladder.csv", rows.round(5))
    figures.save(figures.ladder_lines(rows), reports / "ladder")
    console.print(f"Written: {reports / 'ladder.csv'} and a plot beside it", markup=False, highlight=False)


@app.command()
def bench(
    quick: Annotated[
        bool, typer.Option("--quick", help="Small images and few repeats: minutes instead of twenty.")
    ] = False,
    reports: Annotated[Path, typer.Option(help="Folder for the tables and the plot.")] = Path("reports"),
) -> None:
    """Measure how fast this machine trains, translates and segments, against its own peak and a plain baseline.

    Writes bench.csv, bench_growth.csv, bench_profile.csv, bench.json and a plot. Let nothing else run meanwhile.
    """
    from histobridge.bench import benchmark

    table = benchmark(reports, quick=quick, report=lambda line: print(line, flush=True))
    shown = table[["stage", "part", "per_second", "unit", "share_of_peak", "times_plain", "peak_memory_gib"]]
    print(shown.to_string(index=False, float_format="%.2f", na_rep="-"))


@app.command()
def measure(
    masks: Annotated[
        list[Path] | None, typer.Argument(help="Mask files of your own; without any, finished runs are measured.")
    ] = None,
    um_per_px: Annotated[float | None, typer.Option(help="Pixel size of your mask files, µm/px.")] = None,
    to: Annotated[Path, typer.Option(help="Folder for the tables of your mask files.")] = Path("measured"),
    profile: ProfileName = "phantom",
    pair: Pairs = None,
    seed: Seed = 0,
    data: Data = Path("data"),
    out: Out = Path("runs"),
) -> None:
    """Measure every fibre: diameters, g-ratio, myelin thickness; and of every image density and area fractions.

    Of mask files (0 background, 127 myelin, 255 axon): fibres.csv and summary.csv. Of finished runs: fibres.csv and
    morphometrics.csv beside the Dice of each, with the expert masks; those that are measured are skipped.
    """
    from histobridge.measure import measure_files
    from histobridge.plan import Plan

    if masks and um_per_px is None:
        raise UserError("State the pixel size of the masks, such as --um-per-px 0.1: none is guessed.")
    if masks:
        _print_measures(measure_files(masks, um_per_px, to))
        console.print(f"Written to {to}: fibres.csv, summary.csv", markup=False, highlight=False, soft_wrap=True)
    elif um_per_px is not None:
        raise UserError("--um-per-px is the pixel size of mask files: name them too (study.yaml has that of runs).")
    else:
        _measure_runs(Plan(profile, _some(pair), seed=seed, out=str(out), data=str(data)))


@app.command()
def publish(
    profile: Annotated[str, typer.Option(help="Profile whose runs are published.")] = "cpu",
    out: Out = Path("runs"),
    reports: Annotated[Path, typer.Option(help="Folder for tables and plots.")] = Path("reports"),
) -> None:
    """Publish finished runs: of a real profile the tables, in reports/ and the README; of `phantom` the figures."""
    from histobridge import gallery, publishing
    from histobridge.manifest import ROOT

    if profile == "phantom":
        gallery.write(out.resolve(), profile, reports.resolve())
    else:
        publishing.publish(out / profile, reports, ROOT / "README.md")
    console.print(f"Published in {reports}")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A profile's runs, such as runs/phantom.")],
    to: Annotated[Path | None, typer.Option(help="Folder for the site; FOLDER/site by default.")] = None,
    data: Data = Path("data"),
    seed: Seed = 0,
) -> None:
    """Write finished runs as a site: static pages that need no server and no network."""
    from histobridge.site import build

    page = build(folder, to, data=data, seed=seed)
    console.print(f"Report: {os.path.relpath(page)}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def recompute(reports: Annotated[Path, typer.Option(help="Folder of published rows.")] = Path("reports")) -> None:
    """Compute every table and plot of reports/ and the README anew from the published rows."""
    from histobridge import publishing
    from histobridge.manifest import ROOT

    publishing.recompute(reports, ROOT / "README.md")
    console.print(f"Recomputed {reports} and the tables of README.md")


def _measure_runs(plan) -> None:
    from histobridge.collect import finished
    from histobridge.measure import STAGE, measure_runs

    names = plan.pairs or plan.study.pairs
    marks = [m for m in finished(plan.folder, STAGE, seed=plan.seed) if m.relative_to(plan.folder).parts[0] in names]
    for number, (run, masks) in enumerate(measure_runs(marks, out=Path(plan.out), data=Path(plan.data)), 1):
        p, done = run.parameters, "measured before, skipped" if masks is None else f"{masks} masks measured"
        print(f"[{number}/{len(marks)}] {p.pair} {p.protocol} {p.split} fold {p.fold}: {done}", flush=True)


def _some(values: list | None) -> tuple | None:
    return tuple(values) if values else None


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
    from histobridge.fetching import complaints, status
    from histobridge.fetching import fetch as fetch_dataset

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
    from histobridge.fetching import complaints, summary

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


def _print_measures(summary) -> None:
    shown = {
        "n_fibres": "fibres",
        "density_per_mm2": "per mm²",
        "axon_diameter_um_mean": "axon, µm",
        "g_ratio_mean": "g-ratio",
        "mvf": "MVF",
        "avf": "AVF",
    }
    table = Table("mask", *shown.values(), title="Means over whole fibres; density and fractions of the whole image")
    for row in summary.to_dict("records"):
        table.add_row(Path(row["mask"]).name, *(f"{row[c]:.0f}" if row[c] > 100 else f"{row[c]:.3g}" for c in shown))
    console.print(table)


def _finished_runs(plan) -> list:
    """Return those runs of a plan that have finished notebook 05.

    Raises
    ------
    UserError
        If there is none.
    """
    from histobridge.beyond import STAGE

    finished = [run for run in (plan.run(*cell) for cell in plan.cells) if run.finished(STAGE)]
    if not finished:
        raise UserError(
            f"No run with these settings has finished {STAGE} in {plan.out}: start one with `histobridge run`."
        )
    return finished


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
