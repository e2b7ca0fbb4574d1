"""strategies.py: where a segmenter starts, and that what L alone teaches is trained once for all pairs."""

import pytest
import torch

from histobridge.data.datasets import Sample
from histobridge.segmenter import Segmenter
from histobridge.translators.controls import Control
from histobridge_study.config import load_study
from histobridge_study.parameters import Parameters
from histobridge_study.runs import Run
from histobridge_study.stages import label as strategies


@pytest.fixture
def begin(tmp_path, tiny_segmenter):
    """A function that opens fold 0 of a drawn pair, with segmenters of hundredths of a second."""
    study = load_study()

    def open_pair(pair: str) -> Run:
        tiny = {"segmenter": tiny_segmenter, "student_steps": 3, "polarity_segmenter": None}
        profile = study.profiles["smoke"].model_copy(update=tiny)
        parameters = Parameters(pair=pair, profile="smoke", out=str(tmp_path))
        return Run(parameters, study.pairs[pair], profile, study.translators)

    return open_pair


@pytest.fixture
def trained(monkeypatch):
    """What each training started from, by its name, and for how many steps; it moves the weights and learns nothing."""
    starts = {}

    def fit(self, images, masks, *, name, checkpoint):
        assert name not in starts
        starts[name] = (self.fingerprint, self.settings.steps)
        with torch.no_grad():
            for weight in self.network.parameters():
                weight.add_(1)

    monkeypatch.setattr(Segmenter, "fit", fit)
    return starts


def test_students_and_the_bound_go_on_from_the_source_segmenter(begin, trained):
    """Not from scratch, and not from each other; the source segmenter starts untrained and learns longer."""
    run = begin("phantom-sem")
    strategies.student(run, Control("invert"))
    strategies.supervised(run)
    source = strategies.source_segmenter(run).fingerprint
    assert trained["tutorship with invert, fold 0"] == trained["supervised bound, fold 0"] == (source, 3)
    assert trained["source segmenter of fold 0"] == (Segmenter(run.profile.segmenter).fingerprint, 6)


def test_the_bound_is_never_scored_on_an_animal_it_has_seen(begin, trained, monkeypatch):
    """Bright field has subjects in both splits: their locked images are left out of the folds that train on them."""
    run = begin("phantom-sem")
    development = run.target_images()
    train, out = (
        {s.subject for s in development if (s.subject in run.split.target_train) == seen} for seen in (True, False)
    )
    locked = [Sample(f"new-{s}", s, development[0].image) for s in (*sorted(train)[:1], "nobody")]
    object.__setattr__(run, "parameters", run.parameters.model_copy(update={"split": "locked-test"}))
    images = {"development": development, "locked-test": locked}
    monkeypatch.setattr(Run, "target_images", lambda self, *, split=None: images[split or self.parameters.split])
    assert [s.subject for s in strategies.supervised(run)[1]] == ["nobody"]
    images["locked-test"] = locked[:1]
    assert strategies.supervised(run) is None
    images["locked-test"] = development
    assert {s.subject for s in strategies.supervised(run)[1]} == out


def test_what_l_alone_teaches_is_trained_once_for_all_pairs(begin, trained):
    """Source segmenter, judge and the student of negatives serve both pairs; a bound serves one."""
    for pair in ("phantom-sem", "phantom-bf"):
        run = begin(pair)
        strategies.polarity_segmenter(run)
        strategies.student(run, Control("invert"))
    once = {"source segmenter of fold 0", "judge of polarity", "tutorship with invert, fold 0"}
    assert set(trained) == once  # a second training of the same name would have been refused
    strategies.supervised(run)
    with pytest.raises(AssertionError):
        strategies.supervised(begin("phantom-sem"))


def test_a_judge_learns_from_whole_crops(begin, trained, monkeypatch):
    """Where the profile names no judge of its own it is the segmenter of L, but for the blank parts."""
    seen = []
    monkeypatch.setattr(strategies, "_trained", lambda run, name, segmenter, *pairs: seen.append(segmenter.settings))
    run = begin("phantom-sem")
    strategies.polarity_segmenter(run)
    assert seen == [run.profile.segmenter.model_copy(update={"blank": 0.0})]
