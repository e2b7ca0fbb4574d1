"""The study as a file: `study.yaml` says which pairs there are, at which pixel sizes, and what is spent."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from histobridge.config import (
    TRANSLATOR_CLASSES,
    Name,
    Polarity,
    Strict,
    TrainingProfile,
    checked_name,
    training_profiles,
    validated,
)
from histobridge.data.folds import Protocol
from histobridge.data.manifest import Dataset, load_dataset
from histobridge.errors import UserError, one_of
from histobridge.io.limits import printable
from histobridge.io.yaml_file import read_yaml

MANIFESTS = "data_manifest"
"""A folder of this name beside a study file holds manifests of its own."""
OTHER_FOLDERS = ("cache", "report", "segmenters", "site")
"""What else lies, or once lay, in the folder of a profile beside the folders of the pairs."""
NEEDED = ("none", "syndiff")
"""Translators that the notebooks name."""
IN_FULL_ALONE = (
    *("histogram-blur", "invert-histogram-blur", "fourier", "invert-fourier"),
    *("cyclegan", "cut"),
)
"""Translators that a `short` comparison leaves out."""


class DomainAt(Strict):
    """A dataset at the pixel size (µm/px) at which a pair uses it."""

    dataset: Name
    um_per_px: float = Field(gt=0, allow_inf_nan=False)


class Pair(Strict):
    """A labelled source and an unlabelled target.

    Attributes
    ----------
    others : tuple of DomainAt
        Further labelled sets, from which strategy `many-sources` learns too; the target is none of them.
    shift : str
        In words, how far apart the two are.
    protocols : tuple of str
        Which ones a study runs.
    polarity : {"auto", 1, -1}
        Overrides the label-free choice of sign, and its check.
    """

    source: DomainAt
    target: DomainAt
    others: tuple[DomainAt, ...] = ()
    shift: str
    protocols: tuple[Protocol, ...] = ("transductive",)
    polarity: Polarity = "auto"

    @model_validator(mode="after")
    def _keep_the_masks_of_the_target_apart(self) -> Pair:
        if self.target.dataset in (domain.dataset for domain in self.others):
            raise ValueError(f"'{self.target.dataset}' is the target: its masks must teach nobody; leave it out")
        return self

    @property
    def datasets(self) -> tuple[str, ...]:
        """The names of all datasets: source, target, others."""
        return tuple(domain.dataset for domain in (self.source, self.target, *self.others))


class Profile(TrainingProfile):
    """Which pairs and folds run when none are named, what is compared, and the settings of the models.

    Attributes
    ----------
    pairs : tuple of str
    folds : int
        Into which subjects are divided; with 1, all of L trains.
    run_folds : tuple of int
    comparison : {"full", "short"}
        Short leaves out the translators `IN_FULL_ALONE`, the strategies `randomised` and `renormalised`, and the
        references `reference-synthetic` and `reference-refined`.
    translator_seeds : int
        How many translators with different seeds serve the folds in turn.
    seed : int
    """

    pairs: tuple[Name, ...] = Field(min_length=1)
    folds: int = Field(ge=1)
    run_folds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    comparison: Literal["full", "short"] = "full"
    translator_seeds: int = Field(default=3, ge=1)
    seed: int = Field(default=0, ge=0)


class Study(Strict):
    """The whole of a study file, and where it lies (None: in the package)."""

    pairs: dict[str, Pair]
    translators: tuple[str, ...]
    profiles: dict[str, Profile]
    path: Path | None = None

    def dataset(self, name: str) -> Dataset:
        """Return a dataset by its manifest: one beside the study file, else one of the package."""
        return _load_dataset(name, self.manifest_folders)

    @property
    def manifest_folders(self) -> tuple[Path, ...]:
        """Folders whose manifests come before those of the package."""
        return () if self.path is None else (self.path.parent / MANIFESTS,)

    def profile(self, name: str) -> Profile:
        """Return a profile; a `UserError` lists the valid names."""
        return self.profiles[one_of("profile", name, self.profiles)]

    def for_profile(self, name: str) -> Study:
        """Return the study with the translators that a profile compares; a `UserError` lists the valid names."""
        if self.profile(name).comparison == "full":
            return self
        return self.model_copy(update={"translators": tuple(t for t in self.translators if t not in IN_FULL_ALONE)})

    def pair(self, name: str) -> Pair:
        """Return a pair; a `UserError` lists the valid names."""
        return self.pairs[one_of("pair", name, self.pairs)]


@cache
def _load_dataset(name: str, folders: tuple[Path, ...]) -> Dataset:
    """Read a manifest once a process: planning asks for each many times."""
    return load_dataset(name, folders=folders)


def load_study(path: Path | str | None = None) -> Study:
    """Read and check a study file; by default that of the package.

    A profile takes the settings of training that it names (`training: cpu`) and may replace any of them.

    Raises
    ------
    UserError
        If there is no such file, or naming the first entry that is unknown, missing or of the wrong type.
    """
    path = Path(path).resolve() if path else None
    name = printable(path.name) if path else "study.yaml"
    content = _read(path or resources.files("histobridge_study").joinpath("study.yaml"), name)
    for section in ("pairs", "profiles"):
        _check_names(content.get(section), f"{name}: {section}")
    if isinstance(profiles := content.get("profiles"), dict):
        content["profiles"] = {key: _with_training(entry) for key, entry in profiles.items()}
    study = validated(Study, content | {"path": path}, name)
    for translator in study.translators:
        one_of("translator", translator, TRANSLATOR_CLASSES)
    if missing := [needed for needed in NEEDED if needed not in study.translators]:
        raise UserError(f"{name}: translators: add '{missing[0]}', with which all others are compared.")
    for profile in study.profiles.values():
        for pair in profile.pairs:
            study.pair(pair)
    return study


def _read(file: Path, name: str) -> dict:
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise UserError(f"{name} is no study file: it must name pairs, translators and profiles.")
    return content


def _check_names(section: object, where: str) -> None:
    """Raise a `UserError` about the first name of a pair or profile that cannot be that of a folder."""
    for name in section if isinstance(section, dict) else ():
        if not isinstance(name, str):
            raise UserError(f"{where}: {name} is no text for YAML: write the name in quotes.")
        if name in OTHER_FOLDERS:
            raise UserError(f"{where}: the program has a folder '{name}' of its own: take another name.")
        try:
            checked_name(name)
        except ValueError as error:
            raise UserError(f"{where}: {error}.") from None


def _with_training(entry: object) -> object:
    """Return the entry of a profile with the settings of training that it names."""
    if not isinstance(entry, dict) or "training" not in entry:
        return entry
    own, known = dict(entry), training_profiles()
    name = own.pop("training")
    return known[one_of("training profile", name, known)] | own
