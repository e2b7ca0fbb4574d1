"""The study as a file: `study.yaml` says which pairs there are, at which pixel sizes, and what is spent."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

import yaml
from pydantic import Field

from histobridge.config import TRANSLATOR_CLASSES, Polarity, Strict, TrainingProfile, training_profiles, validated
from histobridge.data.folds import Protocol
from histobridge.data.manifest import Dataset, load_dataset
from histobridge.errors import UserError, one_of

MANIFESTS = "data_manifest"
"""A folder of this name beside a study file holds manifests of its own."""


class DomainAt(Strict):
    """A dataset at the pixel size (µm/px) at which a pair uses it."""

    dataset: str
    um_per_px: float = Field(gt=0)


class Pair(Strict):
    """A labelled source and an unlabelled target.

    Attributes
    ----------
    shift : str
        In words, how far apart the two are.
    protocols : tuple of str
        Which ones a study runs.
    polarity : {"auto", 1, -1}
        Overrides the label-free choice of sign, and its check.
    """

    source: DomainAt
    target: DomainAt
    shift: str
    protocols: tuple[Protocol, ...] = ("transductive",)
    polarity: Polarity = "auto"

    @property
    def datasets(self) -> tuple[str, str]:
        """The names of both datasets."""
        return self.source.dataset, self.target.dataset


class Profile(TrainingProfile):
    """Which pairs and folds run when none are named, and the settings of the models."""

    pairs: tuple[str, ...]
    folds: int = Field(ge=1)  # with 1, all of L trains
    run_folds: tuple[int, ...]
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

    def pair(self, name: str) -> Pair:
        """Return a pair; a `UserError` lists the valid names."""
        return self.pairs[one_of("pair", name, self.pairs)]

    @property
    def controls(self) -> tuple[str, ...]:
        """The classical translators of this study."""
        return tuple(name for name in self.translators if name not in ("cycle", "syndiff"))


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
    file = path or resources.files("histobridge_study").joinpath("study.yaml")
    name = path.name if path else "study.yaml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"The study file {path} cannot be read ({error.strerror}).") from error
    except yaml.YAMLError as error:
        raise UserError(f"{name} is not valid YAML: {' '.join(str(error).split())}") from error
    content = content if isinstance(content, dict) else {}
    if isinstance(profiles := content.get("profiles"), dict):
        content["profiles"] = {key: _with_training(entry) for key, entry in profiles.items()}
    study = validated(Study, content | {"path": path}, name)
    for translator in study.translators:
        one_of("translator", translator, TRANSLATOR_CLASSES)
    return study


def _with_training(entry: object) -> object:
    """Return the entry of a profile with the settings of training that it names."""
    if not isinstance(entry, dict) or "training" not in entry:
        return entry
    own, known = dict(entry), training_profiles()
    name = own.pop("training")
    return known[one_of("training profile", name, known)] | own
