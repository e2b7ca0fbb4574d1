"""Labels of images, one image at a time: cached at the pixel size of the model, handed off at that of the file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge.cache import Cache, digest
from histobridge.errors import BrokenError
from histobridge.io.files import write_table
from histobridge.io.images import read_image, write_image
from histobridge.io.masks import read_mask, write_mask
from histobridge.io.progress import Report, ThrottledProgress
from histobridge.io.resample import resample
from histobridge.measure import measure_masks
from histobridge.metrics.calibration import TEMPERATURE, uncertainty
from histobridge.metrics.instances import mean_enclosure
from histobridge.strategies.recommend import LEAST_ENCLOSED
from histobridge_label import scale
from histobridge_label.export import (
    Handoff,
    Labelled,
    complete_handoff,
    edited_files,
    is_handoff,
    names,
    read_provenance,
    write_handoff,
)
from histobridge_label.image_file import ImageFile
from histobridge_label.model import Model
from histobridge_label.native_grid import resize_map, resize_mask

HANDOFF = "handoff"


class CachedLabel(NamedTuple):
    """The label of an image in the cache: its folder, with the files at the pixel size of the model."""

    image: ImageFile
    folder: Path

    @property
    def mask(self) -> Path:
        """The mask."""
        return self.folder / "mask.png"

    @property
    def uncertainty(self) -> Path:
        """The uncertainty of every pixel."""
        return self.folder / "uncertainty.png"


def at_scale(image: ImageFile, um_per_px: float) -> np.ndarray:
    """Return an image as a model of this pixel size (µm/px) sees it, float32 [h, w] in 0..1."""
    return np.clip(resample(image.read(), image.um_per_px, um_per_px, name=image.path), 0, 1)


def label_images(
    model: Model, images: list[ImageFile], cache: Cache, *, report: Report | None = None
) -> list[CachedLabel]:
    """Label images that the cache holds no label of; return all labels.

    Parameters
    ----------
    model : Model
    images : list of ImageFile
    cache : Cache
    report : callable, optional
        Called with a progress line for each image; prints one every ten seconds by default.
    """
    report = report or ThrottledProgress()
    made_from = {"model": model.fingerprint, "temperature": TEMPERATURE}
    labels = [
        CachedLabel(i, cache.folder(f"labels/{i.name}", image=i.sha256, um_per_px=i.um_per_px, **made_from))
        for i in images
    ]
    waiting = [label for label in labels if not label.uncertainty.exists()]
    begun = time.monotonic()
    for number, label in enumerate(waiting):
        left = f", {(time.monotonic() - begun) / number * (len(waiting) - number) / 60:.1f} min left" if number else ""
        report(f"labelling {label.image.name}, {number + 1} of {len(waiting)}{left}")
        mask, probabilities = model.label(at_scale(label.image, model.um_per_px))
        write_mask(label.mask, mask)
        write_image(label.uncertainty, uncertainty(probabilities, mask))  # last: if it exists, both do
    return labels


def hand_off(model: Model, labels: list[CachedLabel], out: Path, *, modality: str | None, provenance: dict) -> Handoff:
    """Write labels as a hand-off on the pixel grid of the user's files; one of the same labels is only completed.

    Raises
    ------
    UserError
        If an earlier hand-off of other labels was edited, or the folder cannot be written.
    """
    files = [(label.image.name, label.image.sha256, label.image.um_per_px) for label in labels]
    key = digest(model.fingerprint, files, modality)
    native = _at_native_grid(labels, modality)
    if _made_from(out / HANDOFF) == key:
        return complete_handoff(out / HANDOFF, native)
    facts = {"labels": key, "model": model.fingerprint, "labelled_at_um_per_px": model.um_per_px}
    return write_handoff(out / HANDOFF, native, provenance | facts)


def _made_from(folder: Path) -> str | None:
    """Return the key of the labels that a hand-off was made from; None if there is none, or it is not known."""
    try:
        return read_provenance(folder).get("labels") if is_handoff(folder) else None
    except BrokenError:
        return None


def _at_native_grid(labels: list[CachedLabel], modality: str | None) -> Iterator[Labelled]:
    for label in labels:
        image, shape = label.image, (label.image.height, label.image.width)
        mask = resize_mask(read_mask(label.mask)[0], shape)
        uncertain = resize_map(read_image(label.uncertainty), shape)
        about = image.um_per_px, image.path, modality
        yield Labelled(image.name, image.subject, image.read(), mask, uncertain, *about)


def measure_handoff(handoff: Handoff, out: Path) -> pd.DataFrame:
    """Measure the labels of a hand-off; write fibres.csv and morphometrics.csv, and return the latter."""
    tables = []
    for row in handoff.images.itertuples():  # pixel sizes may differ
        mask = read_mask(handoff.file(row.image, names.COMBINED))[0]
        tables.append(measure_masks([({"image": row.image}, mask)], row.um_per_px))
    fibres, images = (pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    write_table(out / "fibres.csv", fibres)
    return write_table(out / "morphometrics.csv", images)


def warnings_about(model: Model, labels: list[CachedLabel], handoff: Handoff) -> list[str]:
    """Return what makes labels doubtful before anybody has checked them: no fibres, bare axons, sizes unlike L."""
    empty = set(handoff.images.loc[handoff.images["n_fibres"] == 0, "name"])
    masks = [read_mask(label.mask)[0] for label in labels if label.image.name not in empty]
    found = [f"No fibre was found in {', '.join(sorted(empty))}."] if empty else []
    if masks:
        found += scale.scale_warnings(masks, model.axon_px, model.um_per_px)
        found += scale.axon_size_warnings(scale.typical_axon_px(masks) * model.um_per_px, model.axon_um_source)
    if masks and (share := mean_enclosure(masks)) < LEAST_ENCLOSED:
        found.append(f"Only {share:.0%} of what surrounds axons is myelin: look before you trust any of these labels.")
    if changed := edited_files(handoff):
        found.append(f"{len(changed)} files of the hand-off were edited ({changed[0]}): collect corrections elsewhere.")
    return found
