"""How the jobs of a study share the cards of a machine; the driver is a stub that names the memory of each card."""

import os
import re
import subprocess
import sys

import pytest

from histobridge.config import SynDiffSettings, training_profile
from histobridge.errors import UserError
from histobridge.io.files import write_json
from histobridge_study.cards import card_places, on_a_card
from histobridge_study.execute import WORKFLOW
from histobridge_study.grid import Grid


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """A function that gives this machine cards of so much memory, GiB."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("HISTOBRIDGE_JOBS_PER_CARD", raising=False)

    def give(*memory_gib):
        driver = tmp_path / "bin" / "nvidia-smi"
        driver.parent.mkdir(exist_ok=True)
        driver.write_text("#!/bin/sh\n" + "".join(f"echo {1024 * gib}\n" for gib in memory_gib))
        driver.chmod(0o755)
        monkeypatch.setenv("PATH", f"{driver.parent}:{os.environ['PATH']}")

    return give


def test_a_machine_without_a_driver_has_no_places(monkeypatch, tmp_path):
    """Nothing is asked of a driver that is not there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert card_places(SynDiffSettings()) == []


def test_jobs_are_spread_over_cards_in_turn(cards, monkeypatch):
    """Four jobs share a large card, fewer a small one; the published size needs more memory."""
    cards(80, 80)
    assert card_places(SynDiffSettings()) == ["0", "1"] * 4
    assert card_places(training_profile("gpu").translator) == ["0", "1"] * 3
    cards(12, 80)
    assert card_places(SynDiffSettings()) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("HISTOBRIDGE_JOBS_PER_CARD", "2")
    assert card_places(SynDiffSettings()) == ["3", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert card_places(SynDiffSettings()) == []


def test_an_odd_number_of_jobs_is_refused(monkeypatch):
    """The error names the variable and what it may be."""
    monkeypatch.setenv("HISTOBRIDGE_JOBS_PER_CARD", "many")
    with pytest.raises(UserError, match="HISTOBRIDGE_JOBS_PER_CARD is 'many'"):
        card_places(SynDiffSettings())


def test_a_job_sees_the_card_of_a_free_place(tmp_path, monkeypatch):
    """Two jobs get two cards; without a place a job sees what there is; places are free again afterwards."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    seen = []
    with on_a_card(["0", "1"], tmp_path):
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
        with on_a_card(["0", "1"], tmp_path):
            seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    with on_a_card(["0", "1"], tmp_path):
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with on_a_card([], tmp_path):
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert seen == ["0", "1", "0", "0,1"]


@pytest.mark.parametrize(
    ("places", "pairs", "folds", "threads", "gpu"),
    [
        ([], ("phantom-sem", "phantom-bf"), (0, 1), {"translate": 4, "label": 4}, {"translate": 0, "label": 0}),
        (["0"] * 2, ("phantom-sem", "phantom-bf"), (0, 1), {"translate": 8, "label": 8}, {"translate": 1, "label": 1}),
        (["0", "1"] * 4, ("phantom-sem",), (0,), {"translate": 16, "label": 16}, {"translate": 8, "label": 1}),
    ],
)
def test_jobs_ask_for_places_and_threads(tmp_path, places, pairs, folds, threads, gpu):
    """As many jobs at once as there are places share the cores; a single translator takes two cards."""
    grid = Grid("smoke", pairs, ("transductive",), folds, out=str(tmp_path / "out"))
    on_cards = {"card_places": places, "gpu": 1} if places else {}
    config = write_json(tmp_path / "config.json", {**grid.config, "cores": 16, **on_cards})
    command = [sys.executable, "-m", "snakemake", "--snakefile", WORKFLOW / "Snakefile", "--configfile", config]
    command += ["--cores", "16", "--dry-run", "--rerun-triggers", "input"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    for rule in ("translate", "label"):
        (first, *_) = re.findall(rf"rule {rule}:(.*?)\n\n", done.stdout + "\n\n", re.S)
        asked = int(found[1]) if (found := re.search(r"threads: (\d+)", first)) else 1
        assert asked == threads[rule], first
        assert int(re.search(r"gpu=(\d+)", first)[1]) == gpu[rule]
