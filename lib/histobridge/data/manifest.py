"""The datasets: what each holds and where it comes from.

One YAML in `data_manifest/` describes one dataset: provenance, licence, and one line an image with its
checksum, subject, pixel size and split. Nothing about a file is guessed: a record without a pixel size is
refused. A study file elsewhere may bring manifests of its own, in `data_manifest/` beside it. Procedural datasets list
seeds instead of files; `histobridge.phantom.render` draws them. A dandiset is listed by its archive: `histobridge.data.dandisets`
asks for the list once and writes it to `data_manifest/resolved/`.
"""

import os
import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple, get_args
from urllib.parse import quote

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from histobridge.config import Strict
from histobridge.errors import UserError, one_of

ROOT = Path(__file__).resolve().parents[3]
MANIFESTS = ROOT / "data_manifest"


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

    `width` and `height` are in px (needed to draw; None where a file's archive does not say), `um_per_px` is the side
    of a pixel in µm; `bytes` are file sizes.

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
        """What names the image within its dataset: the name of a drawing, the path of a file."""
        return self.name or self.path

    @model_validator(mode="after")
    def _is_whole(self):
        """Refuse half a file, half a drawing, a mask without its checksum, and a mixture."""
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


class Dandiset(Strict):
    """A published version of a dandiset: a draft may change under its name, so only its versions are welcome.

    `api` is the address at which the archive answers programs.

    >>> Dandiset(id="001442", version="0.250512.1626").api
    'https://api.dandiarchive.org/api'
    """

    id: str = Field(pattern=r"^\d{6}$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    api: str = Field(default="https://api.dandiarchive.org/api", pattern=r"^https?://.*[^/]$")


class Dataset(Strict):
    """A dataset as its manifest describes it; see `load_dataset`.

    `procedural` is the modality of a drawn dataset, None for files. `base_url` is None where no public location is
    known. A dandiset has `assets` instead: the archive's identifier of each file, by path.
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
    dandiset: Dandiset | None = None
    images: tuple[ImageRecord, ...]
    assets: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agrees_with_its_images(self):
        """Refuse what is listed twice, drawings among files, and files that a dandiset does not have."""
        names = [file.path for file in self.files()]
        names += [PurePosixPath(image.key).stem for image in self.images]  # by which results are told apart
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"images: '{twice[0]}' is listed twice")
        if any((image.name is None) == bool(self.procedural) for image in self.images):
            raise ValueError("images: a procedural dataset lists names and seeds, any other lists files")
        unknown = [file.path for file in self.files() if self.dandiset and file.path not in self.assets]
        if unknown:
            raise ValueError(f"assets: '{unknown[0]}' has no identifier of the archive")
        return self

    def files(self) -> list[DataFile]:
        """List every file, each image followed by its mask; empty for a procedural dataset."""
        found = []
        for image in self.images:
            if image.path:
                found.append(DataFile(image.path, image.sha256, image.bytes, "image", image.split))
            if image.mask:
                found.append(DataFile(image.mask, image.mask_sha256, image.mask_bytes, "mask", image.split))
        return found

    def local(self, data_dir: Path, path: str) -> Path:
        """Return where the file `path` of this dataset lies below the data folder."""
        return Path(data_dir) / self.name / path

    def url(self, path: str) -> str | None:
        """Return the public address of the file `path`, or None where none is known."""
        if self.dandiset:
            return f"{self.dandiset.api}/assets/{self.assets[path]}/download/"
        return f"{self.base_url}/{quote(path)}" if self.base_url else None


def manifest_folders() -> list[Path]:
    """Return where manifests are looked for: beside the study file that HISTOBRIDGE_STUDY names, and in the repository.

    >>> manifest_folders()[-1] == MANIFESTS
    True
    """
    study = os.environ.get("HISTOBRIDGE_STUDY")
    return [*([Path(study).parent / MANIFESTS.name] if study else []), MANIFESTS]


def dataset_names(*, folder: Path | None = None) -> list[str]:
    """Return the names of the datasets that `folder` describes, or all `manifest_folders`, sorted.

    >>> "phantom-sem" in dataset_names()
    True
    """
    folders = [folder] if folder else manifest_folders()
    return sorted({path.stem for place in folders for path in place.glob("*.yaml")})


def _folder_of(name: str, folder: Path | None) -> Path:
    """Return the folder that describes a dataset: the given one, or the first that does."""
    places = [folder] if folder else manifest_folders()
    return next((place for place in places if (place / f"{name}.yaml").is_file()), places[-1])


def load_dataset(name: str, *, folder: Path | None = None) -> Dataset:
    """Read and check the manifest of one dataset, with the list of its files; `folder` says whose, else all count.

    Raises
    ------
    UserError
        No such dataset, or its YAML is broken or breaks a rule; the message names the file and the field. Or the
        archive has not been asked yet which files a dandiset has.

    >>> dataset = load_dataset("phantom-sem")
    >>> len(dataset.images), dataset.images[0].um_per_px
    (10, 0.1)
    """
    described = describe_dataset(name, folder=folder)
    if described.dandiset is None:
        return described
    folder = folder or MANIFESTS
    if is_unresolved(described, folder=folder):
        raise UserError(f"The files of '{name}' are not listed yet: run `histobridge fetch {name}`.")
    path = resolved_path(name, folder=folder)
    return check_dataset(described.model_dump() | _read_yaml(path), source=path)


def describe_dataset(name: str, *, folder: Path | None = None) -> Dataset:
    """Read and check a manifest alone: a dandiset comes without its images. Raises as `load_dataset` does."""
    path = _folder_of(name, folder) / f"{one_of('dataset', name, dataset_names(folder=folder))}.yaml"
    dataset = check_dataset(_read_yaml(path), source=path)
    if dataset.name != name:
        raise UserError(f"{path}: name: '{dataset.name}' must be the name of the file, '{name}'.")
    return dataset


def resolved_path(name: str, *, folder: Path = MANIFESTS) -> Path:
    """Return where the list of a dandiset's files lies once the archive has been asked: beside the manifests."""
    return folder / "resolved" / f"{name}.yaml"


def is_unresolved(described: Dataset, *, folder: Path = MANIFESTS) -> bool:
    """Say whether the archive must (again) be asked for the files of a dataset.

    That is so for a dandiset without a list, and if the manifest names another version than the list is of.
    """
    path = resolved_path(described.name, folder=folder)
    if described.dandiset is None:
        return False
    found = _read_yaml(path) if path.is_file() else None
    return not isinstance(found, dict) or found.get("dandiset") != described.dandiset.model_dump()


def check_dataset(fields: dict, *, source: object) -> Dataset:
    """Return the dataset of these fields, or raise a `UserError` that names `source` and the first fault."""
    try:
        return Dataset.model_validate(fields)
    except ValidationError as error:
        raise UserError(f"{source}: {_first_fault(error)}.") from None


def _read_yaml(path: Path):
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None


def _first_fault(error: ValidationError) -> str:
    """Say the first fault of a manifest in one phrase, such as `images[3].um_per_px: Field required`."""
    first = error.errors()[0]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    message = first["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return (f"{field}: {message}" if field else message) + more
