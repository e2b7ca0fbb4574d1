"""tables.py: the arithmetic of mean ± SD, what NaN does to it, and the order of rows."""

import math

import numpy as np
import pandas as pd
import pytest

from histobridge.tables import (
    DICE_COLUMNS,
    ORDER,
    TRANSLATION_CELL,
    dice_overview,
    dice_table,
    markdown,
    translation_overview,
)

CELL = {"pair": "tem-sem", "protocol": "transductive", "translator": "none", "strategy": "pretrained"}
CELL |= {"split": "development", "subject": "a", "class": "axon", "iou": 0, "n_true": 1, "n_predicted": 1, "f1_50": 1}


def rows(*folds: list[float], **others) -> pd.DataFrame:
    """Rows of dice.csv: for each fold, the Dice of its images."""
    found = [
        {**CELL, **others, "fold": fold, "image": f"image{i}", "dice": dice}
        for fold, images in enumerate(folds)
        for i, dice in enumerate(images)
    ]
    return pd.DataFrame(found)[DICE_COLUMNS]


def test_images_are_averaged_before_folds():
    """A fold with more images weighs no more: (mean(0.2, 0.4, 0.6) + 0.8) / 2, not the mean of four."""
    table = dice_table(rows([0.2, 0.4, 0.6], [0.8]))
    assert table[["mean", "sd", "folds"]].values.tolist() == [pytest.approx([0.6, 0.4 / math.sqrt(2), 2])]


def test_the_spread_is_the_sample_standard_deviation_over_folds():
    """Images that differ within a fold add nothing; folds that differ do, by n - 1."""
    assert dice_table(rows([0.1, 0.9], [0.5, 0.5]))["sd"].item() == pytest.approx(0)
    assert dice_table(rows([0.4], [0.5], [0.6]))["sd"].item() == pytest.approx(0.1)
    assert np.isnan(dice_table(rows([0.4, 0.6]))["sd"].item())


def test_undefined_images_are_left_out_and_counted():
    """NaN neither counts as 0 nor spoils the mean; a fold of nothing else is no fold."""
    row = dice_table(rows([0.4, np.nan], [0.6], [np.nan])).iloc[0]
    assert (row["mean"], row["folds"], row["undefined"]) == (pytest.approx(0.5), 2, 2)


def test_a_class_nowhere_defined_is_a_dash():
    """A cell without any value is shown as a dash, not as nan."""
    assert dice_overview(rows([np.nan]))["axon"].item() == "–"


@pytest.mark.parametrize("column", ["pair", "protocol", "split", "translator", "strategy"])
def test_cells_are_not_mixed(column):
    """Rows that differ in pair, protocol, split, translator or strategy are averaged apart."""
    other = {"translator": "syndiff", "strategy": "tutorship"}.get(column, "other")
    table = dice_overview(pd.concat([rows([0.2]), rows([0.8], **{column: other})]))
    assert sorted(table["axon"]) == ["0.200", "0.800"]


def test_an_overview_has_a_column_a_class():
    """Axon and myelin of one cell stand side by side as text."""
    table = dice_overview(pd.concat([rows([0.5], [0.7]), rows([0.3], [0.3], **{"class": "myelin"})]))
    assert table[["axon", "myelin"]].values.tolist() == [["0.600 ± 0.141", "0.300 ± 0.000"]]


def test_rows_come_in_the_order_of_the_story():
    """Baseline first, bound last; within a strategy from the plainest translator to SynDiff. Not alphabetical."""
    pairs = [(t, s) for s in ORDER["strategy"] for t in ORDER["translator"]]
    shuffled = [rows([0.5], translator=t, strategy=s) for t, s in sorted(pairs)]
    table = dice_overview(pd.concat(shuffled))
    assert list(zip(table["translator"], table["strategy"], strict=True)) == pairs != sorted(pairs)


def test_translation_overview_is_over_images():
    """Mean ± SD over images of each measure, a row for each direction; one image has no spread."""
    cell = dict.fromkeys(TRANSLATION_CELL, "x")
    measures = {"psnr": 20.0, "l1": 0.1, "offset_px": 0.05, "seam": 1.0}
    found = translation_overview(
        pd.DataFrame(
            [
                {**cell, **measures, "direction": "L->U->L", "ssim": 0.5},
                {**cell, **measures, "direction": "L->U->L", "ssim": 0.9},
                {**cell, **measures, "direction": "U->L->U", "ssim": 0.8},
            ]
        )
    )
    assert found["ssim"].tolist() == ["0.700 ± 0.283", "0.800"]
    assert found["psnr"].tolist() == ["20.000 ± 0.000", "20.000"]
    assert found["direction"].tolist() == ["L->U->L", "U->L->U"]


def test_markdown():
    """A header, a rule and a line a row."""
    assert markdown(pd.DataFrame({"a": ["x", "y"], "b": [1, 2]})).split("\n") == [
        "| a | b |",
        "| --- | --- |",
        "| x | 1 |",
        "| y | 2 |",
    ]
