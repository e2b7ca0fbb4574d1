"""Commands of histobridge that run in the background: another process, so that napari stays usable and can stop it."""

from __future__ import annotations

import re
import sys
from enum import Enum
from pathlib import Path

from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

PROGRAM = [sys.executable, "-m", "histobridge"]
KILL_AFTER_MS = 10_000
"""A command that is asked to stop has this long before it is killed; what it has finished is kept in either case."""
DONE_OF_ALL = re.compile(r"\b(\d+) of (\d+)\b")
LINE_END = re.compile(rb"[\r\n]+")
UNBUFFERED = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}


class Outcome(Enum):
    """How a command ended."""

    DONE, INCOMPLETE, FAILED, STOPPED = range(4)


OUTCOMES = {0: Outcome.DONE, 2: Outcome.INCOMPLETE}
"""By exit code; every other one is a fault of the program."""


def learn_command(handoff: Path, corrected: Path, model: Path) -> list[str]:
    """Return the arguments of `histobridge import --finetune`; its table of edits lies among the corrections."""
    return ["import", str(handoff), str(corrected), "--to", str(corrected), "--finetune", str(model)]


def apply_command(model: Path, images: Path, out: Path, um_per_px: float | None) -> list[str]:
    """Return the arguments of `histobridge apply`; the pixel size (µm/px) may be left to the files."""
    size = [] if um_per_px is None else ["--um-per-px", f"{um_per_px:g}"]
    return ["apply", str(model), str(images), "--out", str(out), *size]


def progress_of(line: str) -> tuple[int, int] | None:
    """Return how many of how many are done, if a line of progress says so.

    >>> progress_of("fine-tuning: step 40 of 100, 0.31 s a step"), progress_of("hello")
    ((40, 100), None)
    """
    found = DONE_OF_ALL.search(line)
    done, total = map(int, found.groups()) if found else (0, 0)
    return (done, total) if 0 < done <= total else None


class Job(QObject):
    """One command at a time.

    Signals
    -------
    line : str
        Each line that the command prints.
    ended : Outcome
        When it has ended, for whatever reason.
    """

    line = Signal(str)
    ended = Signal(object)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._stopped, self._rest = False, b""
        self._process, self._patience = QProcess(self), QTimer(self, singleShot=True, interval=KILL_AFTER_MS)
        self._patience.timeout.connect(self._process.kill)
        self._process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self._process.readyReadStandardOutput.connect(lambda: self._read())
        self._process.finished.connect(self._finish)
        self._process.errorOccurred.connect(self._fail)

    @property
    def running(self) -> bool:
        """Whether a command is at work."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def start(self, arguments: list[str]) -> None:
        """Run `histobridge` with arguments; nothing happens while another command runs."""
        if self.running:
            return
        environment = QProcessEnvironment.systemEnvironment()
        for name, value in UNBUFFERED.items():
            environment.insert(name, value)
        self._stopped, self._rest = False, b""
        self._process.setProcessEnvironment(environment)
        program, *first = PROGRAM
        self._process.start(program, [*first, *arguments])

    def stop(self) -> None:
        """Ask the command to end, and kill it if it does not."""
        if self.running:
            self._stopped = True
            self._process.terminate()
            self._patience.start()

    def wait(self, milliseconds: int = KILL_AFTER_MS) -> bool:
        """Wait until the command has ended; return whether it has."""
        return not self.running or self._process.waitForFinished(milliseconds)

    def _read(self, *, rest: bool = False) -> None:
        *lines, self._rest = LINE_END.split(self._rest + bytes(self._process.readAllStandardOutput()))
        for line in [*lines, self._rest] if rest else lines:
            if line.strip():
                self.line.emit(line.decode("utf-8", "replace"))

    def _finish(self, code: int, status: QProcess.ExitStatus) -> None:
        self._patience.stop()
        self._read(rest=True)
        crashed = status == QProcess.ExitStatus.CrashExit
        outcome = Outcome.FAILED if crashed else OUTCOMES.get(code, Outcome.FAILED)
        self.ended.emit(Outcome.STOPPED if self._stopped else outcome)

    def _fail(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:  # nothing else is emitted then
            self.line.emit(f"{PROGRAM[0]} could not be started: {self._process.errorString()}")
            self.ended.emit(Outcome.FAILED)
