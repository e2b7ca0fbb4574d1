"""Is one way to a pseudo label better than another? Pairs of images, a signed-rank test, and Holm's correction."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from histobridge_study.analysis.statistics import holm, signed_rank, smallest_p
from histobridge_study.analysis.tables import FAMILY, PUBLISHED, image_values, in_story_order

LEVEL = 0.05


def paired_tests(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare the paper's best SynDiff strategy with every other label-free row, image by image.

    A family is one pair, protocol, split and class. Its best strategy, of the paper's two, is the one with the highest
    mean over images; it is chosen on the images it is then tested on, which favours it.

    Parameters
    ----------
    rows : DataFrame
        Columns `DICE_COLUMNS`.

    Returns
    -------
    DataFrame
        `best` (strategy), the row it is `strategy`, `translator` compared with, the `images` that both have and
        their `subjects`; the `median_difference` in Dice (positive: SynDiff is better), the rank-biserial `effect`,
        `p` of the signed-rank test, `p_holm` corrected within the family, and a `note` where too few images make
        p < 0.05 impossible. Images of one subject are not independent: with many of them p is too small, and the
        interval in `dice_table`, which draws subjects, is the better guide.
    """
    free = image_values(rows[rows["strategy"] != "supervised"])
    tests = [test for _, family in free.groupby(FAMILY) for test in _family_tests(family)]
    columns = [*FAMILY, "best", "strategy", "translator", "images", "subjects"]
    columns += ["median_difference", "effect", "p", "p_holm", "note"]
    return in_story_order(pd.DataFrame(tests, columns=columns))


def paired_overview(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `paired_tests` as text; a p below 0.001 is shown as such, not as 0."""
    text = tests.astype({"images": str, "subjects": str})
    for column in ("median_difference", "effect"):
        text[column] = [f"{value:+.3f}" for value in tests[column]]
    for column in ("p", "p_holm"):
        text[column] = ["< 0.001" if value < 0.001 else f"{value:.3f}" for value in tests[column]]
    return text


def best_method(values: pd.DataFrame, translators: Collection[str] = ("syndiff",)) -> tuple[str, str] | None:
    """Return the (strategy, translator) with the highest mean among rows of `image_values`, None if there is none."""
    mean = values[values["translator"].isin(translators)].groupby(["strategy", "translator"])["dice"].mean().dropna()
    return mean.idxmax() if len(mean) else None


def of_method(values: pd.DataFrame, method: tuple[str, str]) -> pd.DataFrame:
    """Return the rows of one (strategy, translator)."""
    return values[(values["strategy"] == method[0]) & (values["translator"] == method[1])]


def paired_values(values: pd.DataFrame, one: tuple[str, str], other: tuple[str, str]) -> pd.DataFrame:
    """Return Dice `one` and `other` of the images of a family that two (strategy, translator) both have.

    Rows are indexed by `subject` and `image`.
    """
    sides = [of_method(values, method).set_index(["subject", "image"])["dice"] for method in (one, other)]
    return pd.concat(sides, axis=1, join="inner", keys=["one", "other"]).dropna()


def _family_tests(family: pd.DataFrame) -> list[dict]:
    best = best_method(family[family["strategy"].isin(PUBLISHED)])
    if best is None:
        return []
    others = [method for method in family.groupby(["strategy", "translator"]).groups if method != best]
    tests = [_test(paired_values(family, best, other)) for other in others]
    corrected = holm([test["p"] for test in tests])
    head = {**family[FAMILY].iloc[0], "best": best[0]}
    return [
        {**head, "strategy": other[0], "translator": other[1], **test, "p_holm": p, "note": _flag(test, len(tests))}
        for other, test, p in zip(others, tests, corrected, strict=True)
    ]


def _test(pairs: pd.DataFrame) -> dict:
    found = signed_rank(pairs["one"] - pairs["other"])
    subjects = pairs.index.get_level_values("subject").nunique()
    counts = {"images": found.n, "subjects": subjects}
    return {**counts, "median_difference": found.median, "effect": found.effect, "p": found.p}


def _flag(test: dict, comparisons: int) -> str:
    """Say when no outcome whatever of so few images could have been significant."""
    least = smallest_p(test["images"])
    if least >= LEVEL:
        return f"{test['images']} images: p cannot reach {LEVEL}"
    if least * comparisons >= LEVEL:
        return f"{test['images']} images, {comparisons} comparisons: p_holm cannot reach {LEVEL}"
    return ""
