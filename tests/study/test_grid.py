"""What a study consists of, known before anything runs."""

import subprocess
import sys

import pytest

from histobridge.errors import UserError
from histobridge_study.config import load_study
from histobridge_study.grid import Grid, runs_of_profile


def test_a_grid_holds_every_pair_protocol_and_fold_of_its_profile():
    """Without names it is everything that the study file names."""
    study = load_study()
    for name, profile in study.profiles.items():
        planned = Grid(name).planned
        pairs = {(pair, protocol) for pair in profile.pairs for protocol in study.pairs[pair].protocols}
        assert {(pair, protocol) for pair, protocol, _ in planned} == pairs
        assert {fold for _, _, fold in planned} <= set(profile.run_folds)


def test_a_pair_without_images_is_planned_but_cannot_run():
    """tem-macaque has no public location: it is a cell of the tables and no job."""
    grid = Grid("cpu")
    assert ("tem-macaque", "transductive", 0) in grid.planned
    assert grid.unavailable_pairs == {"tem-macaque"} and "tem-macaque" in grid.unavailable("tem-macaque")
    assert {pair for pair, _, _ in grid.cells} == {"tem-pns", "tem-sem", "tem-bf"}


def test_a_pair_without_images_is_refused_if_it_is_named():
    """The error says why."""
    with pytest.raises(UserError, match=r"tem-macaque.*not available"):
        _ = Grid("cpu", pairs=("tem-macaque",)).cells


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"profile": "warp"}, "no profile 'warp'.*smoke"),
        ({"profile": "smoke", "pairs": ("tem-afm",)}, "no pair 'tem-afm'.*tem-sem"),
        ({"profile": "smoke", "protocols": ("psychic",)}, "no protocol 'psychic'.*inductive"),
        ({"profile": "smoke", "split": "all"}, "no split 'all'.*development"),
        ({"profile": "smoke", "study_file": "gone.yaml"}, "gone.yaml cannot be read"),
    ],
)
def test_an_unknown_name_is_refused_before_any_job_is_planned(given, message):
    """The message lists the valid names."""
    with pytest.raises(UserError, match=message):
        Grid(**given)


def test_the_configuration_of_snakemake_gives_the_same_grid():
    """Lists are written with commas, and numbers become numbers."""
    lists = {"pairs": "phantom-sem,phantom-bf", "protocols": "inductive", "folds": "0,1"}
    grid = Grid("smoke", ("phantom-sem", "phantom-bf"), ("inductive",), (0, 1), seed=2)
    assert Grid.from_config({"profile": "smoke", "seed": 2, **lists, "cores": 2}) == grid
    assert len(grid.cells) == 4


def test_a_run_does_not_depend_on_the_working_folder(tmp_path, monkeypatch):
    """Places are absolute, because the kernel of a notebook has a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    run = Grid("smoke").run("phantom-sem", "inductive", 1)
    assert run.stage("03_label").folder.is_relative_to(tmp_path / "runs" / "smoke")
    assert run.parameters.data == str(tmp_path / "data")


def test_finished_runs_are_found(tmp_path):
    """Those of one seed, whether all pairs, protocols and folds are asked for or a part of them."""
    grid = Grid("smoke", out=str(tmp_path))
    for cell in (("phantom-sem", "transductive", 1), ("phantom-bf", "inductive", 0)):
        grid.run(*cell).stage("03_label").finish()
    assert [run.key["pair"] for run in grid.finished_runs("03_label")] == ["phantom-sem"]
    found = runs_of_profile("smoke", "03_label", out=str(tmp_path))
    assert {(run.key["pair"], run.key["fold"]) for run in found} == {("phantom-sem", 1), ("phantom-bf", 0)}
    assert not list(runs_of_profile("smoke", "03_label", seed=1, out=str(tmp_path)))


def test_planning_does_not_import_torch():
    """Processes that plan jobs or start notebooks train nothing, and start quickly."""
    code = "import sys, histobridge_study.execute; print(*{'torch', 'monai'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
