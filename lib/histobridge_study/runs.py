"""One run: a pair, protocol and fold under a profile; and where the results of each of its stages lie."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from histobridge.cache import Cache
from histobridge.errors import BrokenError, UserError
from histobridge.machine import machine, peak_memory_gib
from histobridge_study.config import Pair, Profile, Study, load_study
from histobridge_study.parameters import Parameters, parameters_of
from histobridge_study.provenance import git_commit
from histobridge_study.record import RECORD, misfits, read_record, set_misfits_aside, write_record
from histobridge_study.run_data import RunData

STAGES = ("01_data", "02_translate", "03_label", "04_refine")


@dataclass(frozen=True)
class Run:
    """One pair, protocol and fold under one profile.

    Attributes
    ----------
    parameters : Parameters
    study : Study
        With the translators that the profile compares (`Study.for_profile`).
    started : float
        Clock of the stage, for its minutes.
    commit : str
        The code that runs; taken at the start, because a long stage may outlive a commit.
    """

    parameters: Parameters
    study: Study
    started: float = field(default_factory=time.monotonic)
    commit: str = field(default_factory=lambda: git_commit())

    @property
    def pair(self) -> Pair:
        """The pair of the study file."""
        return self.study.pair(self.parameters.pair)

    @property
    def profile(self) -> Profile:
        """The profile of the study file."""
        return self.study.profile(self.parameters.profile)

    @property
    def translator_seed(self) -> int:
        """The seed of the translators of this fold: several serve the folds in turn."""
        return self._first_seed + self.parameters.fold % self.profile.translator_seeds

    @property
    def fold_seed(self) -> int:
        """The seed of the segmenters of this fold."""
        return self._first_seed + self.parameters.fold

    @property
    def _first_seed(self) -> int:
        return self.profile.seed + self.parameters.seed

    @property
    def key(self) -> dict[str, str | int]:
        """What every row of a table says of the run that it comes from."""
        p = self.parameters
        of_fold = {"pair": p.pair, "protocol": p.protocol, "split": p.split, "fold": p.fold}
        return of_fold | {"translator_seed": self.translator_seed}

    @property
    def title(self) -> str:
        """The run in words."""
        p = self.parameters
        return f"{p.pair} {p.protocol} {p.split} {p.fold}"

    @property
    def translator_fold(self) -> str:
        """`seedK` for a translator that serves all folds of its seed (transductive), else `foldK`."""
        p = self.parameters
        return f"seed{self.translator_seed}" if p.protocol == "transductive" else f"fold{p.fold}"

    @cached_property
    def data(self) -> RunData:
        """The images and masks of this run."""
        p, pair = self.parameters, self.pair
        source, target, *others = map(self.study.dataset, pair.datasets)
        others, folder, folds = tuple(others), Path(p.data), self.profile.folds
        return RunData(pair, source, target, others, folder, folds, p.fold, p.protocol, p.split)

    @property
    def folder(self) -> Path:
        """Everything of the profile."""
        return Path(self.parameters.out) / self.parameters.profile

    @property
    def cache(self) -> Cache:
        """What is shared by all runs of the profile: trained models and translations."""
        return Cache(self.folder / "cache")

    def stage(self, name: str) -> Stage:
        """Return a stage of this run."""
        return Stage(self, name)

    def facts(self, stage: str) -> dict:
        """Return everything that decides the result of a stage."""
        p, pair = self.parameters, self.pair
        models = {"translator", "cyclegan", "cut", "segmenter", "polarity_segmenter"}
        decides = {"01_data": set(), "02_translate": models}
        decides["03_label"] = models | {"student_steps", "comparison"}
        decides["04_refine"] = decides["03_label"] | {"refinement"}
        is_refined = stage == "04_refine"  # alone learns from the other sets
        ignored = {"shift", "protocols"} if is_refined else {"shift", "protocols", "others"}
        others = pair.others if is_refined else ()
        datasets = [domain.dataset for domain in (pair.source, pair.target, *others)]
        facts = {
            "stage": stage,
            "profile": p.profile,
            "pair": pair.model_dump(mode="json", exclude=ignored),
            "protocol": p.protocol,
            "split": p.split,
            "folds": self.profile.folds,
            "seed": self.translator_seed,
            "translators": list(self.study.translators),
            "settings": self.profile.model_dump(mode="json", include=decides[stage]),
            "data": {name: self.data.checksums[name] for name in datasets},
        }
        serves_several_folds = stage == "02_translate" and p.protocol == "transductive"
        return facts if serves_several_folds else facts | {"fold": p.fold, "fold_seed": self.fold_seed}

    def provenance(self) -> dict:
        """Return how this process came to its numbers."""
        return {
            **self.parameters.model_dump(exclude={"out", "data", "study"}),
            "git_commit": self.commit,
            "data_sha256": self.data.checksums,
            **machine(),
            "minutes": round((time.monotonic() - self.started) / 60, 2),
            "peak_memory_gib": round(peak_memory_gib(), 2),
        }


@dataclass(frozen=True)
class Stage:
    """One stage of a run: a notebook and its results, in a folder that is named by everything that decides them."""

    run: Run
    name: str

    @cached_property
    def folder(self) -> Path:
        """Where the notebook writes: PROFILE/PAIR/PROTOCOL/SPLIT/FOLD/STAGE-KEY below the folder of all runs."""
        p = self.run.parameters
        fold = self.run.translator_fold if self.name == "02_translate" else f"fold{p.fold}"
        name = f"{p.pair}/{p.protocol}/{p.split}/{fold}/{self.name}"
        return Cache(self.run.folder).path(name, **self.run.facts(self.name))

    @property
    def key(self) -> str:
        """The hash of everything that decides the results."""
        return self.folder.name.removeprefix(f"{self.name}-")

    @property
    def record_file(self) -> Path:
        """The file that marks the stage as finished."""
        return self.folder / RECORD

    @property
    def finished(self) -> bool:
        """Whether the results are there, all of them as they were written."""
        try:
            return bool(self.record())
        except UserError:
            return False

    def record(self) -> dict:
        """Return what the stage recorded about itself: its facts, its provenance, and checksums of its files.

        Raises
        ------
        BrokenError
            If a file is not as it was written.
        UserError
            If the stage has not finished.
        """
        return self._verified

    def files(self) -> dict[str, Path]:
        """Return the files of the finished stage, by their names below its folder; errors as of `record`."""
        return {name: self.folder / name for name in self.record()["files"]}

    def set_misfits_aside(self) -> None:
        """Make the stage count as unfinished if a file of it is not as it was written."""
        set_misfits_aside(self.folder)

    @cached_property
    def _verified(self) -> dict:
        """The record, once its files have been compared with it: they are read once."""
        if not self.record_file.exists():
            raise UserError(
                f"{self.name} of {self.run.title} has not run yet with these settings: run `histobridge study`."
            )
        if wrong := misfits(self.folder):
            raise BrokenError(f"{wrong[0]} is not what was kept there: run `histobridge study`, which makes it anew.")
        return read_record(self.folder)

    def finish(self, **facts) -> Path:
        """Write, last and atomically, the record that marks the stage as finished."""
        made_from = self.run.facts(self.name)
        record = {**facts, "key": self.key, "made_from": made_from, "provenance": self.run.provenance()}
        return write_record(self.folder, record)


def open_run(parameters: dict) -> Run:
    """Check parameters against the study file and return the run that they name.

    Parameters
    ----------
    parameters : dict
        Values by name; from a notebook simply `globals()`, of which the plain literals count.

    Raises
    ------
    UserError
        If a parameter is unknown or of the wrong type, or names no pair or profile; the valid ones are listed. Or if
        the folder holds runs of an older layout.
    """
    given = parameters_of(parameters, Parameters, opened="run")
    study = load_study(given.study)
    run = Run(given, study.for_profile(given.profile))
    _ = run.pair  # an unknown name is refused here
    refuse_old_runs(run.folder)
    return run


def refuse_old_runs(folder: Path) -> None:
    """Raise a `UserError` if a folder holds runs that an older version of this program has written."""
    if (folder / "segmenters").is_dir() or any(folder.glob("*/*/folds.json")):
        raise UserError(
            f"{folder} holds runs of an older version, which this one cannot read: choose another --out, or move "
            "that folder elsewhere."
        )
