"""Paired tests: which methods are compared, on which images, and the notes on too few images."""

import numpy as np
import pandas as pd
import pytest
from test_tables import rows

from histobridge_study.analysis.comparisons import best_method, paired_overview, paired_tests
from histobridge_study.analysis.tables import image_values


def family(n: int, **dice: float) -> pd.DataFrame:
    """Return rows of `n` images: SynDiff's tutorship from 0.7 upwards, and others that differ from it by `dice`."""
    images = 0.7 + np.arange(n) / 100
    found = [rows(list(images), strategy="tutorship", translator="syndiff")]
    for method, less in dice.items():
        strategy, translator = method.split("_")
        found.append(rows(list(images + less * (1 + np.arange(n))), strategy=strategy, translator=translator))
    return pd.concat(found)


def test_the_best_syndiff_strategy_is_compared_with_every_label_free_row():
    """It is compared with SynDiff's other strategy, controls and the pre-trained model, but not with the bound."""
    found = family(
        8, adaptation_syndiff=-0.01, adaptation_invert=0.01, pretrained_none=-0.02, supervised_none=0.1, tutorship_x=0.0
    )
    tests = paired_tests(found)
    assert tests[["best", "strategy", "translator"]].values.tolist() == [
        ["tutorship", "pretrained", "none"],
        ["tutorship", "adaptation", "invert"],
        ["tutorship", "adaptation", "syndiff"],
        ["tutorship", "tutorship", "x"],
    ]
    assert tests["median_difference"].tolist() == pytest.approx([0.09, -0.045, 0.045, 0])
    assert tests["effect"].tolist() == pytest.approx([1, -1, 1, 0])
    assert tests["p"].tolist() == pytest.approx([2 / 256, 2 / 256, 2 / 256, 1])
    assert tests["p_holm"].tolist() == pytest.approx([8 / 256, 8 / 256, 8 / 256, 1])
    assert tests["note"].tolist() == [""] * 4


def test_the_best_is_chosen_by_mean():
    """The best method is that of SynDiff's two with the higher mean, even if a control is better."""
    assert best_method(image_values(family(6, adaptation_syndiff=0.01, adaptation_invert=0.1))) == (
        "adaptation",
        "syndiff",
    )
    assert best_method(image_values(rows([0.5]))) is None


def test_refined_is_compared_but_never_chosen_as_best():
    """All methods are compared with the better of the paper's strategies, even if `refined` is much better."""
    tests = paired_tests(family(8, refined_syndiff=0.01, adaptation_syndiff=-0.01))
    assert tests[["best", "strategy", "translator"]].values.tolist() == [
        ["tutorship", "adaptation", "syndiff"],
        ["tutorship", "refined", "syndiff"],
    ]
    assert tests["median_difference"].tolist() == pytest.approx([0.045, -0.045])
    assert paired_tests(rows([0.5, 0.6], strategy="refined", translator="syndiff")).empty


def test_families_are_corrected_separately():
    """Two classes with one comparison each need no correction."""
    one = family(6, pretrained_none=-0.01)
    tests = paired_tests(pd.concat([one, one.assign(**{"class": "myelin"})]))
    assert tests["class"].tolist() == ["axon", "myelin"]
    assert tests["p_holm"].tolist() == tests["p"].tolist() == pytest.approx([2 / 64] * 2)


def test_only_images_that_both_have_are_compared():
    """An image that is missing or undefined in one method is left out of the comparison."""
    found = family(8, pretrained_none=-0.01)
    lacking = (found["strategy"] == "pretrained") & (found["image"] == "image0")
    undefined = (found["strategy"] == "tutorship") & (found["image"] == "image1")
    found.loc[undefined, "dice"] = np.nan
    assert paired_tests(found[~lacking])["images"].item() == 6


def test_subjects_are_counted_beside_images():
    """The number of subjects is reported, because the test treats images as independent."""
    found = family(6, pretrained_none=-0.01).assign(subject=list("aabbbb") * 2)
    assert paired_tests(found)[["images", "subjects"]].values.tolist() == [[6, 2]]


@pytest.mark.parametrize(
    ("n", "others", "note"),
    [
        (5, {"pretrained_none": -0.01}, "5 images: p cannot reach 0.05"),
        (6, {"pretrained_none": -0.01}, ""),
        (
            6,
            {"pretrained_none": -0.01, "adaptation_invert": -0.02},
            "6 images, 2 comparisons: p_holm cannot reach 0.05",
        ),
    ],
)
def test_too_few_images_are_flagged(n, others, note):
    """The row keeps its p and gets a note that no outcome could be significant."""
    tests = paired_tests(family(n, **others))
    assert set(tests["note"]) == {note}
    assert (tests["p_holm"] >= 0.05).all() == bool(note)


def test_without_syndiff_there_is_nothing_to_test():
    """Rows without SynDiff give an empty table, not an error."""
    assert paired_tests(rows([0.5, 0.6])).empty


def test_the_overview_shows_signs_and_small_p():
    """Differences are shown with a sign, and a p below 0.001 is not shown as 0.000."""
    tests = paired_tests(family(12, pretrained_none=-0.01, adaptation_invert=0.01))
    text = paired_overview(tests)[["median_difference", "effect", "p", "images"]].values.tolist()
    assert text == [["+0.065", "+1.000", "< 0.001", "12"], ["-0.065", "-1.000", "< 0.001", "12"]]
    assert paired_overview(paired_tests(family(5, pretrained_none=-0.01)))["p"].item() == "0.062"
