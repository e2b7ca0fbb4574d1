"""The choice of a method from label-free scores, and the reasons for it, on small tables."""

import pandas as pd

from histobridge.strategies.recommend import SCORES, recommend_method


def scored(fold: int = 0, **anatomy: float) -> pd.DataFrame:
    """Rows of one fold, with the score that decides for each method, written strategy_translator."""
    rows = [
        dict(zip(("strategy", "translator"), method.split("_"), strict=True))
        | dict.fromkeys(SCORES, value)
        | {"enclosure": value, "agreement": 1.0, "fold": fold}
        for method, value in anatomy.items()
    ]
    return pd.DataFrame(rows)


def test_the_advice_names_the_method_with_the_highest_score():
    """It also names the next method, with the scores of both."""
    method, text = recommend_method(scored(tutorship_syndiff=0.8, refined_syndiff=0.9, pretrained_none=0.2))
    assert method == ("refined", "syndiff")
    assert text.startswith("Use refined with syndiff: 90% of the ring around its axons is myelin")
    assert text.endswith("The next method is tutorship with syndiff (80%, 1.00), which is clearly worse.")


def test_the_advice_is_qualified_when_it_is_uncertain():
    """It is qualified if two methods are about equal, or if no method finds sheaths."""
    assert "about as good" in recommend_method(scored(a_x=0.9, b_x=0.89)).text
    assert "check the labels before you use any" in recommend_method(scored(a_x=0.4, b_x=0.1)).text
    assert "check the labels before you use any" not in recommend_method(scored(a_x=0.6, b_x=0.1)).text


def test_folds_are_averaged():
    """A method that is far ahead in one fold and slightly behind in the other is recommended."""
    second = scored(a_x=0.5, b_x=0.55).assign(fold=1)
    assert recommend_method(pd.concat([scored(a_x=0.9, b_x=0.5), second])).method == ("a", "x")
