"""io/limits.py: bounds before work, and names that every file system takes."""

import os
from types import SimpleNamespace

import pytest

from histobridge.errors import OutputError, UserError
from histobridge.io import limits
from histobridge.io.limits import check_disk, check_memory, check_path, free_memory, printable, short_name

GIB = 2**30


@pytest.mark.parametrize("name", ["rat 3", "n" * 100, "神" * 33, "a.b-c_d", "été"])
def test_a_short_name_stays_as_it_is(name):
    """Spaces, dots and letters of any script are no fault."""
    assert short_name(name) == name


@pytest.mark.parametrize("letter", ["n", "é", "神", "\N{GRINNING FACE}"])
def test_a_long_name_is_cut_and_stays_unique(letter):
    """Bytes are counted, and no letter is cut in half."""
    one, two = short_name(letter * 200), short_name(letter * 201)
    assert one != two
    for name in (one, two):
        assert 90 <= len(name.encode()) <= 100 and name.startswith(letter) and name == short_name(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        (os.fsdecode(b"a\xff"), "a\\udcff"),
        ("µ é", "µ é"),
        ("a\x85", "a\\x85"),
    ],
)
def test_what_a_terminal_cannot_show_is_escaped(text, shown):
    """Control characters and bytes that are no UTF-8."""
    assert printable(text) == shown


def test_memory_is_that_of_the_machine_and_of_the_container(tmp_path, monkeypatch):
    """The lesser of the two counts; `max` means no limit."""
    monkeypatch.setattr(limits.psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GIB))
    monkeypatch.setattr(limits, "CGROUP", tmp_path)
    assert free_memory() == 8 * GIB
    (tmp_path / "memory.current").write_text(f"{GIB}\n")
    for most, free in (("max", 8), (4 * GIB, 3), (64 * GIB, 8)):
        (tmp_path / "memory.max").write_text(f"{most}\n")
        assert free_memory() == free * GIB
    check_memory(8 * GIB, "a.png")
    with pytest.raises(UserError, match=r"a\.png needs about 9 GiB of memory, and 8 GiB are free"):
        check_memory(9 * GIB, "a.png")


def test_the_disk_must_hold_what_will_be_written(tmp_path, monkeypatch):
    """The sentence names both sizes and the folder."""
    monkeypatch.setattr(limits.shutil, "disk_usage", lambda folder: SimpleNamespace(free=GIB))
    check_disk(GIB, tmp_path)
    with pytest.raises(OutputError, match=rf"About 2 GiB will be written to {tmp_path}, and 1 GiB are free"):
        check_disk(2 * GIB, tmp_path)


def test_a_path_that_no_file_system_takes_is_refused(tmp_path):
    """Before anything is written."""
    check_path(tmp_path / ("n" * 255))
    for path in (tmp_path / ("n" * 256), tmp_path.joinpath(*["n" * 200] * 20)):
        with pytest.raises(OutputError, match="too long a path"):
            check_path(path)
