"""The ablation is paired: each fold and subject of a recipe is compared with the same of the complete recipe."""

import numpy as np
import pandas as pd
import pytest
from test_tables import rows

from histobridge_study.analysis.ablation import ablation_differences, ablation_overview, ablation_table


def ablation(**recipes: list[list[float]]) -> pd.DataFrame:
    """Return rows of ablation.csv from the Dice of the subjects of each fold, by recipe."""
    parts = [
        rows(*dice, strategy="refined", translator="syndiff").assign(recipe=name) for name, dice in recipes.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(subject="s" + table["image"])


def test_differences_are_paired_by_fold_and_subject():
    """Subjects of very different Dice lose the same, so that the difference has no spread."""
    found = ablation_differences(ablation(refined=[[0.9, 0.3], [0.8, 0.2]], less=[[0.8, 0.2], [0.7, 0.1]]))
    assert found["difference"].tolist() == pytest.approx([-0.1] * 4)
    assert set(found["recipe"]) == {"less"}


def test_a_subject_counts_once_whatever_the_folds():
    """Differences of a subject are averaged over folds; a fold without the complete recipe is left out."""
    row = ablation_table(ablation(refined=[[0.5, 0.5], [0.5, 0.5]], less=[[0.4, 0.5], [0.2, 0.5], [0.0, 0.0]])).iloc[0]
    assert (row["mean"], row["least"], row["most"]) == pytest.approx((-0.1, -0.2, 0))
    assert (row["subjects"], row["folds"]) == (2, 2) and np.isnan(row["low"])


def test_an_overview_has_a_row_a_recipe_and_a_column_a_class():
    """Recipes keep their order; few subjects have their range, and pairs are not mixed."""
    axon = ablation(refined=[[0.6, 0.8]], less=[[0.5, 0.8]], bare=[[0.1, 0.2]])
    both = pd.concat([axon, axon.assign(**{"class": "myelin"}, dice=0.25), axon.assign(pair="tem-bf")])
    found = ablation_overview(both)
    assert found[["pair", "recipe", "subjects"]].values.tolist() == [
        ["tem-sem", "less", 2],
        ["tem-sem", "bare", 2],
        ["tem-bf", "less", 2],
        ["tem-bf", "bare", 2],
    ]
    assert found["axon"][0] == "-0.050 (-0.100 to +0.000)" and found["myelin"][0] == "+0.000 (+0.000 to +0.000)"
