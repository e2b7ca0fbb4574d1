"""What is said when labelling ends: where to look, what to correct first, what to type; as text and as JSON."""

import json
import shlex

import numpy as np
import pytest
import zarr

from drawn_files import SIDE
from drawn_zarr import write_zarr
from histobridge.io.masks import read_mask
from histobridge.phantom import phantom
from histobridge_label import outcome
from histobridge_label.export import names, read_handoff


@pytest.fixture(scope="module")
def applied(labelled, tmp_path_factory):
    """A folder with an image and a section, and where the model of `labelled` has put their labels."""
    place = tmp_path_factory.mktemp("place")
    write_zarr(place / "more" / "s.ome.zarr", (255 * phantom("sem", 90, (SIDE, SIDE))[0]).astype(np.uint8))
    return place / "more", place / "out", labelled[0]


@pytest.fixture
def apply(applied, histobridge):
    """Apply the model by the command line, with some options more."""
    more, out, model = applied
    return lambda *options: histobridge("apply", model, more, "--out", out, *options)


def test_the_last_lines_name_what_to_correct_first_and_the_command(labelled):
    """The most uncertain tile of each of three images, and the command that reads corrections."""
    out, done = labelled
    lines = outcome.lines(done, out)
    first = [line for line in lines if "px from row" in line]
    assert len(first) == 3 and first[0].startswith("Correct first: sub-images_sample-")
    assert shlex.split(lines[-1])[:2] == ["histobridge", "import"] and str(out / "handoff") in lines[-1]
    assert not any(line.startswith("OME-Zarr") for line in lines)


def test_a_section_is_labelled_written_and_handed_off(apply, applied):
    """Its labels lie beside the image in OME-Zarr, and in the hand-off for correction."""
    code, told, err = apply()
    assert code == 0, err
    _, out, _ = applied
    assert "1 images labelled" in told and "OME-Zarr: " in told
    handoff = read_handoff(out / "handoff")
    mask = read_mask(handoff.file(handoff.images["image"][0], names.COMBINED))[0]
    written = zarr.open_group(out / "sections" / "s" / "s.ome.zarr", mode="r")["labels/axon-myelin/0"][:]
    np.testing.assert_array_equal(mask, written)
    assert (out / "report.html").exists() and mask.any()


def test_the_same_as_json(apply, applied):
    """Standard output holds JSON alone; progress and numbers go to standard error."""
    code, told, err = apply("--json")
    record, out = json.loads(told), applied[1]
    assert code == 0 and "[1/3]" in err and "1 used, 0 skipped" in err
    assert record["sections"] == [str(out / "sections" / "s" / "s.ome.zarr")] and record["skipped"] == []
    assert record["images"][0]["image"] == "s" and record["images"][0]["mvf"] > 0
    uncertain = [tile["uncertainty"] for tile in record["correct_first"]]
    assert uncertain == sorted(uncertain, reverse=True)
    assert shlex.split(record["next"])[:2] == ["histobridge", "import"]
