"""Notebooks 06 to 09, run by papermill with the smallest settings."""

import json

import numpy as np
import pandas as pd
import papermill
import pytest

from histobridge.errors import UserError
from histobridge.io.masks import read_mask
from histobridge_study.analysis.experiment import ShiftExperiment, open_experiment
from histobridge_study.execute import notebook_folder
from lab import pictures


def execute(name, folder, **parameters) -> list[dict]:
    """Run a notebook, in the profile smoke if none is named; return its executed cells."""
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


def test_the_costs_of_annotation_are_computed_and_kept(tmp_path, tiny_study):
    """Notebook 07 needs the translators of notebook 02, and keeps its table for the report."""
    cell = {"pair": "phantom-sem", "profile": "tiny", "study": str(tiny_study), "data": str(tmp_path / "data")}
    execute("02_translate", tmp_path, **cell)
    execute("07_corrections", tmp_path, **cell)
    (table,) = tmp_path.rglob("corrections.csv")
    rows = pd.read_csv(table)
    assert set(rows["start"]) == {"refined", "nothing"} and set(rows["role"]) == {"corrected", "scored"}


def test_the_known_translation_is_measured_drawn_and_written(tmp_path):
    """One variant and modality: a row a translator, direction and tissue, and a figure."""
    execute("08_known_translation", tmp_path, modalities=["bf"], variants=["compact"], steps=2)
    rows = pd.read_csv(tmp_path / "known_translation.csv")
    assert rows.groupby(["variant", "translator"]).size().unique().tolist() == [8]
    assert set(rows["translator"]) == {"none", "histogram", "fourier", "cycle", "syndiff"}
    assert (tmp_path / "known_translation.png").exists()


def test_other_tools_read_every_export_and_find_the_same_mask(tmp_path):
    """Every file is there and drawn; files give the mask of `apply` exactly, models but for 0.1 % of pixels."""
    for library in ("bioimageio.core", "napari", "ome_zarr", "onnxruntime", "shapely"):
        pytest.importorskip(library, reason=f"{library} is not installed: pip install 'histobridge[dev]'")
    cells = {cell["id"]: cell for cell in execute("09_other_tools", tmp_path, steps=60)}
    figures = ("read-masks", "read-rois", "read-polygons", "read-zarr", "compare-models", "measure-figure")
    assert all(pictures([cells[name]]) for name in figures)
    folder = tmp_path / "other_tools"
    assert (folder / "model.bioimageio.zip").exists() and (folder / "model.onnx").exists()
    rows = pd.read_csv(tmp_path / "other_tools.csv").set_index("export")
    assert set(rows.index) == {"bioimageio.core", "ONNX Runtime", "ROIs", "GeoJSON", "OME-Zarr"}
    assert (rows.loc[["ROIs", "GeoJSON", "OME-Zarr"], "differ"] == 0).all() and rows["share"].max() <= 0.001
    (handed_off,) = folder.rglob("*image_seg-axonmyelin.png")
    assert len(np.unique(read_mask(handed_off)[0])) == 3
    (measured,) = folder.rglob("*_axon_morphometrics.csv")
    assert len(pd.read_csv(measured)) > 10 and (tmp_path / "other_tools.png").exists()


def test_mistyped_parameters_are_refused():
    """The message names the parameter, or lists the valid profiles."""
    with pytest.raises(UserError, match=r"epochs.*Known names"):
        open_experiment({"profile": "smoke", "epochs": 3})
    with pytest.raises(UserError, match="smoke"):
        open_experiment({"profile": "tiny"})
    with pytest.raises(UserError, match="steps"):
        open_experiment({"profile": "smoke", "modalities": ["sem"], "steps": "all"}, ShiftExperiment)
