"""Files are written whole or not at all, and a lock admits one process at a time."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from histobridge.errors import BrokenError, OutputError, UserError
from histobridge.io import files
from histobridge.io.files import (
    atomic_write,
    file_lock,
    read_json,
    read_table,
    sweep_drafts,
    write_json,
    write_table,
    write_text,
)

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def old(tmp_path):
    """Return a file that is to be replaced."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    return path


def assert_only_the_old(path):
    """Check that the file is unchanged and no draft lies beside it."""
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_block_that_ends_well_replaces_the_file(old):
    """Inside the block the old file is complete; after it there is only the new file, with the usual permissions."""
    with atomic_write(old) as draft:
        draft.write_text("new")
        assert draft.parent == old.parent and old.read_text() == "old"
    assert old.read_text() == "new"
    assert [file.name for file in old.parent.iterdir()] == [old.name]
    (old.parent / "plain").touch()
    assert old.stat().st_mode == (old.parent / "plain").stat().st_mode


def test_missing_folders_are_made(tmp_path):
    """A file may be written to a folder that does not exist yet."""
    assert write_text(tmp_path / "b" / "c" / "a.txt", "é\r\n").read_bytes() == "é\r\n".encode()


def test_the_draft_is_on_the_disk_before_it_takes_the_place(old, monkeypatch):
    """The whole content is synced to the disk before the draft is renamed."""
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda number: done.append(os.fstat(number).st_size) or fsync(number))
    monkeypatch.setattr(files.os, "replace", lambda *paths: done.append("replaced") or replace(*paths))
    write_text(old, "newer")
    assert done == [5, "replaced"]


@pytest.mark.parametrize("written", [None, "", "half"])
@pytest.mark.parametrize("stop", [FULL, KeyboardInterrupt(), ValueError("a bug"), UserError("a mistake")])
def test_a_block_that_breaks_off_changes_nothing(old, stop, written):
    """An error at any time removes the draft; errors other than those of the disk are passed on unchanged."""
    with pytest.raises(UserError if stop is FULL else type(stop)) as caught, atomic_write(old) as draft:
        if written is not None:
            draft.write_text(written)
        raise stop
    assert stop is FULL or caught.value is stop
    assert_only_the_old(old)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("stop", [FULL, KeyboardInterrupt()])
def test_a_last_step_that_fails_changes_nothing(old, monkeypatch, step, stop):
    """A failing sync or rename leaves the old file."""

    def fail(*_):
        raise stop

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(UserError if stop is FULL else KeyboardInterrupt):
        write_text(old, "new")
    assert_only_the_old(old)


def test_a_full_disk_is_reported(old):
    """One sentence names the file, the reason and what to do."""
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


def test_a_read_only_folder_is_reported(old, monkeypatch):
    """A folder without write permission is reported; root may write anywhere, so the refusal is simulated for root."""

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
def test_an_impossible_path_is_reported(old, place):
    """A path through a file, a path to a folder and a name too long are reported and leave nothing behind."""
    (old.parent / "folder").mkdir()
    with pytest.raises(UserError, match=f"Could not write .*{place}"):
        write_text(old.parent / place, "new")
    assert sorted(path.name for path in old.parent.rglob("*")) == ["a.txt", "folder"]


def test_json_comes_back(tmp_path):
    """JSON content is read back equal; content that JSON cannot express leaves the old file."""
    for content in ({"value": 1.5, "names": ["µ", None]}, [{"a": 1}]):
        path = write_json(tmp_path / "a.json", content)
        assert json.loads(path.read_text()) == content
    with pytest.raises(TypeError):
        write_json(path, {"value": object()})
    assert json.loads(path.read_text()) == [{"a": 1}]


@pytest.mark.parametrize("broken", ["", "{", "[1]", "null", '{"a"', "[" * 100_000, '{"b": 1}', "\udcff"])
def test_a_record_that_is_broken_is_one_kind_of_error(tmp_path, broken):
    """Whether it is empty, cut, nested deeply, of another form or lacks a field (row 16)."""
    path = tmp_path / "a.json"
    path.write_bytes(broken.encode("utf-8", "surrogateescape"))
    with pytest.raises(BrokenError, match=r"a\.json"):
        read_json(path, fields=("a",))
    with pytest.raises(BrokenError, match=r"b\.json"):
        read_json(tmp_path / "b.json")


def test_text_in_a_table_is_no_formula_for_a_spreadsheet_and_comes_back(tmp_path):
    """Numbers stay numbers, also negative ones; names that look like numbers or like nothing stay text (row 33)."""
    names = ["=1+1", "+a", "-a", "@a", "\ta", "'quoted", "'=x", "plain", "001", "NA", "None", "nan"]
    table = pd.DataFrame({"image": names, "value": [-1.5, float("nan"), *range(10)]})
    write_table(tmp_path / "a.csv", table)
    cells = [line.split(",")[0].strip('"') for line in (tmp_path / "a.csv").read_text().splitlines()[1:]]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in cells)
    assert read_table(tmp_path / "a.csv").equals(table)
    write_table(tmp_path / "a.tsv", table, separator="\t")
    assert read_table(tmp_path / "a.tsv", separator="\t").equals(table)


@pytest.mark.parametrize("broken", ["", "\n", 'a,b\n"1', "a\n1,2,3\n1,2,3,4\n"])
def test_a_table_that_is_broken_is_one_kind_of_error(tmp_path, broken):
    """An empty or cut file is no traceback (row 16)."""
    (tmp_path / "a.csv").write_text(broken)
    with pytest.raises(BrokenError, match=r"a\.csv is no table"):
        read_table(tmp_path / "a.csv")


def test_bytes_that_are_no_utf8_are_written_as_escapes(tmp_path):
    """A name of a file may hold any byte."""
    assert write_text(tmp_path / "a.txt", os.fsdecode(b"a\xff")).read_bytes() == b"a\\udcff"


def test_many_processes_write_one_file(tmp_path):
    """Names of drafts are random: equal numbers of processes, as containers have them, do no harm (row 32)."""
    path, number = tmp_path / "a.txt", os.getpid()
    write = f"import os; os.getpid = lambda: {number}\nfrom pathlib import Path\n"
    write += "from histobridge.io.files import write_text\n"
    write += f"for text in 'ab' * 100: write_text({str(path)!r}, text * 9999)"
    writers = [subprocess.Popen([sys.executable, "-c", write]) for _ in range(3)]
    assert [writer.wait(timeout=100) for writer in writers] == [0, 0, 0]
    assert path.read_text() == "b" * 9999 and [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_drafts_of_killed_processes_are_swept(tmp_path):
    """A young draft may belong to a process that is at work, and other files stay."""
    for name, age in (("a/.draft-1", 9999), ("a/.draft-2", 5), ("a/b", 9999)):
        write_text(tmp_path / name, "x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    sweep_drafts(tmp_path)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [".draft-2", "b"]


HOLD = "import sys, time; from pathlib import Path; from histobridge.io.files import file_lock\n"
HOLD += "with file_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_a_lock_disappears_with_its_process(tmp_path):
    """While another process holds the lock it is refused; after that process is killed it is free."""
    lock = tmp_path / "new" / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(UserError, match=r"Another process is at work in .*new: wait for it"),
            file_lock(lock, wait=False),
        ):
            pass
        other.send_signal(signal.SIGKILL)
    with file_lock(lock, wait=False), pytest.raises(UserError), file_lock(lock, wait=False):
        pass


def test_a_child_that_inherits_the_lock_holds_it(tmp_path):
    """The yielded file descriptor passes the lock to a child process."""
    check = "import fcntl, sys; fcntl.flock(int(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with file_lock(tmp_path / ".lock") as descriptor:
        subprocess.run([sys.executable, "-c", check, str(descriptor)], pass_fds=[descriptor], check=True)


def test_a_lock_that_is_a_link_is_refused(tmp_path):
    """The file that it points to stays as it is (row 29)."""
    (tmp_path / "precious").write_text("kept")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="is a link"), file_lock(tmp_path / ".lock"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_lock_that_cannot_be_opened_is_a_sentence(tmp_path, monkeypatch):
    """It may belong to another user, or the folder may be read-only (row 29)."""

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.FileLock, "acquire", refuse)
    sentence = rf"{tmp_path} cannot be used for results \(Permission denied\)"
    with pytest.raises(OutputError, match=sentence), file_lock(tmp_path / ".lock"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be used for results"), file_lock(tmp_path / "file" / ".lock"):
        pass
