"""stages/corrections.py: what is corrected, who learns from it, and what is counted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from histobridge.errors import UserError
from histobridge.segmenter import Segmenter
from histobridge.strategies import Labeller
from histobridge_label.finetune import finetune
from histobridge_study.runs import open_run
from histobridge_study.stages import corrections

COLUMNS = ["pair", "protocol", "split", "fold", "start", "corrected", "role", "image", "subject"]
COLUMNS += ["axon", "myelin", "f1_50", "fibres", "added", "removed", "reshaped", "pixels_changed"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_study, tiny_segmenter):
    """Fold 0 of a drawn pair, with segmenters of hundredths of a second."""
    out = str(tmp_path_factory.mktemp("out"))
    run = open_run({"pair": "phantom-sem", "profile": "tiny", "out": out, "study": str(tiny_study)})
    tiny = {"segmenter": tiny_segmenter, "student_steps": 3}
    return replace(run, study=run.study.model_copy(update={"profiles": {"tiny": run.profile.model_copy(update=tiny)}}))


@pytest.fixture(scope="module")
def labeller(run):
    """An untrained labeller in the place of `refined`."""
    return Labeller((Segmenter(run.profile.segmenter, seed=5),))


@pytest.fixture(scope="module")
def table(run, labeller):
    """The table of the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corrections, "default_labeller", lambda run, translators: labeller)
        return corrections.correct(run, {})


def test_no_subject_is_both_corrected_and_scored(run, table):
    """Both starts see the same images in the same order, and all images of other subjects are scored each time."""
    assert set(COLUMNS) <= set(table)
    roles = dict(list(table.groupby("role")))
    assert set(roles["corrected"]["subject"]) <= run.data.split.target_train
    assert set(roles["scored"]["subject"]) == run.data.split.target_supervised
    first, other = (
        roles["corrected"][roles["corrected"]["start"] == s]["image"].tolist() for s in ("refined", "nothing")
    )
    assert first == other and len(set(first)) == len(first) == 4
    n = len(run.data.supervised_images)
    assert (roles["scored"].groupby(["start", "corrected"]).size() == n).all()
    assert sorted(set(roles["scored"]["corrected"])) == list(corrections.COUNTS)


def test_without_a_model_every_fibre_is_to_be_added(table):
    """Nothing is removed or reshaped, and the Dice is 0."""
    blank = table[(table["start"] == "nothing") & ((table["role"] == "corrected") | (table["corrected"] == 0))]
    assert (blank["added"] == blank["fibres"]).all() and blank["fibres"].gt(0).all()
    assert (blank[["removed", "reshaped", "axon", "myelin", "f1_50"]] == 0).all(axis=None)


def test_the_table_is_kept_and_never_made_twice(run, table, monkeypatch):
    """The second time it is read, and nothing is trained."""
    monkeypatch.setattr(Segmenter, "fit", None)
    pd.testing.assert_frame_equal(corrections.correct(run, {}), table)


def test_the_least_sure_label_is_corrected_first(run):
    """The order is that of the mean uncertainty, as in the hand-off."""

    class Unsure:
        """Is less sure, the brighter an image is."""

        def label(self, image):
            return np.zeros(image.shape, np.uint8), np.full(image.shape, image.mean(), np.float32)

    order = corrections.in_review_order(Unsure(), run.data.supervised_examples())
    brightness = [image.mean() for image, _ in order]
    assert brightness == sorted(brightness, reverse=True) and len(order) == len(run.data.supervised_examples())


def test_refined_learns_as_the_label_tool_lets_it(run, labeller):
    """Steps and seed equal, the labels are those of `histobridge_label.finetune`."""
    corrected = run.data.supervised_examples()[:1]
    learned = finetune(labeller.segmenters[0], corrected, steps=3, seed=run.fold_seed, report=lambda line: None)
    image = run.data.supervised_images[0].image
    expected = replace(labeller, segmenters=(learned,)).predict(image)
    np.testing.assert_array_equal(corrections.refined_after(run, labeller, corrected)(image), expected)


def test_masks_of_scored_images_change_no_label(run, labeller, table, monkeypatch):
    """With other masks to score with, the same segmenters are asked for: nothing is trained, and scores differ."""
    moved = {name: np.roll(mask, 20, 1) for name, mask in run.data.target_masks.items()}
    monkeypatch.setitem(vars(run.data), "target_masks", moved)
    monkeypatch.setattr(Segmenter, "fit", None)
    monkeypatch.setattr(corrections, "default_labeller", lambda run, translators: labeller)
    monkeypatch.setattr(corrections, "TABLE", "again.csv")
    monkeypatch.setattr(corrections, "COUNTS", (0, 1))
    again, table = corrections.correct(run, {}), table[table["corrected"] <= 1].reset_index(drop=True)
    assert not again["myelin"].equals(table["myelin"]) and again["image"].equals(table["image"])


def test_a_fold_without_images_to_correct_is_refused(run, monkeypatch):
    """The message says what is needed."""
    monkeypatch.setitem(vars(run.data), "target_images", [])
    with pytest.raises(UserError, match="at least two subjects"):
        corrections.correct(run, {})
