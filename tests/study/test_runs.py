"""A stage is valid if its folder, which is named by all that decides its results, holds a record."""

import json
from dataclasses import replace

import pytest

from histobridge import cache
from histobridge.errors import UserError
from histobridge_study import run_data
from histobridge_study.runs import STAGES, open_run, refuse_old_runs

GOOD = {"pair": "phantom-sem", "profile": "smoke"}
DATA, TRANSLATE, LABEL, REFINE = STAGES


@pytest.fixture
def run(tmp_path):
    """Fold 0 of a drawn pair."""
    return open_run(GOOD | {"out": str(tmp_path)})


def with_parameters(run, **change):
    """Return the run with other parameters."""
    return replace(run, parameters=run.parameters.model_copy(update=change))


def with_study(run, **change):
    """Return the run with another study."""
    return replace(run, study=run.study.model_copy(update=change))


def with_profile(run, **change):
    """Return the run with other settings of its profile."""
    return with_study(run, profiles={"smoke": run.profile.model_copy(update=change)})


def with_pair(run, **change):
    """Return the run with another description of its pair."""
    return with_study(run, pairs={"phantom-sem": run.pair.model_copy(update=change)})


def with_steps(run, **steps):
    """Return the run with other steps of its models."""
    models = {name: getattr(run.profile, name).model_copy(update={"steps": n}) for name, n in steps.items()}
    return with_profile(run, **models)


@pytest.mark.parametrize(
    ("part", "change", "stages"),
    [
        (with_profile, dict(student_steps=7), {LABEL, REFINE}),
        (with_steps, dict(refinement=7), {REFINE}),
        (with_steps, dict(translator=7), {TRANSLATE, LABEL, REFINE}),
        (with_steps, dict(segmenter=7), {TRANSLATE, LABEL, REFINE}),
        (with_steps, dict(polarity_segmenter=7), {TRANSLATE, LABEL, REFINE}),
        (with_profile, dict(folds=3), set(STAGES)),
        (with_profile, dict(seed=7), set(STAGES)),
        (with_parameters, dict(seed=7), set(STAGES)),
        (with_parameters, dict(protocol="inductive"), set(STAGES)),
        (with_pair, dict(polarity=-1), set(STAGES)),
        (with_study, dict(translators=("syndiff",)), set(STAGES)),
        (with_parameters, dict(fold=1), set(STAGES)),  # of another seed of the translators
        (with_parameters, dict(fold=3), {DATA, LABEL, REFINE}),  # of the same again
        (with_profile, dict(comparison="short"), {LABEL, REFINE}),
        (with_parameters, dict(out="elsewhere", data="elsewhere"), set()),
        (with_pair, dict(shift="reworded", protocols=("inductive",)), set()),
        (with_profile, dict(run_folds=(1,), pairs=("tem-sem",)), set()),
    ],
)
def test_a_change_makes_exactly_the_stages_anew_that_depend_on_it(run, part, change, stages):
    """Another folder means that a stage runs again: where a number decides its results, and nowhere else."""
    changed = part(run, **change)
    assert {name for name in STAGES if changed.stage(name).key != run.stage(name).key} == stages


def test_other_data_make_every_stage_anew(run, monkeypatch):
    """The checksums of both datasets are facts."""
    keys = {name: run.stage(name).key for name in STAGES}
    monkeypatch.setattr(run_data.RunData, "checksums", {"phantom-tem": "x", "phantom-sem": "y"})
    assert all(open_run(GOOD).stage(name).key != keys[name] for name in STAGES)


def test_another_version_makes_every_stage_anew(run, monkeypatch):
    """The version of the library is a fact."""
    keys = {name: run.stage(name).key for name in STAGES}
    monkeypatch.setattr(cache, "__version__", "another")
    assert all(open_run(GOOD).stage(name).key != keys[name] for name in STAGES)


def test_three_translators_serve_five_folds_unless_they_must_not_see_one(run):
    """Transductive folds share the translators of a seed; an inductive fold has its own, of the same seeds in turn."""
    for protocol, count in (("transductive", 3), ("inductive", 5)):
        runs = [with_parameters(run, protocol=protocol, fold=fold) for fold in range(5)]
        assert [one.translator_seed for one in runs] == [0, 1, 2, 0, 1]
        assert [one.fold_seed for one in runs] == [0, 1, 2, 3, 4]
        folders = [one.stage(TRANSLATE).folder for one in runs]
        assert len(set(folders)) == count
        assert [f.parent.name for f in folders[2:4]] == (
            ["seed2", "seed0"] if protocol == "transductive" else ["fold2", "fold3"]
        )


def test_every_row_says_the_seed_of_its_translators(run):
    """Seeds of profile and parameters are added, so that the spread over seeds can be told from that over folds."""
    assert with_parameters(run, fold=4, seed=10).key == {
        "pair": "phantom-sem",
        "protocol": "transductive",
        "split": "development",
        "fold": 4,
        "translator_seed": 11,
    }


def test_a_stage_is_finished_once_it_has_its_record(run):
    """The record says what the results were made from; before it there is one sentence."""
    stage = run.stage(LABEL)
    with pytest.raises(UserError, match=r"03_label of phantom-sem transductive development 0 has not run yet"):
        stage.record()
    stage.finish(note="done")
    record = json.loads(stage.record_file.read_text())
    assert stage.finished and stage.record() == record
    assert record["note"] == "done" and record["made_from"] == json.loads(json.dumps(run.facts(LABEL)))
    assert record["key"] == stage.key and record["provenance"]["pair"] == "phantom-sem"
    assert not with_profile(run, student_steps=7).stage(LABEL).finished
    assert not run.stage(REFINE).finished


def test_a_record_names_no_place_of_this_machine(run):
    """Folders and the study file are left out, so that records can be published."""
    run.stage(DATA).finish()
    assert run.parameters.out not in run.stage(DATA).record_file.read_text()


@pytest.mark.parametrize("trace", ["segmenters/", "phantom-sem/transductive/folds.json"])
def test_runs_of_an_older_version_are_refused(histobridge, tmp_path, trace):
    """One sentence and exit code 2, before anything is written; a folder of this version is accepted."""
    refuse_old_runs(tmp_path / "smoke")
    file = tmp_path / "smoke" / trace
    file.mkdir(parents=True) if trace.endswith("/") else (file.parent.mkdir(parents=True), file.touch())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"runs of an older version"):
        open_run(GOOD | {"out": str(tmp_path)})
    code, out, err = histobridge("study", "--profile", "smoke", "--out", tmp_path)
    assert (code, out) == (2, "") and len(err.strip().splitlines()) == 1 and "choose another --out" in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_target_without_masks_is_refused_before_any_training(tmp_path):
    """There would be nothing to score; drawn tissue always has masks."""
    open_run(GOOD).data.refuse_unscored()
    data = open_run({"pair": "tem-sem", "profile": "cpu"}).data
    data.refuse_unscored()
    bare = tuple(image.model_copy(update={"mask": None}) for image in data.target.images)
    with pytest.raises(UserError, match="has an expert mask, so that nothing can be scored: label such images"):
        replace(data, target=data.target.model_copy(update={"images": bare})).refuse_unscored()


def test_a_fold_that_scores_no_mask_is_refused_before_any_training():
    """In an inductive fold, masks of other subjects do not help."""
    data = open_run({"pair": "tem-sem", "profile": "cpu", "protocol": "inductive"}).data
    data.refuse_unscored()
    kept = tuple(
        image.model_copy(update={"mask": None}) if image.subject in data.split.target_scored else image
        for image in data.target.images
    )
    assert any(image.mask for image in kept)
    with pytest.raises(UserError, match="that this fold scores has an expert mask"):
        replace(data, target=data.target.model_copy(update={"images": kept})).refuse_unscored()
