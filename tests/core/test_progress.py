"""progress: a live line in a terminal, plain lines now and then elsewhere."""

import io
from contextlib import redirect_stdout

import pytest

from histobridge.io import progress
from histobridge.io.progress import ThrottledProgress, counted, live_line


class Terminal(io.StringIO):
    """A terminal that remembers what was written."""

    def isatty(self):
        """It is one."""
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 30 columns."""
    monkeypatch.setattr(progress, "REFRESH_S", 0)
    monkeypatch.setenv("COLUMNS", "30")
    return Terminal()


def shown(terminal) -> list[str]:
    """Return the lines that are on the screen in the end."""
    return [line.rsplit(progress.ERASE, 1)[-1] for line in terminal.getvalue().split("\n")]


def test_in_a_terminal_one_line_is_renewed_and_what_is_printed_stands_above_it(terminal):
    """The last progress line is gone at the end."""
    with redirect_stdout(terminal), live_line():
        report = ThrottledProgress()
        report("step 1 of 2")
        report("step 2 of 2")
        assert shown(terminal) == ["step 2 of 2"]
        print("[2/3] the next step")
        report("step 1 of 9")
    assert shown(terminal) == ["[2/3] the next step", ""]


def test_a_long_line_is_cut_to_the_width_of_the_terminal(terminal):
    """A line that wrapped could not be renewed in place."""
    with redirect_stdout(terminal), live_line():
        ThrottledProgress()("x" * 99)
        assert shown(terminal) == ["x" * 28 + "…"]


def test_elsewhere_lines_are_plain_and_few(capsys):
    """A log holds no control characters, and one line of a burst."""
    with live_line():
        report = ThrottledProgress()
        report("first")
        report("second")
    assert capsys.readouterr().out == "first\n"


def test_the_time_left_is_told_from_the_second_item_on(monkeypatch):
    """It is the mean time of the items that are done, times those that are left."""
    clock, told = iter((0.0, 60.0, 120.0)), []
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(counted("ab", "labelling {},".format, told.append)) == ["a", "b"]
    assert told == ["labelling a, 1 of 2", "labelling b, 2 of 2, 1.0 min left"]
