"""Is one method better than another? Paired Dice of images, a signed-rank test and Holm's correction.

A method is a strategy with a translator.
"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from histobridge_study.analysis.statistics import holm, signed_rank, smallest_p
from histobridge_study.analysis.tables import FAMILY_KEYS, PUBLISHED_STRATEGIES, Method, image_values, in_display_order

LEVEL = 0.05
TEST_COLUMNS = [*FAMILY_KEYS, "best", "strategy", "translator", "images", "subjects"]
TEST_COLUMNS += ["median_difference", "effect", "p", "p_holm", "note"]


def paired_tests(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare the better of the paper's SynDiff strategies with every other label-free method, image by image.

    A family of tests is one pair, protocol, split and class. The better strategy has the higher mean over images; it is
    chosen on the images it is tested on, which favours it.

    Returns
    -------
    DataFrame
        Columns `TEST_COLUMNS`: `best` (strategy), the `strategy` and `translator` it is compared with, the number of
        `images` that both have and of their `subjects`; the `median_difference` in Dice (positive: SynDiff is better),
        the rank-biserial `effect`, `p` of the signed-rank test, `p_holm` corrected within the family, and a `note`
        where too few images make p < 0.05 impossible. Images of one subject are not independent: p is too small if
        subjects have many images, and the interval in `dice_table`, which draws subjects, is the better guide.
    """
    label_free = image_values(rows[rows["strategy"] != "supervised"])
    tests = [test for _, family in label_free.groupby(FAMILY_KEYS) for test in _family_tests(family)]
    return in_display_order(pd.DataFrame(tests, columns=TEST_COLUMNS))


def paired_overview(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `paired_tests` as text; a p below 0.001 is shown as such, not as 0."""
    text = tests.astype({"images": str, "subjects": str})
    for column in ("median_difference", "effect"):
        text[column] = [f"{value:+.3f}" for value in tests[column]]
    for column in ("p", "p_holm"):
        text[column] = ["< 0.001" if value < 0.001 else f"{value:.3f}" for value in tests[column]]
    return text


def best_method(values: pd.DataFrame, translators: Collection[str] = ("syndiff",)) -> Method | None:
    """Return the (strategy, translator) with the highest mean among rows of `image_values`, None if there is none."""
    mean = values[values["translator"].isin(translators)].groupby(["strategy", "translator"])["dice"].mean().dropna()
    return mean.idxmax() if len(mean) else None


def method_rows(values: pd.DataFrame, method: Method) -> pd.DataFrame:
    """Return the rows of one (strategy, translator)."""
    return values[(values["strategy"] == method[0]) & (values["translator"] == method[1])]


def paired_dice(values: pd.DataFrame, one: Method, other: Method) -> pd.DataFrame:
    """Return Dice `one` and `other` of the images of a family that both methods have, by `subject` and `image`."""
    sides = [method_rows(values, method).set_index(["subject", "image"])["dice"] for method in (one, other)]
    return pd.concat(sides, axis=1, join="inner", keys=["one", "other"]).dropna()


def _family_tests(family: pd.DataFrame) -> list[dict]:
    best = best_method(family[family["strategy"].isin(PUBLISHED_STRATEGIES)])
    if best is None:
        return []
    others = family.groupby(["strategy", "translator"]).groups
    tests = [_test(family, best, other) for other in others if other != best]
    for test, p_holm in zip(tests, holm([test["p"] for test in tests]), strict=True):
        test |= {"p_holm": p_holm, "note": _note(test["images"], len(tests))}
    return tests


def _test(family: pd.DataFrame, best: Method, other: Method) -> dict:
    pairs = paired_dice(family, best, other)
    test = signed_rank(pairs["one"] - pairs["other"])
    compared = {"best": best[0], "strategy": other[0], "translator": other[1]}
    counts = {"images": test.n, "subjects": pairs.index.get_level_values("subject").nunique()}
    numbers = {"median_difference": test.median, "effect": test.effect, "p": test.p}
    return {**family[FAMILY_KEYS].iloc[0], **compared, **counts, **numbers}


def _note(images: int, comparisons: int) -> str:
    """Return a remark if no outcome with so few images could be significant."""
    if smallest_p(images) >= LEVEL:
        return f"{images} images: p cannot reach {LEVEL}"
    if smallest_p(images) * comparisons >= LEVEL:
        return f"{images} images, {comparisons} comparisons: p_holm cannot reach {LEVEL}"
    return ""
