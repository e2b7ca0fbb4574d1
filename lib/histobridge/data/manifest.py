"""Manifests: what each dataset holds and where its files come from.

One YAML file describes one dataset: provenance, licence, and one line an image with its checksum, subject, pixel size
and split. Nothing about a file is guessed: a record without a pixel size is refused. Procedural datasets list seeds
instead of files; `histobridge.phantom` draws them. The manifests of the project come with the package; a caller may
name folders with manifests of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple, get_args
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from histobridge.config import Name, Strict
from histobridge.errors import UserError, one_of
from histobridge.io.limits import printable
from histobridge.io.yaml_file import read_yaml

LONGEST_STEM = 150
"""Bytes of an image's name, by which its results are stored: endings follow, and file systems allow 255."""
MOST_BYTES = 2**40
"""Of a file. A terabyte for one image is a slip."""
MOST_PX = 100_000
"""Of a side of an image."""


def _inside(path: str) -> str:
    """Return `path` if it is relative and stays inside its folder, on any system; else raise ValueError."""
    parts = PurePosixPath(path).parts
    if not parts or "\\" in path or ".." in parts or path.startswith("/") or re.match(r"[A-Za-z]:", path):
        raise ValueError(f"{path!r} must be relative, with forward slashes, and stay inside its folder")
    if len(path) > 1000 or any(len(part.encode()) > 255 for part in parts):
        raise ValueError(f"'{path[:60]}...' is too long for a file system: shorten it")
    return "/".join(parts)


def _printable(text: str) -> str:
    """Return text that fits into a line; else raise ValueError."""
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError(f"{text!a:.120} holds control characters: leave them out")
    return text


def _number(value: object) -> object:
    """Return what may become a number. `true` would become 1."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is no number")
    return value


Text = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
SafePath = Annotated[Text, AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
Number = BeforeValidator(_number)
Bytes = Annotated[int, Number, Field(ge=0, le=MOST_BYTES)]
Side = Annotated[int, Number, Field(gt=0, le=MOST_PX)]
Positive = Annotated[float, Number, Field(gt=0, allow_inf_nan=False)]
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
    bytes: Bytes | None = None
    mask: SafePath | None = None
    mask_sha256: Sha256 | None = None
    mask_bytes: Bytes | None = None
    name: Name | None = None
    seed: Annotated[int, Number, Field(ge=0)] | None = None
    subject: Text
    um_per_px: Positive
    width: Side | None = None
    height: Side | None = None
    split: Split

    @property
    def key(self) -> str:
        """The identifier of the image within its dataset: the name of a drawing, the path of a file."""
        return self.name or self.path

    @property
    def stem(self) -> str:
        """The name by which results are stored: the key without folders and ending."""
        return PurePosixPath(self.key).stem

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
        if len(self.stem.encode()) > LONGEST_STEM:
            raise ValueError(f"path: the name '{self.stem[:60]}...' is too long: {LONGEST_STEM} bytes at most")
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

    name: Name
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
        for names in ([file.path for file in self.files()], [image.stem for image in self.images]):
            counts = Counter(map(_as_stored, names))
            if twice := [name for name in names if counts[_as_stored(name)] > 1]:
                alike = " (names that differ only by case are one file on some systems)" * (len(set(twice)) > 1)
                raise ValueError(f"images: '{twice[0]}' is listed twice{alike}")
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


def _as_stored(name: str) -> str:
    """Return what file systems that know neither case nor ways of writing an accent make of a name."""
    return unicodedata.normalize("NFC", name).casefold()


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
    dataset = _validated(read_yaml(path), path)
    if dataset.name != name:
        raise UserError(f"{path}: name: '{dataset.name}' must be the name of the file, '{name}'.")
    return dataset


def _all_folders(folders: Iterable[Path]) -> list[Traversable]:
    return [*folders, packaged_manifests()]


def _yaml_files(folder: Traversable) -> list[Traversable]:
    """Return the manifests of a folder. Hidden files are none: some systems put one beside each file they copy."""
    found = folder.iterdir() if folder.is_dir() else []
    return [path for path in found if path.name.endswith(".yaml") and path.name[0] != "." and path.is_file()]


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
    message += " (in quotes)" * (first["type"] == "string_type")  # 123, true and 2020-01-31 are no text to YAML
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return printable((f"{field}: {message}" if field else message) + more)
