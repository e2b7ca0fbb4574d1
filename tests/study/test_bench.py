"""The benchmark: what follows from its rows, that its clocks count once, and that every stage measures something."""

import json
import time

import pandas as pd
import pytest
import torch

from histobridge.training import device as compute
from histobridge_study.bench import benchmark, stages
from histobridge_study.bench.clock import Stopwatch, seconds
from histobridge_study.bench.growth import images, jobs
from histobridge_study.bench.peaks import best_convolution
from histobridge_study.bench.run import file_lock, shares


def test_the_median_of_repeats_counts_and_the_warm_up_does_not():
    """A slow first call changes nothing."""
    pauses = iter([0.2, 0.0, 0.0, 0.0])
    assert seconds(lambda: time.sleep(next(pauses)), repeats=3, warm_up=1) < 0.1


def test_a_stopwatch_adds_up_calls_and_passes_results_on():
    """Every call of a watched method counts, also one that raises."""

    class Sleeper:
        def nap(self, length):
            time.sleep(length)
            return 1 / length

    sleeper, watch = Sleeper(), Stopwatch()
    watch.watch(sleeper, ["nap"])
    assert sleeper.nap(0.02) == 50
    with pytest.raises(ZeroDivisionError):
        sleeper.nap(0)
    assert 0.02 <= watch.spent["nap"] < 0.2


def test_shares_follow_from_seconds_and_arithmetic():
    """10 GFLOP in half a second are a fifth of a peak of 100 GFLOP/s, and four times as fast as two seconds."""
    row = {"seconds": 0.5, "amount": 4, "gflop": 10, "plain_seconds": 2.0}
    told = shares(pd.DataFrame([row]), {"float32 convolution": 50, "bfloat16 convolution": 100}).iloc[0]
    assert (told["per_second"], told["gflop_per_s"], told["share_of_peak"], told["times_plain"]) == (8, 20, 0.2, 4)


def test_networks_are_measured_against_the_format_they_use():
    """Without bfloat16 the peak is that of float32."""
    assert best_convolution({"float32 convolution": 50}) == 50


def test_plainly_means_float32_and_the_ordinary_layout():
    """And only inside the block."""
    layer = torch.nn.Conv2d(8, 8, 3)
    with compute.plainly():
        assert compute.place(layer).weight.is_contiguous()
        assert not compute.has_bfloat16()
        assert not compute.adam(layer, 1e-3).defaults["fused"]
    assert compute.place(layer).weight.is_contiguous(memory_format=torch.channels_last)
    assert compute.adam(layer, 1e-3).defaults["fused"]


def test_the_parts_of_a_step_make_up_the_step(tiny_syndiff):
    """What is not in a named part is next to nothing."""
    took, parts = stages._steps(tiny_syndiff, 4)
    assert set(parts) == set(stages.PARTS.values())
    assert min(parts.values()) >= 0
    assert sum(parts.values()) == pytest.approx(took, rel=0.2)


def test_small_stages_measure_what_they_say():
    """Rates are positive; a longer list of images costs no more to draw from than its length."""
    rows = stages.data(True) + stages.metrics(True)
    assert all(row["seconds"] > 0 and row["amount"] > 0 for row in rows)
    assert images(10) > 0 and jobs(3) > 0


def test_a_process_of_its_own_has_a_memory_of_its_own():
    """The peak is that of the called process, not of this one."""
    big = bytearray(400 * 2**20)
    result, peak = file_lock(len, [1, 2, 3])
    assert (result, len(big)) == (3, 400 * 2**20)
    assert 0 < peak < 1.5


@pytest.mark.slow
def test_the_quick_benchmark_writes_its_tables(tmp_path):
    """Every stage is there, with finite rates and shares of the peak between 0 and about 1."""
    table = benchmark(tmp_path, quick=True, report=lambda line: None)
    assert {"bench.csv", "bench_growth.csv", "bench_profile.csv", "bench.json"} <= {
        path.name for path in tmp_path.iterdir()
    }
    assert table["stage"].nunique() == len(stages.STAGES)
    assert table["share_of_peak"].dropna().between(0.001, 1.2).all()
    assert json.loads((tmp_path / "bench.json").read_text())["quick"] is True
