"""How well label-free scores predict Dice, and the recommendation that follows, on small tables."""

import pandas as pd
import pytest

from histobridge.strategies.recommend import DECIDING_SCORE, SCORES, recommend_method
from histobridge_study.analysis.recommend import evaluate_scores, with_true_dice

KEY = {"pair": "p", "protocol": "transductive", "split": "development"}


def scored(**anatomy: float) -> pd.DataFrame:
    """Return rows of one fold from the deciding score of each method, written strategy_translator."""
    rows = [
        {**KEY, "fold": 0, "strategy": method.split("_")[0], "translator": method.split("_")[1]}
        | dict.fromkeys(SCORES, value)
        | {"enclosure": value, "agreement": 1.0}
        for method, value in anatomy.items()
    ]
    return pd.DataFrame(rows)


def known(scores: list[float], dice: list[float], fold: int = 0) -> pd.DataFrame:
    """Return methods with one value for all scores, and their true Dice."""
    pairs = enumerate(zip(scores, dice, strict=True))
    rows = [dict.fromkeys(SCORES, score) | {"strategy": f"s{i}", "dice": true} for i, (score, true) in pairs]
    return pd.DataFrame(rows).assign(**KEY, fold=fold, translator="syndiff")


def test_a_score_in_the_order_of_the_truth_is_perfect():
    """The correlation is 1 overall and within runs, the best method is chosen, and nothing is lost."""
    found = evaluate_scores(known([0.1, 0.2, 0.3], [0.5, 0.6, 0.9])).set_index("score")
    assert found.index.tolist() == list(SCORES)
    row = found.loc[DECIDING_SCORE]
    assert row[["correlation", "within", "best", "good", "lost", "lost_most"]].tolist() == [1, 1, 1, 1, 0, 0]


def test_the_loss_of_a_choice_is_averaged_over_runs():
    """The first choice loses 0.2, the second only 0.005, which is still good."""
    runs = [known([1, 2], [0.9, 0.7]), known([1, 2], [0.805, 0.8], fold=1)]
    row = evaluate_scores(pd.concat(runs)).set_index("score").loc[DECIDING_SCORE]
    assert row["runs"] == 2 and row["best"] == 0 and row["good"] == 0.5
    assert row[["lost", "lost_most"]].tolist() == pytest.approx([0.1025, 0.2])
    assert row["within"] == pytest.approx(-1)


def test_folds_count_once_in_the_correlation():
    """Folds are averaged, so two methods that keep their order in every fold correlate perfectly."""
    rows = pd.concat([known([1, 2], [0.5, 0.6]), known([2.5, 3], [0.1, 0.2], fold=1)])
    row = evaluate_scores(rows).set_index("score").loc[DECIDING_SCORE]
    assert row[["correlation", "within"]].tolist() == pytest.approx([1, 1])


def test_the_correlation_is_given_among_harder_choices():
    """Failures are easily told apart; among plausible methods, and without `refined`, the order may be wrong."""
    rows = known([1, 2, 9, 4, 3], [0.1, 0.2, 0.9, 0.6, 0.7])
    rows.loc[2, "strategy"] = "refined"
    row = evaluate_scores(rows).set_index("score").loc[DECIDING_SCORE]
    assert row["correlation"] == pytest.approx(0.9)
    assert row["plausible"] == pytest.approx(0.5) and row["plausible_of_others"] == pytest.approx(-1)


def test_choices_without_refined_are_evaluated_separately():
    """`refined` is always chosen; the errors among the other methods are reported to the user."""
    rows = known([3, 2, 1], [0.9, 0.5, 0.8])
    rows.loc[0, "strategy"] = "refined"
    row = evaluate_scores(rows).set_index("score").loc[DECIDING_SCORE]
    assert row[["good", "lost", "good_of_others"]].tolist() == [1, 0, 0]
    assert row["lost_of_others"] == row["lost_most_of_others"] == pytest.approx(0.3)
    text = recommend_method(scored(a_x=0.9), evaluate_scores(rows)).text
    assert text.endswith("Without refined, which optimises this score, it was in 0% and lost 0.300.")


def test_truth_is_the_mean_over_subjects_and_classes():
    """Methods without a true Dice are left out."""
    row = {**KEY, "fold": 0, "strategy": "a", "translator": "x", "class": "axon"}
    images = (("s", "1", 0.1), ("s", "2", 0.3), ("t", "3", 0.4))
    dice = pd.DataFrame([{**row, "subject": s, "image": i, "dice": d} for s, i, d in images])
    found = with_true_dice(scored(a_x=0.5, b_x=0.7), dice)
    assert found[["strategy", "dice"]].values.tolist() == [["a", pytest.approx(0.3)]]


def test_the_advice_reports_how_good_earlier_choices_were():
    """Published runs with known truth add how often the choice was good and what it lost."""
    before = evaluate_scores(pd.concat([known([1, 2], [0.5, 0.9]), known([1, 2], [0.9, 0.5], fold=1)]))
    text = recommend_method(scored(a_x=0.9), before).text
    assert "within 0.01 Dice of the best in 50% of the runs and lost 0.200 on average." in text
