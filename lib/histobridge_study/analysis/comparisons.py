"""Differences between methods, paired by subject: only those that a question of the study asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd

from histobridge.config import CONTROLS, MANY_SOURCES, REFINED
from histobridge_study.analysis.methods import (
    ADAPTATION,
    FAIR_REFERENCE,
    MATCHED_GREYS,
    NEGATIVE_OR_MATCHED,
    OTHER_LEARNED,
    PRETRAINED,
    TUTORSHIP,
    WITH_SYNDIFF,
    Method,
    method_words,
    translator_words,
)
from histobridge_study.analysis.statistics import Interval, difference_text, mean_interval
from histobridge_study.analysis.tables import CLASSES, EXPERIMENT_KEYS, FAMILY_KEYS, image_values

BOTH = "both"  # the mean of both classes
DIFFERENCE_COLUMNS = [*FAMILY_KEYS, "question", "one", "other", "one_mean", "other_mean"]
DIFFERENCE_COLUMNS += ["difference", "low", "high", "least", "most", "subjects"]


def differences(rows: pd.DataFrame, *, profile: str = "") -> pd.DataFrame:
    """Answer the questions of the study with differences in Dice, paired by subject.

    Returns
    -------
    DataFrame
        Columns `DIFFERENCE_COLUMNS`, a row for each experiment, question and class (and the mean of `both`): the names
        of the methods, their means over the subjects that both have, the mean `difference` (`one` less `other`) with
        its interval `low` to `high`, NaN below five subjects, and the range over subjects, `least` to `most`. The best
        of several methods is chosen on the images on which it is compared, which favours it.
    """
    found = []
    for experiment, values in with_both(image_values(rows)).groupby(EXPERIMENT_KEYS):
        for question, one, other in _questions(values[values["class"] == BOTH]):
            for class_ in (*CLASSES, BOTH):
                row = _difference(values[values["class"] == class_], one, other)
                names = [method_words(*method, profile=profile) for method in (one, other)]
                found.append([*experiment, class_, question, *names, *row])
    return pd.DataFrame(found, columns=DIFFERENCE_COLUMNS)


def differences_overview(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `differences` as text, a column for each class."""
    cells = [difference_text(*row) for row in table[["difference", "low", "high", "least", "most"]].to_numpy()]
    keys = [*EXPERIMENT_KEYS, "question", "one", "other", "subjects"]
    wide = table.assign(cell=cells, subjects=table["subjects"].astype(str))
    wide = wide.pivot(index=keys, columns="class", values="cell").reindex(wide[keys].drop_duplicates())
    wide = wide.reindex(columns=[*CLASSES, BOTH]).rename(columns={BOTH: "mean of both"})
    return wide.reset_index().rename_axis(columns=None).fillna("–")


def best_method(values: pd.DataFrame, translators: Collection[str] = ("syndiff",)) -> Method | None:
    """Return the (strategy, translator) with the highest mean over subjects, None if there is none.

    `values` are rows of `tables.image_values`; several classes count equally.
    """
    chosen = values[values["translator"].isin(translators)]
    subjects = chosen.groupby(["strategy", "translator", "class", "subject"])["dice"].mean()
    mean = subjects.groupby(["strategy", "translator", "class"]).mean().groupby(["strategy", "translator"]).mean()
    mean = mean.dropna()
    return mean.idxmax() if len(mean) else None


def method_rows(values: pd.DataFrame, method: Method) -> pd.DataFrame:
    """Return the rows of one (strategy, translator)."""
    return values[(values["strategy"] == method[0]) & (values["translator"] == method[1])]


def paired_subjects(values: pd.DataFrame, one: Method, other: Method) -> pd.DataFrame:
    """Return Dice `one` and `other` by `subject`, from rows of `image_values` of one family.

    The value of a subject is its mean over the images that both methods have.
    """
    sides = [method_rows(values, method).set_index(["subject", "image"])["dice"] for method in (one, other)]
    images = pd.concat(sides, axis=1, join="inner", keys=["one", "other"]).dropna()
    return images.groupby("subject").mean()


def paired_lead(values: pd.DataFrame, one: Method, other: Method) -> Interval:
    """Return the mean over subjects of the Dice of `one` less that of `other`; arguments as of `paired_subjects`."""
    pairs = paired_subjects(values, one, other)
    return mean_interval(pairs["one"] - pairs["other"])


def with_both(values: pd.DataFrame) -> pd.DataFrame:
    """Append to rows of `image_values` the mean of both classes of each image, as the class `both`."""
    keys = [name for name in values if name not in ("class", "dice")]
    wide = values[values["class"].isin(CLASSES)].pivot(index=keys, columns="class", values="dice")
    mean = wide.reindex(columns=CLASSES).mean(axis=1, skipna=False).dropna().rename("dice").reset_index()
    return pd.concat([values, mean.assign(**{"class": BOTH})], ignore_index=True)


def method_without_syndiff(values: pd.DataFrame) -> Method:
    """Return the method `refined` without SynDiff: the matched greys that the polarity of the pair asks for."""
    return best_method(values[values["strategy"] == REFINED], MATCHED_GREYS) or (REFINED, MATCHED_GREYS[0])


def _questions(values: pd.DataFrame) -> Iterator[tuple[str, Method, Method]]:
    """Yield each question with its two methods, where rows of one experiment and class have both."""
    present = set(zip(values["strategy"], values["translator"], strict=True))
    syndiff, plain = WITH_SYNDIFF, method_without_syndiff(values)
    adaptations, tutorships = (values[values["strategy"] == method[0]] for method in (ADAPTATION, TUTORSHIP))
    classical = [name for name in CONTROLS if name != "none"]
    asked = [
        ("does SynDiff improve refined?", syndiff, plain),
        ("adaptation: ahead of negative or matched greys?", ADAPTATION, best_method(adaptations, NEGATIVE_OR_MATCHED)),
        ("tutorship: ahead of the best classical control?", TUTORSHIP, best_method(tutorships, classical)),
        *((f"tutorship: at least {translator_words(t)}?", TUTORSHIP, ("tutorship", t)) for t in OTHER_LEARNED),
        ("tutorship: better than no translation?", TUTORSHIP, PRETRAINED),
        ("tutorship or adaptation?", TUTORSHIP, ADAPTATION),
        ("do further labelled microscopes improve refined?", (MANY_SOURCES, plain[1]), plain),
        *(("refined: more than views and anatomy?", plain, ("pretrained-anatomy", t)) for t in ("none", "invert")),
        ("how far is tutorship from its reference?", TUTORSHIP, ("supervised", "none")),
        *(
            ("how far is refined from the fair reference?", refined, FAIR_REFERENCE)
            for refined in (syndiff, plain, (MANY_SOURCES, plain[1]))
        ),
    ]
    yield from ((question, one, other) for question, one, other in asked if {one, other} <= present)


def _difference(values: pd.DataFrame, one: Method, other: Method) -> list:
    pairs = paired_subjects(values, one, other)
    lead = mean_interval(pairs["one"] - pairs["other"])
    means = pairs["one"].mean(), pairs["other"].mean()
    return [*means, lead.value, lead.low, lead.high, lead.least, lead.most, len(pairs)]
