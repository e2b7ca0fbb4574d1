"""The choice of a method from label-free scores, and the reasons for it, on small tables."""

import pandas as pd

from histobridge.strategies.recommend import CHOSEN, SCORES, recommend


def scored(fold: int = 0, **anatomy: float) -> pd.DataFrame:
    """Rows of one fold, with the score that decides for each method, written strategy_translator."""
    rows = [
        dict(zip(("strategy", "translator"), method.split("_"), strict=True))
        | dict.fromkeys(SCORES, value)
        | {"enclosure": value, "agreement": 1.0, "fold": fold}
        for method, value in anatomy.items()
    ]
    return pd.DataFrame(rows)


def test_the_method_with_the_highest_score_is_recommended():
    """The text names it and the next one, with the scores of both."""
    method, text = recommend(scored(tutorship_syndiff=0.8, refined_syndiff=0.9, pretrained_none=0.2))
    assert method == ("refined", "syndiff")
    assert text.startswith("Use refined with syndiff.") and "90% is myelin" in text
    assert "Next is tutorship with syndiff (80%, 1.00), clearly behind." in text


def test_the_text_says_if_the_choice_is_uncertain():
    """Two methods that are equally good, and a target on which no method finds sheaths."""
    assert "either will do" in recommend(scored(a_x=0.9, b_x=0.89)).text
    assert "look before you trust" in recommend(scored(a_x=0.4, b_x=0.1)).text
    assert "look before you trust" not in recommend(scored(a_x=0.6, b_x=0.1)).text


def test_the_text_says_how_good_earlier_choices_were():
    """Also among the methods other than `refined`, which is sure to have a high score."""
    known = {"score": CHOSEN, "runs": 2, "good": 0.5, "lost": 0.2, "good_of_others": 0.0, "lost_of_others": 0.3}
    text = recommend(scored(a_x=0.9), pd.DataFrame([known])).text
    assert "within 0.01 Dice of the best in 50% of them, and lost 0.200 on the mean" in text
    assert text.endswith("other than refined, which was made to score well here, in 0%, and lost 0.300.")


def test_folds_are_averaged():
    """A method that is far ahead in one fold and slightly behind in the other is recommended."""
    rows = pd.concat([scored(a_x=0.9, b_x=0.5), scored(fold=1, a_x=0.5, b_x=0.55)])
    assert recommend(rows).method == ("a", "x")
