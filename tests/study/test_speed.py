"""benchmarks/speed.py: its functions at the smallest size."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import psutil
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "speed.py"
sys.path.append(str(SCRIPT.parent))
import busy  # noqa: E402
import measuring  # noqa: E402
import speed  # noqa: E402


def test_rates_follow_from_seconds_and_arithmetic():
    """Ten GFLOP in half a second are a fifth of a peak of 100 GFLOP/s, and four times as fast as two seconds."""
    row = speed.compare({"seconds": 0.5, "amount": 4, "gflop": 10}, {"seconds": 2.0}, peak=100)
    assert (row["per_second"], row["gflop_per_s"], row["share_of_peak"], row["times_plain"]) == (8, 20, 0.2, 4)


def test_every_stage_is_measured(tiny_syndiff, tiny_segmenter):
    """Times, arithmetic and memory are positive; two units of work in a call are averaged."""
    builds = [
        partial(measuring.syndiff_training, tiny_syndiff, 64),
        partial(measuring.segmenter_training, tiny_segmenter, 64),
        partial(measuring.translation, tiny_syndiff, 64),
        partial(measuring.prediction, tiny_segmenter, 64),
    ]
    for build in builds:
        assert all(value > 0 for value in speed.measure(build, False, 1).values())


def test_all_growth_is_measured():
    """Images, domains, folders and files, each at the smallest size."""
    small = {"image_side": 64, "png_side": 64, "tiff_side": 64, "images": 2, "folder": 3}
    for what, (function, _) in speed.GROWTH.items():
        assert function(small[what])["seconds"] > 0


def test_training_is_timed_beside_a_busy_process(tiny_segmenter):
    """The busy process is at work meanwhile and gone afterwards; the ratio follows from both times."""
    row = busy.beside_busy(partial(measuring.segmenter, tiny_segmenter, 64), 6)
    assert row["ratio"] == pytest.approx(row["seconds_busy"] / row["seconds"]) and row["threads"] >= 1
    with busy.busy_core() as process:
        assert psutil.Process(process.pid).is_running()
    assert not psutil.pid_exists(process.pid)


def test_peaks_are_positive():
    """There is a rate of the matrix product and of the best convolution."""
    found = measuring.peaks(repeats=1, side=64, convolutions=((8, 16),))
    assert {"float32 matrix product", "float32 convolution"} <= found.keys() and min(found.values()) > 0


PLAIN = """
import sys
sys.path.insert(0, sys.argv[1])
import speed, torch
speed.use_plain_pytorch()
from histobridge.config import SegmenterSettings
from histobridge.segmenter import Segmenter, SegmenterTraining
training = SegmenterTraining(Segmenter(SegmenterSettings()), [torch.zeros(2, 8, 8)])
assert all(weight.is_contiguous() for weight in training.network.parameters())
assert not training.optimiser.defaults["fused"]
assert not torch.is_autocast_enabled("cpu") and speed.devices.precision() == "float32"
"""


def test_plain_pytorch_is_float32_contiguous_and_unfused():
    """It holds for the models of a process that has not imported them before."""
    ended = subprocess.run(
        [sys.executable, "-c", PLAIN, str(SCRIPT.parent)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.slow
def test_the_quick_benchmark_writes_its_tables(tmp_path):
    """Every stage has a share of the peak between 0 and about 1, and the README can show it."""
    from histobridge.io.files import read_table
    from histobridge_study.report.readme_tables import speed_overview

    subprocess.run([sys.executable, SCRIPT, "--quick", "--reports", tmp_path], check=True)
    table = read_table(tmp_path / "bench.csv")
    assert table["share_of_peak"].between(0.001, 1.2).all()
    assert len(speed_overview(table)) == len(speed.stages(64))
    assert all((tmp_path / f"{name}.{ending}").exists() for name in speed.TABLES for ending in ("csv", "json"))


def test_a_single_table_can_be_measured(tmp_path, monkeypatch):
    """It has a record of its own; the other tables stay as they are."""
    monkeypatch.setitem(speed.TABLES, "bench_busy", lambda quick: (pd.DataFrame({"ratio": [2.0]}), {}))
    speed.main(tmp_path, ["bench_busy"], quick=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bench_busy.csv", "bench_busy.json"]
