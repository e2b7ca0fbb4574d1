"""The labelled source: the dataset whose expert masks everything is learned from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from histobridge.cache import digest
from histobridge.data.datasets import load_masks
from histobridge.data.download import fetch
from histobridge.data.manifest import Dataset, load_dataset
from histobridge.data.status import complaints
from histobridge.errors import UserError
from histobridge.strategies import Examples
from histobridge_label import scale

DRAWN = {"phantom": "phantom-tem"}
"""Short names of drawn sources."""


@dataclass(frozen=True)
class LabelledSource:
    """A labelled dataset at the pixel size at which it teaches.

    Attributes
    ----------
    dataset : Dataset
    data : Path
        The folder of the datasets.
    """

    dataset: Dataset
    data: Path

    @property
    def name(self) -> str:
        """The name of the dataset."""
        return self.dataset.name

    @cached_property
    def side(self) -> scale.Side:
        """Its images, pixel size and typical axon."""
        return scale.source_side(self.dataset, self.data)

    @cached_property
    def examples(self) -> Examples:
        """Its images with their masks."""
        masks = load_masks(self.dataset, self.side.um_per_px, self.data)
        return [(self.side.images[name], mask) for name, mask in masks.items()]

    @property
    def facts(self) -> dict:
        """Its name, pixel size and content, for the provenance."""
        records = [record.model_dump(mode="json") for record in self.dataset.images]
        return {"dataset": self.name, "um_per_px": self.side.um_per_px, "records_sha256": digest(records)}


def load_source(name: str, manifest: Path | None, data: Path, mirror: Path | None) -> LabelledSource:
    """Return a labelled dataset, and bring its missing files to `data` from a mirror or their public address.

    Parameters
    ----------
    name : str
        Of a dataset, or `phantom`.
    manifest : Path, optional
        A file that describes other labelled images.
    data : Path
        The folder of the datasets.
    mirror : Path, optional
        A folder that files may be copied from.

    Raises
    ------
    UserError
        If there is no such dataset or manifest, the manifest breaks a rule, the dataset has no masks, or a file cannot
        be had.
    """
    dataset = _from_manifest(manifest) if manifest else load_dataset(DRAWN.get(name, name))
    if not dataset.procedural and not any(image.mask for image in dataset.images):
        raise UserError(f"'{dataset.name}' has no masks: a labelled source is needed, such as tem, or phantom.")
    files = fetch(dataset, data, mirror=mirror, splits=("development",))
    missing = [file for file in files if file.state != "here"]
    if missing:
        raise UserError(f"{len(missing)} files of {dataset.name} cannot be had: {' '.join(complaints(missing))}")
    return LabelledSource(dataset, data)


def _from_manifest(path: Path) -> Dataset:
    if path.suffix != ".yaml" or not path.is_file():
        raise UserError(f"There is no manifest {path}: name a file that ends in .yaml, such as mine.yaml.")
    return load_dataset(path.stem, folders=[path.parent])
