"""Tables: mean ± SD, undefined values, the order of rows, missing cells and costs."""

import math

import numpy as np
import pandas as pd
import pytest

from histobridge_study.analysis.tables import (
    DICE_COLUMNS,
    DISPLAY_ORDER,
    TRANSLATION_KEYS,
    ablation_overview,
    ablation_table,
    cost_table,
    dice_overview,
    dice_table,
    image_values,
    markdown,
    missing_cells,
    planned_cells,
    translation_overview,
    trust_overview,
)

CELL = {"pair": "tem-sem", "protocol": "transductive", "translator": "none", "strategy": "pretrained"}
CELL |= {"split": "development", "subject": "a", "class": "axon", "iou": 0, "n_true": 1, "n_predicted": 1, "f1_50": 1}


def rows(*folds: list[float], **others) -> pd.DataFrame:
    """Return rows of dice.csv from the Dice of the images of each fold."""
    found = [
        {**CELL, **others, "fold": fold, "image": f"image{i}", "dice": dice}
        for fold, images in enumerate(folds)
        for i, dice in enumerate(images)
    ]
    return pd.DataFrame(found)[DICE_COLUMNS]


def round_trips(*, ssim: list[float], **others) -> pd.DataFrame:
    """Return rows of translation.csv, one for each image; `others` are columns."""
    rest = {"psnr": 20.0, "l1": 0.1, "offset_px": 0.05, "seam": 1.0, "fold": "pair"}
    cell = {**dict.fromkeys(TRANSLATION_KEYS, "x"), "direction": "L->U"}
    return pd.DataFrame({"ssim": ssim, "image": [f"image{i}" for i in range(len(ssim))]}).assign(**cell | rest | others)


def test_images_are_averaged_before_folds():
    """Folds have equal weight: (mean(0.2, 0.4, 0.6) + 0.8) / 2, not the mean of four images."""
    table = dice_table(rows([0.2, 0.4, 0.6], [0.8]))
    assert table[["mean", "sd", "folds"]].values.tolist() == [pytest.approx([0.6, 0.4 / math.sqrt(2), 2])]


def test_the_spread_is_the_sample_standard_deviation_over_folds():
    """Differences within a fold do not count; folds give the SD with n - 1."""
    assert dice_table(rows([0.1, 0.9], [0.5, 0.5]))["sd"].item() == pytest.approx(0)
    assert dice_table(rows([0.4], [0.5], [0.6]))["sd"].item() == pytest.approx(0.1)
    assert np.isnan(dice_table(rows([0.4, 0.6]))["sd"].item())


def test_undefined_images_are_left_out_and_counted():
    """NaN is left out of the mean and counted as undefined; a fold with nothing else is not counted."""
    row = dice_table(rows([0.4, np.nan], [0.6], [np.nan])).iloc[0]
    assert (row["mean"], row["folds"], row["undefined"]) == (pytest.approx(0.5), 2, 2)


def test_a_class_nowhere_defined_is_a_dash():
    """A cell without any value is shown as a dash."""
    assert dice_overview(rows([np.nan]))["axon"].item() == "–"


@pytest.mark.parametrize("column", ["pair", "protocol", "split", "translator", "strategy"])
def test_cells_are_not_mixed(column):
    """Rows that differ in pair, protocol, split, translator or strategy are averaged separately."""
    other = {"translator": "syndiff", "strategy": "tutorship"}.get(column, "other")
    table = dice_overview(pd.concat([rows([0.2]), rows([0.8], **{column: other})]))
    assert sorted(table["axon"]) == ["0.200", "0.800"]


def test_an_overview_has_a_column_for_each_class():
    """Axon and myelin of one method are columns of one row."""
    table = dice_overview(pd.concat([rows([0.5], [0.7]), rows([0.3], [0.3], **{"class": "myelin"})]))
    assert table[["axon", "myelin"]].values.tolist() == [["0.600 ± 0.141", "0.300 ± 0.000"]]


def test_rows_are_sorted_from_baseline_to_bound():
    """Within a strategy they are sorted from the simplest translator to SynDiff, not alphabetically."""
    pairs = [(t, s) for s in DISPLAY_ORDER["strategy"] for t in DISPLAY_ORDER["translator"]]
    shuffled = [rows([0.5], translator=t, strategy=s) for t, s in sorted(pairs)]
    table = dice_overview(pd.concat(shuffled))
    assert list(zip(table["translator"], table["strategy"], strict=True)) == pairs != sorted(pairs)


def test_translation_overview_is_over_images():
    """Each direction is a row of mean ± SD over images; one image has no SD."""
    found = translation_overview(
        pd.concat([round_trips(ssim=[0.5, 0.9]), round_trips(ssim=[0.8], direction="U->L")]),
    )
    assert found["ssim"].tolist() == ["0.700 ± 0.283", "0.800"]
    assert found["psnr"].tolist() == ["20.000 ± 0.000", "20.000"]
    assert found["direction"].tolist() == ["L->U", "U->L"]


def test_an_image_that_every_fold_translates_counts_once():
    """Its value is the mean over folds, so the SD is over images."""
    folds = [round_trips(ssim=[0.4, 0.8], fold="fold0"), round_trips(ssim=[0.6, 1.0], fold="fold1")]
    assert translation_overview(pd.concat(folds))["ssim"].item() == "0.700 ± 0.283"


@pytest.mark.parametrize("psnr", [[math.inf, math.inf], [math.inf, 30.0]])
def test_an_exact_round_trip_is_infinite(psnr):
    """An infinite PSNR is shown as ∞, without a warning."""
    assert translation_overview(round_trips(ssim=[1.0, 1.0], psnr=psnr))["psnr"].item() == "∞"


def test_translators_are_sorted_as_in_the_table_of_dice():
    """Translators run from none to SynDiff."""
    shuffled = [round_trips(ssim=[1.0], translator=t) for t in sorted(DISPLAY_ORDER["translator"])]
    assert translation_overview(pd.concat(shuffled))["translator"].tolist() == DISPLAY_ORDER["translator"]


def test_the_interval_is_over_images_not_folds():
    """The interval depends on the images and does not shrink with the number of folds."""
    one, five = dice_table(rows([0.2, 0.8])), dice_table(rows(*[[0.2, 0.8]] * 5))
    ends = ["image_mean", "low", "high"]
    assert one[ends].values.tolist() == five[ends].values.tolist() == [pytest.approx([0.5, 0.2, 0.8])]
    assert five["sd"].item() == 0


def test_an_image_has_its_mean_over_folds():
    """The value of an image is the mean over the folds that scored it."""
    values = image_values(pd.concat([rows([0.4, 0.9]), rows([0.6]).assign(fold=1)]))
    assert dict(zip(values["image"], values["dice"], strict=True)) == pytest.approx({"image0": 0.5, "image1": 0.9})


def test_folds_that_score_other_images_have_two_means():
    """The mean over folds is (0.9 + 0.3) / 2, over images 0.5; the overview shows both."""
    found = rows([0.9], []).pipe(lambda one: pd.concat([one, rows([], [0.3, 0.3]).assign(image=["b", "c"])]))
    assert dice_table(found)[["mean", "image_mean"]].values.tolist() == [pytest.approx([0.6, 0.5])]
    assert dice_overview(found, interval=True)["axon"].item() == "0.600 ± 0.424 [0.300, 0.900] around 0.500"


def test_an_overview_shows_intervals_when_asked():
    """The interval follows the mean; one image has no interval."""
    assert dice_overview(rows([0.2, 0.8]), interval=True)["axon"].item() == "0.500 [0.200, 0.800]"
    assert dice_overview(rows([0.2]), interval=True)["axon"].item() == "0.200"


def test_the_best_label_free_cell_is_bold():
    """Controls can be best, the supervised bound cannot, and equal rounded means are all bold."""
    parts = [
        rows([0.9], strategy="supervised"),
        rows([0.7], strategy="adaptation", translator="invert"),
        rows([0.70004], strategy="tutorship", translator="syndiff"),
        rows([0.2]),
        rows([0.3], **{"class": "myelin"}),
        rows([0.1], pair="tem-bf"),
    ]
    found = dice_overview(pd.concat(parts), bold=True)
    assert sorted(found["axon"]) == ["**0.100**", "**0.700**", "**0.700**", "0.200", "0.900"]
    assert sorted(found["myelin"]) == ["**0.300**", "–", "–", "–", "–"]


def ablation(**folds: list[list[float]]) -> pd.DataFrame:
    """Return rows of ablation.csv from the Dice of the images of each fold, by recipe."""
    parts = [rows(*dice, strategy="refined", translator="syndiff").assign(recipe=name) for name, dice in folds.items()]
    return pd.concat(parts, ignore_index=True)


def test_an_ablation_keeps_the_order_of_its_recipes():
    """Images are averaged before folds; one fold has no SD."""
    table = ablation_table(ablation(whole=[[0.2, 0.4, 1.2], [0.8]], less=[[0.5]], bare=[[0.1], [0.1]]))
    assert table["recipe"].tolist() == ["whole", "less", "bare"]
    assert table["mean"].tolist() == pytest.approx([0.7, 0.5, 0.1])
    assert table["folds"].tolist() == [2, 1, 2]
    assert table["sd"].tolist() == pytest.approx([0.2 / math.sqrt(2), math.nan, 0], nan_ok=True)


def test_an_ablation_overview_has_a_column_for_each_class():
    """Recipes keep their order and pairs are not mixed."""
    axon = ablation(whole=[[0.6], [0.8]], less=[[0.5]])
    both = pd.concat([axon, axon.assign(**{"class": "myelin"}, dice=0.25), axon.assign(pair="tem-bf", dice=0.1)])
    found = ablation_overview(both)
    assert found[["pair", "recipe", "folds", "axon", "myelin"]].fillna("").values.tolist() == [
        ["tem-sem", "whole", 2, "0.700 ± 0.141", "0.250 ± 0.000"],
        ["tem-sem", "less", 1, "0.500", "0.250"],
        ["tem-bf", "whole", 2, "0.100 ± 0.000", ""],
        ["tem-bf", "less", 1, "0.100", ""],
    ]


def test_trust_is_over_folds():
    """Each number is mean ± SD over the folds of a pair, protocol and split; one fold has no SD."""
    numbers = {"ece": [0.1, 0.3, 0.5], "ause": [0.01, 0.03, 0.02], "wrong": [0.2, 0.2, 0.2]}
    numbers |= {"held_by_first_tenth": [0.3, 0.5, 0.4], "most_possible": [0.5, 0.5, 1.0]}
    key = {"pair": ["tem-sem", "tem-sem", "tem-bf"], "protocol": "inductive", "split": "development", "fold": [0, 1, 0]}
    found = trust_overview(pd.DataFrame(key | numbers))
    assert found.columns.tolist()[:5] == ["pair", "protocol", "split", "calibration error", "AUSE"]
    bf, sem = found.drop(columns=["protocol", "split"]).values.tolist()
    assert sem == ["tem-sem", "0.200 ± 0.141", "0.020 ± 0.014", "0.200 ± 0.000", "0.400 ± 0.141", "0.500 ± 0.000"]
    assert bf == ["tem-bf", "0.500", "0.020", "0.200", "0.400", "1.000"]


CELLS = [("tem-sem", "transductive", fold) for fold in (0, 1)]
PLANNED = planned_cells(CELLS, ["none", "syndiff"], strategies=["pretrained", "tutorship"])


def test_a_plan_is_a_grid():
    """Every cell is combined with every method: seven translators twice, twice `none`, and `refined` with SynDiff."""
    plan = planned_cells(CELLS, DISPLAY_ORDER["translator"])
    assert len(plan) == len(plan.drop_duplicates()) == 2 * (7 + 7 + 1 + 1 + 1)
    assert set(plan[plan["strategy"] == "refined"]["translator"]) == {"syndiff"}
    assert "refined" not in set(planned_cells(CELLS, ["none", "invert"])["strategy"])


def test_a_complete_study_lacks_nothing():
    """Nothing is missing, and the overview does not mention folds."""
    found = pd.concat([rows([0.5], [0.5]), rows([0.5], [0.5], strategy="tutorship", translator="syndiff")])
    missing = missing_cells(found, PLANNED)
    assert missing.empty
    assert dice_overview(found, missing=missing)["axon"].tolist() == ["0.500 ± 0.000"] * 2


def test_missing_cells_are_named():
    """Each incomplete cell is listed with the folds it lacks, and the overview shows it."""
    missing = missing_cells(rows([0.5]), PLANNED)
    assert missing[["strategy", "folds", "planned", "why"]].values.tolist() == [
        ["pretrained", "1", 2, "not run"],
        ["tutorship", "0, 1", 2, "not run"],
    ]
    overview = dice_overview(pd.concat([rows([0.5]), rows([0.6], **{"class": "myelin"})]), missing=missing)
    assert overview[["strategy", "axon", "myelin"]].values.tolist() == [
        ["pretrained", "0.500 (1 of 2 folds)", "0.600 (1 of 2 folds)"],
        ["tutorship", "not run", "not run"],
    ]


def test_an_unavailable_pair_is_one_line():
    """Its reason is `data not available` instead of `not run`."""
    plan = planned_cells([("tem-macaque", "transductive", 0), CELLS[0]], ["none", "syndiff"])
    missing = missing_cells(rows([0.5]), plan, unavailable=["tem-macaque"])
    overview = dice_overview(rows([0.5]), missing=missing)
    assert overview[["pair", "strategy", "axon"]].values.tolist() == [
        ["tem-macaque", "all", "data not available"],
        ["tem-sem", "pretrained", "0.500"],
        ["tem-sem", "adaptation", "not run"],
        ["tem-sem", "tutorship", "not run"],
        ["tem-sem", "refined", "not run"],
        ["tem-sem", "supervised", "not run"],
    ]


def test_before_the_first_run_everything_is_missing():
    """Without rows the overview lists the planned cells with all score columns."""
    empty = rows([0.5])[:0]
    overview = dice_overview(empty, interval=True, bold=True, missing=missing_cells(empty, PLANNED))
    assert overview[["pair", "axon", "myelin"]].values.tolist() == [["tem-sem", "not run", "not run"]]


def test_costs_are_summed_over_folds():
    """Each stage has the sum and median of minutes, and the median and maximum of memory."""
    record = {"profile": "cpu", "pair": "a", "protocol": "transductive", "split": "development", "stage": "03"}
    records = [{**record, "minutes": m, "peak_memory_gib": g} for m, g in ((1.0, 3.0), (2.0, 1.0), (6.0, 2.5))]
    records.append({**record, "stage": "02", "minutes": 17.0, "peak_memory_gib": 1.8})
    assert cost_table(records).drop(columns=["profile", "pair", "protocol", "split"]).values.tolist() == [
        ["02", 1, 17.0, 17.0, 1.8, 1.8],
        ["03", 3, 9.0, 2.0, 2.5, 3.0],
    ]


def test_markdown():
    """Markdown has a header, a rule and a line for each row."""
    assert markdown(pd.DataFrame({"a": ["x", "y"], "b": [1, 2]})).split("\n") == [
        "| a | b |",
        "| --- | --- |",
        "| x | 1 |",
        "| y | 2 |",
    ]
