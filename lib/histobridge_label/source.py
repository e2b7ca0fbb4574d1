"""The labelled source: the dataset whose expert masks everything is learned from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from histobridge.cache import digest
from histobridge.classes import MYELIN
from histobridge.data.datasets import load_images, load_masks
from histobridge.data.download import fetch_dataset
from histobridge.data.manifest import Dataset, load_dataset
from histobridge.data.status import complaints
from histobridge.errors import UserError
from histobridge.items import Account
from histobridge.strategies import Examples
from histobridge_label.scale import SourceImages, training_pixel_size, typical_axon_px

DRAWN = {"phantom": "phantom-tem"}
"""Short names of drawn sources."""
TRAINING_UM_PER_PX = {"tem": 0.01643, "sem": 0.1, "tem-pns": 0.0476, "bf": 0.14467, "phantom-tem": 0.1}
"""Pixel sizes, µm/px, at which models learn from datasets, as in the study; others have the `training_pixel_size`."""


@dataclass(frozen=True)
class LabelledSource:
    """Images and masks of a labelled dataset, at the pixel size at which models learn from them.

    Attributes
    ----------
    dataset : Dataset
    um_per_px : float
        Pixel size, µm/px.
    images, masks : dict of str to ndarray
        By name, float32 [H, W] in 0..1 and uint8 [H, W].
    account : Account
        Which images of a manifest of the user's own are used, and which are not, with the reason.
    """

    dataset: Dataset
    um_per_px: float
    images: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    account: Account = field(default_factory=Account)

    @property
    def examples(self) -> Examples:
        """The images that have a mask, with their masks."""
        return [(self.images[name], mask) for name, mask in self.masks.items()]

    @property
    def axon_px(self) -> float:
        """The `typical_axon_px` of the masks."""
        return typical_axon_px(self.masks.values())

    @property
    def for_scale(self) -> SourceImages:
        """What the suggestion of a pixel size needs."""
        return SourceImages(self.dataset.name, self.um_per_px, self.images, self.axon_px)

    @property
    def facts(self) -> dict:
        """Name, pixel size and a hash of the content that is used, for the provenance."""
        records = [i.model_dump(mode="json") for i in self.dataset.images if i.key not in self.account.skipped]
        return {"dataset": self.dataset.name, "um_per_px": self.um_per_px, "content": digest(records)}


def load_source(name: str, manifest: Path | None, data: Path, mirror: Path | None) -> LabelledSource:
    """Read a labelled dataset; its missing files are brought to `data` from a mirror or their public address.

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
        If there is no such dataset or manifest, the manifest breaks a rule, the dataset has no masks, or a file of a
        published dataset cannot be had or used. Of the user's own images, a fault costs only the image, as long as one
        with a mask remains.
    """
    dataset = labelled_dataset(name, manifest)
    account = Account(noun="labelled images") if manifest else None
    _fetch(dataset, data, mirror, account)
    um_per_px = TRAINING_UM_PER_PX.get(dataset.name) or _suitable_pixel_size(dataset, data, account)
    given = {"dataset": dataset, "um_per_px": um_per_px, "data_dir": data, "account": account}
    # Masks come first: an image whose mask cannot be used is not used, and the other way round.
    masks = load_masks(**given)
    images = {sample.name: sample.image for sample in load_images(**given)}
    masks = {name: mask for name, mask in masks.items() if name in images}
    _check_remaining(dataset, masks, account)
    return LabelledSource(dataset, um_per_px, images, masks, account or Account())


def load_further(
    names: Sequence[str], data: Path, mirror: Path | None, *, to_label: Iterable[str] = ()
) -> tuple[list[LabelledSource], Account]:
    """Read further labelled sets; one that cannot be had or used costs only itself.

    Parameters
    ----------
    names : sequence of str
        Of datasets, or `phantom`.
    data, mirror : Path
        As for `load_source`.
    to_label : iterable of str
        The sha256 of the files that are to be labelled. A set that holds one of them is left out: labels are to be
        made without masks of the same images.

    Returns
    -------
    list of LabelledSource, Account
        The sets that are used; and which are, and which are not, with the reason.

    Raises
    ------
    UserError
        If there is no dataset of a name, or it has no masks.
    """
    found, account, to_label = [], Account(noun="further labelled sets"), set(to_label)
    for name in names:
        dataset = labelled_dataset(name, None)  # a misspelt name is no set that cannot be had
        with account.item(name):
            if same := sum(file.sha256 in to_label for file in dataset.files()):
                raise UserError(
                    f"{name} holds {same} of your images: it is left out, so that their masks teach nothing."
                )
            found.append(load_source(name, None, data, mirror))
    return found, account


def labelled_dataset(name: str, manifest: Path | None) -> Dataset:
    """Return the description of a labelled dataset; raise a `UserError` if there is none, or it has no masks."""
    dataset = _from_manifest(manifest) if manifest else load_dataset(DRAWN.get(name, name))
    if not dataset.procedural and not any(image.mask for image in dataset.images):
        raise UserError(f"'{dataset.name}' has no masks: a labelled source is needed, such as tem, or phantom.")
    return dataset


def _fetch(dataset: Dataset, data: Path, mirror: Path | None, account: Account | None) -> None:
    """Bring the files to the data folder; without an account, each of them is needed."""
    files = fetch_dataset(dataset, data, mirror=mirror, splits=("development",))
    missing = {file.path: file for file in files if file.state != "here"}
    if missing and account is None:
        raise UserError(
            f"{len(missing)} files of {dataset.name} cannot be had: {' '.join(complaints(missing.values()))}"
        )
    for image in dataset.images:
        for file in (missing.get(path) for path in (image.path, image.mask)):
            if file:
                account.skip(image.key, f"{file.path} is {file.state}, {file.reason}.")


def _check_remaining(dataset: Dataset, masks: dict[str, np.ndarray], account: Account | None) -> None:
    if not masks and account and account.skipped:
        why = next(iter(account.skipped.values()))
        raise UserError(
            f"None of the {len(account.skipped)} labelled images of {dataset.name} can be used. First: {why}"
        )


def _from_manifest(path: Path) -> Dataset:
    if path.suffix != ".yaml" or not path.is_file():
        raise UserError(f"There is no manifest {path}: name a file that ends in .yaml, such as mine.yaml.")
    return load_dataset(path.stem, folders=[path.parent])


def _suitable_pixel_size(dataset: Dataset, data: Path, account: Account | None) -> float:
    native = float(np.median([record.um_per_px for record in dataset.images]))
    masks = load_masks(dataset, native, data, account=account)
    _check_remaining(dataset, masks, account)
    found = training_pixel_size(masks.values(), native)
    if not np.isfinite(found):
        raise UserError(f"The masks of {dataset.name} hold no axon: there is nothing to learn from.")
    if not any((mask == MYELIN).any() for mask in masks.values()):
        raise UserError(
            f"The masks of {dataset.name} hold no myelin: axons are told by their sheaths, so masks need both."
        )
    return found
