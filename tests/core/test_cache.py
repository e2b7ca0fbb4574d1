"""cache.py: a result lies in a folder that is named by all that decides it."""

import json

import numpy as np
import pytest

from histobridge import cache
from histobridge.cache import FACTS, Cache, digest

ROUND_TRIP = {"steps": 3, "rate": 0.1, "widths": [1, 2], "decay": None, "nested": {"a": [True, "x"]}}


def test_equal_facts_give_the_folder_with_its_content(tmp_path):
    """A second call finds what the first has left; order, and tuple or list, do not matter."""
    (Cache(tmp_path).folder("a", steps=3, widths=(1, 2)) / "model").write_text("m")
    assert (Cache(tmp_path).folder("a", widths=[1, 2], steps=3) / "model").read_text() == "m"


@pytest.mark.parametrize("other", [{"steps": 4}, {"steps": "3"}, {"step": 3}, {"steps": 3, "seed": 0}, {}])
def test_other_facts_give_another_folder(tmp_path, other):
    """A changed value, type or name starts empty, and the first folder stays as it was."""
    (Cache(tmp_path).folder("a", steps=3) / "model").write_text("three")
    assert [path.name for path in Cache(tmp_path).folder("a", **other).iterdir()] == [FACTS]
    assert (Cache(tmp_path).folder("a", steps=3) / "model").read_text() == "three"


def test_the_version_of_the_library_is_a_fact(tmp_path, monkeypatch):
    """Another version of the code makes every result anew."""
    before = Cache(tmp_path).path("a", steps=3)
    monkeypatch.setattr(cache, "__version__", "another")
    assert Cache(tmp_path).path("a", steps=3) != before


def test_the_number_format_is_a_fact(tmp_path, monkeypatch):
    """Results of float32 and of bfloat16 do not pass for each other (row 28)."""
    paths = set()
    for precision in ("float32", "bfloat16"):
        monkeypatch.setattr(cache, "precision", lambda precision=precision: precision)
        paths.add(Cache(tmp_path).path("a", steps=3))
    assert len(paths) == 2


@pytest.mark.parametrize("broken", ["", "{", "[1]", "{}", '{"steps": 4}'])
def test_broken_facts_are_written_again(tmp_path, broken):
    """The name of the folder decides, and what lies in it stays (row 16)."""
    folder = Cache(tmp_path).folder("a", steps=3)
    whole = (folder / FACTS).read_text()
    (folder / "model").write_text("m")
    (folder / FACTS).write_text(broken)
    assert Cache(tmp_path).folder("a", steps=3) == folder
    assert (folder / FACTS).read_text() == whole and (folder / "model").read_text() == "m"


def test_the_facts_can_be_read_and_lead_to_the_same_folder(tmp_path):
    """`made_from.json` holds the facts as they were given; read back, they name the folder again."""
    folder = Cache(tmp_path).folder("models/a", **ROUND_TRIP)
    facts = json.loads((folder / FACTS).read_text())
    of_the_code = facts.pop("histobridge"), facts.pop("precision")
    assert facts == ROUND_TRIP and of_the_code == (cache.__version__, cache.precision())
    assert Cache(tmp_path).folder("models/a", **facts) == folder


def test_asking_for_a_path_creates_nothing(tmp_path):
    """`path` names the folder that `folder` creates."""
    path = Cache(tmp_path / "cache").path("a", steps=3)
    assert not (tmp_path / "cache").exists()
    assert Cache(tmp_path / "cache").folder("a", steps=3) == path


@pytest.mark.parametrize(
    "other",
    [
        [np.arange(3), {"b": 2}],
        [np.arange(4.0), {"b": 2}],
        [np.arange(3.0), {"b": 3}],
        [np.arange(3.0), {"c": 2}],
        [[np.arange(3.0)], {"b": 2}],
    ],
)
def test_the_digest_depends_on_types_shapes_values_and_names(other):
    """Different content gives a different hash."""
    assert digest(np.arange(3.0), {"b": 2}) != digest(*other)


def test_the_digest_knows_where_a_number_ends():
    """(1, 23) is not (12, 3)."""
    assert digest(1, 23) != digest(12, 3)


def test_the_digest_does_not_depend_on_the_order_of_a_dict_or_of_memory():
    """Equal contents have equal hashes, however they lie in memory."""
    table = np.arange(6.0).reshape(2, 3)
    assert digest(table) == digest(np.asfortranarray(table))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
