"""Whether windows can be shown here: asked in another process, because Qt ends the one in which it fails."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

from histobridge.errors import UserError

PROBE = """
from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
from qtpy.QtWidgets import QApplication

application, context, surface = QApplication([]), QOpenGLContext(), QOffscreenSurface()
surface.create()
raise SystemExit(0 if context.create() and context.makeCurrent(surface) else 3)
"""
NO_NAPARI, NO_OPENGL = 1, 3
"""Exit codes of the probe: an import failed, or the display has no OpenGL; Qt itself aborts without a display."""
PATIENCE_S = 120  # a busy machine is slow to load Qt
INSTALL = "pip install 'histobridge[napari]'"


def check_display() -> None:
    """Raise a `UserError` if napari is not installed, or there is no display on which it can show a window."""
    if not _is_installed():
        raise UserError(f"napari is not installed: {INSTALL}.")
    try:
        probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"The display does not answer within {PATIENCE_S} s: run this on another one.") from error
    if probe.returncode == NO_NAPARI:
        raise UserError(f"Qt cannot be used ({_last_line(probe.stderr)}): {INSTALL}.")
    if probe.returncode == NO_OPENGL:
        raise UserError("The display here has no OpenGL, which napari draws with: run this on a machine with a screen.")
    if probe.returncode != 0:
        raise UserError(
            "There is no display here on which napari could show a window: run this on a machine with a screen or by "
            "`ssh -X`, or correct copies of the masks in another program."
        )


def _is_installed() -> bool:
    """Return whether napari can be imported: it itself, and not a folder of that name that Python takes for it."""
    try:
        return find_spec("napari.viewer") is not None
    except ModuleNotFoundError:
        return False


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason was given"])[-1]
