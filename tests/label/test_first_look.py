"""The first look: `histobridge label FOLDER` says in five lines what is there, what is missing, what to type next."""

import json
import shlex

import numpy as np
import pytest

from drawn_files import draw
from drawn_zarr import write_zarr
from histobridge.phantom import phantom


@pytest.fixture
def folder(tmp_path):
    """Three images without a pixel size, a section with one, and a file that cannot be read."""
    place = draw(tmp_path / "my images")
    write_zarr(place / "s.ome.zarr", np.ones((300, 200), np.uint8), um_per_px=0.05)
    (place / "x.czi").touch()
    (place / "notes.txt").touch()
    return place


def test_five_lines_say_what_is_there_what_is_missing_and_what_to_type(histobridge, folder):
    """Nothing is written; the exit code is 2, because a pixel size is missing."""
    before = sorted(folder.parent.rglob("*"))
    code, out, _ = histobridge("label", folder, "--source", "phantom")
    found, skipped, pixels, source, following = out.splitlines()[-5:]
    assert code == 2 and sorted(folder.parent.rglob("*")) == before
    assert "Images    4 (2 PNG, 1 TIFF, 1 OME-Zarr), 128 × 128 to 200 × 300 px, in " in found
    assert "1, the first x.czi: .czi cannot be read" in skipped and "of no concern: 1" in skipped
    assert "0.05 µm/px in 1 of 4; MISSING in 3: below" in pixels
    assert "phantom-tem to learn from are here" in source
    typed = shlex.split(following.removeprefix("Type next "))
    assert typed[:4] == ["histobridge", "label", str(folder), "--source"]
    assert typed[-4:] == ["--um-per-px", "0.1", "--out", f"{folder}-labels"]


def test_what_is_to_be_fetched_is_told(histobridge, folder, tmp_path):
    """The public masks are not here yet."""
    code, out, _ = histobridge("label", folder, "--um-per-px", 0.1, "--data", tmp_path / "none")
    assert code == 2 and "files of tem, sem, tem-pns, bf, to learn from, will be fetched first" in out


def test_the_command_that_is_named_can_be_typed(histobridge, tmp_path):
    """With a pixel size and nothing to skip the exit code is 0."""
    draw(tmp_path / "i")
    code, out, _ = histobridge("label", tmp_path / "i", "--um-per-px", 0.2, "--source", "phantom")
    assert code == 0
    typed = shlex.split(out.splitlines()[-1].removeprefix("Type next "))
    assert typed[-2:] == ["--out", str(tmp_path / "i-labels")] and typed.count("--um-per-px") == 1


def test_the_same_as_json(histobridge, folder):
    """Standard output holds JSON alone."""
    code, out, _ = histobridge("label", folder, "--source", "phantom", "--json")
    told = json.loads(out)
    assert code == 2 and told["missing"] == ["pixel size"] and told["skipped"][0]["file"] == "x.czi"
    sizes = {image["file"]: image["um_per_px"] for image in told["images"]}
    assert sizes == {"a80.png": None, "b81.tif": None, "c82.png": None, "s.ome.zarr": 0.05}
    assert "--json" not in told["next"] and told["to_fetch"]["files"] == 0


def test_a_folder_without_images_is_a_sentence(histobridge, tmp_path):
    """It says what to put there."""
    (tmp_path / "empty").mkdir()
    code, _, err = histobridge("label", tmp_path / "empty")
    assert code == 2 and "holds no images: put some there as PNG, TIFF, JPEG or OME-Zarr" in err


def test_a_wrong_level_is_told_before_any_work(histobridge, tmp_path):
    """Only sections have levels; an image in a file is looked at as it is."""
    grey = (255 * phantom("sem", 1, (64, 64))[0]).astype(np.uint8)
    write_zarr(tmp_path / "i" / "a.ome.zarr", grey)
    code, _, err = histobridge("label", tmp_path / "i", "--level", 3, "--source", "phantom")
    assert code == 2 and "has the pyramid levels 0 to 0, and no level 3" in err
