"""The two pipelines: a folder of images to a model and labels, and a model to the labels of further images.

Models, translations and labels are remembered in OUT/cache: an interrupted run continues where it stopped.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from histobridge import __version__
from histobridge.cache import Cache, digest
from histobridge.config import TrainingProfile
from histobridge.data.datasets import evenly_chosen
from histobridge.display.drawing import save_figure
from histobridge.errors import UserError, one_of
from histobridge.io.files import file_lock, sweep_drafts, write_table, write_text
from histobridge.io.limits import check_disk, printable
from histobridge.machine import machine, peak_memory_gib
from histobridge_label import labelling
from histobridge_label.contact_sheet import Thumbnail, contact_sheet
from histobridge_label.export import names
from histobridge_label.find_images import LOCK, TABLE
from histobridge_label.finetune import save_or_keep
from histobridge_label.image_file import ImageFile
from histobridge_label.inspect_folder import FolderScan, scan_folder
from histobridge_label.model import MODEL, Model
from histobridge_label.options import LabelOptions
from histobridge_label.outcome import LabelResult
from histobridge_label.page import ReportData, write_page
from histobridge_label.section import split_sections
from histobridge_label.section_files import label_sections
from histobridge_label.settled_scale import Confirm, choose_scale, draw_scale, remember_scale
from histobridge_label.source import load_further, load_source
from histobridge_label.train import ModelTraining, train_model

CACHE = "cache"
MODELS_BYTES = 100e6
"""Disk space for models, checkpoints and translations, at least: what a profile spends is known only afterwards."""
MOST_PX = 40e6
"""Pixels to learn from, at the working scale: more images cost time and memory and hardly add to what is learned."""


@dataclass
class Steps:
    """Prints which step of how many begins, and the minutes so far."""

    number: int
    begun: int = 0
    started: float = field(default_factory=time.monotonic)

    def __call__(self, name: str) -> None:
        """Print that a step begins."""
        self.begun += 1
        print(f"[{self.begun}/{self.number}] {name} ({self.minutes:.1f} min so far)", flush=True)

    @property
    def minutes(self) -> float:
        """Minutes since the start."""
        return (time.monotonic() - self.started) / 60


def label_folder(
    images: Path,
    out: Path,
    options: LabelOptions,
    *,
    um_per_px: float | None = None,
    level: int = 0,
    confirm: Confirm | None = None,
    guide: bool = False,
    modality: str | None = None,
    command: str = "label_folder",
) -> LabelResult:
    """Train on a folder of images without masks, and label them.

    Parameters
    ----------
    images, out : Path
        The images, and a folder for all results, which may lie among them.
    options : LabelOptions
    um_per_px : float, optional
        Pixel size of the images; by default that of their sidecars or metadata.
    level : int
        The pyramid level of OME-Zarr images that is labelled.
    confirm : callable, optional
        Asked about a suggested scale; by default the suggestion is taken.
    guide : bool
        Whether to score every method without masks and take the best; otherwise it is `refined`.
    modality : str, optional
        Names the images as BIDS does, such as SEM.
    command : str
        What the page names as its maker: the command line, or this function.

    Raises
    ------
    UserError
        If nothing can be done with the images, the source or the folder; or a translator swaps classes.
    """
    profile = options.training
    _check_arguments(images, out, modality)
    with file_lock(_writable(out) / LOCK, wait=False):
        sweep_drafts(out)
        steps = Steps(6 + 2 * profile.refinement.syndiff + guide)

        steps(f"looking at {images}")
        scan = scan_images(images, out, um_per_px, level)

        steps("the scale")
        source = load_source(options.source, options.source_manifest, options.data, options.mirror)
        hashes = [image.sha256 for image in scan.images]
        further, missed = load_further(options.further, options.data, options.mirror, to_label=hashes)
        told = [*source.account.lines, *missed.lines]
        _print_remarks(told)
        scan.warnings.extend(told)
        working_scale = choose_scale(source, scan, out, options.work_at, confirm)
        _check_bounds(scan, working_scale, out, modality, models=MODELS_BYTES)
        draw_scale(source, scan, working_scale, out)
        chosen, arrays = _read_to_learn_from(scan, profile, working_scale)
        learned = {part.path for part in chosen}
        learned_from = [image for image in scan.images if image.path in learned]
        remember_scale(out, source, working_scale, learned_from, options)

        given = source.examples, arrays, profile, Cache(out / CACHE), options.seed, options.polarity
        training = ModelTraining(*given, further=[other.examples for other in further])
        facts = {"source": source.facts, "further_sources": [other.facts for other in further]}
        facts["provenance"] = _provenance(learned_from, options)
        trained = train_model(training, working_scale, facts, guide=guide, begin=steps)
        model = save_or_keep(out / MODEL, trained)

        result = _label(model, scan, out, steps, modality=modality, command=command, model_folder=out)
        return result._replace(of_sources=(source.account, missed))


def apply_model(
    model_folder: Path,
    images: Path,
    out: Path,
    *,
    um_per_px: float | None = None,
    level: int = 0,
    modality: str | None = None,
    command: str = "apply_model",
) -> LabelResult:
    """Label images by an existing model, without training. Parameters as for `label_folder`.

    Raises
    ------
    UserError
        If there is no model, or nothing can be done with the images or the folder.
    """
    _check_arguments(images, out, modality)
    with file_lock(_writable(out) / LOCK, wait=False):
        sweep_drafts(out)
        steps, model = Steps(3), Model.load(model_folder)
        steps(f"looking at {images}")
        scan = scan_images(images, out, um_per_px, level)
        _check_bounds(scan, model.um_per_px, out, modality)
        return _label(model, scan, out, steps, modality=modality, command=command, model_folder=model_folder)


def _label(
    model: Model, scan: FolderScan, out: Path, steps: Steps, *, modality: str | None, command: str, model_folder: Path
) -> LabelResult:
    """Label, hand off, measure, and write the page."""
    account = scan.account
    steps(f"labelling {len(scan.images)} images")
    large, others = split_sections(scan.images)
    labels = labelling.label_images(model, others, Cache(out / CACHE), account=account)
    sections = label_sections(model, large, out, Cache(out / CACHE), account)
    parts = [part for section in sections for part in section.doubtful_parts()]

    steps(f"handing off {len(scan.images)} images, measuring, and the report")
    provenance = model.facts | {"labelled_on": machine(), "minutes": round(steps.minutes, 1)}
    provenance |= {"peak_memory_gib": round(peak_memory_gib(), 2)}
    measured = [(section.fibres, section.summary) for section in sections]
    told = {"provenance": provenance, "account": account}
    handoff = labelling.hand_off(model, [*labels, *parts], out, modality=modality, **told)
    measures = labelling.measure_handoff(handoff, labels, out, account, measured)
    labels += parts

    warnings = labelling.warnings_about(model, labels, handoff)
    _print_remarks(warnings)
    report = ReportData(scan, model, labels, handoff, measures, [*scan.warnings, *warnings])
    page = write_page(out, report, command=command, model_folder=str(model_folder))
    write_table(out / TABLE, scan.table)
    return LabelResult(page, handoff, measures, report.remarks, account, sections=tuple(s.zarr for s in sections))


# --- The images -----------------------------------------------------------------------------------------


def scan_images(folder: Path, out: Path, um_per_px: float | None, level: int = 0) -> FolderScan:
    """Inspect a folder of images; write images.csv and the contact sheet."""
    scan = scan_folder(folder, um_per_px, level=level, exclude=out)
    write_table(out / TABLE, scan.table)
    sheet = contact_sheet([thumbnail(image) for image in scan.shown], of=len(scan.inspected))
    save_figure(sheet, out / "contact_sheet")
    _print_remarks([*scan.account.lines, *scan.warnings])
    return scan


def _check_bounds(scan: FolderScan, um_per_px: float, out: Path, modality: str | None, *, models: float = 0) -> None:
    """Skip what is too large or small at the working scale, and stop, before any work, if `out` cannot hold results."""
    with_labels = labelling.check_images(scan.images, um_per_px, scan.account)
    labelling.check_names(scan.images, out, modality)
    check_disk(with_labels + models, out)


def thumbnail(image: ImageFile) -> Thumbnail:
    """Return an image as the contact sheet shows it; it must be one of `FolderScan.shown`."""
    um_per_px = image.um_per_px * image.width / image.thumbnail.shape[1]
    note = f"{image.width} × {image.height} px, {image.um_per_px:.3g}\N{NO-BREAK SPACE}µm/px"
    note = f"{note}; {image.warnings[0]}" if image.warnings else note
    return Thumbnail(image.name, image.thumbnail / 255, um_per_px, note, bool(image.warnings))


def _print_remarks(remarks: list[str]) -> None:
    for remark in remarks:
        print(f"  {printable(remark)}", flush=True)


def images_to_learn_from(images: list[ImageFile], profile: TrainingProfile, um_per_px: float) -> list[ImageFile]:
    """Return the images that are larger than a training crop at a pixel size, evenly chosen if there are many.

    Raises
    ------
    UserError
        If there is none.
    """
    translator = [profile.translator] if profile.refinement.syndiff else []
    crop = max(model.crop for model in (*translator, profile.segmenter, profile.for_polarity))
    parts = [part for image in images for part in image.parts_to_learn_from(um_per_px)]
    large = [i for i in parts if round(min(i.height, i.width) * i.um_per_px / um_per_px) >= crop]
    if not large:
        raise UserError(
            f"None of {len(images)} images has {crop} px a side at {um_per_px:g} µm/px, which is needed to "
            "learn from: give larger ones, or name another scale (--work-at)."
        )
    mean_px = np.mean([i.height * i.width * (i.um_per_px / um_per_px) ** 2 for i in large])
    return evenly_chosen(large, min(len(large), max(2, int(MOST_PX / mean_px))))


def _read_to_learn_from(
    scan: FolderScan, profile: TrainingProfile, um_per_px: float
) -> tuple[list[ImageFile], list[np.ndarray]]:
    """Return images to learn from, and what they hold at the working scale; those that cannot be read are skipped."""
    read: list[tuple[ImageFile, np.ndarray]] = []
    while not read:  # until there is an error, because no image is left
        for image in images_to_learn_from(scan.images, profile, um_per_px):
            with scan.account.item(image.path):
                read.append((image, image.at_scale(um_per_px)))
    images, arrays = zip(*read, strict=True)
    return list(images), list(arrays)


def _provenance(images: list[ImageFile], options: LabelOptions) -> dict:
    settings = {"profile": options.profile, "seed": options.seed, "polarity": options.polarity}
    settings["translate"] = options.training.refinement.syndiff
    return {"histobridge": __version__, **settings, "images_sha256": digest([i.sha256 for i in images]), **machine()}


# --- Arguments ------------------------------------------------------------------------------------------


def _check_arguments(images: Path, out: Path, modality: str | None) -> None:
    """Raise a `UserError`, before hours are spent, about an `out` that contains the images or an unknown modality."""
    if images.resolve().is_relative_to(out.resolve()):
        raise UserError(f"--out {out} is the folder of the images, or one around it: name another, or one inside it.")
    if modality is not None:
        one_of("modality of BIDS", modality, names.MODALITIES)


def _writable(out: Path) -> Path:
    """Return a folder, created if necessary, in which files can be written; otherwise raise a `UserError`."""
    write_text(out / ".writable", "")
    (out / ".writable").unlink()
    return out
