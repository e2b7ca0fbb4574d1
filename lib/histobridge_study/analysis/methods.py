"""The methods of the study, a strategy with a translator each, and what they are called in tables and figures."""

from __future__ import annotations

import pandas as pd

from histobridge.config import MANY_SOURCES, MATCHED, REFERENCES, REFINED, STRATEGIES, TRANSLATORS, control_sign

Method = tuple[str, str]
"""Strategy and translator."""

PUBLISHED_STRATEGIES = ("adaptation", "tutorship")
PLAIN_STRATEGIES = ("pretrained", "randomised", "renormalised", *PUBLISHED_STRATEGIES)  # one view, no anatomy
LONG_STRATEGIES = ("randomised", "renormalised", MANY_SOURCES, "reference-synthetic", "reference-refined")
"""Strategies that a study with `comparison: short` leaves out."""

PRETRAINED, FAIR_REFERENCE = ("pretrained", "none"), ("reference", "none")
ADAPTATION, TUTORSHIP = ("adaptation", "syndiff"), ("tutorship", "syndiff")
WITH_SYNDIFF = (REFINED, "syndiff")
MATCHED_GREYS = tuple(MATCHED.values())  # with these `refined` does without SynDiff
NEGATIVE_OR_MATCHED = ("invert", *MATCHED_GREYS)
OTHER_LEARNED = ("cycle", "cyclegan", "cut")  # learned translators other than SynDiff as a whole

PUBLISHED_SIZE = "gpu"  # the profile with SynDiff at its published size
REFERENCE_WORDS = {
    "supervised": "supervised reference of tutorship",
    "reference": "supervised reference",
    "reference-synthetic": "supervised reference with synthetic L",
    "reference-refined": "supervised reference with the refined recipe",
}
TRANSLATOR_WORDS = {"cycle": "SynDiff's cycle", "cyclegan": "CycleGAN", "cut": "CUT"}


def label_free(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of methods that have seen no mask of U."""
    return rows[~rows["strategy"].isin(REFERENCES)]


def split_method(method: str) -> Method:
    """Return strategy and translator of a name `strategy-translator`; both may hold hyphens.

    >>> split_method("reference-refined-none"), split_method("tutorship-invert-histogram")
    (('reference-refined', 'none'), ('tutorship', 'invert-histogram'))
    """
    known = (s for s in sorted(STRATEGIES, key=len, reverse=True) if method.startswith(f"{s}-"))
    strategy = next(known, method.split("-", 1)[0])
    return strategy, method.removeprefix(f"{strategy}-")


def translator_words(translator: str, profile: str = "") -> str:
    """Return the name of a translator; SynDiff is called compact unless the profile trains its published size.

    >>> translator_words("syndiff", "cpu"), translator_words("syndiff", "gpu"), translator_words("invert")
    ('compact SynDiff', 'SynDiff, published size', 'invert')
    """
    if translator == "syndiff":
        return {"": "SynDiff", PUBLISHED_SIZE: "SynDiff, published size"}.get(profile, "compact SynDiff")
    return TRANSLATOR_WORDS.get(translator, translator)


def method_words(strategy: str, translator: str, *, profile: str = "", learned_from: str = "") -> str:
    """Return the name of a method; `learned_from` is the number of target images with masks that a reference saw.

    >>> method_words("refined", "histogram"), method_words("reference", "none", learned_from="12")
    ('refined without SynDiff', 'supervised reference, 12 images')
    """
    if strategy in REFERENCES:
        return REFERENCE_WORDS[strategy] + (f", {learned_from} images" if learned_from else "")
    if (strategy, translator) == PRETRAINED:
        return "pretrained (tutorship none)"
    if strategy == REFINED and translator in MATCHED_GREYS:
        return "refined without SynDiff"
    if strategy == MANY_SOURCES:
        return "refined with many sources"
    if translator in ("none", strategy):  # a pair that has not run at all is one line, `all` of `all`
        return strategy
    return f"{strategy} with {translator_words(translator, profile)}"


def learned_from(rows: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Return from how many target images with masks the methods of each group learned, as text such as `10 to 13`.

    Empty for methods that saw no mask, and for rows that do not tell.
    """
    masks = rows.groupby(keys)["masks"].agg(["min", "max"])
    texts = [_number_text(*pair) for pair in masks.itertuples(index=False)]
    return pd.Series(texts, masks.index, dtype=str)


def _number_text(fewest: float, most: float) -> str:
    if pd.isna(most) or most == 0:
        return ""
    return f"{most:.0f}" if fewest == most else f"{fewest:.0f} to {most:.0f}"


def is_planned(strategy: str, translator: str) -> bool:
    """Tell whether the study combines a strategy with a translator, under some polarity."""
    if strategy in PUBLISHED_STRATEGIES:
        return translator != "none"
    planned = {REFINED: ("syndiff", *MATCHED_GREYS), MANY_SOURCES: MATCHED_GREYS}
    planned |= {"pretrained-anatomy": ("none", "invert")}
    return translator in planned.get(strategy, ("none",))


def contrast_sign(strategy: str, translator: str) -> int:
    """Return 1 or -1 if a method belongs to pairs whose contrast is kept or inverted, 0 if to both.

    >>> contrast_sign("adaptation", "invert"), contrast_sign("refined", "histogram"), contrast_sign("tutorship", "cut")
    (-1, 1, 0)
    """
    if (strategy, translator) == ("pretrained-anatomy", "none"):  # where the contrast is inverted, it sees negatives
        return 1
    return control_sign(translator)


def without_sign(method: Method) -> Method:
    """Return the method that does under kept contrast what this one does under inverted contrast, or itself.

    >>> without_sign(("refined", "invert-histogram")), without_sign(("adaptation", "invert"))
    (('refined', 'histogram'), ('adaptation', 'invert'))
    """
    strategy, translator = method
    if method == ("pretrained-anatomy", "invert"):
        return strategy, "none"
    return strategy, translator.removeprefix("invert-")


def method_order(method: Method) -> tuple[int, int]:
    """Return the place of a method in tables and figures.

    A strategy that is not in `STRATEGIES` stands beside `refined`, before the references; an unknown
    translator is last.
    """
    strategy, translator = method
    place = TRANSLATORS.index(translator) if translator in TRANSLATORS else len(TRANSLATORS)
    return STRATEGIES.index(strategy if strategy in STRATEGIES else REFINED), place
