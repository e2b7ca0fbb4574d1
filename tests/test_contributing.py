"""The worked examples of CONTRIBUTING.md do what it says."""

import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import yaml

from histobridge import config
from histobridge.phantom import phantom
from histobridge.strategies import TranslatorRecipe
from histobridge.translators import load_translator
from histobridge_study.config import load_study
from histobridge_study.grid import Grid

PAGE = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text()


def example(title: str) -> str:
    """Return the code block below a heading."""
    return re.search(rf"## {title}\n.*?```\w+\n(.*?)```", PAGE, re.S)[1]


@pytest.fixture
def study_file(tmp_path):
    """A function that writes the study of the package with some entries added, and returns its path."""

    def write(pairs=(), translators=()):
        study = yaml.safe_load(resources.files("histobridge_study").joinpath("study.yaml").read_text())
        study["pairs"] |= dict(pairs)
        study["translators"] += list(translators)
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
        return str(tmp_path / "study.yaml")

    return write


def test_a_manifest_beside_a_study_file_makes_a_pair_that_can_run(study_file, tmp_path):
    """The grid has the cells of the pair."""
    name = yaml.safe_load(example("Add a dataset"))["name"]
    (tmp_path / "data_manifest").mkdir()
    (tmp_path / "data_manifest" / f"{name}.yaml").write_text(example("Add a dataset"))
    domains = {"source": {"dataset": "tem", "um_per_px": 0.016}, "target": {"dataset": name, "um_per_px": 0.1}}
    file = study_file(pairs={"mine": domains | {"shift": "unknown"}})
    assert Grid("smoke", pairs=("mine",), folds=(0,), study_file=file).cells == [("mine", "transductive", 0)]


def test_a_registered_translator_is_fitted_saved_and_loaded(study_file, tmp_path, monkeypatch, drawn):
    """The recipe makes it a control, a study may name it, and it is read back from its file."""
    (tmp_path / "equalise_example.py").write_text(example("Add a translator"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(config.TRANSLATOR_CLASSES, "equalise", "equalise_example:Equalise")
    assert "equalise" in load_study(study_file(translators=["equalise"])).translators
    target, fits = [image for image, _ in drawn["sem"]], dict(fit_segmenter=lambda *_: None)
    recipe = TranslatorRecipe(drawn["tem"], target, {}, None, ("none", "equalise"), polarity=1, **fits)
    recipe.tiles = (target, [])
    translator = recipe.translators["equalise"]
    translator.save(tmp_path / "equalise.pt")
    loaded, image = load_translator("equalise", tmp_path / "equalise.pt"), drawn["sem"][0][0]
    assert loaded.fingerprint == translator.fingerprint
    translation = loaded.translate(image, "L")
    assert translation.dtype == np.float32 and translation.shape == image.shape and translation.min() >= 0
    np.testing.assert_array_equal(translation, translator.translate(image, "L"))


def test_a_strategy_labels_a_phantom():
    """Where two of three segmenters agree, the vote is theirs."""

    class Finds:
        def __init__(self, mask):
            self.mask = mask

        def predict(self, image):
            return self.mask

    namespace = {}
    exec(example("Add a strategy"), namespace)
    image, mask = phantom("sem", 0, (48, 64))
    segmenters = [Finds(mask), Finds(np.zeros_like(mask)), Finds(mask)]
    voted = namespace["vote"](image, segmenters)
    assert voted.dtype == np.uint8
    np.testing.assert_array_equal(voted, mask)
