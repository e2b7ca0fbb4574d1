"""Shared by the tests of the plugin: a small hand-off, and a real napari viewer on a display that nobody sees."""

import shutil

import numpy as np
import pytest

import virtual_display
from histobridge.phantom import phantom
from histobridge_label.export import Labelled, write_handoff

UM = 0.1
SHAPES = {"a": (96, 130), "b": (110, 96)}
WINDOWS = 1500, 1000  # px of the screen


@pytest.fixture(scope="session")
def handed_off(tmp_path_factory):
    """A hand-off of two drawn images of different sizes; its second image has the most uncertain tile. Read-only."""

    def items():
        for number, (name, shape) in enumerate(SHAPES.items()):
            image, mask = phantom("sem", number, shape)
            uncertain = np.linspace(0.1, 0.4 + 0.3 * number, mask.size, dtype=np.float32).reshape(shape)
            yield Labelled(name, "r", image, mask, uncertain, UM * (1 + number), None, "SEM")

    return write_handoff(tmp_path_factory.mktemp("labels") / "handoff", items(), {})


@pytest.fixture
def labels(handed_off, tmp_path):
    """A folder as `histobridge label` writes it, with the hand-off of two drawn images."""
    shutil.copytree(handed_off.folder, tmp_path / "labels" / "handoff")
    return tmp_path / "labels"


@pytest.fixture(scope="session")
def display():
    """A virtual display, on which this process shows its windows."""
    if not virtual_display.is_here():
        pytest.skip(virtual_display.NOT_HERE)
    with virtual_display.virtual_display(*WINDOWS):
        yield


@pytest.fixture(scope="module")
def viewer(display):
    """A real viewer with its window; opening one takes seconds, so the tests of a file share it."""
    pytest.importorskip("napari.viewer", reason="napari is not installed: pip install 'histobridge[napari]'")
    import napari

    opened = napari.Viewer(title="test")
    opened.window.resize(*WINDOWS)
    yield opened
    opened.close()


@pytest.fixture
def dock(viewer):
    """The dock widget in the viewer, empty; afterwards both are as before."""
    from histobridge_napari.dock import ReviewDock

    widget = ReviewDock(viewer)
    docked = viewer.window.add_dock_widget(widget, name="Review and correct labels")
    yield widget
    widget.jobs.job.stop()
    widget.jobs.job.wait()
    viewer.window.remove_dock_widget(docked)
    viewer.layers.clear()
    virtual_display.settle()
