"""The study file and the parameters of a notebook are checked before anything runs."""

import json
from importlib import resources

import pytest
import yaml

from histobridge.config import TRANSLATOR_CLASSES
from histobridge.data.manifest import dataset_names
from histobridge.errors import UserError
from histobridge_study.config import IN_FULL_ALONE, load_study
from histobridge_study.grid import Grid
from histobridge_study.parameters import Parameters, parameters_of
from histobridge_study.runs import open_run

GOOD = {"pair": "phantom-sem", "profile": "smoke"}
SEM = {"dataset": "phantom-sem", "um_per_px": 0.1}
LEAKING = {"source": {"dataset": "phantom-tem", "um_per_px": 0.1}, "target": SEM, "others": [SEM], "shift": "drawn"}


@pytest.fixture
def changed(tmp_path):
    """A function that writes the study file of the package with some entries replaced."""

    def write(**entries):
        packaged = resources.files("histobridge_study").joinpath("study.yaml").read_text()
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(yaml.safe_load(packaged) | entries))
        return tmp_path / "study.yaml"

    return write


def test_the_study_of_the_package_is_whole():
    """Every pair points at two datasets that have a manifest, and every profile at pairs of the study."""
    study = load_study()
    for pair in study.pairs.values():
        assert set(pair.datasets) <= set(dataset_names())
    for profile in study.profiles.values():
        assert set(profile.pairs) <= set(study.pairs)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"translatos": []}, r"translatos.*translators"),
        ({"translators": ["none", "diffusion"]}, r"no translator 'diffusion'.*syndiff"),
        ({"pairs": {"a": {}}}, r"pairs\.a\.source"),
        ({"pairs": {"a": LEAKING}}, r"pairs\.a.*'phantom-sem' is the target"),
        ({"profiles": {"a": {"training": "warp"}}}, r"no training profile 'warp'.*cpu"),
        ({"profiles": {"a": {"training": "cpu", "folds": 0}}}, r"profiles\.a"),
        ({"profiles": {"a": {"training": "cpu", "comparison": "long"}}}, r"profiles\.a"),
    ],
)
def test_a_wrong_entry_of_the_study_is_refused_by_name(changed, entries, message):
    """The message names the entry, and the valid names where there are any."""
    with pytest.raises(UserError, match=message):
        load_study(changed(**entries))


@pytest.mark.parametrize(("content", "message"), [("a: [", "not valid YAML"), ("", "pairs"), (None, "cannot be read")])
def test_a_file_that_is_no_study_is_refused(tmp_path, content, message):
    """Broken YAML, an empty file and a missing file are one sentence each."""
    if content is not None:
        (tmp_path / "study.yaml").write_text(content)
    with pytest.raises(UserError, match=message):
        load_study(tmp_path / "study.yaml")


def test_a_profile_replaces_settings_of_the_training_that_it_names(changed):
    """What it does not name comes from the training profile."""
    entry = {"training": "smoke", "student_steps": 7, "pairs": ["phantom-sem"], "folds": 2, "run_folds": [0]}
    profile, smoke = load_study(changed(profiles={"mine": entry})).profile("mine"), load_study().profile("smoke")
    assert profile.student_steps == 7 != smoke.student_steps
    assert (profile.translator, profile.segmenter) == (smoke.translator, smoke.segmenter)


def test_a_registered_translator_can_be_named(changed, monkeypatch):
    """The names are those of the registry when the file is read."""
    monkeypatch.setitem(TRANSLATOR_CLASSES, "mine", "somewhere:Mine")
    study = load_study(changed(translators=["none", "mine", "cycle", "syndiff"]))
    assert study.translators[:2] == ("none", "mine")


def test_a_short_comparison_leaves_out_what_is_slow():
    """The blurred controls go, and learned translators but SynDiff; the study itself stays as it is."""
    study = load_study()
    short = study.for_profile("phantom").translators
    assert set(study.translators) - set(short) == set(IN_FULL_ALONE) & set(study.translators)
    assert {"none", "invert", "histogram", "invert-histogram", "cycle", "syndiff"} <= set(short)
    for name in ("smoke", "cpu", "gpu"):
        assert study.for_profile(name).translators == study.translators
    assert open_run(GOOD | {"profile": "phantom"}).study.translators == short
    assert Grid("phantom").study.translators == short


def test_manifests_beside_the_study_file_come_first(tiny_study):
    """A dataset of the same name replaces that of the package, and the others are still found."""
    study = load_study(tiny_study)
    assert {image.width for image in study.dataset("phantom-sem").images} == {160}
    assert {image.width for image in load_study().dataset("phantom-sem").images} == {256}
    assert study.dataset("tem").images


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pair": "tem-afm"}, "no pair 'tem-afm'.*tem-sem"),
        ({"profile": "warp"}, "no profile 'warp'.*phantom"),
        ({"fold": "0"}, "'fold'.*integer"),
        ({"protocol": "psychic"}, "'protocol'"),
        ({"epochs": 3}, "'epochs'.*Known names.*fold"),
        ({"fold": 99}, "no fold 99"),
    ],
)
def test_a_wrong_parameter_is_refused(change, message, tmp_path):
    """Unknown names, wrong types and values outside the study stop before anything runs."""
    with pytest.raises(UserError, match=message):
        _ = open_run(GOOD | {"out": str(tmp_path)} | change).data.split


def test_only_plain_literals_of_a_notebook_are_parameters():
    """Modules, functions and names of IPython are none; once the notebook has run, nor are names of later cells."""
    namespace = GOOD | {"_i1": "x", "In": [], "Out": {}, "np": json, "open_run": open_run}
    assert parameters_of(namespace, Parameters, opened="run") == Parameters(**GOOD)
    assert parameters_of(namespace | {"run": object(), "epochs": 3}, Parameters, opened="run") == Parameters(**GOOD)
    with pytest.raises(UserError, match="epochs"):
        parameters_of(namespace | {"epochs": 3}, Parameters, opened="run")
