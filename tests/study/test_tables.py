"""Tables: subjects as units, spread of trainings, undefined values, the order of rows, and costs."""

import math

import numpy as np
import pandas as pd
import pytest

from histobridge_study.analysis.tables import (
    DICE_COLUMNS,
    DISPLAY_ORDER,
    TRANSLATION_KEYS,
    complete_rows,
    cost_table,
    dice_overview,
    dice_table,
    image_values,
    markdown,
    subject_values,
    translation_overview,
    trust_overview,
    with_fibre_scores,
)

CELL = {"pair": "tem-sem", "protocol": "transductive", "translator": "none", "strategy": "pretrained"}
CELL |= {"translator_seed": 0, "masks": 0}
CELL |= {"split": "development", "subject": "a", "class": "axon", "iou": 0}
CELL |= {"n_true": 1, "n_predicted": 1, "n_merged": 0, "f1_50": 1}


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


def subjects(*dice: float, **others) -> pd.DataFrame:
    """Return rows of one image of each subject, in one fold."""
    return pd.concat([rows([d], **others).assign(subject=f"s{i}", image=f"i{i}") for i, d in enumerate(dice)])


def test_subjects_count_equally_whatever_their_images():
    """Three images of one subject and one of another: (mean(0.2, 0.4, 0.6) + 0.8) / 2, not the mean of four images."""
    two = pd.concat([rows([0.2, 0.4, 0.6]), rows([0.8]).assign(subject="b", image="other")])
    row = dice_table(two).iloc[0]
    assert (row["mean"], row["subjects"], row["images"]) == (pytest.approx(0.6), 2, 4)
    assert (row["least"], row["most"]) == pytest.approx((0.4, 0.8))


def test_an_image_is_averaged_over_folds_before_its_subject():
    """Scored twice it counts once: mean(0.9, mean(0.4, 0.6)), not the mean of three rows."""
    both = pd.concat([rows([0.4, 0.9]), rows([0.6]).assign(fold=1)])
    values = image_values(both)
    assert dict(zip(values["image"], values["dice"], strict=True)) == pytest.approx({"image0": 0.5, "image1": 0.9})
    assert subject_values(both)["dice"].item() == dice_table(both)["mean"].item() == pytest.approx(0.7)


def test_folds_do_not_narrow_the_interval():
    """The interval depends on the subjects alone; five folds of the same give the same."""
    one = subjects(0.2, 0.4, 0.5, 0.6, 0.8)
    five = pd.concat([one.assign(fold=fold) for fold in range(5)])
    ends = ["mean", "low", "high", "subjects"]
    assert dice_table(one)[ends].values.tolist() == dice_table(five)[ends].values.tolist()
    assert dice_table(five)["sd_folds"].item() == pytest.approx(0)


def test_scores_of_fibres_stand_beside_those_of_classes():
    """F1 of each image, and the share of merged fibres where they were counted; an image without fibres has none."""
    three = rows([0.5, 0.5, 0.5]).assign(f1_50=[0.2, 0.6, np.nan], n_true=[4, 8, 0], n_merged=[1, 0, 0])
    means = dice_table(with_fibre_scores(three)).set_index("class")[["mean", "undefined"]]
    assert means.loc["fibre F1"].tolist() == pytest.approx([0.4, 1])
    assert means.loc["merged fibres"].tolist() == pytest.approx([0.125, 1])
    older = with_fibre_scores(three.drop(columns="n_merged"))
    assert set(older["class"]) == {"axon", "fibre F1"}


def test_fewer_than_five_subjects_have_no_interval():
    """The overview says how many there are; from five on it shows the interval."""
    assert np.isnan(dice_table(subjects(0.2, 0.8, 0.2, 0.8))["low"].item())
    assert dice_overview(subjects(0.2, 0.8))["axon"].item() == "0.500 (2 subjects)"
    assert dice_overview(rows([0.2]))["axon"].item() == "0.200 (1 subject)"
    assert dice_overview(subjects(*[0.5] * 5))["axon"].item() == "0.500 [0.500, 0.500]"


SEEDS = {"translator": "syndiff", "strategy": "tutorship"}


def test_spread_over_folds_and_over_translator_seeds_are_told_apart():
    """Folds 0 and 3 share seed 0: their SD is pooled with that of folds 1 and 4, and seeds differ in their means."""
    found = rows([0.4], [0.6], [0.9], [0.5], [0.8], **SEEDS)
    table = dice_table(found.assign(translator_seed=found["fold"] % 3)).iloc[0]
    within = math.sqrt((0.1**2 / 2 + 0.2**2 / 2) / 2)
    assert table["sd_folds"] == pytest.approx(within)
    assert table["sd_seeds"] == pytest.approx(np.std([0.45, 0.7, 0.9], ddof=1))


def test_a_classical_translator_has_no_seeds():
    """All its folds are one: it learns nothing that a seed could change."""
    found = rows([0.4], [0.6], [0.8], translator="invert", strategy="adaptation")
    table = dice_table(found.assign(translator_seed=found["fold"])).iloc[0]
    assert table["sd_folds"] == pytest.approx(0.2) and np.isnan(table["sd_seeds"])


def test_a_single_fold_or_seed_has_no_spread():
    """Both are NaN, and a dash in the overview."""
    assert dice_table(rows([0.4, 0.6], **SEEDS))[["sd_folds", "sd_seeds"]].isna().all(axis=None)
    assert dice_overview(rows([0.4, 0.6]))["SD over folds"].item() == "–"


def test_folds_that_score_different_images_have_no_spread():
    """So it is for references: the differences between their folds are those between animals."""
    parts = [
        rows([0.9], strategy="reference"),
        rows([0.3], strategy="reference").assign(fold=1, image="b", subject="b"),
    ]
    table = dice_table(pd.concat(parts)).iloc[0]
    assert table["mean"] == pytest.approx(0.6) and table["folds"] == 2
    assert np.isnan([table["sd_folds"], table["sd_seeds"]]).all()


def test_the_overview_has_spread_in_columns_of_its_own():
    """All scores of a method stand in one cell, in the order of their columns."""
    both = pd.concat([rows([0.5], [0.7]), rows([0.3], [0.3], **{"class": "myelin"})])
    found = dice_overview(both).iloc[0]
    assert found["SD over folds"] == "0.141 / 0.000 / 0.000" and found["SD over seeds"] == "–"
    assert found["axon"] == "0.600 (1 subject)"


def test_undefined_images_are_left_out_and_counted():
    """NaN is left out of the mean and counted as undefined; a fold with nothing else is not counted."""
    row = dice_table(rows([0.4, np.nan], [0.6], [np.nan])).iloc[0]
    assert (row["mean"], row["folds"], row["undefined"]) == (pytest.approx(0.5), 2, 2)


def test_rows_of_an_older_version_are_read():
    """They had one seed of translators and did not count masks."""
    old = rows([0.4], [0.6]).drop(columns=["translator_seed", "masks"])
    assert set(complete_rows(old)) == set(DICE_COLUMNS)
    assert dice_table(old)["sd_folds"].item() == pytest.approx(0.2 / math.sqrt(2))


@pytest.mark.parametrize(
    ("masks", "name"),
    [([12, 12], "supervised reference, 12 images"), ([10, 13], "supervised reference, 10 to 13 images")],
)
def test_a_reference_is_named_by_the_masks_it_has_seen(masks, name):
    """They may differ from fold to fold."""
    found = rows([0.5], [0.5], strategy="reference")
    assert dice_overview(found.assign(masks=masks))["method"].item() == name


def test_syndiff_is_compact_unless_its_published_size_is_trained():
    """The profile decides the name."""
    for profile, name in (("cpu", "compact SynDiff"), ("gpu", "SynDiff, published size")):
        assert dice_overview(rows([0.5], **SEEDS), profile=profile)["method"].item() == f"tutorship with {name}"


def test_a_class_nowhere_defined_is_a_dash():
    """A cell without any value is shown as a dash."""
    assert dice_overview(rows([np.nan]))["axon"].item() == "–"


@pytest.mark.parametrize("column", ["pair", "protocol", "split", "translator", "strategy"])
def test_cells_are_not_mixed(column):
    """Rows that differ in pair, protocol, split, translator or strategy are averaged separately."""
    other = {"translator": "syndiff", "strategy": "tutorship"}.get(column, "other")
    table = dice_overview(pd.concat([rows([0.2]), rows([0.8], **{column: other})]))
    assert sorted(table["axon"]) == ["0.200 (1 subject)", "0.800 (1 subject)"]


def test_an_overview_has_a_column_for_each_class():
    """Axon and myelin of one method are columns of one row."""
    table = dice_overview(pd.concat([rows([0.5], [0.7]), rows([0.3], [0.3], **{"class": "myelin"})]))
    assert table[["axon", "myelin"]].values.tolist() == [["0.600 (1 subject)", "0.300 (1 subject)"]]


def test_rows_are_sorted_from_baseline_to_references():
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


BOLD = ["**0.100", "**0.700", "**0.700", "0.200", "0.900"]


def test_the_best_label_free_cell_is_bold():
    """Controls can be best, a reference cannot, and equal rounded means are all bold."""
    parts = [
        rows([0.9], strategy="reference"),
        rows([0.7], strategy="adaptation", translator="invert"),
        rows([0.70004], strategy="tutorship", translator="syndiff"),
        rows([0.2]),
        rows([0.3], **{"class": "myelin"}),
        rows([0.1], pair="tem-bf"),
    ]
    found = dice_overview(pd.concat(parts), bold=True)
    assert sorted(found["axon"]) == [f"{cell} (1 subject){cell[:2] if cell[0] == '*' else ''}" for cell in BOLD]
    assert sorted(found["myelin"]) == ["**0.300 (1 subject)**", "–", "–", "–", "–"]


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
