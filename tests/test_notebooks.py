"""The notebooks, run for real in the smoke profile: finished, skipped, refused, killed and taken up again."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from histobridge import strategies, translation
from histobridge.batch import NOTEBOOKS
from histobridge.collect import collect
from histobridge.study import Run, open_run

COMMAND = ["run", "--profile", "smoke", "--pair", "phantom-sem", "--fold", "0"]


def _histobridge(out, *, kill_after=None):
    """Run the command in a process group of its own, and kill the whole group after some seconds if asked to."""
    command = [sys.executable, "-m", "histobridge.cli", *COMMAND, "--out", str(out)]
    if kill_after is None:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout
    # No pipe: the orphaned kernel would hold it open.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(kill_after)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    return None, ""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One undisturbed smoke run: its folder, what it printed and how long it took."""
    out = tmp_path_factory.mktemp("smoke")
    begun = time.monotonic()
    code, told = _histobridge(out)
    assert code == 0, told
    return out, told, time.monotonic() - begun


def test_a_run_prints_the_dice_table_and_the_path_of_the_report(finished):
    """All stages run, and the command ends with the table and a page that exists."""
    out, told, _ = finished
    assert all(stage in told for stage in ("01_data", "02_translate", "03_pseudo_label", "Dice"))
    assert (out / "smoke" / "report" / "04_report.html").exists()
    rows = collect(out / "smoke", "dice")
    cells = set(zip(rows["strategy"], rows["translator"], strict=True))
    assert {
        ("pretrained", "none"),
        ("adaptation", "syndiff"),
        ("tutorship", "cycle"),
        ("supervised", "none"),
    } <= cells
    assert rows["dice"].between(0, 1).sum() > 100


def test_a_finished_run_is_skipped(finished):
    """A second call trains nothing."""
    out, _, _ = finished
    code, told = _histobridge(out)
    assert code == 0
    assert told.count("finished before, skipped") == 3
    assert "step 1 of" not in told


@pytest.mark.slow
def test_a_run_killed_at_random_ends_with_the_same_tables(finished, tmp_path):
    """Three times SIGKILL to the whole group, then to the end: the tables are equal, bit for bit."""
    out, _, seconds = finished
    rng = random.Random(0)
    for _ in range(3):
        _histobridge(tmp_path, kill_after=rng.uniform(0.15, 0.6) * seconds)
    code, told = _histobridge(tmp_path)
    assert code == 0, told
    for table in ("dice", "translation"):
        whole, resumed = (collect(folder / "smoke", table).to_csv() for folder in (out, tmp_path))
        assert whole == resumed


def test_a_mistyped_parameter_stops_the_notebook_at_once(tmp_path):
    """papermill only warns about a name that the notebook does not know; the notebook refuses it."""
    with pytest.raises(PapermillExecutionError, match=r"epochs.*Known names"):
        papermill.execute_notebook(
            NOTEBOOKS / "01_data.ipynb",
            tmp_path / "copy.ipynb",
            parameters={"epochs": 3, "out": str(tmp_path)},
            progress_bar=False,
            kernel_name="python3",
        )


@pytest.mark.slow
def test_no_label_free_prediction_depends_on_a_target_mask(finished, tmp_path, monkeypatch):
    """With noise for every mask of U, all strategies but the supervised bound predict the same, bit for bit."""
    out, _, _ = finished
    run = open_run({"pair": "phantom-sem", "profile": "smoke", "out": str(out)})
    expected = strategies.all_pseudo_labels(run, translation.trained_translators(run))
    blind = open_run({"pair": "phantom-sem", "profile": "smoke", "out": str(tmp_path)})
    true_masks, rng = run.target_masks(), np.random.default_rng(0)
    noise = {name: rng.integers(0, 3, mask.shape).astype(np.uint8) for name, mask in true_masks.items()}
    monkeypatch.setattr(Run, "target_masks", lambda *_, **__: noise)
    source, target = blind.source_images(), blind.seen_images()
    evidence = translation.polarity_evidence(blind, strategies.polarity_judge(blind), target)
    sign = translation.sign_for(blind, evidence)
    translation.train_syndiff(blind, sign, source, target)
    translation.fit_controls(blind, source, target)
    found = strategies.all_pseudo_labels(blind, translation.trained_translators(blind))
    for key, masks in expected.items():
        same = all(np.array_equal(masks[name], found[key][name]) for name in masks)
        assert same == (key[0] != "supervised"), key
