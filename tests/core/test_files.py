"""Files: whole or not at all, with a sentence where that cannot be."""

import errno
import json
import os
import resource
from pathlib import Path

import pytest

from histobridge.errors import UserError
from histobridge.io import files
from histobridge.io.files import atomic_write, write_json, write_text

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def old(tmp_path):
    """A file that is to be replaced."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    return path


def assert_only_the_old(path):
    """The file is as it was, and no draft lies beside it."""
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_block_that_ends_well_replaces_the_file(old):
    """Until its end the old file is there whole; then the new one is, alone, readable as any other file."""
    with atomic_write(old) as draft:
        draft.write_text("new")
        assert draft.parent == old.parent and old.read_text() == "old"
    assert old.read_text() == "new"
    assert [file.name for file in old.parent.iterdir()] == [old.name]
    (old.parent / "plain").touch()
    assert old.stat().st_mode == (old.parent / "plain").stat().st_mode


def test_missing_folders_are_made(tmp_path):
    """A file may be written where no folder is yet."""
    assert write_text(tmp_path / "b" / "c" / "a.txt", "é\r\n").read_bytes() == "é\r\n".encode()


def test_the_draft_is_on_the_disk_before_it_takes_the_place(old, monkeypatch):
    """First fsync of the whole content, then the renaming: a power cut in between loses nothing."""
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda number: done.append(os.fstat(number).st_size) or fsync(number))
    monkeypatch.setattr(files.os, "replace", lambda *paths: done.append("replaced") or replace(*paths))
    write_text(old, "newer")
    assert done == [5, "replaced"]


@pytest.mark.parametrize("written", [None, "", "half"])
@pytest.mark.parametrize("stop", [FULL, KeyboardInterrupt(), ValueError("a fault of the program"), UserError("told")])
def test_a_block_that_breaks_off_changes_nothing(old, stop, written):
    """Before, while and after the draft is written: the draft goes; what is not about the disk goes on as it is."""
    with pytest.raises(UserError if stop is FULL else type(stop)) as caught, atomic_write(old) as draft:
        if written is not None:
            draft.write_text(written)
        raise stop
    assert stop is FULL or caught.value is stop
    assert_only_the_old(old)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("stop", [FULL, KeyboardInterrupt()])
def test_a_last_step_that_fails_changes_nothing(old, monkeypatch, step, stop):
    """The content may fail to reach the disk, and the file to be renamed."""

    def fail(*_):
        raise stop

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(UserError if stop is FULL else KeyboardInterrupt):
        write_text(old, "new")
    assert_only_the_old(old)


def test_a_full_disk_is_told(old):
    """With a limit set by the system: one sentence names the file, the reason and what to do."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(UserError) as caught:
            write_text(old, "new" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    sentence = f"Could not write {old} (File too large): free some space or choose another folder"
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)
    assert_only_the_old(old)


def test_what_a_library_raises_on_a_full_disk_is_told_where_named(old):
    """An exception in `also` is told as an OSError is, and goes on as it is otherwise."""
    for also, kind in (((RuntimeError,), UserError), ((), RuntimeError)):
        with pytest.raises(kind, match="unexpected pos 64"), atomic_write(old, also=also) as draft:
            draft.write_text("half")
            raise RuntimeError("unexpected pos 64")
        assert_only_the_old(old)


def test_a_read_only_folder_is_told(old, monkeypatch):
    """Where no file may be made, that is the sentence; root, who may write anywhere, gets it from a stand-in."""

    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    old.parent.chmod(0o555)
    if os.geteuid() == 0:
        monkeypatch.setattr(Path, "write_text", refuse)
    try:
        with pytest.raises(UserError, match=r"Could not write .*a\.txt \(Permission denied\)"):
            write_text(old, "new")
    finally:
        old.parent.chmod(0o755)
    monkeypatch.undo()
    assert_only_the_old(old)


@pytest.mark.parametrize("place", ["a.txt/b.txt", "a.txt/b/c.txt", "folder", "n" * 300])
def test_a_place_where_no_file_can_be_is_told(old, place):
    """A file as folder, a folder as file and a name too long give a sentence and leave nothing behind."""
    (old.parent / "folder").mkdir()
    with pytest.raises(UserError, match=f"Could not write .*{place}"):
        write_text(old.parent / place, "new")
    assert sorted(path.name for path in old.parent.rglob("*")) == ["a.txt", "folder"]


def test_json_comes_back(tmp_path):
    """Records and lists of them are read back equal; what JSON cannot say leaves the old file."""
    for content in ({"value": 1.5, "names": ["µ", None]}, [{"a": 1}]):
        path = write_json(tmp_path / "a.json", content)
        assert json.loads(path.read_text()) == content
    with pytest.raises(TypeError):
        write_json(path, {"value": object()})
    assert json.loads(path.read_text()) == [{"a": 1}]
