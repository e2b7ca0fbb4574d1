"""Labels of images, one image at a time: cached at the pixel size of the model, handed off at that of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge.cache import Cache, digest
from histobridge.errors import BrokenError, UserError
from histobridge.io.files import write_table
from histobridge.io.images import read_image, write_image
from histobridge.io.kept import fits_seal, kept, unseal
from histobridge.io.limits import check_memory, check_path
from histobridge.io.masks import read_mask, write_mask
from histobridge.io.progress import Report, counted
from histobridge.items import Account
from histobridge.measure import measure_masks
from histobridge.metrics.calibration import TEMPERATURE
from histobridge.metrics.instances import mean_enclosure
from histobridge.strategies.recommend import LEAST_ENCLOSED
from histobridge.strategies.refined import TRIED_WEIGHTS
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

WORKING_BYTES, NATIVE_BYTES = 270, 80
"""Memory for each pixel of an image (bytes) while it is labelled, at the working scale, and while it is handed off and
measured: 217 and 62 were measured on drawn tissue. The view that enlarges the image twofold needs the most."""
LABEL_BYTES, HANDOFF_BYTES = 3, 4
"""Disk space for each pixel of an image: in the cache, at the working scale, and in the hand-off (2 were measured)."""
LONGEST_ENDING = max((*names.ENDINGS, ".json.sha256"), key=len)


class CachedLabel(NamedTuple):
    """The label of an image, or of a tile of one, in the cache: a folder of files at the pixel size of the model."""

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

    @property
    def is_kept(self) -> bool:
        """Whether both files are there as they were written."""
        return fits_seal(self.mask) and fits_seal(self.uncertainty)

    def keep(self, make: Callable[[], tuple[np.ndarray, np.ndarray]]) -> None:
        """Write both files, if need be; `make` returns mask and uncertainty of one labelling."""

        def write(file: Path) -> None:
            mask, uncertain = make()
            kept(self.uncertainty, lambda path: write_image(path, uncertain), Path.exists)
            write_mask(file, mask)

        if not fits_seal(self.uncertainty):
            unseal(self.mask)
        kept(self.mask, write, Path.exists)

    def working_mask(self) -> np.ndarray:
        """Return the mask uint8 [h, w] at the pixel size of the model."""
        return read_mask(self.mask)[0]

    def at_native_grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mask uint8 [H, W] and uncertainty float32 [H, W] on the pixel grid of the user's file."""
        shape = self.image.height, self.image.width
        return resize_mask(self.working_mask(), shape), resize_map(read_image(self.uncertainty), shape)


def check_images(images: list[ImageFile], um_per_px: float, account: Account) -> float:
    """Skip images that are too large or small at a working scale (µm/px), or for the memory.

    Returns
    -------
    float
        The disk space (bytes) that the labels of the others need.
    """
    space = 0.0
    for image in images:
        with account.item(image.path):
            scale.check_size_at_scale(image, um_per_px)
            native = image.height * image.width
            working = native * (image.um_per_px / um_per_px) ** 2
            at_once = min(working, image.most_at_once_px), min(native, image.most_at_once_px)
            check_memory(max(at_once[0] * WORKING_BYTES, at_once[1] * NATIVE_BYTES), image.path)
            space += working * LABEL_BYTES + native * HANDOFF_BYTES
    return space


def check_names(images: list[ImageFile], out: Path, modality: str | None) -> None:
    """Raise an `OutputError` if the path of a file that will be handed off is too long for the file system."""
    used = names.Names()
    for image in images:
        name = used.add(image.name, image.subject, modality)
        check_path(out / names.HANDOFF / name.folder / f"{name.image}{LONGEST_ENDING}")


def at_scale(image: ImageFile, um_per_px: float) -> np.ndarray:
    """Return an image (of a section, its middle) as a model of this pixel size sees it, float32 [h, w] in 0..1."""
    return image.middle().at_scale(um_per_px)


def label_images(
    model: Model,
    images: list[ImageFile],
    cache: Cache,
    *,
    account: Account | None = None,
    report: Report | None = None,
) -> list[CachedLabel]:
    """Label images that the cache holds no intact label of; return the labels of all images that could be labelled.

    Parameters
    ----------
    model : Model
    images : list of ImageFile
    cache : Cache
    account : Account, optional
        Is told of images that cannot be labelled.
    report : callable, optional
        Called with a progress line for each image; prints one every ten seconds by default.
    """
    account = account or Account()
    labels = [CachedLabel(image, folder_of_label(cache, model, image)) for image in images]
    waiting = [label for label in labels if not label.is_kept]
    for label in counted(waiting, lambda label: f"labelling {label.image.name},", report):
        with account.item(label.image.path):
            label.keep(partial(label_array, model, partial(label.image.at_scale, model.um_per_px)))
    return [label for label in labels if label.image.path not in account.skipped]


def label_array(model: Model, read: Callable[[], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mask uint8 [h, w] and uncertainty float32 [h, w] of an image that is read at the model's pixel size."""
    return model.label(read())


def folder_of_label(cache: Cache, model: Model, image: ImageFile) -> Path:
    """Return the folder in the cache for the label of an image, or for the tiles of a section."""
    made_from = {"model": model.fingerprint, "temperature": TEMPERATURE, "tried": TRIED_WEIGHTS}
    return cache.folder(f"labels/{image.name}", image=image.sha256, um_per_px=image.um_per_px, **made_from)


def hand_off(
    model: Model,
    labels: list[CachedLabel],
    out: Path,
    *,
    modality: str | None,
    provenance: dict,
    account: Account | None = None,
) -> Handoff:
    """Write labels as a hand-off on the pixel grid of the user's files; one of the same labels is only completed.

    Images that have changed meanwhile are skipped in the account.

    Raises
    ------
    UserError
        If an earlier hand-off of other labels was edited, or the folder cannot be written.
    """
    of_cache = [label.folder.parts[-2:] for label in labels]  # they hold a hash of all that decides a label
    key = digest([label.image.subject for label in labels], of_cache, modality)
    account = account or Account()
    native = _at_native_grid(labels, modality, account)
    if _is_made_from(out / names.HANDOFF, key, len(labels)):
        return complete_handoff(out / names.HANDOFF, native)
    facts = {"labels": key, "model": model.fingerprint, "labelled_at_um_per_px": model.um_per_px}
    return write_handoff(out / names.HANDOFF, native, provenance | facts, account=account)


def _is_made_from(folder: Path, key: str, number: int) -> bool:
    """Return whether a folder holds a hand-off of the labels with this key, of all images: none was skipped then."""
    try:
        provenance = read_provenance(folder) if is_handoff(folder) else {}
    except BrokenError:
        return False
    return provenance.get("labels") == key and len(provenance.get("sources_sha256", ())) == number


def _at_native_grid(labels: list[CachedLabel], modality: str | None, account: Account) -> Iterator[Labelled]:
    for label in labels:
        image, labelled = label.image, None
        with account.item(image.path):
            mask, uncertain = label.at_native_grid()
            about = image.um_per_px, image.path, modality
            labelled = Labelled(image.name, image.subject, image.read(), mask, uncertain, *about)
        if labelled:  # outside of the block: the writer that takes it has one of its own
            yield labelled


def measure_handoff(
    handoff: Handoff,
    labels: list[CachedLabel],
    out: Path,
    account: Account,
    measured: Sequence[tuple[pd.DataFrame, pd.DataFrame]] = (),
) -> pd.DataFrame:
    """Measure the labels of a hand-off; write fibres.csv and morphometrics.csv, and return the latter.

    Only images in `labels` are measured here. The tables `measured` are added: those of sections, of which the hand-off
    holds parts.

    Raises
    ------
    UserError
        If none can be measured; single images are skipped in the account.
    """
    tables, paths = list(measured), {label.image.name: label.image.path for label in labels}
    for row in handoff.images[handoff.images["name"].isin(paths)].itertuples():  # pixel sizes may differ
        with account.item(paths[row.name]):
            mask = read_mask(handoff.file(row.image, names.COMBINED))[0]
            tables.append(measure_masks([({"image": row.image}, mask)], row.um_per_px))
    if not tables:
        raise UserError(f"No label can be measured. {next(iter(account.skipped.values()))}")
    fibres, images = (pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    write_table(out / "fibres.csv", fibres)
    return write_table(out / "morphometrics.csv", images)


def warnings_about(model: Model, labels: list[CachedLabel], handoff: Handoff) -> list[str]:
    """Return what makes labels doubtful before anybody has checked them: no fibres, bare axons, sizes unlike L."""
    empty = set(handoff.images.loc[handoff.images["n_fibres"] == 0, "name"])
    filled = [label for label in labels if label.image.name not in empty]
    found = [f"No fibre was found in {', '.join(sorted(empty))}."] if empty else []
    if filled:
        axon_px = scale.typical_axon_px(label.working_mask() for label in filled)  # one mask is in memory at a time
        found += scale.scale_warnings(axon_px, model.axon_px, model.um_per_px)
        found += scale.axon_size_warnings(axon_px * model.um_per_px, model.axon_um_source)
    if filled and (share := mean_enclosure(label.working_mask() for label in filled)) < LEAST_ENCLOSED:
        found.append(f"Only {share:.0%} of what surrounds axons is myelin: look before you trust any of these labels.")
    if changed := edited_files(handoff):
        found.append(f"{len(changed)} files of the hand-off were edited ({changed[0]}): collect corrections elsewhere.")
    return found
