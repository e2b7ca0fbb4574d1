"""guidance.py: how well label-free scores tell good labels from bad, and the advice that follows; on small tables."""

import pandas as pd
import pytest

from histobridge_study.analysis.recommend import CHOSEN, SCORES, recommend, usefulness, with_truth

KEY = {"pair": "p", "protocol": "transductive", "split": "development"}


def scored(**anatomy: float) -> pd.DataFrame:
    """Rows of one fold: the chosen score by way, written strategy_translator; the other scores are its parts."""
    rows = [
        {**KEY, "fold": 0, "strategy": method.split("_")[0], "translator": method.split("_")[1]}
        | dict.fromkeys(SCORES, value)
        | {"enclosure": value, "agreement": 1.0}
        for method, value in anatomy.items()
    ]
    return pd.DataFrame(rows)


def known(scores: list[float], dice: list[float], fold: int = 0) -> pd.DataFrame:
    """Ways with one value of all scores, and their true Dice."""
    pairs = enumerate(zip(scores, dice, strict=True))
    rows = [dict.fromkeys(SCORES, score) | {"strategy": f"s{i}", "dice": true} for i, (score, true) in pairs]
    return pd.DataFrame(rows).assign(**KEY, fold=fold, translator="syndiff")


def test_a_score_that_orders_as_the_truth_does_is_perfect():
    """Correlation 1 over all and within runs, always the best way, nothing lost."""
    found = usefulness(known([0.1, 0.2, 0.3], [0.5, 0.6, 0.9])).set_index("score")
    assert found.index.tolist() == list(SCORES)
    row = found.loc[CHOSEN]
    assert row[["correlation", "within", "best", "good", "lost", "lost_most"]].tolist() == [1, 1, 1, 1, 0, 0]


def test_what_a_choice_loses_is_counted_by_run():
    """The first run chooses a way that is 0.2 from the best, the second one that is 0.005 from it, a good choice."""
    runs = [known([1, 2], [0.9, 0.7]), known([1, 2], [0.805, 0.8], fold=1)]
    row = usefulness(pd.concat(runs)).set_index("score").loc[CHOSEN]
    assert row["runs"] == 2 and row["best"] == 0 and row["good"] == 0.5
    assert row[["lost", "lost_most"]].tolist() == pytest.approx([0.1025, 0.2])
    assert row["within"] == pytest.approx(-1)


def test_folds_count_once_in_the_correlation():
    """What differs between folds of one way is averaged: over all five trainings the two ways have one order."""
    rows = pd.concat([known([1, 2], [0.5, 0.6]), known([2.5, 3], [0.1, 0.2], fold=1)])
    row = usefulness(rows).set_index("score").loc[CHOSEN]
    assert row[["correlation", "within"]].tolist() == pytest.approx([1, 1])


def test_what_is_sure_to_be_chosen_is_told_apart():
    """Refined is always chosen and always best; among the others the score errs, and that is told to users."""
    rows = known([3, 2, 1], [0.9, 0.5, 0.8])
    rows.loc[0, "strategy"] = "refined"
    row = usefulness(rows).set_index("score").loc[CHOSEN]
    assert row[["good", "lost", "good_of_others"]].tolist() == [1, 0, 0]
    assert row["lost_of_others"] == row["lost_most_of_others"] == pytest.approx(0.3)
    text = recommend(scored(a_x=0.9), usefulness(rows)).text
    assert text.endswith("among the ways other than refined, which was made to score well here, in 0%, and lost 0.300.")


def test_truth_is_the_mean_over_images_and_classes():
    """Ways without a true Dice fall out."""
    dice = pd.DataFrame([{**KEY, "fold": 0, "strategy": "a", "translator": "x", "dice": d} for d in (0.2, 0.4)])
    found = with_truth(scored(a_x=0.5, b_x=0.7), dice)
    assert found[["strategy", "dice"]].values.tolist() == [["a", pytest.approx(0.3)]]


def test_the_advice_names_the_way_of_the_highest_score():
    """And the next, with what speaks for either."""
    method, text = recommend(scored(tutorship_syndiff=0.8, refined_syndiff=0.9, pretrained_none=0.2))
    assert method == ("refined", "syndiff")
    assert text.startswith("Use refined with syndiff.") and "90% is myelin" in text
    assert "Next is tutorship with syndiff (80%, 1.00), clearly behind." in text


def test_the_advice_says_when_it_is_not_sure():
    """Two ways that are as good, and a target on which no way finds sheaths."""
    assert "either will do" in recommend(scored(a_x=0.9, b_x=0.89)).text
    assert "look before you trust" in recommend(scored(a_x=0.4, b_x=0.1)).text
    assert "look before you trust" not in recommend(scored(a_x=0.6, b_x=0.1)).text


def test_the_advice_tells_how_it_has_done_before():
    """Where published runs with known truth are at hand."""
    before = usefulness(pd.concat([known([1, 2], [0.5, 0.9]), known([1, 2], [0.9, 0.5], fold=1)]))
    text = recommend(scored(a_x=0.9), before).text
    assert "within 0.01 Dice of the best in 50% of them, and lost 0.200 on the mean" in text


def test_folds_are_averaged():
    """A way that is best in one fold by much and worst in the other by little is the advice."""
    second = scored(a_x=0.5, b_x=0.55).assign(fold=1)
    assert recommend(pd.concat([scored(a_x=0.9, b_x=0.5), second])).method == ("a", "x")
