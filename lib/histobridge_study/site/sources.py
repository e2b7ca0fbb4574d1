"""What the site is made of: the rows and tables that other modules gather, and the files that each run has left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.errors import UserError
from histobridge.io.files import read_table
from histobridge.io.images import read_image
from histobridge.io.masks import read_mask
from histobridge_study.analysis.tables import in_display_order
from histobridge_study.config import ROOT, Pair, load_study
from histobridge_study.report import collect
from histobridge_study.report.paper_figures import kind_of, typical
from histobridge_study.runs import Run, recorded_run

REPORT = "05_report"
STAGES = ("01_data", *reversed(collect.TABLES.values()), collect.BEYOND, REPORT)  # in the order of the story
FIRST_CHOICES = ("refined-syndiff", "tutorship-syndiff")  # of the ways, to be shown first


@dataclass(frozen=True, eq=False)
class Fold:
    """One finished run of notebook 03, and what lies in its folders.

    Attributes
    ----------
    mark : Path
        The file that marks it as finished.
    run : Run
    rows : DataFrame
        Its rows of Dice.
    """

    mark: Path
    run: Run
    rows: pd.DataFrame

    @property
    def pair(self) -> str:
        """The pair's name."""
        return self.run.parameters.pair

    @property
    def folder(self) -> Path:
        """Results of the fold."""
        return self.mark.parent

    @property
    def shared(self) -> Path:
        """Results of its translators."""
        return self.folder.parent / self.run.translator_key

    @property
    def key(self) -> str:
        """What tells it from others of the pair, in names of files."""
        return "-".join(self.folder.parts[-3:])

    @property
    def label(self) -> str:
        """What tells it from others of the pair, in words."""
        p = self.run.parameters
        return f"{p.protocol}, {p.split} images, fold {p.fold}"

    @cached_property
    def images(self) -> list[str]:
        """The scored images."""
        return sorted(set(self.rows["image"]))

    @cached_property
    def methods(self) -> list[str]:
        """The ways to a pseudo label, `strategy-translator`, in the order of the tables."""
        methods = in_display_order(self.rows[["strategy", "translator"]].drop_duplicates())
        return list(methods["strategy"] + "-" + methods["translator"])

    @property
    def shown_first(self) -> str:
        """The way that a page opens with."""
        return next((method for method in FIRST_CHOICES if method in self.methods), self.methods[0])

    def typical(self, method: str) -> str:
        """Return the image whose labels by a way have the median Dice."""
        rows = self.rows[self.rows["strategy"] + "-" + self.rows["translator"] == method].dropna(subset="dice")
        return typical(rows, "dice") if len(rows) else self.images[0]

    def label_file(self, method: str, image: str) -> Path:
        """Return where the pseudo label of an image is kept."""
        return self.folder / "pseudo_labels" / method / f"{image}.png"

    def uncertainty_file(self, method: str, image: str) -> Path:
        """Return where the uncertainty map of an image is kept, of ways that have one."""
        return self.folder / "uncertainty" / method / f"{image}.png"

    def translation_file(self, translator: str, image: str) -> Path:
        """Return where the translation of an image to L is kept."""
        return self.shared / "translations" / translator / "to-L" / f"{image}.png"

    def notebook(self, stage: str) -> Path:
        """Return where the executed copy of a notebook is kept."""
        return (self.shared if stage == "02_translate" else self.folder) / f"{stage}.ipynb"

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of this fold alone, empty if it was not made."""
        path = self.folder / f"{name}.csv"
        return read_table(path) if path.exists() else pd.DataFrame()


@dataclass(frozen=True)
class Sources:
    """All that a site of one profile's runs is made of.

    Attributes
    ----------
    folder, data : Path
        The profile's runs, and the datasets.
    seed : int
    shown : tuple of int or None
        Folds of which more is shown than rows of tables; None for all.
    """

    folder: Path
    data: Path
    seed: int = 0
    shown: tuple[int, ...] | None = None

    def check(self) -> None:
        """Refuse a folder that holds no finished runs.

        Raises
        ------
        UserError
            Saying what to do instead.
        """
        inside = [f for f in sorted(self.folder.glob("*")) if f.is_dir() and any(f.glob(f"*/*/*/*/{_LABELLED}.json"))]
        if inside:
            names = " or ".join(f"{self.folder.name}/{f.name}" for f in inside)
            raise UserError(f"{self.folder} holds the runs of several profiles: name one, {names}.")
        collect.finished(self.folder, _LABELLED, seed=self.seed)
        if not self.folds:
            there = ", ".join(sorted({str(fold) for fold in self.dice["fold"]}))
            raise UserError(f"Of the folds to be shown none has finished; there are: {there}.")

    def refuse_real_in_repository(self, to: Path) -> None:
        """Refuse to show real images where they might be committed.

        Raises
        ------
        UserError
            If there are some and `to` lies in the repository, but not below the runs.
        """
        real = sorted({fold.pair for fold in self.folds if kind_of(fold.run.pair) == "real"})
        if real and to.is_relative_to(ROOT) and not to.is_relative_to(self.folder.parent):
            raise UserError(
                f"The site shows real images of {', '.join(real)}, which are never committed: choose a folder below "
                f"{self.folder.parent} or outside the repository."
            )

    @cached_property
    def dice(self) -> pd.DataFrame:
        """Rows of Dice of all runs."""
        return collect.collect(self.folder, "dice", seed=self.seed)

    @cached_property
    def translation(self) -> pd.DataFrame:
        """Rows of reconstruction of all runs."""
        return collect.collect(self.folder, "translation", seed=self.seed)

    @cached_property
    def beyond(self) -> dict[str, pd.DataFrame]:
        """Tables of notebook 05 and of what is run on demand, some of them empty."""
        return collect.collect_beyond(self.folder, seed=self.seed)

    @cached_property
    def measured(self) -> pd.DataFrame:
        """Measures of fibres, of the runs that have them."""
        return collect.collect_measured(self.folder, seed=self.seed)

    @cached_property
    def records(self) -> list[dict]:
        """What each finished stage says of itself."""
        return collect.collect_provenance(self.folder, seed=self.seed)

    @property
    def profile(self) -> str:
        """The profile's name, as the runs say it."""
        return self.records[0]["profile"]

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of the study, the same as in the README."""
        return collect.derived_tables(self.dice, self.translation, self.records)

    @cached_property
    def missing(self) -> pd.DataFrame:
        """What was planned and is not there."""
        return collect.missing(self.profile, self.dice)

    @cached_property
    def folds(self) -> list[Fold]:
        """All finished runs that are shown, pair by pair."""
        every = [self._fold(mark) for mark in collect.finished(self.folder, _LABELLED, seed=self.seed)]
        return [one for one in every if self.shown is None or one.run.parameters.fold in self.shown]

    def _fold(self, mark: Path) -> Fold:
        record = json.loads(mark.read_text())["provenance"]
        run = recorded_run(record, out=str(self.folder.parent), data=str(self.data))
        rows = self.dice
        for name, value in run.key.items():
            rows = rows[rows[name] == value]
        return Fold(mark, run, rows)

    @property
    def pairs(self) -> dict[str, Pair]:
        """The pairs that have a finished run, in the order of study.yaml."""
        there = {fold.pair for fold in self.folds}
        return {name: pair for name, pair in load_study().pairs.items() if name in there}

    def folds_of(self, pair: str) -> list[Fold]:
        """Return the finished runs of a pair."""
        return [fold for fold in self.folds if fold.pair == pair]

    @property
    def report_notebook(self) -> Path:
        """Where the executed notebook 04 is kept."""
        return self.folder / "report" / f"{REPORT}.ipynb"

    @property
    def gallery(self) -> list[Path]:
        """The paper's figures, as notebook 04 has drawn them."""
        return sorted((self.folder / "report" / "figures").glob("*.png"))


_LABELLED = collect.TABLES["dice"]


def target_pictures(run: Run) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], str]:
    """Return images and expert masks of U by name, and why there are none."""
    try:
        return {s.name: s.image for s in run.target_images()}, run.target_masks(), ""
    except UserError as error:
        return {}, {}, str(error)


def kept_mask(path: Path) -> np.ndarray | None:
    """Return a mask that a run has kept, uint8 [H, W], or None."""
    return read_mask(path)[0] if path.exists() else None


def kept_image(path: Path) -> np.ndarray | None:
    """Return an image that a run has kept, float32 [H, W], or None."""
    return read_image(path) if path.exists() else None
