"""A screen that nobody sees, for tests of windows: Xvfb, which has OpenGL, unlike Qt's own `offscreen`."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

NOT_HERE = "no virtual display here: install it (Debian: apt-get install xvfb libegl1 libgl1-mesa-dri libxcb-cursor0)"
OF_A_DISPLAY = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def is_here() -> bool:
    """Return whether there is one on this machine."""
    return shutil.which("Xvfb") is not None


@contextmanager
def virtual_display(width: int, height: int) -> Iterator[None]:
    """Let this process show its windows on a screen of this size, px; afterwards its environment is as before."""
    receiving, sending = os.pipe()
    command = ["Xvfb", "-displayfd", str(sending), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    before = {name: os.environ.pop(name, None) for name in OF_A_DISPLAY}
    with subprocess.Popen(command, pass_fds=[sending], stderr=subprocess.DEVNULL) as server:
        os.close(sending)
        with os.fdopen(receiving) as told:
            number = told.readline().strip()  # once it accepts windows
        os.environ |= {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
        try:
            yield
        finally:
            server.terminate()
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def settle(seconds: float = 0.1) -> None:
    """Let Qt do what it has put off."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)
