"""The notebooks, run for real: skipped when finished, refused when mistyped, blind to what they must not see."""

import dataclasses

import numpy as np
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from histobridge.strategies.refined import refined
from histobridge.strategies.tile_selection import select_tiles
from histobridge_study.config import load_study
from histobridge_study.execute import NOTEBOOKS
from histobridge_study.grid import Plan
from histobridge_study.report.collect import collect
from histobridge_study.runs import Run, forget
from histobridge_study.stages import label as strategies
from histobridge_study.stages import translate as translation


@pytest.fixture
def run_in(tiny_study, monkeypatch):
    """Return the run of one cell of the tiny study in a folder; its small images are not taken for the usual ones."""
    monkeypatch.setenv("HISTOBRIDGE_STUDY", str(tiny_study))
    forget()

    def run(out, protocol="transductive", fold=0):
        return Plan("tiny", out=str(out), study=load_study(tiny_study)).run("phantom-sem", protocol, fold)

    yield run
    forget()


def test_every_strategy_is_in_the_table(finished):
    """One row an image and class, of every way to a pseudo label; Dice in 0..1."""
    rows = collect(finished[0] / "tiny", "dice")
    assert set(zip(rows["strategy"], rows["translator"], strict=True)) == {
        ("pretrained", "none"),
        ("adaptation", "syndiff"),
        ("tutorship", "syndiff"),
        ("refined", "syndiff"),
        ("supervised", "none"),
    }
    assert rows["dice"].between(0, 1).sum() > 100


def test_a_finished_run_is_skipped_and_told_again(finished, in_a_process):
    """`histobridge run` trains nothing that is there, and ends with the Dice table and the path of the report."""
    ended = in_a_process("run", finished[0], "--fold", 0)
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.count("finished before, skipped") == 4
    assert "step 1 of" not in ended.stdout
    assert "mean over images, ± SD over folds" in ended.stdout
    assert "05_report.html" in ended.stdout


def test_a_mistyped_parameter_stops_the_notebook_at_once(tmp_path):
    """papermill only warns about a name that the notebook does not know; the notebook refuses it."""
    with pytest.raises(PapermillExecutionError, match=r"epochs.*Known names"):
        papermill.execute_notebook(
            NOTEBOOKS / "01_data.ipynb",
            tmp_path / "copy.ipynb",
            parameters={"epochs": 3, "out": str(tmp_path)},
            progress_bar=False,
            kernel_name="python3",
        )


def trained(run):
    """Train what notebook 02 trains; return the sign and the translators."""
    source, target, polarity_segmenter = run.source_images(), run.seen_images(), strategies.polarity_segmenter(run)
    sign = translation.sign_for(run, translation.polarity_evidence(run, polarity_segmenter, target))
    alike, _ = select_tiles(polarity_segmenter, sign, source, target, side=2 * run.profile.translator.crop)
    translation.train_syndiff(run, sign, source, alike)
    translation.fit_controls(run, source, alike)
    return sign, translation.trained_translators(run)


def all_labels(run):
    """Train and label by every strategy, `refined` included: masks by image, keyed by (strategy, translator)."""
    _, translators = trained(run)
    labels, labeller = strategies.all_pseudo_labels(run, translators), refined(run, translators)
    return labels | {("refined", "syndiff"): {s.name: labeller.predict(s.image) for s in run.scored_images()}}


def test_no_label_free_prediction_depends_on_a_target_mask(run_in, tmp_path, monkeypatch):
    """With noise for every mask of U, all strategies but the supervised bound predict the same, bit for bit."""
    run = run_in(tmp_path / "true")  # in this process too: another number of threads rounds otherwise
    expected, rng = all_labels(run), np.random.default_rng(0)
    noise = {name: rng.integers(0, 3, mask.shape).astype(np.uint8) for name, mask in run.target_masks().items()}
    monkeypatch.setattr(Run, "target_masks", lambda *_, **__: noise)
    blind = run_in(tmp_path / "noise")
    found = all_labels(blind)
    assert expected.keys() == found.keys()
    for method, masks in expected.items():
        same = all(np.array_equal(masks[name], found[method][name]) for name in masks)
        assert same == (method[0] != "supervised"), method


def test_inductive_translators_never_see_the_held_out_images(run_in, tmp_path, monkeypatch):
    """With noise for the images of the left-out subjects, sign and translators stay the same, bit for bit."""
    before = fingerprints(run_in(tmp_path / "true", "inductive"))
    true_images = Run.target_images

    def noisy(run, *, split=None):
        rng, held_out = np.random.default_rng(0), run.split.target_scored
        return [
            dataclasses.replace(s, image=rng.random(s.image.shape, dtype=np.float32)) if s.subject in held_out else s
            for s in true_images(run, split=split)
        ]

    monkeypatch.setattr(Run, "target_images", noisy)
    assert fingerprints(run_in(tmp_path / "noise", "inductive")) == before
    monkeypatch.setattr(Run, "seen_images", Run.target_images)  # the test would see a leak
    assert fingerprints(run_in(tmp_path / "leak", "inductive")) != before


def fingerprints(run):
    """Return the sign and the hashes of the translators."""
    sign, translators = trained(run)
    return sign, {name: translator.fingerprint for name, translator in translators.items()}
