"""Shared by the tests of the plugin: a small hand-off, and a real napari viewer on a display that nobody sees."""

import os
import shutil
import subprocess
import time

import numpy as np
import pytest

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
    """A virtual screen (Xvfb) with OpenGL, on which this process shows its windows."""
    if shutil.which("Xvfb") is None:
        pytest.skip("no virtual display here: install it (Debian: apt-get install xvfb libgl1-mesa-dri libegl1)")
    receiving, sending = os.pipe()
    command = ["Xvfb", "-displayfd", str(sending), "-screen", "0", f"{WINDOWS[0]}x{WINDOWS[1]}x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[sending], stderr=subprocess.DEVNULL) as server:
        os.close(sending)
        with os.fdopen(receiving) as told:
            number = told.readline().strip()  # once it accepts windows
        before = {name: os.environ.get(name) for name in ("DISPLAY", "QT_QPA_PLATFORM", "WAYLAND_DISPLAY")}
        os.environ |= {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
        os.environ.pop("WAYLAND_DISPLAY", None)
        yield f":{number}"
        os.environ.update({name: value for name, value in before.items() if value is not None})
        server.terminate()


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
    settle()


def settle(seconds: float = 0.1) -> None:
    """Let Qt do what it has put off."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)
