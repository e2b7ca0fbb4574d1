"""The commands of the label tool: label, apply, import and measure. They read options, call the library and print."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from histobridge.cli import (
    Data,
    Json,
    Mirror,
    ProfileName,
    Seed,
    app,
    console,
    finish,
    print_account,
    print_json,
    print_record,
    progress_to_stderr,
)
from histobridge.errors import UserError, one_of
from histobridge.io.progress import live_line

Images = Annotated[Path, typer.Argument(help="Folder of images (PNG, TIFF, JPEG, OME-Zarr), or a BIDS dataset.")]
Out = Annotated[Path, typer.Option(help="Folder for all results.")]
OutOrNone = Annotated[
    Path | None, typer.Option(help="Folder for all results; without it the folder is looked at only.")
]
PixelSize = Annotated[
    float | None,
    typer.Option(help="Pixel size of all images, µm/px; by default that of sidecars, OME or ImageJ metadata."),
]
Sources = Annotated[
    list[str] | None,
    typer.Option(help="Labelled dataset; repeat for more. All public ones by default. `phantom` is drawn, a toy."),
]
SourceManifest = Annotated[
    Path | None, typer.Option(help="Manifest of labelled images of your own, whose files lie in --data.")
]
Level = Annotated[int, typer.Option(min=0, help="Pyramid level of OME-Zarr images; 0 is the finest.")]
Modality = Annotated[str | None, typer.Option(help="Names the images as BIDS does, such as SEM.")]

PANEL = "Your own images"
POLARITIES = {"auto": "auto", "keep": 1, "invert": -1}


@app.command(rich_help_panel=PANEL)
def label(
    images: Images,
    out: OutOrNone = None,
    um_per_px: PixelSize = None,
    level: Level = 0,
    source: Sources = None,
    source_manifest: SourceManifest = None,
    profile: ProfileName = "cpu",
    work_at: Annotated[
        float | None, typer.Option(help="µm/px at which your images are like the labelled ones; suggested by default.")
    ] = None,
    guide: Annotated[
        bool, typer.Option("--guide/--no-guide", help="Score every method without masks, and take the best.")
    ] = False,
    polarity: Annotated[
        str, typer.Option(help="Whether your images have the contrast of the labelled ones: auto, keep or invert.")
    ] = "auto",
    translate: Annotated[
        bool | None,
        typer.Option(
            "--translate/--no-translate",
            help="Whether SynDiff learns to translate and teaches a student: minutes more; else as in the profile.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take the suggested scale without asking.")] = False,
    modality: Modality = None,
    seed: Seed = 0,
    data: Data = Path("data"),
    mirror: Mirror = None,
    as_json: Json = False,
) -> None:
    """Label a folder of images of a new microscope, from the images alone.

    Without --out it says what is in the folder, what is missing, and what to type next. With --out it writes
    OUT/report.html, OUT/handoff for correction and OUT/model for `histobridge apply`. The same command continues an
    interrupted run. The exit code is 2 if images were skipped (the report lists them) or nothing could be done.
    """
    from histobridge_label.options import PUBLIC_SOURCES, LabelOptions

    sign = POLARITIES[one_of("polarity", polarity, POLARITIES)]
    first, *further = ["", *(source or [])] if source_manifest else source or PUBLIC_SOURCES
    if out is None:
        _look(images, source_manifest, (first, *further), data, as_json, um_per_px=um_per_px, level=level)
    from histobridge_label.pipeline import label_folder

    training = profile, work_at, seed, sign, data, mirror, translate, tuple(further)
    options = LabelOptions(first, source_manifest, *training)
    asked = {"um_per_px": um_per_px, "level": level, "modality": modality, "command": _command_line()}
    with progress_to_stderr(as_json), live_line():
        if first.startswith("phantom"):
            print("--source phantom is a toy: drawn tissue. Labels of real images will be poor; use it to try it out.")
        result = label_folder(images, out, options, confirm=None if yes else _confirm, guide=guide, **asked)
    _print_result(result, out, as_json=as_json)


@app.command(rich_help_panel=PANEL)
def apply(
    model: Annotated[Path, typer.Argument(help="What `histobridge label` wrote: its --out, or the model in it.")],
    images: Images,
    out: Out,
    um_per_px: PixelSize = None,
    level: Level = 0,
    modality: Modality = None,
    as_json: Json = False,
) -> None:
    """Label further images of the same microscope by an existing model, without training.

    The exit code is 2 if images were skipped (the report lists them) or nothing could be done.
    """
    from histobridge_label.pipeline import apply_model

    asked = {"um_per_px": um_per_px, "level": level, "modality": modality, "command": _command_line()}
    with progress_to_stderr(as_json), live_line():
        result = apply_model(model, images, out, **asked)
    _print_result(result, model, as_json=as_json)


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
    """Read corrected masks, and measure the edits: pixels, fibres, Dice before and after.

    Writes edits.csv. With --finetune the model learns from the corrections. The exit code is 2 if a file could not be
    used; the others are.
    """
    from histobridge.io.files import write_table
    from histobridge_label.corrections import read_corrections
    from histobridge_label.edits import edit_table
    from histobridge_label.finetune import learn_from

    corrections, account = read_corrections(handed_off, corrected)
    table = write_table(to / "edits.csv", edit_table(corrections))
    if as_json:
        print_json(table)
    else:
        _print_edits(table, to)
    with progress_to_stderr(as_json), live_line():
        if finetune:
            try:
                learned = learn_from(finetune, corrections, steps=steps, account=account)
            except UserError:
                print_account(account)
                raise
            print(f"{finetune} has learned from {len(learned)} corrected image(s): {', '.join(learned)}")
        finish(account)


@app.command(rich_help_panel=PANEL)
def measure(
    masks: Annotated[list[Path], typer.Argument(help="Mask files: 0 background, 127 myelin, 255 axon.")],
    um_per_px: Annotated[float | None, typer.Option(help="Pixel size of the masks, µm/px.")] = None,
    to: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path("measured"),
    axondeepseg: Annotated[
        bool, typer.Option("--axondeepseg", help="Write also a table with AxonDeepSeg's column names for each mask.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure every fibre in mask files: diameters, g-ratio, myelin thickness; and of each image density and fractions.

    Writes fibres.csv and summary.csv. The exit code is 2 if a file cannot be measured; the others are.
    """
    from histobridge.measure import measure_files

    if um_per_px is None:
        raise UserError("State the pixel size of the masks, such as --um-per-px 0.1: none is guessed.")
    summary, account = measure_files(masks, um_per_px, to, axondeepseg=axondeepseg)
    if as_json:
        print_json(summary)
    elif len(summary):
        _print_measures(summary)
        console.print(f"Written to {to}: fibres.csv, summary.csv", soft_wrap=True)
    with progress_to_stderr(as_json):
        for row in summary.to_dict("records"):
            if row["remark"]:
                print(f"{row['mask']}: {row['remark']}")
        finish(account)


def _confirm(suggestion, picture: Path) -> float:
    """Show a suggested scale and ask: Enter takes it, a number replaces it."""
    if not sys.stdin.isatty():
        raise UserError(f"{suggestion.text} Nobody is here to confirm it: add --yes, or name another one by --work-at.")
    print(f"\n{suggestion.text}\nSee {os.path.relpath(picture)}: fibres should be about as large in both rows.")
    return typer.prompt("Work at how many µm/px?", default=float(f"{suggestion.um_per_px:.4g}"), type=float)


def _command_line() -> str:
    return shlex.join(["histobridge", *sys.argv[1:]])


def _look(images: Path, manifest: Path | None, names: tuple, data: Path, as_json: bool, **options) -> NoReturn:
    """Print what is in a folder and what to type next; the exit code is 2 if something is missing or was skipped."""
    from histobridge_label.first_look import first_look
    from histobridge_label.source import labelled_dataset

    typed = ["histobridge", *(word for word in sys.argv[1:] if word != "--json")]
    with progress_to_stderr(as_json), live_line():
        sources = [labelled_dataset(names[0], manifest), *(labelled_dataset(name, None) for name in names[1:])]
        seen = first_look(images, sources, data, **options)
    if as_json:
        print_record(seen.record(typed))
    else:
        print("\n".join(seen.lines(typed)))
    raise typer.Exit(2 if seen.without_size or seen.account.skipped else 0)


def _print_result(result, model: Path, *, as_json: bool = False) -> NoReturn:
    """Print what was made, where to look first, and what was skipped; the exit code is 2 if anything was."""
    from histobridge_label import outcome

    if as_json:
        print_record(outcome.record(result, model))
    with progress_to_stderr(as_json):
        if not as_json:
            print("\n" + "\n".join(outcome.lines(result, model)))
        finish(result.account, *result.of_sources)


def _print_edits(table, to: Path) -> None:
    shown = ["image", "share_changed", "added", "removed", "reshaped", "dice_axon", "dice_myelin"]
    print(table[shown].to_string(index=False, float_format="%.3f", na_rep="-"))
    for row in table[table["remark"] != ""].itertuples():
        print(f"{row.image}: {row.remark}")
    console.print(f"\nWritten: {to / 'edits.csv'}", soft_wrap=True)


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


import histobridge_label.model_export.command  # noqa: E402, F401 - registers `export`, which is listed after the others
