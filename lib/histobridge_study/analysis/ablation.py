"""What is each piece of the default recipe worth? Differences to the complete recipe, paired by fold and subject."""

from __future__ import annotations

import pandas as pd

from histobridge_study.analysis.planned import EXPERIMENT_KEYS
from histobridge_study.analysis.statistics import difference_text, mean_interval

RECIPE_KEYS = [*EXPERIMENT_KEYS, "recipe", "class"]
PAIRING = [*EXPERIMENT_KEYS, "class", "fold", "subject"]


def ablation_differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the Dice of each recipe less that of the complete one, a row for each fold and subject.

    Parameters
    ----------
    rows : DataFrame
        Of `ablation.csv`; the complete recipe is called by its strategy. Images of a subject are averaged.

    Returns
    -------
    DataFrame
        `RECIPE_KEYS`, `fold`, `subject` and `difference`, the recipes in the order of the rows. A recipe is compared
        where the complete one has run too.
    """
    keys = [*RECIPE_KEYS, "strategy", "fold", "subject"]
    values = rows.groupby(keys, sort=False)["dice"].mean().reset_index()
    is_whole = values["recipe"] == values["strategy"]
    whole, others = (values[which].drop(columns="strategy") for which in (is_whole, ~is_whole))
    pairs = others.merge(whole.drop(columns="recipe"), on=PAIRING, suffixes=("", "_whole"))
    pairs["difference"] = pairs["dice"] - pairs["dice_whole"]
    return pairs.drop(columns=["dice", "dice_whole"])


def ablation_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over subjects of `ablation_differences` by recipe and class.

    The value of a subject is its mean over folds. Columns: `RECIPE_KEYS`, `mean`, its interval `low` to `high` (NaN
    below five subjects), `least` and `most` of the subjects, and the number of `subjects` and `folds`.
    """
    differences, found = ablation_differences(rows), []
    for key, of in differences.groupby(RECIPE_KEYS, sort=False):
        subjects = of.groupby("subject")["difference"].mean()
        interval = mean_interval(subjects)
        row = {"mean": interval.value, "low": interval.low, "high": interval.high}
        row |= {"least": interval.least, "most": interval.most}
        counts = {"subjects": subjects.count(), "folds": of["fold"].nunique()}
        found.append(dict(zip(RECIPE_KEYS, key, strict=True)) | row | counts)
    return pd.DataFrame(found, columns=[*RECIPE_KEYS, "mean", "low", "high", "least", "most", "subjects", "folds"])


def ablation_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the `ablation_table` as text, a row for each recipe, a column for each class."""
    table = ablation_table(rows)
    table["cell"] = [difference_text(*row) for row in table[["mean", "low", "high", "least", "most"]].to_numpy()]
    keys = [*EXPERIMENT_KEYS, "recipe", "folds", "subjects"]
    wide = table.pivot(index=keys, columns="class", values="cell").reindex(table[keys].drop_duplicates())
    return wide.reset_index().rename_axis(columns=None)
