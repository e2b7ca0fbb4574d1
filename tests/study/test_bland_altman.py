"""Bland and Altman's numbers by hand, and which labels are compared with which expert masks."""

import numpy as np
import pandas as pd
import pytest

from histobridge_study.analysis.bland_altman import (
    AGREEMENT,
    EXPERT,
    IMAGE_KEYS,
    MEASURES,
    agreement_overview,
    best_method_pairs,
    bland_altman,
    format_measure,
    limits_of_agreement,
    limits_text,
    measures_overview,
    pair_with_expert,
)


def rows(*values: tuple[str, str, str, int, float], pair: str = "tem-sem") -> pd.DataFrame:
    """Return rows as in morphometrics.csv: (strategy, translator, image, fold, value of every measure)."""
    key = {"pair": pair, "protocol": "transductive", "split": "development"}
    return pd.DataFrame(
        {**key, "strategy": s, "translator": t, "image": image, "subject": f"of {image}", "fold": fold}
        | dict.fromkeys(MEASURES, value)
        for s, t, image, fold, value in values
    )


def dice(**mean: float) -> pd.DataFrame:
    """Return rows as in dice.csv of one image: strategy_translator=Dice."""
    key = {"pair": "tem-sem", "protocol": "transductive", "split": "development", "class": "axon"}
    key |= {"image": "a", "subject": "of a", "fold": 0}
    methods = {tuple(name.split("_")): value for name, value in mean.items()}
    return pd.DataFrame({**key, "strategy": s, "translator": t, "dice": value} for (s, t), value in methods.items())


def test_five_subjects_by_hand():
    """Differences 1, 3, 1, 3, 2 give bias 2, SD 1 and limits 2 ± 1.96; the experts' mean is 30."""
    found = bland_altman([10, 20, 30, 40, 50], [11, 23, 31, 43, 52])
    assert found == pytest.approx((5, 30, 2, 1, 2 - 1.96, 2 + 1.96, 1, 3))


def test_four_subjects_have_a_range_and_no_limits():
    """The bias is never shown alone: it has the smallest and the largest difference beside it."""
    found = bland_altman([10, 20, 30, 40], [11, 23, 31, 43])
    assert found[:4] == pytest.approx((4, 25, 2, (4 / 3) ** 0.5))
    assert np.isnan([found.lower, found.upper]).all() and (found.least, found.most) == (1, 3)
    assert limits_text(found, "g_ratio_mean") == "+2.000 (+1.000 to +3.000)"
    assert limits_text(bland_altman([0] * 5, [1] * 5), "g_ratio_mean") == "+1.000 [+1.000, +1.000]"


def test_undefined_pairs_are_left_out():
    """A pair with NaN does not count; one subject has a bias but no SD; no subject gives NaN."""
    assert bland_altman([1, np.nan, 3, 5], [2, 9, np.nan, 8])[:4] == bland_altman([1, 5], [2, 8])[:4]
    one = bland_altman([1], [3])
    assert one[:3] == (1, 1, 2) and np.isnan(one.sd)
    empty = bland_altman([np.nan], [3])
    assert empty.subjects == 0 and np.isnan(empty[1:]).all()


def test_a_subject_counts_once_whatever_its_images():
    """Three images with the difference 0 and one with 4 of another subject have the bias 2, not 1."""
    label = [("tutorship", "syndiff", image, 0, 1.0 + 4 * (image == "d")) for image in "abcd"]
    found = rows(*label, *((EXPERT, "none", image, 0, 1.0) for image in "abcd"))
    found["subject"] = found["image"].map({"a": "s", "b": "s", "c": "s", "d": "t"})
    table = limits_of_agreement(pair_with_expert(found))
    assert set(table["subjects"]) == {2} and set(table["bias"]) == {2}


def test_an_image_counts_once_whatever_the_folds():
    """Folds are averaged first."""
    label = [("tutorship", "syndiff", image, fold, value) for image, fold, value in
             (("a", 0, 1.0), ("a", 1, 3.0), ("b", 0, 5.0), ("b", 1, 5.0))]  # fmt: skip
    expert = [(EXPERT, "none", image, fold, value) for image, value in (("a", 1.0), ("b", 2.0)) for fold in (0, 1)]
    table = limits_of_agreement(pair_with_expert(rows(*label, *expert)))
    assert len(table) == len(MEASURES)
    for row in table.itertuples():
        assert (row.subjects, row.expert, row.bias) == (2, 1.5, 2.0)
        assert row.sd == pytest.approx(2**0.5)  # of the differences 1 and 3


def test_labels_are_compared_with_the_expert_of_their_own_pair():
    """Equal image names in two pairs are kept apart, and an image without an expert mask is left out."""
    one = rows(
        ("pretrained", "none", "a", 0, 5.0), ("pretrained", "none", "new", 0, 9.0), (EXPERT, "none", "a", 0, 4.0)
    )
    other = rows(("pretrained", "none", "a", 0, 5.0), (EXPERT, "none", "a", 0, 1.0), pair="tem-bf")
    table = limits_of_agreement(pair_with_expert(pd.concat([one, other]))).groupby("pair")["bias"].first()
    assert table.to_dict() == {"tem-sem": 1.0, "tem-bf": 4.0}
    assert set(pair_with_expert(one)["subject"]) == {"of a"}


def test_dice_chooses_the_best_label_free_method():
    """A reference is never chosen, and a pair without Dice has no best method."""
    methods = (("pretrained", "none"), ("adaptation", "invert"), ("tutorship", "syndiff"), ("reference", "none"))
    table = pair_with_expert(rows(*((*method, "a", 0, 2.0) for method in methods), (EXPERT, "none", "a", 0, 1.0)))
    scores = {"pretrained_none": 0.2, "adaptation_invert": 0.7, "tutorship_syndiff": 0.6, "reference_none": 0.9}
    best = best_method_pairs(table, dice(**scores))
    assert set(zip(best["strategy"], best["translator"], strict=True)) == {("adaptation", "invert")}
    assert len(best) == len(MEASURES)
    assert len(best_method_pairs(table.assign(pair="tem-bf"), dice(**scores))) == 0


def test_empty_measurements_give_empty_tables_with_their_columns():
    """The report shows these tables before any run is measured."""
    pairs = best_method_pairs(
        pair_with_expert(pd.DataFrame(columns=[*IMAGE_KEYS, "fold", *MEASURES])), dice(pretrained_none=0.5)
    )
    table = agreement_overview(limits_of_agreement(pairs))
    assert len(table) == 0
    assert {"measure", "subjects", AGREEMENT} <= set(table)


def test_the_overview_names_and_rounds_measures():
    """Densities have no decimals, others have three; differences have a sign; NaN is a dash."""
    table = limits_of_agreement(
        pair_with_expert(rows(("pretrained", "none", "a", 0, 1500.25), (EXPERT, "none", "a", 0, 1000.0)))
    )
    text = agreement_overview(table).set_index("measure")
    shown = text.loc["fibres / mm²", ["method", "subjects", "expert", AGREEMENT]].tolist()
    assert shown == ["pretrained (tutorship none)", "1", "1000", "+500 (+500 to +500)"]
    assert text.loc["g-ratio", AGREEMENT] == "+500.250 (+500.250 to +500.250)"
    assert format_measure(-0.0314, "mvf", sign="") == "-0.031"


def test_the_measures_of_one_run_are_averaged_over_its_images():
    """Methods stay in the order of the rows; densities have no decimals."""
    text = measures_overview(
        rows((EXPERT, "none", "a", 0, 1.0), (EXPERT, "none", "b", 0, 2.0), ("p", "none", "a", 0, 4))
    )
    assert text["strategy"].tolist() == [EXPERT, "p"]
    assert text["g-ratio"].tolist() == ["1.500", "4.000"]
    assert text["fibres / mm²"].tolist() == ["2", "4"]
