"""The datasets: what each holds, where it comes from, and whether its files are here and intact.

One YAML in `data_manifest/` describes one dataset: provenance, licence, and one line an image with its
checksum, subject, pixel size and split. Nothing about a file is guessed: a record without a pixel size is
refused. Procedural datasets list seeds instead of files; `histobridge.phantom` draws them. A dandiset is listed
by its archive: `histobridge.dandisets` asks for the list once and writes it to `data_manifest/resolved/`.
"""

import hashlib
import io
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple, get_args
from urllib.parse import quote, urlsplit

import pooch
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from histobridge.errors import UserError, one_of
from histobridge.files import whole_file

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "data_manifest"
TIMEOUT_S = (10, 30)  # to connect, and between two pieces of an answer
ATTEMPTS = 3


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


class _Strict(BaseModel):
    """Frozen, and an unknown field is a mistake rather than ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageRecord(_Strict):
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


class Dandiset(_Strict):
    """A published version of a dandiset: a draft may change under its name, so only its versions are welcome.

    `api` is the address at which the archive answers programs.

    >>> Dandiset(id="001442", version="0.250512.1626").api
    'https://api.dandiarchive.org/api'
    """

    id: str = Field(pattern=r"^\d{6}$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    api: str = Field(default="https://api.dandiarchive.org/api", pattern=r"^https?://.*[^/]$")


class Dataset(_Strict):
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
    assets: dict[str, str] = {}

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


def dataset_names(*, folder: Path = MANIFESTS) -> list[str]:
    """Return the names of the datasets that `folder` describes, sorted.

    >>> "phantom-sem" in dataset_names()
    True
    """
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_dataset(name: str, *, folder: Path = MANIFESTS) -> Dataset:
    """Read and check the manifest of one dataset, with the list of its files.

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
    if is_unresolved(described, folder=folder):
        raise UserError(f"The files of '{name}' are not listed yet: run `histobridge fetch {name}`.")
    path = resolved_path(name, folder=folder)
    return check_dataset(described.model_dump() | _read_yaml(path), source=path)


def describe_dataset(name: str, *, folder: Path = MANIFESTS) -> Dataset:
    """Read and check a manifest alone: a dandiset comes without its images. Raises as `load_dataset` does."""
    path = folder / f"{one_of('dataset', name, dataset_names(folder=folder))}.yaml"
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


class FileStatus(NamedTuple):
    """Whether one file is here; `reason` says why not, or what went wrong on the way."""

    dataset: str
    path: str
    role: Literal["image", "mask"]
    split: Split
    state: Literal["here", "missing", "wrong"]
    reason: str = ""


def status(dataset: Dataset, data_dir: Path) -> list[FileStatus]:
    """Compare every file of a dataset below `data_dir` with its size and sha256.

    A file is `here` (and intact), `missing`, or `wrong` (with other content). Drawings have no files.
    """
    return [_status(dataset, file, data_dir) for file in dataset.files()]


def _status(dataset: Dataset, file: DataFile, data_dir: Path, *, reason: str = "") -> FileStatus:
    path, state = dataset.local(data_dir, file.path), "missing"
    if path.is_file():
        state = "here" if _is_intact(path.read_bytes(), file) else "wrong"
    if state == "wrong":
        reason = "its checksum is not the manifest's; delete it and fetch again"
    return FileStatus(dataset.name, file.path, file.role, file.split, state, reason)


def _is_intact(content: bytes, file: DataFile) -> bool:
    return len(content) == file.bytes and hashlib.sha256(content).hexdigest() == file.sha256


def fetch(
    dataset: Dataset,
    data_dir: Path,
    *,
    mirror: Path | None = None,
    splits: Iterable[str] = SPLITS,
    progress: Callable[[FileStatus], None] | None = None,
) -> list[FileStatus]:
    """Bring the missing files of a dataset to `data_dir/<dataset>/<path>`, whole and checked or not at all.

    A file is taken from `mirror/<dataset>/<path>` where that exists and is intact, else from the public
    address. One that is here but wrong is reported and left alone: it may be somebody's own work. One that
    cannot be had does not stop the others, and a host that fails to answer is not asked again. An interrupted
    run can simply be repeated.

    Returns a status for every file of `splits`; `progress` is called with each as soon as it is known.

    Raises
    ------
    UserError
        No such mirror folder or split, or the data folder cannot be written (the disk is full, say).
    """
    if mirror is not None and not Path(mirror).is_dir():
        raise UserError(f"There is no mirror folder '{mirror}'. Name one that holds {dataset.name}/.")
    wanted = {one_of("split", split, SPLITS) for split in splits}
    silent_hosts: dict[str, str] = {}
    statuses = []
    for file in dataset.files():
        if file.split in wanted:
            statuses.append(_fetch_one(dataset, file, data_dir, mirror, silent_hosts))
            if progress:
                progress(statuses[-1])
    return statuses


class Answer(NamedTuple):
    """The content of a file, intact, or why it could not be had and what that means for other attempts."""

    content: bytes | None = None
    reason: str = ""
    may_pass: bool = False  # the same request may succeed next time
    of_host: bool = False  # every other file of this host would fail alike


def _fetch_one(
    dataset: Dataset, file: DataFile, data_dir: Path, mirror: Path | None, silent_hosts: dict[str, str]
) -> FileStatus:
    before = _status(dataset, file, data_dir)
    if before.state != "missing":
        return before
    target = dataset.local(data_dir, file.path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        answers = [_copy(dataset.local(mirror, file.path), file)] if mirror else [Answer()]
        if answers[0].content is None:
            answers.append(download(dataset.url(file.path), file, silent_hosts))
        if answers[-1].content is not None:
            with whole_file(target) as draft:
                draft.write_bytes(answers[-1].content)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"Cannot bring {target}: {why}. Mend that and run again; nothing is lost.") from error
    return _status(dataset, file, data_dir, reason="; ".join(a.reason for a in answers if a.reason))


def _copy(source: Path, file: DataFile) -> Answer:
    content = source.read_bytes() if source.is_file() else None
    if content is None or _is_intact(content, file):
        return Answer(content)
    return Answer(reason="the mirror's copy was refused: wrong checksum")


def download(url: str | None, file: DataFile, silent_hosts: dict[str, str]) -> Answer:
    """Ask for a file, to memory, again where that may help; remember in `silent_hosts` a host that does not answer."""
    if url is None:
        return Answer(reason="no public location known")
    host = urlsplit(url).netloc
    if host in silent_hosts:
        return Answer(reason=silent_hosts[host])
    for attempt in range(ATTEMPTS):
        time.sleep(attempt)
        answer = _ask(host, url, file)
        if not answer.may_pass:
            break
    if answer.of_host:
        silent_hosts[host] = answer.reason
    return answer


def _ask(host: str, url: str, file: DataFile) -> Answer:
    """Ask for a file once. It goes to memory, so what fails here is the network and never the disk."""
    received = io.BytesIO()
    try:
        pooch.HTTPDownloader(timeout=TIMEOUT_S)(url, received, None)
    except OSError as error:  # as pooch's own HTTP library raises it, with the response if there was one
        code = getattr(getattr(error, "response", None), "status_code", 0)
        if code:
            busy = code >= 500 or code in (408, 429)  # any other code is the host's last word
            return Answer(None, f"{host} answered with HTTP {code}", busy, busy)
        if not received.tell():
            return Answer(None, f"{host} could not be reached", True, True)
        return Answer(None, f"the download from {host} broke off", True)
    if not _is_intact(received.getvalue(), file):
        return Answer(None, f"{host} sent other content: wrong checksum", True)
    return Answer(received.getvalue())


def summary(statuses: Iterable[FileStatus]) -> list[dict[str, str | int]]:
    """Count the files by dataset and split, in the order in which they come.

    >>> one = FileStatus("sem", "a.png", "image", "development", "here")
    >>> summary([one, one._replace(path="b.png", state="missing")])
    [{'dataset': 'sem', 'split': 'development', 'here': 1, 'missing': 1, 'wrong': 0}]
    """
    rows: dict[tuple[str, str], dict] = {}
    for one in statuses:
        empty = {"dataset": one.dataset, "split": one.split, "here": 0, "missing": 0, "wrong": 0}
        rows.setdefault((one.dataset, one.split), empty)[one.state] += 1
    return list(rows.values())


def complaints(statuses: Iterable[FileStatus]) -> list[str]:
    """Say what went wrong: a line a wrong or refused file, one line for all files missing for one reason.

    >>> lost = FileStatus("sem", "a.png", "image", "development", "missing", "no public location known")
    >>> complaints([lost, lost._replace(path="b.png")])
    ['sem: missing 2 (no public location known)']
    """
    told = [one for one in statuses if one.reason]
    lines = [f"{one.dataset}/{one.path}: {one.state}, {one.reason}" for one in told if one.state != "missing"]
    missing = Counter((one.dataset, one.reason) for one in told if one.state == "missing")
    return lines + [f"{name}: missing {count} ({reason})" for (name, reason), count in missing.items()]
