"""A mask that cannot be measured costs itself; a pixel size that cannot be is refused before any work."""

import json

import numpy as np
import pandas as pd
import pytest

from histobridge.io.images import write_image
from histobridge.io.masks import write_mask
from histobridge.io.pixels import write_png
from histobridge.phantom import phantom


@pytest.fixture
def masks(tmp_path, monkeypatch):
    """A good mask with a name that is markup, one with a slip of a tool, a ramp, a folder, and one that is gone."""
    monkeypatch.chdir(tmp_path)
    mask = phantom("sem", 5, (128, 128))[1]
    write_mask("=cmd|[red]$x$.png", mask)
    levels = np.array([0, 127, 255], np.uint8)[mask]
    levels[0, :3] = 64
    write_png("slip.png", levels)
    write_image("ramp.png", np.linspace(0, 1, 400).reshape(20, 20))
    (tmp_path / "folder.png").mkdir()
    return ["=cmd|[red]$x$.png", "slip.png", "ramp.png", "folder.png", "gone.png"]


def test_the_others_are_measured_and_the_numbers_add_up(histobridge, masks):
    """Three of five files are skipped with a reason each; remarks stand in the table; names stay text."""
    code, out, err = histobridge("measure", *masks, "--um-per-px", 0.1)
    assert code == 2 and "Traceback" not in err
    assert "5 files: 2 used, 3 skipped, 0 of no concern" in out
    for name in masks[2:]:
        assert f"Skipped {name}" in out
    table = pd.read_csv("measured/summary.csv", keep_default_na=False)
    assert table["mask"].tolist() == ["'=cmd|[red]$x$.png", "slip.png"]
    assert table["remark"][0] == "" and table["remark"][1] and "slip.png: " in out
    assert "=cmd|[red]$x$.png" in out.replace("\n", "")


def test_json_stays_json(histobridge, masks):
    """What was skipped is told on standard error."""
    code, out, err = histobridge("measure", *masks, "--um-per-px", 0.1, "--json")
    assert code == 2 and len(json.loads(out)) == 2 and "3 skipped" in err


@pytest.mark.parametrize(("um_per_px", "unit"), [(100, "nm"), (5, "nm"), (0.0001, "mm")])
def test_a_pixel_size_in_another_unit_is_refused(histobridge, masks, tmp_path, um_per_px, unit):
    """Row 2: one sentence names the range and suspects the unit; nothing is written."""
    code, _, err = histobridge("measure", masks[0], "--um-per-px", um_per_px)
    assert code == 2 and len(err.strip().splitlines()) == 1 and f"is it in {unit}?" in err
    assert not (tmp_path / "measured").exists()


def test_axons_of_millimetres_are_refused(histobridge, tmp_path):
    """A pixel of 3 nm that is given as 3 µm makes an axon of 100 px 300 µm thick."""
    mask = np.zeros((200, 200), np.uint8)
    mask[20:180, 20:180], mask[40:160, 40:160] = 1, 2
    write_mask(tmp_path / "big.png", mask)
    code, out, _ = histobridge("measure", tmp_path / "big.png", "--um-per-px", 3, "--to", tmp_path / "out")
    assert code == 2 and "would have an axon of" in out and not (tmp_path / "out").exists()
