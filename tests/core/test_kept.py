"""io/kept.py: a kept file is used only if it is what was sealed; any other one is set aside and made anew."""

import shutil
import subprocess

import pytest

from histobridge.io.files import write_text
from histobridge.io.kept import SEAL, fits_seal, kept, seal, seal_of, sealed_files, set_aside, unseal


class Maker:
    """Writes a text, and counts how often."""

    def __init__(self, text="the text"):
        self.text, self.calls = text, 0

    def __call__(self, path):
        self.calls += 1
        write_text(path, self.text)

    def keep(self, path):
        """Return what is kept in a path."""
        return kept(path, self, lambda path: path.read_text())


def test_a_kept_file_is_made_once(tmp_path):
    """Missing folders are made, and the second call reads."""
    maker = Maker()
    assert [maker.keep(tmp_path / "a" / "b.txt") for _ in range(3)] == ["the text"] * 3
    assert maker.calls == 1


@pytest.mark.parametrize(
    "damage",
    {
        "cut": lambda path: path.write_text("the t"),
        "empty": lambda path: path.write_text(""),
        "changed": lambda path: path.write_text("the next"),
        "a seal that is cut": lambda path: seal_of(path).write_text("01"),
        "a seal that is no text": lambda path: seal_of(path).write_bytes(b"\xff\xfe"),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_does_not_fit_its_seal_is_set_aside_and_made_anew(tmp_path, capsys, damage):
    """It is told, and never used."""
    maker, path = Maker(), tmp_path / "a.txt"
    maker.keep(path)
    damage[1](path)
    was = path.read_bytes()
    assert maker.keep(path) == "the text" and maker.calls == 2 and fits_seal(path)
    assert f"{path} is not what was kept there: it is made anew" in capsys.readouterr().out
    assert (tmp_path / "a.txt.set-aside").read_bytes() == was


@pytest.mark.parametrize("lost", ["a.txt", f"a.txt{SEAL}"])
def test_a_missing_file_or_seal_means_that_its_writer_was_interrupted(tmp_path, capsys, lost):
    """It is made anew, and there is nothing to tell."""
    maker, path = Maker(), tmp_path / "a.txt"
    maker.keep(path)
    (tmp_path / lost).unlink()
    assert maker.keep(path) == "the text" and maker.calls == 2 and capsys.readouterr().out == ""


def test_files_that_were_swapped_are_noticed(tmp_path):
    """Also together with their seals, and also whole folders."""
    first, second = tmp_path / "one" / "a.txt", tmp_path / "one" / "b.txt"
    Maker("a").keep(first), Maker("b").keep(second)
    for with_seal in (False, True):
        for path in (first, second):
            assert fits_seal(path) is True
        for ending in ["", SEAL] if with_seal else [""]:
            one, two = (path.with_name(path.name + ending) for path in (first, second))
            content = one.read_bytes(), two.read_bytes()
            one.write_bytes(content[1]), two.write_bytes(content[0])
        assert Maker("a").keep(first) == "a" and Maker("b").keep(second) == "b"
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert not fits_seal(tmp_path / "two" / "a.txt")


def test_a_seal_is_a_line_of_sha256sum(tmp_path):
    """The program reads it from the folder above."""
    Maker().keep(tmp_path / "one" / "a.txt")
    told = subprocess.run(["sha256sum", "--check", f"one/a.txt{SEAL}"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0 and "one/a.txt: OK" in told.stdout


def test_sealed_files_are_found_also_where_they_are_missing(tmp_path):
    """A seal without its file is a loss to be told."""
    for name in ("b/x.txt", "a.txt"):
        Maker().keep(tmp_path / name)
    (tmp_path / "a.txt").unlink()
    assert list(sealed_files(tmp_path)) == [tmp_path / "a.txt", tmp_path / "b" / "x.txt"]


def test_what_was_set_aside_before_stays(tmp_path):
    """A second one gets a number; folders can be set aside too."""
    for text in ("1", "2"):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "t").write_text(text)
        set_aside(tmp_path / "a", "is old")
    found = {path.name: (path / "t").read_text() for path in tmp_path.iterdir()}
    assert found == {"a.set-aside": "1", "a.set-aside2": "2"}


def test_a_file_can_lose_its_seal(tmp_path):
    """Then it counts as unfinished, and losing it twice does no harm."""
    path = tmp_path / "a.txt"
    path.write_text("t")
    seal(path)
    assert fits_seal(path)
    unseal(path), unseal(path)
    assert not fits_seal(path)
