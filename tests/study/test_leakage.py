"""No strategy depends on a mask of U, and no inductive translator on the images that it is scored on.

The code cells of the notebooks are run in this process, so that masks and images can be replaced by noise.
"""

import json
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml

from histobridge.config import REFERENCES, STRATEGIES
from histobridge.io.masks import read_mask
from histobridge_study import run_data
from histobridge_study.execute import notebook_folder
from histobridge_study.runs import open_run
from histobridge_study.stages import refine, translate

TARGET = "phantom-sem"


@pytest.fixture
def parameters(tiny_study, tmp_path):
    """Parameters of the notebooks for fold 0 of the tiny study, with every strategy and reference in it."""
    study = yaml.safe_load(tiny_study.read_text())
    study["translators"] = ["none", "invert", "invert-histogram", "syndiff"]
    study["profiles"]["tiny"]["comparison"] = "full"
    study["pairs"][TARGET]["others"] = [{"dataset": "phantom-bf", "um_per_px": 0.1}]
    file = tiny_study.with_name("everything.yaml")
    file.write_text(yaml.safe_dump(study))
    places = {"out": str(tmp_path), "data": str(tmp_path / "data"), "study": str(file)}
    return {"pair": TARGET, "profile": "tiny", "fold": 0, **places}


def run_notebook(stage: str, parameters: dict) -> None:
    """Run the code cells of a notebook in this process, with parameters after those of its own."""
    namespace = {"__name__": "__main__"}
    for cell in json.loads((notebook_folder() / f"{stage}.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)
            namespace |= parameters if "parameters" in cell["metadata"].get("tags", []) else {}
    plt.close("all")


def all_labels(parameters: dict) -> dict[str, dict[str, np.ndarray]]:
    """Run all notebooks of the fold; return the masks by method, then by name of image."""
    found = {}
    for stage in ("02_translate", "03_label", "04_refine"):
        run_notebook(stage, parameters)
        for method in sorted((open_run(parameters).stage(stage).folder / "labels").glob("*")):
            found[method.name] = {path.stem: read_mask(path)[0] for path in sorted(method.glob("*.png"))}
    return found


def strategy_of(method: str) -> str:
    """The strategy in the name of a folder of labels, STRATEGY-TRANSLATOR."""
    return max((name for name in STRATEGIES if method.startswith(f"{name}-")), key=len)


def test_no_strategy_depends_on_a_mask_of_the_target(parameters, tmp_path, monkeypatch):
    """With noise for every mask of U, all labels but those of the references are the same, bit for bit."""
    expected, true_masks = all_labels(parameters), run_data.load_masks

    def noise(dataset, *args, **options):
        masks = true_masks(dataset, *args, **options)
        if dataset.name != TARGET:
            return masks
        rng = np.random.default_rng(0)
        return {name: rng.integers(0, 3, mask.shape).astype(np.uint8) for name, mask in masks.items()}

    monkeypatch.setattr(run_data, "load_masks", noise)
    found = all_labels(parameters | {"out": str(tmp_path / "noise")})
    without_masks = [name for name in STRATEGIES if name not in REFERENCES]
    assert {strategy_of(method) for method in expected} == set(STRATEGIES) and sorted(found) == sorted(expected)
    for method, masks in expected.items():
        same = all(np.array_equal(mask, found[method][name]) for name, mask in masks.items())
        assert same == (strategy_of(method) in without_masks), method


def test_inductive_models_never_see_the_held_out_images(parameters, monkeypatch):
    """With noise for the images of left-out subjects no model is trained anew.

    The cache names every model by all that it was made from, its sign included.
    """
    parameters |= {"protocol": "inductive"}
    true_images, held_out = run_data.load_images, open_run(parameters).data.split.target_scored

    def noise(dataset, *args, **options):
        rng, samples = np.random.default_rng(0), true_images(dataset, *args, **options)
        return [
            replace(s, image=rng.random(s.image.shape, dtype=np.float32)) if s.subject in held_out else s
            for s in samples
        ]

    def models():
        run = open_run(parameters)
        refine.refined_labeller(run, translate.save_translators(run, translate.recipe(run)))
        return {path.name for path in (run.cache.root / "models").iterdir()}

    before = models()
    monkeypatch.setattr(run_data, "load_images", noise)
    assert models() == before
    monkeypatch.setattr(run_data.RunData, "seen_images", property(lambda data: data.target_images))
    assert models() != before  # the test would notice a leak
