"""What a study consists of: every pair, protocol and fold, known before anything runs.

The Snakefile turns a grid into jobs, and the report names the cells of it that are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

from histobridge.data.datasets import subjects
from histobridge.data.folds import PROTOCOLS, subject_folds
from histobridge.data.manifest import SPLITS
from histobridge.errors import BrokenError, UserError, one_of
from histobridge.io.limits import printable
from histobridge.items import Account
from histobridge_study.config import Profile, Study, load_study
from histobridge_study.parameters import Parameters
from histobridge_study.runs import Run, refuse_old_runs

Cell = tuple[str, str, int]
"""Pair, protocol and fold."""


@dataclass(frozen=True)
class Grid:
    """The pairs, protocols and folds of one profile; None means all that the profile and the pairs name.

    `out`, `data` and `study_file` become absolute paths: kernels and Snakemake have folders of their own. `study` has
    the translators that the profile compares.

    Raises
    ------
    UserError
        If a name is unknown; the valid ones are listed. Or if the folder holds runs of an older version.
    """

    profile: str
    pairs: tuple[str, ...] | None = None
    protocols: tuple[str, ...] | None = None
    folds: tuple[int, ...] | None = None
    split: str = "development"
    seed: int = 0
    out: str = "runs"
    data: str = "data"
    study_file: str = ""
    study: Study = field(init=False)

    @classmethod
    def from_config(cls, config: Mapping) -> Grid:
        """Return the grid of Snakemake's configuration: that of `config`, or one in which lists are written `a,b`.

        >>> Grid.from_config({"profile": "smoke", "pairs": "phantom-sem", "folds": "0,1"}).cells
        [('phantom-sem', 'transductive', 0), ('phantom-sem', 'transductive', 1)]
        """
        names = {f.name for f in fields(cls) if f.init}
        given = {name: value for name, value in config.items() if name in names and value is not None}
        for name in {"pairs", "protocols", "folds"} & given.keys():
            parts = given[name] if isinstance(given[name], list) else str(given[name]).split(",")
            given[name] = tuple(map(int, parts)) if name == "folds" else tuple(parts)
        return cls(**given)

    @property
    def config(self) -> dict:
        """The grid as plain values; `from_config` makes the same grid of them in any working folder."""
        return {name: getattr(self, name) for name in (f.name for f in fields(self) if f.init)}

    def __post_init__(self):
        for place in ("out", "data", "study_file"):
            object.__setattr__(self, place, _absolute(getattr(self, place)))
        object.__setattr__(self, "study", load_study(self.study_file).for_profile(self.profile))
        one_of("split", self.split, SPLITS)
        for pair in self.pairs or ():
            self.study.pair(pair)
        for protocol in self.protocols or ():
            one_of("protocol", protocol, PROTOCOLS)
        if any(fold < 0 for fold in self.folds or ()):
            raise UserError("Folds are counted from 0.")
        refuse_old_runs(self.folder)

    @property
    def folder(self) -> Path:
        """Where everything of the profile is written."""
        return Path(self.out) / self.profile

    @property
    def places(self) -> dict[str, str]:
        """`out`, `data` and `study`, as the parameters of a notebook call them."""
        return {"out": self.out, "data": self.data, "study": self.study_file}

    @property
    def settings(self) -> Profile:
        """The settings of the profile."""
        return self.study.profiles[self.profile]

    @cached_property
    def planned(self) -> list[Cell]:
        """Every pair, protocol and fold that is asked for, whether its data exist or not."""
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
        source = self.study.dataset(self.study.pairs[pair].source.dataset)
        number = len(subject_folds(subjects(source), self.settings.folds)) if source.images else 1
        return [fold for fold in self.settings.run_folds if fold < number]

    @cached_property
    def cells(self) -> list[Cell]:
        """Those of `planned` that can run.

        Raises
        ------
        UserError
            If a pair was asked for by name and a dataset of it has no images.
        """
        for pair in self.pairs or ():
            if missing := self.unavailable(pair):
                raise UserError(f"The pair '{pair}' cannot run: {missing}.")
        return [cell for cell in self.planned if cell[0] not in self.unavailable_pairs]

    @cached_property
    def unavailable_pairs(self) -> set[str]:
        """The pairs that cannot run, because a dataset of theirs has no images."""
        return {pair for pair in self.pairs or self.settings.pairs if self.unavailable(pair)}

    def unavailable(self, pair: str) -> str:
        """Return why a pair cannot run, or nothing if it can."""
        datasets = map(self.study.dataset, self.study.pairs[pair].datasets)
        return "; ".join(f"'{d.name}' is not available ({d.availability})" for d in datasets if not d.images)

    def run(self, pair: str, protocol: str, fold: int) -> Run:
        """Return the run of one cell."""
        cell = {"pair": pair, "profile": self.profile, "fold": fold, "protocol": protocol}
        return Run(Parameters(**cell, **self.places, split=self.split, seed=self.seed), self.study)

    def finished_runs(self, stage: str, account: Account | None = None) -> list[Run]:
        """Return the runs of `cells` that have finished a stage with the present settings.

        The account is told of those that have not.
        """
        runs = [self.run(*cell) for cell in self.cells]
        finished = list(_finished(runs, stage, account))
        if account:
            account.harmless |= {run.title: "not run yet" for run in runs if not run.stage(stage).record_file.exists()}
        return finished


def _absolute(place: str) -> str:
    """Return a path as absolute text, which nothing is for nothing.

    Raises
    ------
    UserError
        If it holds bytes that are no UTF-8: notebooks are UTF-8, and name it.
    """
    path = str(Path(place).resolve()) if place else ""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise UserError(f"{printable(path)} holds bytes that are no UTF-8: choose another name.") from None
    return path


def _finished(runs: Iterable[Run], stage: str, account: Account | None) -> Iterator[Run]:
    """Yield the runs that have finished a stage; those whose files are not as they were written are skipped."""
    for run in runs:
        try:
            run.stage(stage).record()
        except BrokenError as error:
            if account:
                account.skip(run.title, str(error))
        except UserError:
            continue
        else:
            yield run


def runs_of_profile(
    profile: str, stage: str, *, seed: int = 0, account: Account | None = None, **places: str
) -> Iterator[Run]:
    """Yield every run of a profile that has finished a stage: all pairs, protocols, folds and splits of the study.

    Parameters
    ----------
    profile, stage : str
    seed : int
        Runs with another seed answer another question than the spread over folds.
    account : Account, optional
        Is told of runs that are skipped because files of the stage are not as they were written.
    **places : str
        `out`, `data` and `study_file`, as in `Grid`.
    """
    for split in SPLITS:
        grid = Grid(profile, seed=seed, split=split, **places)
        for pair in grid.study.pairs:
            if not grid.unavailable(pair):
                for protocol in PROTOCOLS:
                    runs = (grid.run(pair, protocol, fold) for fold in range(grid.settings.folds))
                    yield from _finished(runs, stage, account)
