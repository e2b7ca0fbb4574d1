"""What a study plans, and which of it a table names as missing."""

import pandas as pd
import pytest
from test_tables import rows

from histobridge_study.analysis.planned import missing_cells, planned_cells
from histobridge_study.analysis.tables import dice_overview

CELLS = [("tem-sem", "transductive", fold) for fold in (0, 1)]
PLANNED = planned_cells(CELLS, ["none", "syndiff"], strategies=["pretrained", "tutorship"])


def test_a_plan_is_a_grid():
    """Every cell is combined with every method; the paper's strategies use every translator but `none`."""
    plan = planned_cells(CELLS, ["none", "invert", "histogram", "syndiff"])
    assert len(plan) == len(plan.drop_duplicates()) == 2 * (3 + 3 + 2 + 2 + 1 + 3 + 4)
    assert set(plan[plan["strategy"] == "refined"]["translator"]) == {"syndiff", "histogram"}
    assert set(plan[plan["strategy"] == "pretrained-anatomy"]["translator"]) == {"none", "invert"}
    assert "refined" not in set(planned_cells(CELLS, ["none", "invert"])["strategy"])


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        ("invert", {("pretrained-anatomy", "invert"), ("adaptation", "syndiff")}),
        ("histogram", {("pretrained-anatomy", "none"), ("adaptation", "syndiff")}),
    ],
)
def test_methods_of_the_other_polarity_are_not_missing(shown, missing):
    """Anatomy has chosen: a pair that has a negative needs no control that keeps the contrast, and the reverse."""
    plan = planned_cells(
        CELLS, ["none", "invert", "histogram", "syndiff"], strategies=["adaptation", "pretrained-anatomy"]
    )
    found = missing_cells(rows([0.5], [0.5], strategy="adaptation", translator=shown), plan)
    assert set(zip(found["strategy"], found["translator"], strict=True)) == missing


def test_a_complete_study_lacks_nothing():
    """Nothing is missing, and the overview does not mention folds."""
    found = pd.concat([rows([0.5], [0.5]), rows([0.5], [0.5], strategy="tutorship", translator="syndiff")])
    missing = missing_cells(found, PLANNED)
    assert missing.empty
    assert dice_overview(found, missing=missing)["axon"].tolist() == ["0.500 (1 subject)"] * 2


def test_missing_cells_are_named():
    """Each incomplete cell is listed with the folds it lacks, and the overview shows it."""
    missing = missing_cells(rows([0.5]), PLANNED)
    assert missing[["strategy", "folds", "planned", "why"]].values.tolist() == [
        ["pretrained", "1", 2, "not run"],
        ["tutorship", "0, 1", 2, "not run"],
    ]
    overview = dice_overview(pd.concat([rows([0.5]), rows([0.6], **{"class": "myelin"})]), missing=missing)
    assert overview[["strategy", "axon", "myelin"]].values.tolist() == [
        ["pretrained", "0.500 (1 subject) (1 of 2 folds)", "0.600 (1 subject) (1 of 2 folds)"],
        ["tutorship", "not run", "not run"],
    ]


def test_an_unavailable_pair_is_one_line():
    """Its reason is `data not available` instead of `not run`."""
    plan = planned_cells(
        [("tem-macaque", "transductive", 0), CELLS[0]], ["none", "syndiff"], strategies=["pretrained", "refined"]
    )
    missing = missing_cells(rows([0.5]), plan, unavailable=["tem-macaque"])
    overview = dice_overview(rows([0.5]), missing=missing)
    assert overview[["pair", "strategy", "axon"]].values.tolist() == [
        ["tem-macaque", "all", "data not available"],
        ["tem-sem", "pretrained", "0.500 (1 subject)"],
        ["tem-sem", "refined", "not run"],
    ]


def test_before_the_first_run_everything_is_missing():
    """Without rows the overview lists the planned cells with all score columns."""
    empty = rows([0.5])[:0]
    overview = dice_overview(empty, bold=True, missing=missing_cells(empty, PLANNED))
    assert overview[["pair", "axon", "myelin"]].values.tolist() == [["tem-sem", "not run", "not run"]]
