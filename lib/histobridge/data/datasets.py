"""Images and masks of a dataset at one pixel size, read from files or drawn.

Masks have a function of their own, so code that asks for images cannot receive a mask by accident.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from histobridge.data.manifest import Dataset, ImageRecord
from histobridge.errors import UserError
from histobridge.io.images import image_of, normalise
from histobridge.io.limits import check_memory
from histobridge.io.masks import check_same_size, decode_mask
from histobridge.io.pixels import read_plane, size_of
from histobridge.io.plane import Plane
from histobridge.io.resample import resample, resample_mask
from histobridge.items import Account
from histobridge.phantom import phantom

Examples = Sequence[tuple[np.ndarray, np.ndarray]]
"""Images float32 [H, W] in 0..1 with their masks uint8 [H, W]."""
Read = TypeVar("Read")
DRAWING_BYTES = 200
"""Memory per pixel that drawing takes."""


@dataclass(frozen=True)
class Sample:
    """One image of a dataset, at the pixel size that was asked for.

    Attributes
    ----------
    name, subject : str
        The file name without its ending, and the animal or nerve that the image shows.
    image : ndarray, float32 [H, W] in 0..1
    """

    name: str
    subject: str
    image: np.ndarray


def load_images(
    dataset: Dataset,
    um_per_px: float,
    data_dir: Path,
    *,
    split: str = "development",
    account: Account | None = None,
) -> list[Sample]:
    """Read the images of one split of a dataset, normalised and resampled to `um_per_px`.

    The bytes of a file must be those of the manifest, whose checksums stand in the provenance of every result.

    Parameters
    ----------
    dataset : Dataset
        From `histobridge.data.manifest.load_dataset`.
    um_per_px : float
        The wanted pixel size in µm/px.
    data_dir : Path
        The folder that holds the dataset's folder.
    split : {"development", "locked-test"}
    account : Account, optional
        Where the faults of single images are noted, by `ImageRecord.key`; without one, the first of them is raised.
        Images that it has as skipped are left out.

    Raises
    ------
    UserError
        If the split is empty. If, without an account, a file is missing (the message says how to get it) or not that of
        the manifest, or an image cannot be used.
    """

    def read(record: ImageRecord) -> Sample:
        return Sample(record.stem, record.subject, _image(dataset, record, um_per_px, data_dir))

    return _each(_records(dataset, split), read, account)


def load_masks(
    dataset: Dataset,
    um_per_px: float,
    data_dir: Path,
    *,
    split: str = "development",
    account: Account | None = None,
) -> dict[str, np.ndarray]:
    """Read the expert masks, uint8 [H, W] (0 background, 1 myelin, 2 axon), by image name; parameters as `load_images`.

    Images without a mask are left out.

    Raises
    ------
    UserError
        As `load_images`; also if a mask has another size than its image, or unknown grey levels.
    """
    annotated = [record for record in _records(dataset, split) if record.mask or dataset.procedural]

    def read(record: ImageRecord) -> tuple[str, np.ndarray]:
        return record.stem, _mask(dataset, record, um_per_px, data_dir)

    return dict(_each(annotated, read, account))


def load_examples(dataset: Dataset, um_per_px: float, data_dir: Path) -> Examples:
    """Read the development images of a dataset that have a mask, with it; parameters and errors as of `load_images`."""
    masks = load_masks(dataset, um_per_px, data_dir)
    samples = load_images(dataset, um_per_px, data_dir)
    return [(sample.image, masks[sample.name]) for sample in samples if sample.name in masks]


def of_subjects(samples: list[Sample], chosen: frozenset[str]) -> list[Sample]:
    """Return the samples of the chosen subjects."""
    return [sample for sample in samples if sample.subject in chosen]


def evenly_chosen(samples: list, most: int) -> list:
    """Return at most `most` entries of a list, evenly spaced, the first and the last included.

    >>> evenly_chosen(["a", "b", "c", "d", "e"], 3)
    ['a', 'c', 'e']
    """
    return [samples[i] for i in np.unique(np.linspace(0, len(samples) - 1, most).astype(int))]


def subjects(dataset: Dataset, *, split: str = "development") -> list[str]:
    """Return the subject of every image of a split, from the manifest alone."""
    return [record.subject for record in _records(dataset, split)]


def _records(dataset: Dataset, split: str) -> list[ImageRecord]:
    records = [record for record in dataset.images if record.split == split]
    if not records:
        raise UserError(f"The dataset '{dataset.name}' lists no {split} images: {dataset.availability}.")
    return records


def _each(records: list[ImageRecord], read: Callable[[ImageRecord], Read], account: Account | None) -> list[Read]:
    """Read what each record names; with an account, a fault costs its image alone."""
    if account is None:
        return [read(record) for record in records]
    found = []
    for record in records:
        if record.key not in account.skipped:
            with account.item(record.key):
                found.append(read(record))
    return found


def _image(dataset: Dataset, record: ImageRecord, um_per_px: float, data_dir: Path) -> np.ndarray:
    if dataset.procedural:
        raw = _draw(dataset, record)[0]
    else:
        plane = _intact(dataset, record.path, record.sha256, data_dir)
        raw = normalise(image_of(plane, record.path), name=record.path)
    return np.clip(resample(raw, record.um_per_px, um_per_px, name=record.key), 0, 1)


def _mask(dataset: Dataset, record: ImageRecord, um_per_px: float, data_dir: Path) -> np.ndarray:
    if dataset.procedural:
        mask = _draw(dataset, record)[1]
    else:
        plane = _intact(dataset, record.mask, record.mask_sha256, data_dir)
        mask, remarks = decode_mask(plane, name=record.mask)
        for remark in remarks:
            warnings.warn(f"{record.mask}: {remark}", stacklevel=2)
        check_same_size(size_of(_here(dataset, record.path, data_dir)), mask.shape, name=record.path)
    return resample_mask(mask, record.um_per_px, um_per_px, name=record.key)


def _draw(dataset: Dataset, record: ImageRecord) -> tuple[np.ndarray, np.ndarray]:
    shape = (record.height, record.width)
    check_memory(DRAWING_BYTES * record.height * record.width, record.key)
    return phantom(dataset.procedural, record.seed, shape=shape, um_per_px=record.um_per_px)


def _intact(dataset: Dataset, path: str, sha256: str, data_dir: Path) -> Plane:
    """Read a file that is here; what was decoded must be the content that the manifest names."""
    file = _here(dataset, path, data_dir)
    plane = read_plane(file)
    if plane.sha256 != sha256:
        raise UserError(
            f"{file} is not the file of the manifest: its checksum differs. Move it away and get the right one with "
            f"`histobridge fetch {dataset.name}`; `histobridge data` shows which files are wrong."
        )
    return plane


def _here(dataset: Dataset, path: str, data_dir: Path) -> Path:
    file = dataset.local(data_dir, path)
    if not file.exists():
        raise UserError(
            f"{file} is not here. Get it with `histobridge fetch {dataset.name}` (add `--mirror DIR` to copy it "
            "from a folder), or see `histobridge data`."
        )
    return file
