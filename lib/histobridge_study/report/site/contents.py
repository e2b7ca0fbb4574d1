"""What the site shows: tables, arrays and paths. It knows no run; `sources.py` gathers it from the runs' folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge_study.analysis.methods import method_words, split_method
from histobridge_study.analysis.tables import in_display_order, typical_image
from histobridge_study.config import Pair

Maps = Mapping[str, np.ndarray]
"""Arrays [H, W] by name of the image."""
FIRST_METHODS = ("refined-syndiff", "refined-invert-histogram", "refined-histogram", "tutorship-syndiff")
"""A page opens with the first of them that exists."""


@dataclass(frozen=True)
class Arrays:
    """The arrays behind the pictures of a fold. Any of them may be missing; `note` says why.

    Images and translations are float32 in 0..1, masks uint8 with the values of `histobridge.classes`, uncertainty maps
    float32 in 0..1. Translations (to L) are keyed by translator; labels and uncertainty by method.
    """

    images: Maps = field(default_factory=dict)
    truth: Maps = field(default_factory=dict)
    translations: Mapping[str, Maps] = field(default_factory=dict)
    labels: Mapping[str, Maps] = field(default_factory=dict)
    uncertainty: Mapping[str, Maps] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, eq=False)
class Fold:
    """One finished fold of a pair; it loads its arrays when asked, because those of all folds may not fit in memory."""

    pair: str
    protocol: str
    split: str
    fold: int
    rows: pd.DataFrame  # of dice.csv, those of `refined` included
    load: Callable[[], Arrays]
    profile: str = ""
    notebooks: dict[str, Path] = field(default_factory=dict)  # executed, by stage; folds may share one
    review_order: pd.DataFrame = field(default_factory=pd.DataFrame)  # tiles, empty without uncertainty

    @property
    def key(self) -> str:
        """Tells the folds of a pair apart, in addresses."""
        return f"{self.protocol}-{self.split}-fold{self.fold}"

    @property
    def label(self) -> str:
        """Tells the folds of a pair apart, in words."""
        return f"{self.protocol}, {self.split} images, fold {self.fold}"

    @cached_property
    def methods(self) -> list[str]:
        """Methods in the order of the tables."""
        return methods_of(in_display_order(self.rows[["strategy", "translator"]].drop_duplicates())).tolist()

    @property
    def first_method(self) -> str:
        """The method that a page opens with."""
        return next((method for method in FIRST_METHODS if method in self.methods), self.methods[0])

    def typical(self, method: str) -> str:
        """Return the image on which a method has its median Dice."""
        rows = self.rows[methods_of(self.rows) == method]
        return typical_image(rows if rows["dice"].notna().any() else rows.fillna({"dice": 0}), "dice")


@dataclass(frozen=True)
class Section:
    """A table with its heading and its caption; its rows of a `pair` are shown on the page of that pair too."""

    title: str
    caption: str
    table: pd.DataFrame


@dataclass(frozen=True)
class Contents:
    """Everything that the site of a profile shows."""

    profile: str
    facts: dict[str, str]  # the study in numbers
    pairs: dict[str, Pair]  # those with a fold below
    folds: list[Fold]  # those whose pictures and notebooks are shown
    dice: pd.DataFrame  # of `tables.dice_overview` over all folds, the best in bold
    claims: pd.DataFrame  # text: claim, evidence, verdict, why
    sections: list[Section] = field(default_factory=list)  # further results
    provenance: list[Section] = field(default_factory=list)  # how the results were made
    notes: list[str] = field(default_factory=list)  # what is missing, in sentences
    commands: list[str] = field(default_factory=list)  # that reproduce the numbers
    report: Path | None = None  # the executed notebook over all folds


def methods_of(rows: pd.DataFrame) -> pd.Series:
    """Return the method of each row, `strategy-translator`."""
    return rows["strategy"] + "-" + rows["translator"]


def method_name(method: str, profile: str = "") -> str:
    """Return a method in words; the profile decides what SynDiff is called.

    >>> method_name("tutorship-invert-histogram"), method_name("pretrained-none")
    ('tutorship with invert-histogram', 'pretrained (tutorship none)')
    """
    return method_words(*split_method(method), profile=profile)


def stage_of(method: str) -> str:
    """Return the stage whose notebook scores the labels of a method."""
    return "04_refine" if method.startswith(("refined", "reference")) else "03_label"
