"""What a study consists of, known before anything runs."""

import subprocess
import sys

import pytest

from histobridge.errors import UserError
from histobridge_study.config import load_study
from histobridge_study.grid import Plan


def test_a_plan_holds_every_pair_protocol_and_fold_of_its_profile():
    """Nothing named means everything that study.yaml names."""
    study = load_study()
    for name, profile in study.profiles.items():
        plan = Plan(name)
        assert {pair for pair, _, _ in plan.wanted} == set(profile.pairs)
        assert {(pair, protocol) for pair, protocol, _ in plan.wanted} == {
            (pair, protocol) for pair in profile.pairs for protocol in study.pairs[pair].protocols
        }


def test_a_pair_without_images_is_wanted_but_cannot_run():
    """tem-macaque has no public location: it stays in the tables, and out of the jobs."""
    study = load_study()
    cpu = study.profiles["cpu"].model_copy(update={"pairs": ("tem-sem", "tem-macaque")})
    plan = Plan("cpu", study=study.model_copy(update={"profiles": {"cpu": cpu}}))
    assert ("tem-macaque", "transductive", 0) in plan.wanted
    assert {pair for pair, _, _ in plan.cells} == {"tem-sem"}
    assert "tem-macaque" in plan.unavailable("tem-macaque")
    assert plan.unavailable("tem-sem") == ""


def test_a_pair_without_images_that_is_asked_for_is_refused():
    """Asked for by name, it is an error that says why."""
    with pytest.raises(UserError, match=r"tem-macaque.*not available"):
        _ = Plan("cpu", pairs=("tem-macaque",)).cells


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"profile": "warp"}, "no profile 'warp'.*smoke"),
        ({"profile": "smoke", "pairs": ("tem-afm",)}, "no pair 'tem-afm'.*tem-sem"),
        ({"profile": "smoke", "protocols": ("psychic",)}, "no protocol 'psychic'.*inductive"),
        ({"profile": "smoke", "split": "all"}, "no split 'all'.*development"),
    ],
)
def test_an_unknown_name_is_refused_with_the_valid_ones(given, told):
    """Before any job is planned."""
    with pytest.raises(UserError, match=told):
        Plan(**given)


def test_the_config_of_snakemake_gives_the_same_plan():
    """Lists are written with commas, and numbers become numbers."""
    config = {
        "profile": "smoke",
        "pairs": "phantom-sem,phantom-bf",
        "protocols": "inductive",
        "folds": "0,1",
        "seed": 2,
    }
    plan = Plan("smoke", ("phantom-sem", "phantom-bf"), ("inductive",), (0, 1), seed=2)
    assert Plan.of_config(config | {"mirror": "elsewhere"}) == plan
    assert len(plan.cells) == 4


def test_a_cell_is_a_run_whose_folders_do_not_depend_on_where_one_stands(tmp_path):
    """A notebook's kernel has a folder of its own: places are absolute."""
    run = Plan("smoke", out=str(tmp_path)).run("phantom-sem", "inductive", 1)
    assert run.mark("03_label").is_relative_to(tmp_path)
    assert run.parameters.fold == 1


def test_planning_waits_for_no_torch():
    """Every job is planned, and its notebook started, by a process that trains nothing: it must start at once."""
    code = (
        "import sys, histobridge_study.execute, histobridge_study.grid; print(*{'torch', 'monai'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
