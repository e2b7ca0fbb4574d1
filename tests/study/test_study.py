"""The study file, the parameters of a notebook, and what a run records of itself."""

import json
from dataclasses import replace

import numpy as np
import pytest

from histobridge.config import YOUNGER
from histobridge.data.datasets import Sample
from histobridge.data.manifest import load_dataset
from histobridge.errors import UserError
from histobridge_study import config as study
from histobridge_study.config import load_study
from histobridge_study.runs import open_run, recorded_run
from histobridge_study.stages.translate import fit_controls, trained_translators

GOOD = {"pair": "phantom-sem", "profile": "smoke"}


def test_the_shipped_study_names_only_datasets_that_have_a_manifest():
    """Every pair points at two datasets, and every profile at pairs of the study."""
    from histobridge.data.manifest import dataset_names

    shipped, known = load_study(), dataset_names()
    for pair in shipped.pairs.values():
        assert {pair.source.dataset, pair.target.dataset} <= set(known)
    for profile in shipped.profiles.values():
        assert set(profile.pairs) <= set(shipped.pairs)


def test_an_unknown_entry_of_the_study_is_refused_by_name(tmp_path):
    """A typing error in study.yaml is told with the known names."""
    broken = tmp_path / "study.yaml"
    broken.write_text(study.STUDY.read_text().replace("translators:", "translatos:"))
    with pytest.raises(UserError, match=r"translatos.*translators"):
        load_study(broken)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"pair": "tem-afm"}, "no pair 'tem-afm'.*tem-sem"),
        ({"profile": "warp"}, "no profile 'warp'.*phantom"),
        ({"fold": "0"}, "'fold'.*integer"),
        ({"protocol": "psychic"}, "'protocol'"),
        ({"epochs": 3}, "'epochs'.*Known names.*fold"),
        ({"fold": 99}, "no fold 99"),
    ],
)
def test_a_wrong_parameter_is_refused(change, told, tmp_path):
    """Unknown names, wrong types and values outside the study stop before anything runs."""
    with pytest.raises(UserError, match=told):
        _ = open_run(GOOD | {"out": str(tmp_path)} | change).split


def test_a_notebooks_namespace_gives_its_plain_literals_only():
    """Modules, functions and IPython's own names are not parameters."""
    run = open_run(GOOD | {"_i1": "x", "In": [], "Out": {}, "np": json, "open_run": open_run})
    assert run.parameters.pair == "phantom-sem"


def test_the_folds_stand_beside_the_results(tmp_path):
    """Whoever reads the results finds which subjects each fold left out."""
    run = open_run(GOOD | {"out": str(tmp_path)})
    assert run.folds == json.loads((run.folder / "folds.json").read_text())


@pytest.mark.parametrize(
    ("part", "change", "decides"),
    [
        ("pair", {"shift": "reworded"}, False),
        ("pair", {"protocols": ("inductive",)}, False),
        ("pair", {"polarity": -1}, True),
        ("profile", {"run_folds": (1,), "pairs": ("tem-sem",)}, False),
        ("profile", {"seed": 7}, True),
    ],
)
def test_only_what_decides_a_result_changes_the_hash_of_a_stage(tmp_path, part, change, decides):
    """A reworded sentence or a longer list of pairs reruns nothing; a number that matters does."""
    run = open_run(GOOD | {"out": str(tmp_path)})
    other = replace(run, **{part: getattr(run, part).model_copy(update=change)})
    assert (run.settings_hash("02_translate") != other.settings_hash("02_translate")) == decides


def test_a_stage_counts_as_finished_only_with_the_same_settings(tmp_path):
    """The hash of settings decides; another seed or split is another stage."""
    run = open_run(GOOD | {"out": str(tmp_path)})
    assert not run.finished("03_label")
    run.finish("03_label", note="done")
    assert open_run(GOOD | {"out": str(tmp_path)}).finished("03_label")
    record = json.loads((run.results / "03_label.json").read_text())
    (run.results / "03_label.json").write_text(json.dumps(record | {"settings_hash": "other"}))
    assert not run.finished("03_label")


def test_a_transductive_translator_serves_all_folds_and_an_inductive_one_its_own(tmp_path):
    """The translator's hash and folder depend on the fold only where it must not see the fold's targets."""
    made = {
        (protocol, fold): open_run(GOOD | {"out": str(tmp_path), "protocol": protocol, "fold": fold})
        for protocol in ("transductive", "inductive")
        for fold in (0, 1)
    }
    hashes = {key: run.settings_hash("02_translate") for key, run in made.items()}
    assert hashes["transductive", 0] == hashes["transductive", 1]
    assert hashes["inductive", 0] != hashes["inductive", 1]
    assert made["transductive", 0].shared == made["transductive", 1].shared
    assert made["inductive", 0].shared != made["inductive", 1].shared


def test_a_control_that_came_later_leaves_finished_runs_valid(tmp_path):
    """It changes no row of another way; a translator that is learned would be new work."""
    run = open_run(GOOD | {"out": str(tmp_path)})
    left = [[name for name in run.translators if name not in gone] for gone in ([], YOUNGER, ["syndiff"])]
    hashes = [replace(run, translators=tuple(names)).settings_hash("03_label") for names in left]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_run_from_before_a_control_came_goes_on_without_it(tmp_path):
    """Its translators are those that it has; one that should be there and is not is missed."""
    run, image = open_run(GOOD | {"out": str(tmp_path)}), Sample("a", "s", np.eye(8, dtype=np.float32))
    names = ["none", "histogram"]
    older = replace(run, translators=tuple(names))
    fit_controls(older, [image], [image])
    assert list(trained_translators(replace(older, translators=(*names, *YOUNGER)))) == names
    with pytest.raises(UserError, match="invert"):
        trained_translators(replace(older, translators=("none", "invert")))


def test_a_run_of_a_pair_that_is_gone_is_named(tmp_path):
    """Whoever renames a pair is told which run still has the old name, and what to do with it."""
    record = {"pair": "renamed", "profile": "smoke", "fold": 1, "minutes": 3}
    with pytest.raises(UserError, match=r"no pair 'renamed'.*A run names it \(renamed, smoke, 1, .*move that run"):
        recorded_run(record, out=str(tmp_path))


def test_a_target_without_masks_is_refused_before_anything_is_paid_for(tmp_path, monkeypatch):
    """There would be nothing to score; drawn tissue has masks."""
    open_run({"pair": "phantom-sem", "profile": "smoke"}).refuse_unscored()
    run = open_run({"pair": "tem-sem", "profile": "cpu"})
    run.refuse_unscored()
    bare = load_dataset("sem").model_copy(
        update={"images": tuple(image.model_copy(update={"mask": None}) for image in load_dataset("sem").images)}
    )
    monkeypatch.setattr("histobridge_study.runs.load_dataset", lambda name, **_: bare)
    with pytest.raises(UserError, match="has an expert mask, so that nothing can be scored: label such images"):
        run.refuse_unscored()
