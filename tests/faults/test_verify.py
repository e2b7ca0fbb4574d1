"""`verify` compares everything that is kept with its checksums, and changes nothing."""

import numpy as np
import pytest

from histobridge.io.files import write_text
from histobridge.io.kept import SEAL, seal
from histobridge.phantom import phantom
from histobridge_label.export import Labelled, names, write_handoff
from histobridge_study.record import write_record

SHAPE = (64, 64)


@pytest.fixture
def kept(tmp_path):
    """A folder with a sealed file, a finished stage and a hand-off; and one file of each."""
    sealed = write_text(tmp_path / "cache" / "a-1" / "mask.txt", "a mask")
    seal(sealed)
    dice = write_text(tmp_path / "pair" / "03_label-1" / "dice.csv", "dice\n0.5\n")
    write_record(dice.parent, {"key": "1", "provenance": {}})
    labelled = Labelled("one", "rat", *phantom("sem", 7, SHAPE), np.zeros(SHAPE, np.float32), 0.1)
    handoff = write_handoff(tmp_path / "handoff", [labelled], {})
    return {"sealed": sealed, "stage": dice, "handoff": handoff.file(handoff.images["image"][0], names.COMBINED)}


def test_what_is_intact_is_counted(kept, tmp_path, histobridge):
    """Sealed files, records and files of stages, and files of hand-offs."""
    code, out, _ = histobridge("verify", tmp_path)
    assert code == 0 and "0 skipped" in out
    assert int(out.split(" files: ")[1].split(" used")[0]) > 15


@pytest.mark.parametrize("kind", ["sealed", "stage"])
@pytest.mark.parametrize("damage", ["changed", "lost"])
def test_what_is_not_as_it_was_kept_is_named(kept, tmp_path, histobridge, kind, damage):
    """Whether a file was changed or is missing; it stays as it is."""
    if damage == "lost":
        kept[kind].unlink()
    else:
        kept[kind].write_text("another")
    code, out, _ = histobridge("verify", tmp_path)
    assert code == 2 and f"Skipped {kept[kind]}: it is not what was kept there" in out and "1 skipped" in out
    assert kept[kind].exists() == (damage == "changed")


def test_a_broken_record_is_named(kept, tmp_path, histobridge):
    """The seal of the record tells."""
    record = kept["stage"].with_name("finished.json")
    record.write_text("{")
    code, out, _ = histobridge("verify", tmp_path)
    assert code == 2 and f"Skipped {record}" in out and record.with_name(f"finished.json{SEAL}").exists()


def test_what_people_have_edited_is_no_fault(kept, tmp_path, histobridge):
    """It is counted apart; a file that is missing from a hand-off is a fault."""
    kept["handoff"].write_bytes(b"edited")
    code, out, _ = histobridge("verify", tmp_path)
    assert code == 0 and "1 edited by people" in out
    kept["handoff"].unlink()
    code, out, _ = histobridge("verify", tmp_path)
    assert code == 2 and f"Skipped {kept['handoff']}" in out


def test_a_folder_of_something_else_is_a_sentence(tmp_path, histobridge):
    """Also one that is not there."""
    for folder, words in ((tmp_path, "was kept by histobridge"), (tmp_path / "nowhere", "There is no folder")):
        code, _, err = histobridge("verify", folder)
        assert code == 2 and words in err
