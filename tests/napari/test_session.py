"""session, reader, writer: what napari shows of a hand-off, without a window."""

from pathlib import Path

import numpy as np
import pytest

from histobridge.errors import UserError
from histobridge.io.masks import read_mask
from histobridge.io.pixels import read_plane
from histobridge_label.export import names, read_handoff

pytest.importorskip("napari.layers", reason="napari is not installed: pip install 'histobridge[napari]'")

from napari.components import ViewerModel
from napari.layers import Layer
from npe2 import PluginManager, PluginManifest

import histobridge_napari
from histobridge_napari.corrections import corrected_folder, correction_file, read_label
from histobridge_napari.layers import LABEL
from histobridge_napari.reader import get_reader, open_handoff
from histobridge_napari.review import DONE
from histobridge_napari.session import FRAME, Session
from histobridge_napari.writer import write_labels

MANIFEST = Path(histobridge_napari.__file__).with_name("napari.yaml")
A, B = "sub-r_sample-a_SEM", "sub-r_sample-b_SEM"


@pytest.fixture
def handoff(labels):
    """The hand-off, which may be changed."""
    return read_handoff(labels / "handoff")


@pytest.fixture
def session(handoff):
    """A review of it in a viewer without a window."""
    return Session(ViewerModel(), handoff, corrected_folder(handoff))


def layer(session, name):
    """The layer of this name."""
    return session.viewer.layers[name]


# --- Layers ---------------------------------------------------------------------------------------------


def test_every_layer_shows_the_pixels_of_its_file(session, handoff):
    """Image, uncertainty, instances and classes, bit for bit, at the pixel size of the image in µm."""
    endings = {"image": ".png", "uncertainty": names.UNCERTAINTY, "instances": names.INSTANCES}
    for name, ending in endings.items():
        np.testing.assert_array_equal(layer(session, name).data, read_plane(handoff.file(B, ending)).values)
    np.testing.assert_array_equal(session.label.data, read_mask(handoff.file(B, names.COMBINED))[0])
    for shown in session.viewer.layers:
        np.testing.assert_allclose(shown.scale, 0.2)
        assert [str(unit) for unit in shown.units] == ["micrometer"] * 2


def test_the_frame_encloses_the_pixels_of_the_tile(session):
    """Also where a tile is at the border, and in an image of another pixel size."""
    for _ in session.review.tiles:
        tile, (top, left), (bottom, right) = session.review.current, *layer(session, FRAME).data[0][[0, 2]]
        assert (top, left) == (tile.top - 0.5, tile.left - 0.5)
        assert (bottom, right) == (tile.top + 63.5, tile.left + 63.5)
        centre = np.array([tile.top + 31.5, tile.left + 31.5]) * (0.1 if tile.image == A else 0.2)
        np.testing.assert_allclose(session.viewer.scene.camera.center[-2:], centre)
        session.move(1)


def test_a_tile_of_another_image_brings_its_layers(session, handoff):
    """How layers are shown stays; what was painted in the other image can no longer be undone in this one."""
    session.paint_with(2)
    session.label.paint((50, 50), 2)
    layer(session, "instances").visible = True
    while session.review.current.image == B:
        session.move(1)
    session.label.undo()
    np.testing.assert_array_equal(session.label.data, read_mask(handoff.file(A, names.COMBINED))[0])
    np.testing.assert_array_equal(layer(session, "image").data, read_plane(handoff.file(A, ".png")).values)
    assert layer(session, "instances").visible and not layer(session, "instances").editable
    assert session.label.mode == "paint" and len(session.viewer.layers) == 5


# --- Corrections ----------------------------------------------------------------------------------------


def test_what_is_painted_is_saved_by_the_next_step(session, handoff):
    """Exactly, and only if there is something to save; it is there again when the image comes back."""
    session.move(1)
    assert not corrected_folder(handoff).exists()
    session.paint_with(2)
    session.label.paint((30, 40), 2)
    painted = session.label.data.copy()
    session.say(DONE)
    np.testing.assert_array_equal(read_mask(correction_file(session.folder, B))[0], painted)
    assert not correction_file(session.folder, A).exists()
    again = Session(ViewerModel(), handoff, session.folder)
    assert again.review.current.image == B
    np.testing.assert_array_equal(again.label.data, painted)


def test_an_edit_that_is_taken_back_is_saved_too(session, handoff):
    """The correction is then the label as it was handed off."""
    session.label.paint((30, 40), 1)
    session.label.paint((30, 40), 2)
    assert session.save() and not session.save()
    session.label.undo()
    session.label.undo()
    assert session.save()
    np.testing.assert_array_equal(read_label(handoff, session.folder, B), read_mask(handoff.file(B, names.COMBINED))[0])


def test_a_label_that_is_no_class_holds_the_walk(session):
    """The tile stays as it was, until the pixels are painted with a class."""
    session.label.paint((30, 40), 3)
    for step in (lambda: session.move(1), lambda: session.say(DONE)):
        with pytest.raises(UserError, match="of the label 3, which is no class"):
            step()
    assert session.review.position == 0 and session.review.count(DONE) == 0


def test_a_layer_that_was_removed_is_saved_and_shown_again(session):
    """Nobody loses what was painted by a click on the bin."""
    session.label.paint((30, 40), 2)
    painted = session.label.data.copy()
    session.viewer.layers.remove(session.label)
    session.move(1)
    assert LABEL in session.viewer.layers
    np.testing.assert_array_equal(session.label.data, painted)


def test_layers_that_a_reader_opened_are_taken_over(handoff):
    """What was painted in them before the review began is saved; layers of another hand-off are hidden, not changed."""
    viewer = ViewerModel()
    for data in get_reader(str(handoff.folder.parent))(str(handoff.folder.parent)):
        viewer.add_layer(Layer.create(*data))
    viewer.layers[LABEL].paint((30, 40), 2)
    session = Session(viewer, handoff, corrected_folder(handoff))
    assert len(viewer.layers) == 5 and session.label is viewer.layers[LABEL]
    np.testing.assert_array_equal(read_label(handoff, session.folder, B), session.label.data)


def test_the_folder_of_corrections_must_not_be_the_handoff(handoff):
    """The hand-off is what edits are measured against."""
    with pytest.raises(UserError, match="lies in the hand-off, which must stay as it is"):
        Session(ViewerModel(), handoff, handoff.folder / "corrected")


# --- Reader, writer, manifest ---------------------------------------------------------------------------


def test_the_reader_takes_handoffs_and_masks_and_nothing_else(labels, handoff, tmp_path):
    """Of both folders; another folder or file is left to other readers."""
    for folder in (labels, handoff.folder):
        layers = get_reader(str(folder))(str(folder))
        assert [kind for *_, kind in layers] == ["image", "image", "labels", "labels"]
        assert open_handoff(folder).folder == handoff.folder
    ((data, options, kind),) = get_reader("a_seg-axonmyelin.png")(str(handoff.file(A, names.COMBINED)))
    np.testing.assert_array_equal(data, read_mask(handoff.file(A, names.COMBINED))[0])
    assert kind == "labels" and Layer.create(data, options, kind).name == f"{A}_seg-axonmyelin"
    assert get_reader(str(tmp_path)) is get_reader("a.png") is get_reader([str(labels)]) is None
    with pytest.raises(UserError, match="holds no labels handed off"):
        open_handoff(tmp_path)


def test_a_layer_is_written_as_a_mask_that_is_read_back_exactly(handoff, tmp_path):
    """0, 127 and 255 in the file; other labels are refused."""
    mask = read_mask(handoff.file(A, names.COMBINED))[0]
    path = str(tmp_path / "a.png")
    assert write_labels(path, mask.astype(np.int32), {"name": "a"}) == [path]
    np.testing.assert_array_equal(read_mask(path)[0], mask)
    assert set(np.unique(read_plane(path).values)) == {0, 127, 255}
    with pytest.raises(UserError, match="The layer 'a' has 1 pixels of the label 5"):
        write_labels(path, np.array([[5]]), {"name": "a"})


def test_napari_itself_opens_and_saves_by_the_plugin(labels, handoff, tmp_path):
    """A folder becomes layers; the layer of classes becomes a mask with the grey levels of all masks."""
    manager = PluginManager.instance()
    if "histobridge" not in manager:
        manager.register(PluginManifest.from_file(MANIFEST))
    viewer = ViewerModel()
    viewer.open(str(labels), plugin="histobridge")
    assert [layer.name for layer in viewer.layers] == ["image", "uncertainty", "instances", LABEL]
    viewer.layers[LABEL].save(str(tmp_path / "a.png"), plugin="histobridge")
    assert (tmp_path / "a.png").read_bytes() == handoff.file(B, names.COMBINED).read_bytes()


def test_the_manifest_is_valid_and_names_what_exists():
    """Each command can be imported; the name is that of the package."""
    manifest = PluginManifest.from_file(MANIFEST)
    assert manifest.name == "histobridge"
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(__import__(module, fromlist=[name]), name))
    used = {c.command for c in (*manifest.contributions.readers, *manifest.contributions.writers)}
    used |= {widget.command for widget in manifest.contributions.widgets}
    assert used == {command.id for command in manifest.contributions.commands}
