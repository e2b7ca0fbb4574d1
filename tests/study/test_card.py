"""benchmarks/card.py: its measurements with tiny numbers on the CPU, and what it does with faults."""

import importlib.metadata
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from histobridge import __version__
from histobridge.io.files import read_table
from histobridge_study import provenance

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "card.py"
sys.path.append(str(SCRIPT.parent))
import card  # noqa: E402
import packed_images  # noqa: E402


def test_without_a_card_a_sentence_says_what_to_do(tmp_path):
    """The exit code is 2, and nothing is written."""
    command, environment = [sys.executable, SCRIPT, "--reports", tmp_path], os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1 and "--tiny" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_every_section_is_measured_on_either_path():
    """FLOP are counted on the eager path alone; trainings also give their first losses."""
    for section in card.sections(card.tiny_sizes()):
        eager, fast = (section.measure(path) for path in card.PATHS)
        assert eager["seconds"] > 0 and fast["seconds"] > 0 and eager["gflop"] > 0 and "gflop" not in fast
        if section.steps:
            assert eager["losses"] == fast["losses"]
            assert {len(values) for values in eager["losses"].values()} == {card.COMPARED}


def test_a_machine_on_which_nothing_is_installed_has_an_origin(monkeypatch):
    """On a bare machine the code lies on PYTHONPATH alone, and no package of that name is installed."""
    installed = importlib.metadata.version

    def version(name: str) -> str:
        if name == "histobridge":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: os.open("/none", os.O_RDONLY))  # no Git either
    assert provenance.git_commit.__wrapped__() == f"version {__version__}"
    assert provenance.origin()["libraries"]["histobridge"] == __version__


@pytest.fixture
def report(tmp_path):
    """A report of a card with a peak of 100 TFLOP/s."""
    return card.Report(tmp_path, "H1", {card.PEAK: 1e5})


SECTION = card.Section("a step", "images", 8, 600, print)


def test_rates_follow_from_seconds_and_arithmetic(report, tmp_path):
    """20 TFLOP in half a second are 40 % of a peak of 100 TFLOP/s; 600 such steps take five minutes and the start."""
    found = {"eager": {"seconds": 1.0, "start_seconds": 60.0, "gflop": 2e4, "losses": {"l1": [2.0, 2.0]}}}
    report.add_measured(SECTION, found)
    found["fast"] = {"seconds": 0.5, "start_seconds": 60.0, "losses": {"l1": [2.0, 2.2]}}
    report.add_measured(SECTION, found)
    report.add_losses(SECTION.stage, found)
    row = read_table(tmp_path / "bench_gpu.csv").set_index("path").loc["fast"]
    assert row[["tflop_per_s", "share_of_peak", "per_second", "minutes_for_all"]].tolist() == [40, 0.4, 16, 6]
    assert read_table(tmp_path / "bench_gpu_losses.csv")["largest"].tolist() == [pytest.approx(0.1)]


def test_a_section_that_fails_costs_its_row_alone(report, tmp_path):
    """The row names the error; without the eager path there is no arithmetic for the fast one."""
    found = {"eager": {"error": "out of memory"}}
    report.add_measured(SECTION, found)
    found["fast"] = {"seconds": 0.5, "start_seconds": 1.0}
    report.add_measured(SECTION, found)
    report.add_losses(SECTION.stage, found)
    table = read_table(tmp_path / "bench_gpu.csv")
    assert table["error"][0] == "out of memory" and table["seconds"][1] == 0.5 and np.isnan(table["tflop_per_s"][1])


def test_a_process_that_fails_dies_or_lasts_too_long_gives_an_error():
    """Whatever happens in it, the caller goes on."""
    assert "ZeroDivisionError" in card.within(60, "eager", divmod, 1, 0)["error"]
    assert "ended with code 3" in card.within(60, "eager", os._exit, 3)["error"]
    assert "not done after" in card.within(0.1, "eager", time.sleep, 60)["error"]


def test_packed_images_are_those_of_the_study(tmp_path, monkeypatch):
    """Names, subjects and masks are equal, and images up to their 8 bits."""
    from histobridge_study import run_data

    for name in ("load_images", "load_masks"):
        monkeypatch.setattr(run_data, name, getattr(run_data, name))
    packed_images.pack(tmp_path, tmp_path / "images.npz", "smoke")
    run = packed_images.Grid("smoke", out=str(tmp_path)).run("phantom-sem", "transductive", 0)
    drawn = run.data.source_images, run.data.source_masks
    packed = packed_images.packed_run(tmp_path / "images.npz", str(tmp_path), "smoke", "phantom-sem", 0).data
    for sample, other in zip(drawn[0], packed.source_images, strict=True):
        assert (sample.name, sample.subject) == (other.name, other.subject)
        np.testing.assert_allclose(sample.image, other.image, atol=0.5 / 255 + 1e-6)
        np.testing.assert_array_equal(drawn[1][sample.name], packed.source_masks[sample.name])


@pytest.mark.slow
def test_the_tiny_benchmark_writes_its_tables(tmp_path):
    """All rows of both paths are there, without an error, and those of a fold and of all folds."""
    packed_images.pack(tmp_path, tmp_path / "images.npz", "smoke")
    options = ["--tiny", "--images", tmp_path / "images.npz", "--pair", "phantom-sem", "--folds", "900", "--jobs", "2"]
    subprocess.run([sys.executable, SCRIPT, *options, "--budget", "900", "--reports", tmp_path], check=True)
    table = read_table(tmp_path / "bench_gpu.csv")
    assert len(table) == 2 * len(card.sections(card.tiny_sizes())) + 3 and "error" not in table
    assert read_table(tmp_path / "bench_gpu_folds.csv")["dice_axon"].notna().sum() == 6
    assert (tmp_path / "bench_gpu.json").exists() and (tmp_path / "bench_gpu_losses.csv").exists()
