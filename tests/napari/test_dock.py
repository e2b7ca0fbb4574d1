"""The dock widget in a real viewer on a virtual display: keys, progress, corrections, jobs."""

import sys
import time

import numpy as np
import pytest

from histobridge.config import SegmenterSettings
from histobridge.io.images import write_image
from histobridge.io.masks import read_mask
from histobridge.phantom import phantom
from histobridge_label.corrections import read_corrections
from histobridge_label.export import names, read_handoff
from napari_session import PATIENCE_S, correct_learn_and_label, press, wait_for_end
from virtual_display import settle

A, B = "sub-r_sample-a_SEM", "sub-r_sample-b_SEM"


def messages() -> list[str]:
    """What napari has told so far."""
    from napari.utils.notifications import notification_manager

    return [record.message for record in notification_manager.records]


@pytest.fixture
def opened(dock, labels):
    """The dock widget with an open hand-off."""
    dock.review.handoff.value = labels
    dock.review.open_button.click()
    settle()
    assert dock.review.session is not None
    return dock


# --- Tiles ----------------------------------------------------------------------------------------------


def test_the_keys_walk_through_the_tiles(viewer, opened):
    """Next, previous, done, skip: the text and the bar tell what is reviewed, and the frame is where the tile is."""
    panel, review = opened.review, opened.review.session.review
    assert "Tile 1 of 10" in panel.status.text() and B in panel.status.text()
    for key, position in (("N", 1), ("N", 2), ("Shift-N", 1), ("D", 2), ("S", 3), ("D", 4)):
        press(viewer, key)
        assert review.position == position
    assert "Tile 5 of 10" in panel.status.text()
    assert panel.bar.value() == 3 and panel.bar.format() == "2 done, 1 skipped of 10 (%p %)"
    tile = review.current
    np.testing.assert_array_equal(viewer.layers["tile"].data[0][0], [tile.top - 0.5, tile.left - 0.5])


def test_buttons_do_the_same_as_their_keys(opened):
    """A click on Done and one on Previous."""
    from histobridge_napari.review_panel import PREVIOUS, TILE_DONE

    opened.review.buttons[TILE_DONE].click()
    opened.review.buttons[PREVIOUS].click()
    review = opened.review.session.review
    assert review.position == 0 and review.state(review.current) == "done"
    assert "Tile 1 of 10</b>, done" in opened.review.status.text()


def test_what_is_painted_with_the_mouse_is_saved_and_import_finds_it(viewer, opened, labels):
    """The key A paints axons, Y myelin; each pixel is read back as it was painted."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    canvas, before = viewer.window._qt_viewer.canvas.native, opened.review.session.label.data.copy()
    for key, value, place in (("A", 2, 0.4), ("Y", 1, 0.6)):
        press(viewer, key)
        assert viewer.layers.selection.active.selected_label == value
        where = QPoint(int(canvas.width() * place), int(canvas.height() * place))
        QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, where)
        settle()
    painted = opened.review.session.label.data.copy()
    assert (painted != before).sum() > 50
    press(viewer, "D")
    ((found,), account) = read_corrections(labels / "handoff", labels / "corrected")
    assert found.image == B and account.exit_code == 0
    np.testing.assert_array_equal(found.after, painted)


def test_closing_the_widget_saves_and_gives_the_keys_back(viewer, opened, labels):
    """As closing the window does."""
    opened.review.session.label.paint((30, 40), 2)
    painted = opened.review.session.label.data.copy()
    opened.parent().hide()
    settle()
    np.testing.assert_array_equal(read_mask(labels / "corrected" / f"{B}{names.COMBINED}")[0], painted)
    assert not {str(key) for key in viewer.keymap} & {"N", "D", "S"}


def test_layers_that_a_reader_opened_are_reviewed_at_once(viewer, labels):
    """The widget opens their hand-off by itself; what was painted before is saved."""
    from napari.layers import Layer

    from histobridge_napari.dock import ReviewDock
    from histobridge_napari.reader import read_folder

    for layer in read_folder(str(labels)):
        viewer.add_layer(Layer.create(*layer))
    viewer.layers["axon and myelin"].paint((30, 40), 2)
    (labels / "model").mkdir()
    widget = ReviewDock(viewer)
    assert widget.review.session.handoff.folder == labels / "handoff" and widget.jobs.model.value == labels
    saved = read_mask(labels / "corrected" / f"{B}{names.COMBINED}")[0]
    np.testing.assert_array_equal(saved, viewer.layers["axon and myelin"].data)
    viewer.layers.clear()


def test_another_handoff_takes_the_place_of_the_first(viewer, opened, labels, handed_off):
    """What was painted in the first is saved."""
    opened.review.session.label.paint((30, 40), 2)
    opened.review.handoff.value = handed_off.folder
    opened.review.corrected.value = labels / "elsewhere"
    opened.review.open_button.click()
    assert (labels / "corrected" / f"{B}{names.COMBINED}").exists()
    assert len(viewer.layers) == 5 and opened.review.session.handoff.folder == handed_off.folder


def test_a_mistake_is_a_sentence_and_leaves_the_tile(viewer, opened, labels):
    """A label that is no class, a folder without a hand-off, nothing to label: no error of Python."""
    opened.review.session.label.paint((30, 40), 9)
    press(viewer, "D")
    assert "of the label 9, which is no class" in messages()[-1] and opened.review.session.review.position == 0
    opened.review.session.label.undo()
    opened.review.handoff.value = labels.parent
    opened.review.open_button.click()
    assert "holds no labels handed off by histobridge" in messages()[-1]
    for button in (opened.jobs.learn_button, opened.jobs.apply_button):
        button.click()
        assert messages()[-1] == "Name the model: the folder that `histobridge label` wrote."


# --- Jobs -----------------------------------------------------------------------------------------------


def pretend(monkeypatch, script: str) -> None:
    """Let jobs run a script in place of histobridge."""
    monkeypatch.setattr("histobridge_napari.jobs.PROGRAM", [sys.executable, "-c", f"import sys, time; {script}"])


def test_a_job_shows_how_far_it_is_and_can_be_stopped(opened, labels, monkeypatch):
    """The bar follows the lines of progress; after a stop the buttons are as before."""
    jobs = opened.jobs
    pretend(monkeypatch, "print('fine-tuning: step 3 of 12, 1 s a step'); time.sleep(100)")
    jobs.model.value = labels
    jobs.learn_button.click()
    deadline = time.monotonic() + PATIENCE_S
    while jobs.bar.value() != 3 and time.monotonic() < deadline:
        settle()
    assert (jobs.bar.value(), jobs.bar.maximum()) == (3, 12) and jobs.bar.isVisible()
    assert jobs.stop_button.isEnabled() and not jobs.learn_button.isEnabled()
    jobs.stop_button.click()
    wait_for_end(jobs.job)
    assert jobs.told.text() == "Stopped: the model is as it was."
    assert jobs.learn_button.isEnabled() and not jobs.bar.isVisible()


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("print('µ'); sys.exit(2)", "Something is to mend: see the last lines."),
        ("sys.exit(1)", "It failed: see the last lines."),
        ("print('done')", "The model has learned."),
    ],
)
def test_how_a_job_ended_is_a_sentence(script, sentence, opened, labels, monkeypatch):
    """By its exit code."""
    pretend(monkeypatch, script)
    opened.jobs.model.value = labels
    opened.jobs.learn_button.click()
    wait_for_end(opened.jobs.job)
    assert opened.jobs.told.text() == sentence


@pytest.fixture
def labelled(tiny_segmenter, tmp_path):
    """Eight drawn images, labelled by a model as small as they get, as `histobridge label` leaves them."""
    from histobridge.segmenter import Segmenter
    from histobridge.strategies import Labeller
    from histobridge_label.model import Model
    from histobridge_label.pipeline import apply_model

    settings = SegmenterSettings(**{**tiny_segmenter.model_dump(), "steps": 20})
    segmenter = Segmenter(settings)
    images, masks = zip(*(phantom("sem", seed, (96, 96)) for seed in range(2)), strict=True)
    segmenter.fit(list(images), list(masks), report=lambda line: None)
    facts = {"source": {"dataset": "phantom-sem", "um_per_px": 0.1}, "provenance": {"profile": "smoke"}}
    Model(Labeller((segmenter,)), 0.1, 20.0, facts=facts).save(tmp_path / "labels" / "model")
    for number in range(8):
        write_image(tmp_path / "images" / f"section{number}.png", phantom("sem", number, (96, 96))[0])
    for number in range(2):
        write_image(tmp_path / "more" / f"section{number}.png", phantom("sem", 8 + number, (96, 96))[0])
    apply_model(tmp_path / "labels", tmp_path / "images", tmp_path / "labels", um_per_px=0.1)
    return tmp_path


def test_label_correct_learn_and_label_more_in_one_session(viewer, dock, labelled):
    """Eight images are opened, one is corrected; the model learns from it in the background and labels two more."""
    labels = labelled / "labels"
    model = (labels / "model" / "model.json").read_text()
    truth = {f"section{seed}": phantom("sem", seed, (96, 96))[1] for seed in range(8)}
    correct_learn_and_label(viewer, dock, labels, truth, labelled / "more", labelled / "more_labels", um_per_px=0.1)
    assert (labels / "model" / "model.json").read_text() != model
    assert (labels / "corrected" / "edits.csv").exists()
    assert len(read_handoff(labelled / "more_labels" / "handoff").images) == 2
