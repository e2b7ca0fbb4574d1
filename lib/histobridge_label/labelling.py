"""Labels of images, one at a time: made and kept at the model's pixel size, handed off and measured at the file's.

What is kept says which model made it of which file, so that a run that was broken off goes on where it was, and a model
that has learned labels anew.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge.cache import digest, kept
from histobridge.errors import UserError
from histobridge.io.files import write_table
from histobridge.io.images import read_image, write_image
from histobridge.io.masks import read_mask, write_mask
from histobridge.io.progress import Report, ThrottledProgress
from histobridge.io.resample import resample
from histobridge.metrics.calibration import TEMPERATURE, uncertainty
from histobridge.metrics.instances import mean_enclosure
from histobridge_label import scale
from histobridge_label.export import Handoff, Labelled, edited_files, names, read_handoff, write_handoff
from histobridge_label.image_file import ImageFile
from histobridge_label.model import Model
from histobridge_label.native_grid import resize_map, resize_mask
from histobridge_study.analysis.recommend import LEAST_ENCLOSED
from histobridge_study.stages.measure import measured

HANDOFF, LABELS = "handoff", "labels"


class Kept(NamedTuple):
    """The label of an image and how unsure it is: files at the pixel size of the model."""

    image: ImageFile
    mask: Path
    unsure: Path


def at_scale(one: ImageFile, um_per_px: float) -> np.ndarray:
    """Return an image as a model of this pixel size looks at it, float32 [h, w] in 0..1."""
    return np.clip(resample(one.read(), one.um_per_px, um_per_px, name=one.path), 0, 1)


def label_all(model: Model, images: list[ImageFile], out: Path, *, report: Report | None = None) -> list[Kept]:
    """Label images, and keep the labels in `out`/labels.

    Parameters
    ----------
    report : callable, optional
        Called with a progress line an image; prints one every ten seconds by default.
    """
    report, facts = report or ThrottledProgress(), {"model": model.fingerprint, "temperature": TEMPERATURE}
    found = [_place(one, out, facts) for one in images]
    waiting = [one for one in found if not one.unsure.exists()]
    begun = time.monotonic()
    for number, one in enumerate(waiting):
        pace = f", {(time.monotonic() - begun) / number * (len(waiting) - number) / 60:.1f} min left" if number else ""
        report(f"labelling {one.image.name}, {number + 1} of {len(waiting)}{pace}")
        mask, probabilities = model.label(at_scale(one.image, model.um_per_px))
        write_mask(one.mask, mask)
        write_image(one.unsure, uncertainty(probabilities, mask))  # last: where it is, both are
    return found


def _place(one: ImageFile, out: Path, facts: dict) -> Kept:
    folder = kept(out / LABELS / one.name, image=one.sha256, um_per_px=one.um_per_px, **facts)
    return Kept(one, folder / "mask.png", folder / "uncertainty.png")


# --- Handed off -----------------------------------------------------------------------------------------


def hand_off(model: Model, found: list[Kept], out: Path, *, modality: str | None, provenance: dict) -> Handoff:
    """Write labels as a hand-off, on the pixel grid of the user's files; one of the same labels is left as it is.

    Raises
    ------
    UserError
        If an earlier hand-off of other labels was edited, or the folder cannot be written.
    """
    files = [(one.image.name, one.image.sha256, one.image.um_per_px) for one in found]
    labels = digest(model.fingerprint, files, modality)
    if (there := _handed_off(out / HANDOFF)) and there.provenance.get("labels") == labels:
        return there
    told = {**provenance, "labels": labels, "model": model.fingerprint, "labelled_at_um_per_px": model.um_per_px}
    return write_handoff(out / HANDOFF, _at_own_grid(found, modality), told)


def _handed_off(folder: Path) -> Handoff | None:
    """Return a hand-off that is there and whole, or None."""
    try:
        return read_handoff(folder)
    except UserError:
        return None


def _at_own_grid(found: list[Kept], modality: str | None) -> Iterator[Labelled]:
    for one in found:
        image, shape = one.image.read(), (one.image.height, one.image.width)
        mask = resize_mask(read_mask(one.mask)[0], shape)
        unsure = resize_map(read_image(one.unsure), shape)
        about = one.image.um_per_px, one.image.path, modality
        yield Labelled(one.image.name, one.image.subject, image, mask, unsure, *about)


# --- Measured -------------------------------------------------------------------------------------------


def measure(handoff: Handoff, out: Path) -> pd.DataFrame:
    """Measure the fibres of a hand-off; write fibres.csv and morphometrics.csv, return the latter: a row an image."""
    tables = [
        measured([({"image": row.image}, read_mask(handoff.file(row.image, names.COMBINED))[0])], row.um_per_px)
        for row in handoff.images.itertuples()
    ]
    single, whole = (pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    write_table(out / "fibres.csv", single)
    return write_table(out / "morphometrics.csv", whole)


def doubts(model: Model, found: list[Kept], handoff: Handoff) -> list[str]:
    """Say what makes labels doubtful that nobody has looked at: no fibres, bare axons, sizes unlike those of L."""
    bare, told = set(handoff.images.loc[handoff.images["n_fibres"] == 0, "name"]), []
    masks = [read_mask(one.mask)[0] for one in found if one.image.name not in bare]
    if bare:
        told.append(f"No fibre was found in {', '.join(sorted(bare))}.")
    if masks:
        told += scale.scale_warnings(masks, model.axon_px, model.um_per_px)
        told += scale.axon_size_warnings(scale.typical_axon_px(masks) * model.um_per_px, model.axon_um_source)
    if masks and (share := mean_enclosure(masks)) < LEAST_ENCLOSED:
        told.append(f"Only {share:.0%} of what surrounds axons is myelin: look before you trust any of these labels.")
    if changed := edited_files(handoff):
        told.append(f"{len(changed)} files of the hand-off were edited ({changed[0]}): collect corrections elsewhere.")
    return told
