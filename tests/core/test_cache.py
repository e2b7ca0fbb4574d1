"""Folders that say what they were made from."""

import numpy as np
import pytest

from histobridge.cache import digest, kept
from histobridge.errors import UserError


def test_the_same_facts_give_the_same_folder_with_its_content(tmp_path):
    """A second call finds what the first has put there; order and type of containers do not matter."""
    (kept(tmp_path / "a", steps=3, widths=(1, 2)) / "model").write_text("m")
    assert (kept(tmp_path / "a", widths=[1, 2], steps=3) / "model").read_text() == "m"


def test_other_facts_set_the_content_aside_and_their_return_brings_it_back(tmp_path):
    """A changed setting starts empty; changed back, the first content is there again, and the second waits."""
    (kept(tmp_path / "a", steps=3) / "model").write_text("three")
    second = kept(tmp_path / "a", steps=4)
    assert [p.name for p in second.iterdir()] == ["made_from.json"]
    (second / "model").write_text("four")
    assert (kept(tmp_path / "a", steps=3) / "model").read_text() == "three"
    assert (kept(tmp_path / "a", steps=4) / "model").read_text() == "four"


def test_files_of_unknown_origin_are_refused(tmp_path):
    """Nobody's model is taken for ours."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "model").write_text("?")
    with pytest.raises(UserError, match=r"do not say.*--out"):
        kept(tmp_path / "a", steps=3)


def test_a_kill_before_the_mark_leaves_a_folder_that_can_be_used(tmp_path):
    """An empty folder, or one with only a half-written mark, counts as empty."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".made_from.json.12.part").write_text("{")
    assert kept(tmp_path / "a", steps=3).exists()


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
def test_the_digest_sees_types_shapes_values_and_names(other):
    """Whatever differs in content differs in hash."""
    assert digest(np.arange(3.0), {"b": 2}) != digest(*other)


def test_the_digest_sees_where_one_number_ends():
    """(1, 23) is not (12, 3)."""
    assert digest(1, 23) != digest(12, 3)


def test_the_digest_does_not_see_the_order_of_a_dict_or_of_memory():
    """Equal contents are equal, however they lie in memory."""
    table = np.arange(6.0).reshape(2, 3)
    assert digest(table) == digest(np.asfortranarray(table))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_a_draft_of_a_killed_write_does_not_block_the_way_back(tmp_path):
    """What was set aside comes back into a folder that holds a draft."""
    (kept(tmp_path / "a", steps=3) / "model").write_text("three")
    kept(tmp_path / "a", steps=4)
    (tmp_path / "a" / "made_from.json").unlink()
    (tmp_path / "a" / ".made_from.json.12.part").write_text("{")
    assert (kept(tmp_path / "a", steps=3) / "model").read_text() == "three"


def test_a_folder_that_another_process_has_just_marked_is_taken(tmp_path, monkeypatch):
    """It was not there when this one looked first."""
    folder = kept(tmp_path / "a", steps=3)
    exists, asked = type(folder).exists, []

    def late(path):
        asked.append(path)
        return exists(path) and asked != [folder / "made_from.json"]

    monkeypatch.setattr(type(folder), "exists", late)
    assert kept(tmp_path / "a", steps=3) == folder
