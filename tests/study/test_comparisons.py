"""Differences between methods: paired by subject, on the images of both, and only where the study asks."""

import numpy as np
import pandas as pd
import pytest
from test_tables import rows

from histobridge_study.analysis.comparisons import (
    BOTH,
    best_method,
    differences,
    differences_overview,
    method_without_syndiff,
    paired_lead,
    paired_subjects,
    with_both,
)
from histobridge_study.analysis.references import reference_overview, reference_shares
from histobridge_study.analysis.tables import image_values

TUTOR, ADAPT = ("tutorship", "syndiff"), ("adaptation", "syndiff")


def of(method: tuple[str, str], *subjects: list[float], classes=("axon",), **others) -> pd.DataFrame:
    """Return rows of a method from the Dice of the images of each subject, in one fold."""
    found = [
        rows([dice], strategy=method[0], translator=method[1], **{"class": c}, **others).assign(
            subject=f"s{n}", image=f"s{n}i{i}"
        )
        for c in classes
        for n, images in enumerate(subjects)
        for i, dice in enumerate(images)
    ]
    return pd.concat(found, ignore_index=True)


def test_a_difference_is_taken_on_the_images_that_both_have():
    """An image that is missing or undefined in one method counts in neither."""
    one = of(TUTOR, [0.5, 0.9], [0.7, np.nan])
    other = of(ADAPT, [0.4], [0.5, 0.1])
    pairs = paired_subjects(image_values(pd.concat([one, other])), TUTOR, ADAPT)
    assert pairs.values.tolist() == [pytest.approx([0.5, 0.4]), pytest.approx([0.7, 0.5])]


def test_subjects_count_equally_in_a_difference():
    """Three images of one subject and one of another: the mean of two differences."""
    both = pd.concat([of(TUTOR, [0.6, 0.6, 0.6], [0.9]), of(ADAPT, [0.5, 0.5, 0.5], [0.5])])
    assert paired_lead(image_values(both), TUTOR, ADAPT).value == pytest.approx((0.1 + 0.4) / 2)


def test_the_best_is_chosen_over_subjects():
    """Many good images of one subject do not make a method the best, and classes count equally."""
    both = pd.concat([of(TUTOR, [0.9, 0.9, 0.9], [0.1]), of(ADAPT, [0.6, 0.6, 0.6], [0.6])])
    assert best_method(image_values(both)) == ADAPT
    assert best_method(image_values(rows([0.5]))) is None


def test_the_mean_of_both_classes_needs_both():
    """An image of which one class is undefined has none."""
    values = with_both(image_values(of(TUTOR, [0.4, 0.8], classes=("axon", "myelin"))))
    assert values[values["class"] == BOTH]["dice"].tolist() == pytest.approx([0.4, 0.8])
    axon = image_values(pd.concat([of(TUTOR, [0.4]), of(TUTOR, [np.nan], classes=("myelin",))]))
    assert BOTH not in set(with_both(axon)["class"])


@pytest.mark.parametrize("translator", ["histogram", "invert-histogram"])
def test_refined_without_syndiff_is_that_of_the_polarity_of_the_pair(translator):
    """It is the one that has rows."""
    values = image_values(of(("refined", translator), [0.5]))
    assert method_without_syndiff(values) == ("refined", translator)


QUESTIONS = [
    "does SynDiff improve refined?",
    "adaptation: ahead of negative or matched greys?",
    "tutorship: at least SynDiff's cycle?",
    "tutorship: better than no translation?",
    "tutorship or adaptation?",
    "refined: more than views and anatomy?",
    "how far is refined from the fair reference?",
    "how far is refined from the fair reference?",
]


def every_method() -> pd.DataFrame:
    """Return rows of five subjects and both classes of the methods that questions name, and of one that none names."""
    methods = [
        ("pretrained", "none"),
        ("randomised", "none"),
        ("pretrained-anatomy", "invert"),
        ("adaptation", "invert"),
    ]
    methods += [ADAPT, ("tutorship", "cycle"), TUTOR, ("refined", "syndiff"), ("refined", "invert-histogram")]
    methods += [("reference", "none")]
    images = [[0.5], [0.6], [0.7], [0.8], [0.9]]
    parts = [
        of(m, *[[d + n / 100 for d in image] for image in images], classes=("axon", "myelin"))
        for n, m in enumerate(methods)
    ]
    return pd.concat(parts).assign(masks=4)


def test_only_questions_of_the_study_are_answered():
    """A question is asked where both methods have rows; all pairs of methods would be a hunt."""
    table = differences(every_method(), profile="cpu")
    assert table["question"].drop_duplicates().tolist() == list(dict.fromkeys(QUESTIONS))
    assert len(table) == len(QUESTIONS) * 3  # axon, myelin, both
    gain = table[(table["question"] == QUESTIONS[0]) & (table["class"] == BOTH)].iloc[0]
    assert gain[["one", "other"]].tolist() == ["refined with compact SynDiff", "refined without SynDiff"]
    assert gain[["difference", "low", "high", "least", "most"]].tolist() == pytest.approx([-0.01] * 5)
    assert gain["subjects"] == 5


def test_the_overview_shows_an_interval_or_the_range_of_few_subjects():
    """Brackets hold an interval over five subjects, parentheses the range over two."""
    five = every_method()
    both = differences(pd.concat([five, five[five["subject"].isin(["s0", "s1"])].assign(pair="tem-bf")]))
    text = differences_overview(both).set_index(["pair", "question"])["axon"]
    assert text["tem-sem", QUESTIONS[0]] == "-0.010 [-0.010, -0.010]"
    assert text["tem-bf", QUESTIONS[0]] == "-0.010 (-0.010 to -0.010)"


def test_without_rows_there_is_no_difference():
    """Empty rows give an empty table with its columns."""
    assert differences_overview(differences(rows([0.5])[:0])).empty


def test_the_share_of_the_reference_is_taken_by_subject():
    """0.6 of 0.8 and 0.9 of 0.9 are shares of 75 and 100 %, whatever the number of images."""
    both = pd.concat([of(("refined", "histogram"), [0.6, 0.6], [0.9]), of(("reference", "none"), [0.8, 0.8], [0.9])])
    shares = reference_shares(both)
    assert shares["share"].tolist() == pytest.approx([0.75, 1])
    text = reference_overview(both.assign(masks=7)).iloc[0]
    assert text["axon"] == "87.5% (2 subjects, 75.0% to 100.0%)"
    assert text["share of"] == "supervised reference, 7 images" and text["method"] == "refined without SynDiff"
    assert reference_shares(rows([0.5])).empty and reference_overview(rows([0.5])).empty
