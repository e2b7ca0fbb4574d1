"""One run: a pair, protocol and fold under a profile. What it may see, where it writes, how each number came about."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np

from histobridge.cache import digest
from histobridge.config import YOUNGER, validated
from histobridge.data.datasets import Sample, load_images, load_masks, of_subjects, subjects
from histobridge.data.folds import Split, split, subject_folds
from histobridge.data.manifest import load_dataset
from histobridge.errors import UserError, one_of
from histobridge.io.files import write_json
from histobridge_study.config import ROOT, DomainAt, Pair, Profile, load_study, manifest_folders
from histobridge_study.parameters import Parameters, fresh
from histobridge_study.provenance import git_commit, machine, peak_memory_gib


@dataclass(frozen=True)
class Run:
    """One pair, protocol and fold under one profile: its settings, its folders, who may see what.

    Attributes
    ----------
    parameters : Parameters
    pair : Pair
    profile : Profile
    translators : tuple of str
    started : float
        Clock of the stage, for its minutes.
    commit : str
        The code that runs; taken now, because a long stage may outlive a commit.
    """

    parameters: Parameters
    pair: Pair
    profile: Profile
    translators: tuple[str, ...]
    started: float = field(default_factory=time.monotonic)
    commit: str = field(default_factory=lambda: git_commit())

    @property
    def data(self) -> Path:
        """The folder that holds the datasets."""
        return ROOT / self.parameters.data

    @property
    def seed(self) -> int:
        """The seed of this run's models."""
        return self.profile.seed + self.parameters.seed

    @property
    def folder(self) -> Path:
        """Everything of this pair, protocol and seed."""
        p = self.parameters
        return ROOT / p.out / p.profile / p.pair / (p.protocol if p.seed == 0 else f"{p.protocol}-seed{p.seed}")

    @property
    def models(self) -> Path:
        """Trained translators; they do not depend on which split is scored."""
        return self.folder / "models"

    @property
    def segmenters(self) -> Path:
        """Trained segmenters, of all pairs: some serve several."""
        return ROOT / self.parameters.out / self.parameters.profile / "segmenters"

    @property
    def shared(self) -> Path:
        """Results of the translator: of the fold where the translator depends on it, else of the pair."""
        return self.folder / self.parameters.split / self.translator_key

    @property
    def results(self) -> Path:
        """Results of this fold."""
        return self.folder / self.parameters.split / f"fold{self.parameters.fold}"

    @property
    def key(self) -> dict[str, str | int]:
        """What every row of a table says of the run it comes from."""
        p = self.parameters
        return {"pair": p.pair, "protocol": p.protocol, "split": p.split, "fold": p.fold}

    @property
    def translator_key(self) -> str:
        """`pair` for a translator that serves all folds (transductive), else `foldK`."""
        return "pair" if self.parameters.protocol == "transductive" else f"fold{self.parameters.fold}"

    @cached_property
    def folds(self) -> dict[str, list[list[str]]]:
        """The folds of the development subjects, obeyed by every stage and written beside the results."""
        sides = {"source": self.pair.source.dataset, "target": self.pair.target.dataset}
        datasets = {side: load_dataset(name, folders=manifest_folders()) for side, name in sides.items()}
        made = {side: subject_folds(subjects(dataset), self.profile.folds) for side, dataset in datasets.items()}
        write_json(self.folder / "folds.json", made)
        return made

    @cached_property
    def split(self) -> Split:
        """Who sees what in this fold."""
        return split(self.folds, self.parameters.fold, self.parameters.protocol)

    def source_images(self) -> list[Sample]:
        """Return the development images of L."""
        return list(_images(self.pair.source, self.data, "development"))

    def source_masks(self) -> dict[str, np.ndarray]:
        """Return the expert masks of L by image name."""
        return dict(_masks(self.pair.source, self.data, "development"))

    def target_images(self, *, split: str | None = None) -> list[Sample]:
        """Return the images of U of a split (the run's own by default); images only, never a mask."""
        return list(_images(self.pair.target, self.data, split or self.parameters.split))

    def target_masks(self, *, split: str | None = None) -> dict[str, np.ndarray]:
        """Return the expert masks of U, to score with and to train the supervised bound, for nothing else."""
        return dict(_masks(self.pair.target, self.data, split or self.parameters.split))

    def seen_images(self) -> list[Sample]:
        """Return the images of U that translators learn from: development images of the subjects they may see."""
        return of_subjects(self.target_images(split="development"), self.split.target_seen)

    def scored_images(self) -> list[Sample]:
        """Return the images of U on which the label-free strategies are scored; all of them in `locked-test`."""
        images = self.target_images()
        return images if self.parameters.split == "locked-test" else of_subjects(images, self.split.target_scored)

    def refuse_unscored(self) -> None:
        """Refuse a target without any expert mask in the scored split, before anything is paid for.

        Raises
        ------
        UserError
            Saying what to do instead.
        """
        target = load_dataset(self.pair.target.dataset, folders=manifest_folders())
        scored = [image for image in target.images if image.split == self.parameters.split]
        if not target.procedural and not any(image.mask for image in scored):
            raise UserError(
                f"No {self.parameters.split} image of '{target.name}' has an expert mask, so that nothing can be "
                "scored: label such images with `histobridge label`."
            )

    def settings_hash(self, stage: str) -> str:
        """Return a short hash of all that decides the result of a stage: a finished one with this hash is skipped."""
        parameters = self.parameters.model_dump(exclude={"out", "data"})
        deciding = {"folds", "seed", "translator", "segmenter", "student_steps", "polarity_segmenter"}
        deciding |= {"refinement"} if stage == "04_refine" else set()
        settings = self.profile.model_dump(include=deciding, exclude_none=True)
        if stage == "01_data":
            settings = {"folds": self.profile.folds}  # it only looks
        if stage == "02_translate":
            settings.pop("student_steps")
            if self.translator_key == "pair":
                parameters.pop("fold")
        checksums = {d: data_checksum(d) for d in (self.pair.source.dataset, self.pair.target.dataset)}
        pair = self.pair.model_dump(exclude={"shift", "protocols"})
        translators = tuple(name for name in self.translators if name not in YOUNGER)
        return digest(stage, parameters, pair, settings, translators, checksums)

    def mark(self, stage: str) -> Path:
        """Return the JSON that marks a stage as finished."""
        return self.stage_folder(stage) / f"{stage}.json"

    def finished(self, stage: str) -> bool:
        """Tell whether a stage has been finished with the present settings."""
        path = self.mark(stage)
        return path.exists() and json.loads(path.read_text())["settings_hash"] == self.settings_hash(stage)

    def stage_folder(self, stage: str) -> Path:
        """Return where a notebook writes."""
        return self.shared if stage == "02_translate" else self.results

    def finish(self, stage: str, **facts) -> Path:
        """Write, last and atomically, the JSON that marks a stage as finished, with its provenance."""
        record = {**facts, "settings_hash": self.settings_hash(stage), "provenance": self.provenance()}
        return write_json(self.mark(stage), record)

    def provenance(self) -> dict:
        """Return how this process came to its numbers."""
        datasets = (self.pair.source.dataset, self.pair.target.dataset)
        return {
            **self.parameters.model_dump(exclude={"out", "data"}),
            "git_commit": self.commit,
            "data_sha256": {d: data_checksum(d) for d in datasets},
            **machine(),
            "minutes": round((time.monotonic() - self.started) / 60, 2),
            "peak_memory_gib": round(peak_memory_gib(), 2),
        }


def open_run(parameters: dict) -> Run:
    """Check parameters against study.yaml and return the run they name.

    Parameters
    ----------
    parameters : dict
        Values by name; from a notebook simply `globals()`, of which the plain literals count.

    Raises
    ------
    UserError
        If a parameter is unknown or of the wrong type, or names no pair or profile; the valid ones are listed.
    """
    study = load_study()
    given = validated(Parameters, fresh(parameters, "run", Parameters), "The parameters")
    pair = study.pairs[one_of("pair", given.pair, study.pairs)]
    profile = study.profiles[one_of("profile", given.profile, study.profiles)]
    return Run(given, pair, profile, study.translators)


def recorded_run(record: dict, **places: str) -> Run:
    """Return the run that left a record of its provenance; `places` (`out`, `data`) say where it lies now.

    Raises
    ------
    UserError
        If study.yaml has changed since, so that there is no such run: which one it is, and what to do.
    """
    given = {name: record[name] for name in Parameters.model_fields if name in record} | places
    try:
        return open_run(given)
    except UserError as error:
        raise UserError(
            f"{error} A run names it ({', '.join(map(str, given.values()))}): name it in study.yaml again, or move "
            "that run elsewhere."
        ) from error


@cache
def data_checksum(dataset: str) -> str:
    """Return one checksum over the manifest records of a dataset, and with them over all its files."""
    return digest([record.model_dump() for record in load_dataset(dataset, folders=manifest_folders()).images])


@lru_cache(maxsize=4)
def _images(at: DomainAt, data: Path, split: str) -> tuple[Sample, ...]:
    """Read the images of a domain once a process: several steps of a stage ask for them."""
    return tuple(load_images(load_dataset(at.dataset, folders=manifest_folders()), at.um_per_px, data, split=split))


def forget() -> None:
    """Forget what was read of datasets: one that was rewritten is read anew."""
    for cached in (data_checksum, _images, _masks):
        cached.cache_clear()


@lru_cache(maxsize=4)
def _masks(at: DomainAt, data: Path, split: str) -> dict[str, np.ndarray]:
    return load_masks(load_dataset(at.dataset, folders=manifest_folders()), at.um_per_px, data, split=split)
