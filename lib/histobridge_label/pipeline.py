"""The two commands as functions: a folder of images to a model and labels, and a model to the labels of further images.

Every step keeps what it made and finds it again: a run that is broken off goes on where it was.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge.data.datasets import load_images, load_masks
from histobridge.data.manifest import load_dataset
from histobridge.errors import UserError, one_of
from histobridge.io.files import file_lock, write_table, write_text
from histobridge_label import labelling, scale, workspace
from histobridge_label.export import Handoff, names
from histobridge_label.find_images import LOCK, TABLE
from histobridge_label.image_file import ImageFile
from histobridge_label.inspect_folder import FolderScan, scan_folder
from histobridge_label.model import MODEL, Model, latest
from histobridge_label.page import ReportData, write_page
from histobridge_label.training import train
from histobridge_label.workspace import Choice
from histobridge_study import plotting as figures
from histobridge_study.config import Polarity, load_study, profile_of
from histobridge_study.plotting import Thumbnail
from histobridge_study.provenance import machine, peak_memory_gib

POLARITIES = {1: "keep", -1: "invert"}
TOYS = {"phantom": "phantom-tem"}
"""Short names of drawn sources."""


class LabelOptions(NamedTuple):
    """Who teaches, and how much is spent.

    Attributes
    ----------
    source : str
        A dataset with masks; `phantom` is drawn, and a toy.
    manifest : Path, optional
        Of labelled images that are no dataset of the repository; their files lie in `data`/NAME.
    profile : str
        Of study.yaml.
    work_at : float, optional
        µm/px at which the images are like those of the source; suggested by default.
    seed : int
    polarity : "auto" or {1, -1}
        Whether translations keep the contrast (1) or invert it; chosen by anatomy by default.
    data, mirror : Path
        Where the files of the source are, or may be taken from.
    """

    source: str = "tem"
    manifest: Path | None = None
    profile: str = "cpu"
    work_at: float | None = None
    seed: int = 0
    polarity: Polarity = "auto"
    data: Path = Path("data")
    mirror: Path | None = None


class Done(NamedTuple):
    """What came of a folder of images; `measures` are those of `labelling.measure`, a row an image."""

    page: Path
    handoff: Handoff
    measures: pd.DataFrame
    remarks: list[str]
    skipped: dict[Path, str]


@dataclass
class Steps:
    """Tells which step of how many begins, and how long all has taken."""

    number: int
    done: int = 0
    begun: float = field(default_factory=time.monotonic)

    def __call__(self, what: str) -> None:
        """Say that a step begins."""
        self.done += 1
        print(f"[{self.done}/{self.number}] {what} ({self.minutes:.1f} min so far)", flush=True)

    @property
    def minutes(self) -> float:
        """Minutes since the beginning."""
        return (time.monotonic() - self.begun) / 60


Confirm = Callable[[scale.Suggestion, Path], float]
"""Shown a suggestion and the picture of it, returns the µm/px to work at."""


def label_folder(
    images: Path,
    out: Path,
    options: LabelOptions,
    *,
    um_per_px: float | None = None,
    confirm: Confirm | None = None,
    guide: bool = False,
    modality: str | None = None,
    command: str | None = None,
) -> Done:
    """Train on a folder of images without masks, and label them.

    Parameters
    ----------
    images, out : Path
        The images, and a folder for everything that is made; it may lie among them.
    wish : Wish
        Who teaches, and how much is spent.
    um_per_px : float, optional
        Pixel size of the images; by default what their sidecars or metadata say.
    confirm : callable, optional
        Asked about a suggested scale; by default it is taken.
    guide : bool
        Whether every way is scored without masks and the best one taken; else it is `refined`.
    modality : str, optional
        That BIDS names the images by, such as SEM.
    command : str, optional
        As it was typed, for the page; by default one that does the same.

    Raises
    ------
    UserError
        If nothing can be done with the images, the source or the folder; or the translator swaps classes.
    """
    profile_of(options.profile)
    _check(images, out, modality)
    given = {"images": images, "out": out, "um_per_px": um_per_px, "guide": guide, "modality": modality}
    with file_lock(writable(out) / LOCK, wait=False):
        steps = Steps(8 + guide)
        steps(f"looking at {images}")
        looked = first_look(images, out, um_per_px)
        steps("the scale")
        choice = settle(looked.images, out, options, confirm)
        workspace.write_workspace(out, looked, choice)
        with workspace.opened(out) as run:
            model = latest(out / MODEL, train(run, guide=guide, say=steps))
        return _labelled(model, looked, out, steps, _Told(command or _typed(options, **given), out, modality))


def apply_model(
    model_folder: Path,
    images: Path,
    out: Path,
    *,
    um_per_px: float | None = None,
    modality: str | None = None,
    command: str | None = None,
) -> Done:
    """Label images by a model that is there; nothing is trained. Parameters as for `label_folder`.

    Raises
    ------
    UserError
        If there is no model, or nothing can be done with the images or the folder.
    """
    _check(images, out, modality)
    with file_lock(writable(out) / LOCK, wait=False):
        steps, model = Steps(3), Model.load(model_folder)
        steps(f"looking at {images}")
        looked = first_look(images, out, um_per_px)
        typed = as_command("apply", model_folder, images, out=out, um_per_px=um_per_px, modality=modality)
        return _labelled(model, looked, out, steps, _Told(command or typed, model_folder, modality))


def as_command(*words: object, **options: object) -> str:
    """Return a command as it is typed; an option without a value (None, False) is left out.

    >>> as_command("apply", "LABELS", "my images", out="MORE", um_per_px=0.1, modality=None, yes=True)
    "histobridge apply LABELS 'my images' --out MORE --um-per-px 0.1 --yes"
    """
    line = ["histobridge", *map(str, words)]
    for name, value in options.items():
        if value is not None and value is not False:
            line += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(line)


def _typed(options: LabelOptions, *, images: Path, **others: object) -> str:
    """Return the command that does what `label_folder` was asked for; what is as by default is not said."""
    asked = {name: value for name, value in options._asdict().items() if value != LabelOptions._field_defaults[name]}
    asked |= {"source_manifest": asked.pop("manifest", None), "polarity": POLARITIES.get(asked.get("polarity"))}
    return as_command("label", images, **others, **asked, yes=True)


def _check(images: Path, out: Path, modality: str | None) -> None:
    """Raise a `UserError` about a folder for results that hides all images, or a modality that BIDS has no name for.

    Before anything is done: hours are spent on images before they get their names.
    """
    if images.resolve().is_relative_to(out.resolve()):
        raise UserError(f"--out {out} is the folder of the images, or one around it: name another, or one inside it.")
    if modality is not None:
        one_of("modality of BIDS", modality, names.MODALITIES)


def first_look(images: Path, out: Path, um_per_px: float | None) -> FolderScan:
    """Look at a folder; write images.csv and the contact sheet."""
    looked = scan_folder(images, um_per_px, exclude=out)
    write_table(out / TABLE, looked.table)
    thumbs = [_thumbnail(one) for one in looked.images]
    figures.save(figures.contact_sheet(thumbs), out / "contact_sheet")
    for told in looked.warnings:
        print(f"  {told}", flush=True)
    return looked


def _thumbnail(one: ImageFile) -> Thumbnail:
    shown = one.um_per_px * one.width / one.thumbnail.shape[1]
    note = f"{one.width} × {one.height} px, {one.um_per_px:.3g}\N{NO-BREAK SPACE}µm/px"
    return Thumbnail(
        one.name, one.thumbnail, shown, f"{note}; {one.warnings[0]}" if one.warnings else note, bool(one.warnings)
    )


def settle(images: list[ImageFile], out: Path, options: LabelOptions, confirm: Confirm | None) -> Choice:
    """Settle the scale: as stated, as it was settled before in this folder, or as suggested and confirmed."""
    source = (
        workspace.add_manifest(out, options.manifest) if options.manifest else TOYS.get(options.source, options.source)
    )
    with workspace.brought(out):
        workspace.bring_source(out, source, options.data, options.mirror)
        labelled, before = source_images(source, out / "data"), workspace.choice_of(out, images)
        same = before and (before.source, before.source_um_per_px) == (source, labelled.um_per_px)
        work_at = options.work_at or (before.um_per_px if same else None)
        if work_at is None:
            found = scale.suggest_pixel_size(labelled, images)
            scale_picture(labelled, images, found.um_per_px, out)
            work_at = confirm(found, out / "scale.png") if confirm else found.um_per_px
        scale_picture(labelled, images, work_at, out)
    return Choice(source, labelled.um_per_px, work_at, options.profile, options.seed, options.polarity)


def source_images(dataset: str, data: Path) -> scale.SourceImages:
    """Read a labelled dataset at the pixel size of study.yaml, or at that at which its axons have a typical size.

    Raises
    ------
    UserError
        If images or masks are not here.
    """
    known = {pair.source.dataset: pair.source.um_per_px for pair in load_study().pairs.values()}
    um_per_px = known.get(dataset)
    if um_per_px is None:
        native = float(np.median([record.um_per_px for record in load_dataset(dataset).images]))
        um_per_px = scale.training_pixel_size(load_masks(dataset, native, data).values(), native)
    images = {sample.name: sample.image for sample in load_images(dataset, um_per_px, data)}
    axon_px = scale.typical_axon_px(load_masks(dataset, um_per_px, data).values())
    return scale.SourceImages(dataset, um_per_px, images, axon_px)


def scale_picture(labelled: scale.SourceImages, images: list[ImageFile], um_per_px: float, out: Path) -> None:
    """Draw both domains at the pixel sizes at which they are compared: `out`/scale.png."""
    some = {one.name: labelling.at_scale(one, um_per_px) for one in images[:4]}
    names, sizes = (labelled.dataset, "your images"), (labelled.um_per_px, um_per_px)
    figures.save(figures.domains(labelled.images, some, um_per_px=sizes, names=names), out / "scale")


class _Told(NamedTuple):
    """What the page says besides: which command made it, and where the model is."""

    command: str
    model_folder: Path
    modality: str | None


def _labelled(model: Model, looked: FolderScan, out: Path, steps: Steps, told: _Told) -> Done:
    """Label, hand off, measure, and tell."""
    steps(f"labelling {len(looked.images)} images")
    found = labelling.label_all(model, looked.images, out)
    steps("handing off, measuring, and the report")
    provenance = model.facts | {"labelled_on": machine(), "minutes": round(steps.minutes, 1)}
    provenance |= {"peak_memory_gib": round(peak_memory_gib(), 2)}
    handoff = labelling.hand_off(model, found, out, modality=told.modality, provenance=provenance)
    measures = labelling.measure(handoff, out)
    doubts = labelling.doubts(model, found, handoff)
    for doubt in doubts:
        print(f"  {doubt}", flush=True)
    report_data = ReportData(looked, model, found, handoff, measures, [*looked.warnings, *doubts])
    page = write_page(out, report_data, command=told.command, model_folder=str(told.model_folder))
    return Done(page, handoff, measures, report_data.remarks, looked.skipped)


def writable(out: Path) -> Path:
    """Return a folder, made if need be, in which files can be written; else raise a `UserError`."""
    write_text(out / ".writable", "")
    (out / ".writable").unlink()
    return out
