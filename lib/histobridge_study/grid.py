"""What a study consists of: every pair, protocol and fold, known before anything runs.

`histobridge run` walks through a plan one notebook after another, the Snakefile turns it into a graph of jobs, and the
report names the cells of it that are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

from histobridge.data.datasets import subjects
from histobridge.data.folds import PROTOCOLS, subject_folds
from histobridge.data.manifest import SPLITS, load_dataset
from histobridge.errors import UserError, one_of
from histobridge_study.config import Profile, StudyFile, load_study, manifest_folders
from histobridge_study.parameters import Parameters
from histobridge_study.runs import Run


@dataclass(frozen=True)
class Plan:
    """The pairs, protocols and folds of one profile; None means all that the profile and the pairs name.

    Raises
    ------
    UserError
        If a name is unknown; the valid ones are listed.
    """

    profile: str
    pairs: tuple[str, ...] | None = None
    protocols: tuple[str, ...] | None = None
    folds: tuple[int, ...] | None = None
    split: str = "development"
    seed: int = 0
    out: str = "runs"
    data: str = "data"
    study: StudyFile = field(default_factory=load_study)

    @classmethod
    def of_config(cls, config: Mapping) -> Plan:
        """Return the plan of Snakemake's `--config`, in which lists are written `a,b`.

        >>> Plan.of_config({"profile": "smoke", "pairs": "phantom-sem", "folds": "0,1"}).cells
        [('phantom-sem', 'transductive', 0), ('phantom-sem', 'transductive', 1)]
        """
        names = {f.name for f in fields(cls)} - {"study"}
        given = {name: value for name, value in config.items() if name in names and value is not None}
        for name in {"pairs", "protocols", "folds"} & given.keys():
            parts = str(given[name]).split(",")
            given[name] = tuple(map(int, parts)) if name == "folds" else tuple(parts)
        return cls(**given)

    def __post_init__(self):
        one_of("profile", self.profile, self.study.profiles)
        one_of("split", self.split, SPLITS)
        for pair in self.pairs or ():
            one_of("pair", pair, self.study.pairs)
        for protocol in self.protocols or ():
            one_of("protocol", protocol, PROTOCOLS)

    @property
    def folder(self) -> Path:
        """Where everything of the profile is written."""
        return Path(self.out).resolve() / self.profile

    @property
    def places(self) -> dict[str, str]:
        """`out` and `data` as absolute paths: kernels and Snakemake have folders of their own."""
        return {"out": str(Path(self.out).resolve()), "data": str(Path(self.data).resolve())}

    @property
    def settings(self) -> Profile:
        """The profile's settings."""
        return self.study.profiles[self.profile]

    @cached_property
    def wanted(self) -> list[tuple[str, str, int]]:
        """Every (pair, protocol, fold) that is asked for, whether its data exist or not."""
        return [
            (pair, protocol, fold)
            for pair in self.pairs or self.settings.pairs
            for protocol in self.protocols or self.study.pairs[pair].protocols
            for fold in self._folds_of(pair)
        ]

    def _folds_of(self, pair: str) -> list[int]:
        """Return the folds of a pair: as many as the profile names, but no more than the source has subjects."""
        if self.folds is not None:
            return list(self.folds)
        source = load_dataset(self.study.pairs[pair].source.dataset, folders=manifest_folders())
        there = len(subject_folds(subjects(source), self.settings.folds)) if source.images else 1
        return [fold for fold in self.settings.run_folds if fold < there]

    @cached_property
    def cells(self) -> list[tuple[str, str, int]]:
        """Those of `wanted` that can run.

        Raises
        ------
        UserError
            If a pair was asked for by name and a dataset of it has no images.
        """
        for pair in self.pairs or ():
            if missing := self.unavailable(pair):
                raise UserError(f"The pair '{pair}' cannot run: {missing}.")
        return [cell for cell in self.wanted if cell[0] not in self.gone]

    @cached_property
    def gone(self) -> set[str]:
        """The pairs that cannot run: a dataset of theirs has no images."""
        return {pair for pair in self.pairs or self.settings.pairs if self.unavailable(pair)}

    def unavailable(self, pair: str) -> str:
        """Return why a pair cannot run, or nothing if it can."""
        sides = self.study.pairs[pair].source, self.study.pairs[pair].target
        gone = [d for d in (load_dataset(side.dataset, folders=manifest_folders()) for side in sides) if not d.images]
        return "; ".join(f"'{d.name}' is not available ({d.availability})" for d in gone)

    def parameters(self, pair: str, protocol: str, fold: int) -> Parameters:
        """Return the parameters of the notebooks of one cell."""
        given = {"pair": pair, "profile": self.profile, "fold": fold, "protocol": protocol}
        return Parameters(**given, **self.places, split=self.split, seed=self.seed)

    def run(self, pair: str, protocol: str, fold: int) -> Run:
        """Return the run of one cell."""
        pieces = self.study.pairs[pair], self.settings, self.study.translators
        return Run(self.parameters(pair, protocol, fold), *pieces)
