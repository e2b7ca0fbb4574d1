"""benchmarks/published_size.py: both sizes of SynDiff on packed images, with tiny numbers."""

import subprocess
import sys
from pathlib import Path

import pytest

from histobridge.io.files import read_json, read_table

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "published_size.py"
sys.path.append(str(SCRIPT.parent))
import packed_images  # noqa: E402


@pytest.mark.slow
def test_both_sizes_are_scored_by_every_strategy(tmp_path):
    """The published size has the steps that were asked for; controls are scored once, beside the compact size."""
    packed_images.pack(tmp_path, tmp_path / "images.npz", "smoke")
    options = ["--tiny", "--steps", "4", "--pair", "phantom-sem", "--out", tmp_path / "runs", "--reports", tmp_path]
    subprocess.run([sys.executable, SCRIPT, tmp_path / "images.npz", *options], check=True)
    table = read_table(tmp_path / "published_size.csv")
    methods = table.groupby("size").apply(lambda rows: set(zip(rows["strategy"], rows["translator"], strict=True)))
    strategies = {("adaptation", "cycle"), ("tutorship", "cycle"), ("adaptation", "syndiff"), ("tutorship", "syndiff")}
    matched = {("adaptation", "invert-histogram"), ("tutorship", "invert-histogram"), ("refined", "invert-histogram")}
    assert methods["published"] == strategies | {("refined", "syndiff")}
    assert methods["compact"] == methods["published"] | matched | {("pretrained", "none")}
    assert table["dice"].between(0, 1).all()
    steps = read_table(tmp_path / "published_size_losses.csv").groupby("size")["l1"].count()
    assert steps.to_dict() == {"compact": 1, "published": 1}  # every twentieth of six and of four
    assert read_json(tmp_path / "published_size.json")["published_steps"] == 4
