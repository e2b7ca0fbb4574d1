"""The experiments on drawn tissue (notebooks 06, 08 and 09): their parameters, and how they write results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from pydantic import ConfigDict, Field

from histobridge.config import SegmenterSettings, Strict, SynDiffSettings, TrainingProfile, training_profile
from histobridge.display.drawing import save_figure
from histobridge.io.files import write_json, write_table
from histobridge_study.parameters import parameters_of
from histobridge_study.provenance import origin


class Experiment(Strict):
    """The parameters of an experiment; `out` is a folder, relative to the notebook."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    profile: str
    seed: int = Field(0, ge=0)
    out: str = "../runs"

    @property
    def settings(self) -> TrainingProfile:
        """The settings that the profile names."""
        return training_profile(self.profile)

    def write(self, name: str, table: pd.DataFrame, figure: Figure | None = None) -> Path:
        """Write a table, its provenance and its figure as `name`.csv, .json, .png and .svg; return the table's path."""
        path = Path(self.out, f"{name}.csv")
        write_table(path, table)
        write_json(path.with_suffix(".json"), origin(profile=self.profile, seed=self.seed))
        if figure is not None:
            save_figure(figure, path.with_suffix(""))
        return path


class ShiftExperiment(Experiment):
    """The parameters of notebook 06: also the modalities to shift to, and the steps on the way (0 is TEM)."""

    modalities: list[str]
    steps: list[float]


class TranslationExperiment(Experiment):
    """The parameters of notebook 08: also the steps, the modalities, and the variants of SynDiff to compare."""

    steps: int = Field(ge=1)
    modalities: list[str]
    variants: list[str]

    @property
    def translator(self) -> SynDiffSettings:
        """The settings of SynDiff, before a variant changes one."""
        return self.settings.translator.model_copy(update={"steps": self.steps})

    @property
    def cache_folder(self) -> Path:
        """Where trained translators are remembered."""
        return Path(self.out, "cache", "known_translation")


class ToolsExperiment(Experiment):
    """The parameters of notebook 09: also the steps of the segmenter's training."""

    steps: int = Field(ge=1)

    @property
    def segmenter(self) -> SegmenterSettings:
        """The settings of the segmenter, trained for `steps`."""
        return self.settings.segmenter.model_copy(update={"steps": self.steps})

    @property
    def folder(self) -> Path:
        """Where images, model, labels and exports lie."""
        return Path(self.out, "other_tools")


def open_experiment(parameters: dict, model: type[Experiment] = Experiment) -> Experiment:
    """Check the parameters of such a notebook, its `globals()`, and return them.

    Raises
    ------
    UserError
        If one is unknown or of the wrong type, or names no profile.
    """
    experiment = parameters_of(parameters, model, opened="experiment")
    training_profile(experiment.profile)  # refuses an unknown name
    return experiment
