"""Images and masks of a dataset at one pixel size, read from files or drawn.

Masks have a function of their own, so code that asks for images cannot receive a mask by accident.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from histobridge.data.manifest import Dataset, ImageRecord
from histobridge.errors import UserError
from histobridge.io.images import normalise, read_image
from histobridge.io.masks import check_same_size, read_mask
from histobridge.io.resample import resample, resample_mask
from histobridge.phantom import phantom

Examples = Sequence[tuple[np.ndarray, np.ndarray]]
"""Images float32 [H, W] in 0..1 with their masks uint8 [H, W]."""


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


def load_images(dataset: Dataset, um_per_px: float, data_dir: Path, *, split: str = "development") -> list[Sample]:
    """Read the images of one split of a dataset, normalised and resampled to `um_per_px`.

    Parameters
    ----------
    dataset : Dataset
        From `histobridge.data.manifest.load_dataset`.
    um_per_px : float
        The wanted pixel size in µm/px.
    data_dir : Path
        The folder that holds the dataset's folder.
    split : {"development", "locked-test"}

    Raises
    ------
    UserError
        If the split is empty, a file is missing (the message says how to get it), or an image cannot be used.
    """
    return [
        Sample(_name(record), record.subject, _image(dataset, record, um_per_px, data_dir))
        for record in _records(dataset, split)
    ]


def load_masks(
    dataset: Dataset, um_per_px: float, data_dir: Path, *, split: str = "development"
) -> dict[str, np.ndarray]:
    """Read the expert masks, uint8 [H, W] (0 background, 1 myelin, 2 axon), by image name; parameters as `load_images`.

    Images without a mask are left out.

    Raises
    ------
    UserError
        As `load_images`; also if a mask has another size than its image, or unknown grey levels.
    """
    annotated = [record for record in _records(dataset, split) if record.mask or dataset.procedural]
    return {_name(record): _mask(dataset, record, um_per_px, data_dir) for record in annotated}


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


def _name(record: ImageRecord) -> str:
    return Path(record.key).stem


def _image(dataset: Dataset, record: ImageRecord, um_per_px: float, data_dir: Path) -> np.ndarray:
    if dataset.procedural:
        raw = _draw(dataset, record)[0]
    else:
        raw = normalise(read_image(_here(dataset, record.path, data_dir)), name=record.path)
    return np.clip(resample(raw, record.um_per_px, um_per_px, name=record.key), 0, 1)


def _mask(dataset: Dataset, record: ImageRecord, um_per_px: float, data_dir: Path) -> np.ndarray:
    if dataset.procedural:
        mask = _draw(dataset, record)[1]
    else:
        mask, remarks = read_mask(_here(dataset, record.mask, data_dir))
        for remark in remarks:
            warnings.warn(f"{record.mask}: {remark}", stacklevel=2)
        check_same_size(read_image(_here(dataset, record.path, data_dir)), mask, name=record.path)
    return resample_mask(mask, record.um_per_px, um_per_px, name=record.key)


def _draw(dataset: Dataset, record: ImageRecord) -> tuple[np.ndarray, np.ndarray]:
    shape = (record.height, record.width)
    return phantom(dataset.procedural, record.seed, shape=shape, um_per_px=record.um_per_px)


def _here(dataset: Dataset, path: str, data_dir: Path) -> Path:
    file = dataset.local(data_dir, path)
    if not file.exists():
        raise UserError(
            f"{file} is not here. Get it with `histobridge fetch {dataset.name}` (add `--mirror DIR` to copy it "
            "from a folder), or see `histobridge data`."
        )
    return file
