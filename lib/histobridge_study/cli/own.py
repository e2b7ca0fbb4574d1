"""The commands for somebody's own images, thin: each reads its options, calls the library and prints."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from histobridge.errors import UserError, one_of
from histobridge_study.cli.options import ProfileName, Seed, app

Images = Annotated[Path, typer.Argument(help="Folder of images (PNG, TIFF, JPEG), or a BIDS microscopy dataset.")]
PixelSize = Annotated[
    float | None, typer.Option(help="Pixel size of all images, µm/px; by default what sidecars or OME metadata say.")
]
Modality = Annotated[str | None, typer.Option(help="Names the images as BIDS does, such as SEM.")]
To = Annotated[Path, typer.Option(help="Folder for everything that is made.")]

PANEL = "Your own images"
POLARITIES = {"auto": "auto", "keep": 1, "invert": -1}


@app.command(rich_help_panel=PANEL)
def label(
    images: Images,
    out: To,
    um_per_px: PixelSize = None,
    source: Annotated[str, typer.Option(help="Labelled dataset; `phantom` is drawn: offline, and a toy.")] = "tem",
    source_manifest: Annotated[
        Path | None, typer.Option(help="Manifest of labelled images of your own, whose files lie in --data.")
    ] = None,
    profile: ProfileName = "cpu",
    work_at: Annotated[
        float | None, typer.Option(help="µm/px at which your images are like the labelled ones; suggested by default.")
    ] = None,
    guide: Annotated[
        bool, typer.Option("--guide/--no-guide", help="Score every way to labels without masks, and take the best.")
    ] = False,
    polarity: Annotated[
        str, typer.Option(help="Whether your images have the contrast of the labelled ones: auto, keep or invert.")
    ] = "auto",
    yes: Annotated[bool, typer.Option("--yes", help="Take the suggested scale without asking.")] = False,
    modality: Modality = None,
    seed: Seed = 0,
    data: Annotated[Path, typer.Option(help="Folder that holds the labelled dataset, if it is here.")] = Path("data"),
    mirror: Annotated[
        Path | None, typer.Option(envvar="HISTOBRIDGE_MIRROR", help="Local folder to take its files from.")
    ] = None,
) -> None:
    """Label a folder of images of a new microscope: from the images alone to masks that can be corrected.

    Looks at the images, suggests a scale, trains, labels, and writes OUT/report.html and OUT/handoff; OUT/model labels
    further images (`histobridge apply`). Kill it at any moment: the same command goes on. The exit code is 2 if images
    were skipped (the report lists them) or nothing could be done.
    """
    from histobridge_label.pipeline import LabelOptions, label_folder

    if source.startswith("phantom"):
        print("--source phantom is a toy: drawn tissue. Labels of real images will be poor; use it to try things out.")
    sign = POLARITIES[one_of("polarity", polarity, POLARITIES)]
    options = LabelOptions(source, source_manifest, profile, work_at, seed, sign, data, mirror)
    confirm = None if yes else _confirm
    asked = {"um_per_px": um_per_px, "modality": modality, "command": _typed()}
    _tell(label_folder(images, out, options, confirm=confirm, guide=guide, **asked))


@app.command(rich_help_panel=PANEL)
def apply(
    model: Annotated[Path, typer.Argument(help="What `histobridge label` wrote: its --out, or the model in it.")],
    images: Images,
    out: To,
    um_per_px: PixelSize = None,
    modality: Modality = None,
) -> None:
    """Label further images of the same microscope by a model that is there; nothing is trained.

    The exit code is 2 if images were skipped (the report lists them) or nothing could be done.
    """
    from histobridge_label.pipeline import apply_model

    _tell(apply_model(model, images, out, um_per_px=um_per_px, modality=modality, command=_typed()))


def learn(model: Path, corrections: list, steps: int, seed: int = 0) -> None:
    """Let a model learn from corrections, in its folder: what `histobridge import --finetune` does."""
    from histobridge_label.learning import learn_from

    learned = learn_from(model, corrections, steps=steps, seed=seed)
    print(f"{model} has learned from {len(learned)} corrected image(s): {', '.join(learned)}")


def _confirm(found, picture: Path) -> float:
    """Show a suggested scale and ask: Enter takes it, a number is another."""
    if not sys.stdin.isatty():
        raise UserError(f"{found.text} Nobody is here to confirm it: add --yes, or name another one by --work-at.")
    print(f"\n{found.text}\nSee {os.path.relpath(picture)}: fibres should be about as large in both rows.")
    return typer.prompt("Work at how many µm/px?", default=float(f"{found.um_per_px:.4g}"), type=float)


def _typed() -> str:
    """Return the command line as it was typed."""
    return shlex.join(["histobridge", *sys.argv[1:]])


def _tell(done) -> None:
    """Say what came of it; the exit code tells whether images were skipped."""
    for path, why in done.skipped.items():
        print(f"Skipped {path}: {why}")
    fibres, bare = (done.measures[name].sum() for name in ("n_fibres", "n_unmyelinated"))
    print(f"\n{len(done.handoff.images)} images labelled, {fibres} fibres and {bare} axons without myelin found")
    print(f"Labels: {os.path.relpath(done.handoff.folder)}\nReport: {os.path.relpath(done.page)}")
    raise typer.Exit(2 if done.skipped else 0)
