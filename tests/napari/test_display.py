"""A display that is not there is one sentence."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from histobridge.errors import UserError
from histobridge_napari.display import check_display

MAIN = "import histobridge_napari.cli; from histobridge.cli import main; main()"


def review(labels, **environment) -> subprocess.CompletedProcess:
    """Run `histobridge review` with another environment; None removes a variable."""
    changed = os.environ | environment
    env = {name: value for name, value in changed.items() if value is not None}
    command = [sys.executable, "-c", MAIN, "review", str(labels)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)


NONE = {"DISPLAY": None, "WAYLAND_DISPLAY": None, "QT_QPA_PLATFORM": None}


@pytest.mark.skipif(find_spec("qtpy") is None, reason="napari is not installed: pip install 'histobridge[napari]'")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be without a display")
@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (NONE, "There is no display here on which napari could show a window"),
        ({**NONE, "DISPLAY": ":9876"}, "There is no display here on which napari could show a window"),
        ({**NONE, "QT_QPA_PLATFORM": "offscreen"}, "The display here has no OpenGL, which napari draws with"),
    ],
    ids=["none", "of another machine", "without OpenGL"],
)
def test_a_display_that_is_not_there_is_one_sentence(environment, sentence, labels):
    """The exit code is 2, and nothing else is printed."""
    ended = review(labels, **environment)
    assert ended.returncode == 2 and ended.stdout == ""
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith(f"histobridge: {sentence}")


def test_napari_that_is_not_installed_is_one_sentence(monkeypatch):
    """It names the extra to install."""
    monkeypatch.setattr("histobridge_napari.display.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"napari is not installed: pip install 'histobridge\[napari\]'"):
        check_display()


def test_a_folder_without_labels_is_told_before_the_display(tmp_path):
    """What is wrong with the command comes first."""
    ended = review(tmp_path, **NONE)
    assert ended.returncode == 2 and "holds no labels handed off by histobridge" in ended.stderr
