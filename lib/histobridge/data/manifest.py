"""Manifests: what each dataset holds and where its files come from.

One YAML file describes one dataset: provenance, licence, and one line an image with its checksum, subject, pixel size
and split. Nothing about a file is guessed: a record without a pixel size is refused. Procedural datasets list seeds
instead of files; `histobridge.phantom` draws them. The manifests of the project come with the package; a caller may
name folders with manifests of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple, get_args
from urllib.parse import quote

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from histobridge.config import Strict
from histobridge.errors import UserError, one_of


def _inside(path: str) -> str:
    """Return `path` if it is relative and stays inside its folder, on any system; else raise ValueError."""
    parts = PurePosixPath(path).parts
    if not parts or "\\" in path or ".." in parts or path.startswith("/") or re.match(r"[A-Za-z]:", path):
        raise ValueError(f"'{path}' must be relative, with forward slashes, and stay inside its folder")
    return path


SafePath = Annotated[str, AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Split = Literal["development", "locked-test"]
SPLITS = get_args(Split)


class ImageRecord(Strict):
    """One image: a file (`path`, with a `mask` where there is one) or a drawing (`name`, `seed`).

    `width` and `height` are in px (required for a drawing; None if unknown for a file), `um_per_px` is the side of a
    pixel in µm, `bytes` are file sizes.

    >>> drawn = {"name": "a1", "seed": 7, "subject": "a", "split": "development"}
    >>> ImageRecord(**drawn, um_per_px=0.1, width=256, height=256).key
    'a1'
    """

    path: SafePath | None = None
    sha256: Sha256 | None = None
    bytes: int | None = Field(default=None, ge=0)
    mask: SafePath | None = None
    mask_sha256: Sha256 | None = None
    mask_bytes: int | None = Field(default=None, ge=0)
    name: str | None = None
    seed: int | None = Field(default=None, ge=0)
    subject: str = Field(min_length=1)
    um_per_px: Positive
    width: int | None = Field(default=None, gt=0)
    height: int | None = Field(default=None, gt=0)
    split: Split

    @property
    def key(self) -> str:
        """The identifier of the image within its dataset: the name of a drawing, the path of a file."""
        return self.name or self.path

    @model_validator(mode="after")
    def _is_whole(self):
        """Refuse an incomplete file, an incomplete drawing, a mask without its checksum, and a mixture."""
        file, mask = ("path", "sha256", "bytes"), ("mask", "mask_sha256", "mask_bytes")
        for names in (file, mask, ("name", "seed"), ("width", "height")):
            if len({getattr(self, name) is None for name in names}) > 1:
                raise ValueError(f"give all or none of {', '.join(names)}")
        if self.name and self.width is None:
            raise ValueError("a drawing needs its width and height")
        if (self.path is None) == (self.name is None) or (self.mask and self.name):
            raise ValueError("an image is either a file (path, sha256, bytes) or a drawing (name, seed)")
        return self


class DataFile(NamedTuple):
    """One file that a dataset needs: its path below the dataset's folder and what it must contain."""

    path: str
    sha256: str
    bytes: int
    role: str
    split: str


class Dataset(Strict):
    """A dataset as its manifest describes it; see `load_dataset`.

    `procedural` is the modality of a drawn dataset, None for files. `base_url` is None if no public location is known.
    """

    name: str
    title: str
    modality: str
    organism: str
    tissue: str
    availability: str
    citation: str
    licence: str
    repository: str | None = None
    commit: str | None = None
    base_url: str | None = Field(default=None, pattern=r"^https?://.*[^/]$")
    known_faults: tuple[str, ...] = ()
    notes: str = ""
    procedural: Literal["tem", "tem-other", "sem", "bf"] | None = None
    images: tuple[ImageRecord, ...]

    @model_validator(mode="after")
    def _agrees_with_its_images(self):
        """Refuse entries that are listed twice, and drawings among files."""
        names = [file.path for file in self.files()]
        names += [PurePosixPath(image.key).stem for image in self.images]  # results are stored by these names
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"images: '{twice[0]}' is listed twice")
        if any((image.name is None) == bool(self.procedural) for image in self.images):
            raise ValueError("images: a procedural dataset lists names and seeds, any other lists files")
        return self

    def files(self) -> list[DataFile]:
        """Return every file, each image followed by its mask; empty for a procedural dataset."""
        found = []
        for image in self.images:
            if image.path:
                found.append(DataFile(image.path, image.sha256, image.bytes, "image", image.split))
            if image.mask:
                found.append(DataFile(image.mask, image.mask_sha256, image.mask_bytes, "mask", image.split))
        return found

    def local(self, data_dir: Path, path: str) -> Path:
        """Return the place of the file `path` of this dataset below the data folder."""
        return Path(data_dir) / self.name / path

    def url(self, path: str) -> str | None:
        """Return the public address of the file `path`, or None if none is known."""
        return f"{self.base_url}/{quote(path)}" if self.base_url else None


def packaged_manifests() -> Traversable:
    """Return the folder with the manifests that come with the package."""
    try:
        return resources.files("histobridge.manifests")
    except ModuleNotFoundError:
        # The build maps this package to the folder `data_manifest` (pyproject.toml). A checkout that is not installed,
        # with only `lib` on the path, has no such mapping: there the folder is found by its place.
        return Path(__file__).resolve().parents[3] / "data_manifest"


def dataset_names(folders: Iterable[Path] = ()) -> list[str]:
    """Return the sorted names of the datasets that have a manifest in `folders` or in the package.

    >>> "phantom-sem" in dataset_names()
    True
    """
    return sorted({path.name.removesuffix(".yaml") for folder in _all_folders(folders) for path in _yaml_files(folder)})


def load_dataset(name: str, *, folders: Iterable[Path] = ()) -> Dataset:
    """Read and check the manifest of one dataset, from the first folder that has one, and the package last.

    Parameters
    ----------
    name : str
        Name of the dataset; its manifest is called `NAME.yaml`.
    folders : iterable of Path
        Folders with manifests that take precedence over those of the package. They need not exist.

    Raises
    ------
    UserError
        If there is no such dataset, or its YAML is broken or breaks a rule; the message names the file and the field.

    Examples
    --------
    >>> dataset = load_dataset("phantom-sem")
    >>> len(dataset.images), dataset.images[0].um_per_px
    (10, 0.1)
    """
    folders = list(folders)
    file_name = f"{one_of('dataset', name, dataset_names(folders))}.yaml"
    path = next(folder / file_name for folder in _all_folders(folders) if (folder / file_name).is_file())
    dataset = _validated(_read_yaml(path), path)
    if dataset.name != name:
        raise UserError(f"{path}: name: '{dataset.name}' must be the name of the file, '{name}'.")
    return dataset


def _all_folders(folders: Iterable[Path]) -> list[Traversable]:
    return [*folders, packaged_manifests()]


def _yaml_files(folder: Traversable) -> list[Traversable]:
    return [path for path in folder.iterdir() if path.name.endswith(".yaml")] if folder.is_dir() else []


def _read_yaml(path: Traversable):
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"The manifest {path} cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or a day that does not exist
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None


def _validated(fields: object, path: Traversable) -> Dataset:
    """Return the dataset of these fields, or raise a `UserError` that names the file and the first fault."""
    try:
        return Dataset.model_validate(fields)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_fault(error)}.") from None


def _first_fault(error: ValidationError) -> str:
    """Return the first fault of a manifest in one phrase, such as `images[3].um_per_px: Field required`."""
    first = error.errors()[0]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    message = first["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return (f"{field}: {message}" if field else message) + more
