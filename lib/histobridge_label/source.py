"""The labelled source: the dataset whose expert masks everything is learned from."""

from __future__ import annotations

from pathlib import Path

from histobridge.data.download import complaints, fetch
from histobridge.data.manifest import Dataset, load_dataset
from histobridge.errors import UserError

DRAWN = {"phantom": "phantom-tem"}
"""Short names of drawn sources."""


def find_source(name: str, manifest: Path | None = None) -> Dataset:
    """Return a labelled dataset by its name, or the one that a manifest file describes.

    Raises
    ------
    UserError
        If there is no such dataset or manifest, the manifest breaks a rule, or the dataset has no masks.
    """
    if manifest is None:
        dataset = load_dataset(DRAWN.get(name, name))
    elif manifest.suffix != ".yaml" or not manifest.is_file():
        raise UserError(f"There is no manifest {manifest}: name a file that ends in .yaml, such as mine.yaml.")
    else:
        dataset = load_dataset(manifest.stem, folders=[manifest.parent])
    if not dataset.procedural and not any(image.mask for image in dataset.images):
        raise UserError(f"'{dataset.name}' has no masks: a labelled source is needed, such as tem, or phantom.")
    return dataset


def fetch_source(dataset: Dataset, data: Path, mirror: Path | None) -> None:
    """Bring missing files of a dataset to the folder `data`, from a mirror or their public address.

    Raises
    ------
    UserError
        If a file cannot be had.
    """
    files = fetch(dataset, data, mirror=mirror, splits=("development",))
    missing = [file for file in files if file.state != "here"]
    if missing:
        raise UserError(f"{len(missing)} files of {dataset.name} cannot be had: {' '.join(complaints(missing))}")
