"""The study as a file: reads study.yaml, which says which pairs there are, at which pixel sizes, and what is spent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from histobridge.config import TRANSLATORS, RefinementSettings, SegmenterSettings, Strict, SynDiffSettings, validated
from histobridge.data.folds import Protocol
from histobridge.errors import UserError, one_of

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: it holds study.yaml, the notebooks and the reports."""

STUDY = Path(os.environ.get("HISTOBRIDGE_STUDY", ROOT / "study.yaml"))
"""The study file; the environment variable HISTOBRIDGE_STUDY names another."""


Polarity = Literal["auto", 1, -1]
"""The sign that translators start at: chosen by anatomy, or stated (1 keeps the contrast, -1 inverts it)."""


class DomainAt(Strict):
    """A dataset at the pixel size (µm/px) at which a pair uses it."""

    dataset: str
    um_per_px: float = Field(gt=0)


class Pair(Strict):
    """A labelled source, an unlabelled target; `polarity` overrides the label-free choice of sign, and its check.

    `shift` says in words how far apart they are, `protocols` which ones a study runs.
    """

    source: DomainAt
    target: DomainAt
    shift: str
    protocols: tuple[Protocol, ...] = ("transductive",)
    polarity: Polarity = "auto"

    @property
    def polarity_stated(self) -> bool:
        """Whether somebody who can see the images has stated the sign."""
        return self.polarity != "auto"


class Profile(Strict):
    """How much is spent: which pairs and folds run when none are named, and the settings of the models.

    `segmenter` is the segmenter of L; students go on from its weights for `student_steps` (`strategies.py`).
    `judge` is the segmenter that is asked about polarity; None takes the other segmenter's settings, but lets it learn
    from whole crops only (`strategies.polarity_judge` says why).
    """

    pairs: tuple[str, ...]
    folds: int = Field(ge=1)  # with 1, all of L trains
    run_folds: tuple[int, ...]
    seed: int = Field(default=0, ge=0)
    translator: SynDiffSettings
    segmenter: SegmenterSettings
    student_steps: int = Field(300, ge=1)
    polarity_segmenter: SegmenterSettings | None = None
    refinement: RefinementSettings = RefinementSettings()


class StudyFile(Strict):
    """The whole of study.yaml."""

    pairs: dict[str, Pair]
    translators: tuple[Literal[TRANSLATORS], ...]
    profiles: dict[str, Profile]


def load_study(path: Path = STUDY) -> StudyFile:
    """Read and validate study.yaml.

    Raises
    ------
    UserError
        Naming the first entry that is unknown, missing or of the wrong type.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    return validated(StudyFile, content or {}, path.name)


def manifest_folders() -> list[Path]:
    """Return the folder of manifests beside the study file that HISTOBRIDGE_STUDY names, or none."""
    study = os.environ.get("HISTOBRIDGE_STUDY")
    return [Path(study).parent / "data_manifest"] if study else []


def profile_of(name: str) -> Profile:
    """Return a profile of study.yaml; a `UserError` lists the valid names."""
    profiles = load_study().profiles
    return profiles[one_of("profile", name, profiles)]
