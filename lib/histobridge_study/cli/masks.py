"""Commands on masks: measure their fibres, take corrected ones back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from histobridge.errors import UserError
from histobridge_study.cli.options import (
    Data,
    Json,
    Out,
    Pairs,
    ProfileName,
    Seed,
    app,
    console,
    print_json,
    some,
    told_apart,
)
from histobridge_study.cli.own import learn

PANEL = "Masks"


@app.command(rich_help_panel=PANEL)
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
    as_json: Json = False,
) -> None:
    """Measure every fibre: diameters, g-ratio, myelin thickness; and of every image density and area fractions.

    Of mask files (0 background, 127 myelin, 255 axon): fibres.csv and summary.csv. Of finished runs: fibres.csv and
    morphometrics.csv beside the Dice of each, with the expert masks; those that are measured are skipped.
    """
    from histobridge_study.grid import Plan
    from histobridge_study.stages.measure import measure_files

    if masks and um_per_px is None:
        raise UserError("State the pixel size of the masks, such as --um-per-px 0.1: none is guessed.")
    if masks:
        summary = measure_files(masks, um_per_px, to)
        if as_json:
            print_json(summary)
            return
        _print_measures(summary)
        console.print(f"Written to {to}: fibres.csv, summary.csv", markup=False, highlight=False, soft_wrap=True)
    elif um_per_px is not None:
        raise UserError("--um-per-px is the pixel size of mask files: name them too (study.yaml has that of runs).")
    else:
        plan = Plan(profile, some(pair), seed=seed, out=str(out), data=str(data))
        with told_apart(as_json):
            made = _measure_runs(plan)
        if as_json:
            print_json(made)


@app.command("import", rich_help_panel=PANEL)
def import_(
    handed_off: Annotated[Path, typer.Argument(help="The hand-off, as it was written.")],
    corrected: Annotated[Path, typer.Argument(help="Folder of corrected copies: masks, or polygons of QuPath.")],
    to: Annotated[Path, typer.Option(help="Folder for the table of edits.")] = Path("corrected"),
    finetune: Annotated[
        Path | None, typer.Option(help="Model of `histobridge label` that is to learn from the corrections.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of its training.")] = 100,
    as_json: Json = False,
) -> None:
    """Take corrected masks back, and measure what was edited: pixels, fibres, Dice before and after. Writes edits.csv.

    With --finetune a model learns from them, and `histobridge apply` labels better from then on. The exit code is 2 if
    a corrected file belongs to no image of the hand-off; the others are taken all the same.
    """
    from histobridge.io.files import write_table
    from histobridge_label.corrections import read_corrections
    from histobridge_label.edits import edit_table

    found, strays = read_corrections(handed_off, corrected)
    table = write_table(to / "edits.csv", edit_table(found))
    if as_json:
        print_json(table)
    else:
        _print_edits(table, to)
    with told_apart(as_json):
        for stray in strays:
            print(f"Left out: {stray}")
    if finetune:
        with told_apart(as_json):
            learn(finetune, found, steps)
    raise typer.Exit(2 if strays else 0)


def _print_edits(table, to: Path) -> None:
    shown = ["image", "share_changed", "added", "removed", "reshaped", "dice_axon", "dice_myelin"]
    print(table[shown].to_string(index=False, float_format="%.3f", na_rep="-"))
    console.print(f"\nWritten: {to / 'edits.csv'}", markup=False, highlight=False, soft_wrap=True)


def _measure_runs(plan) -> list[dict]:
    """Measure finished runs, and say so; return what was done, a row a run."""
    from histobridge_study.report.collect import finished
    from histobridge_study.stages.measure import STAGE, measure_runs

    names = plan.pairs or plan.study.pairs
    rows, marks = (
        [],
        [m for m in finished(plan.folder, STAGE, seed=plan.seed) if m.relative_to(plan.folder).parts[0] in names],
    )
    for number, (run, masks) in enumerate(measure_runs(marks, out=Path(plan.out), data=Path(plan.data)), 1):
        p, done = run.parameters, "measured before, skipped" if masks is None else f"{masks} masks measured"
        print(f"[{number}/{len(marks)}] {p.pair} {p.protocol} {p.split} fold {p.fold}: {done}", flush=True)
        rows.append({**run.key, "masks": masks, "folder": str(run.results)})
    return rows


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
