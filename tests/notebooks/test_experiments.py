"""Notebooks 06 and 07, run by papermill with the smallest settings."""

import json

import pandas as pd
import papermill
import pytest

from histobridge.errors import UserError
from histobridge_study.analysis.experiment import ShiftExperiment, open_experiment
from histobridge_study.execute import notebook_folder


def execute(name, folder, **parameters) -> list[dict]:
    """Run a notebook in the profile smoke; return its executed cells."""
    given = {"profile": "smoke", "out": str(folder), **parameters}
    papermill.execute_notebook(
        notebook_folder() / f"{name}.ipynb", folder / "run.ipynb", given, progress_bar=False, kernel_name="python3"
    )
    return json.loads((folder / "run.ipynb").read_text())["cells"]


def test_the_simulated_shift_is_scored_drawn_and_written(tmp_path):
    """One step to one modality: a table of every strategy, its provenance, and a figure."""
    execute("06_simulated_shift", tmp_path, modalities=["sem"], steps=[1.0])
    rows = pd.read_csv(tmp_path / "simulated_shift.csv")
    assert rows.groupby(["step", "strategy"]).size().tolist() == [12] * 3
    assert json.loads((tmp_path / "simulated_shift.json").read_text())["profile"] == "smoke"
    assert (tmp_path / "simulated_shift.png").exists()


def test_the_curve_of_corrections_is_written(tmp_path):
    """There is a row for the start, for each number of corrections and for the bound."""
    execute("07_corrections", tmp_path)
    curve = pd.read_csv(tmp_path / "corrections.csv")
    assert curve["corrected"].tolist() == [0, 1, 2, 4, -1]
    assert curve[["axon", "myelin", "dice"]].stack().between(0, 1).all()


def test_mistyped_parameters_are_refused():
    """The message names the parameter, or lists the valid profiles."""
    with pytest.raises(UserError, match=r"epochs.*Known names"):
        open_experiment({"profile": "smoke", "epochs": 3})
    with pytest.raises(UserError, match="smoke"):
        open_experiment({"profile": "tiny"})
    with pytest.raises(UserError, match="steps"):
        open_experiment({"profile": "smoke", "modalities": ["sem"], "steps": "all"}, ShiftExperiment)
