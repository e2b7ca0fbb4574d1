"""Do pseudo labels give the same measures as expert masks? Bland and Altman's bias and limits, subject by subject.

Dice can be high while every sheath is too thick, and a bias near 0 may hide errors that cancel out: it is never shown
without its limits. Rows are those of `morphometrics.csv`, one for each image, fold,
strategy and translator; the expert mask is a strategy of its own, `EXPERT`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge_study.analysis.comparisons import best_method
from histobridge_study.analysis.methods import label_free, method_words
from histobridge_study.analysis.statistics import MIN_SUBJECTS
from histobridge_study.analysis.tables import EXPERIMENT_KEYS, METHOD_KEYS, image_values, in_display_order

EXPERT = "expert"
DENSITY = "density_per_mm2"  # in thousands: shown without decimals
MEASURES = {  # per-image numbers of `morphometrics.fibre_summary`
    "axon_diameter_um_mean": "axon diameter, µm",
    "fibre_diameter_um_mean": "fibre diameter, µm",
    "myelin_thickness_um_mean": "myelin thickness, µm",
    "g_ratio_mean": "g-ratio",
    DENSITY: "fibres / mm²",
    "mvf": "myelin fraction (MVF)",
    "avf": "axon fraction (AVF)",
}
LIMITS_SD = 1.96  # SD on either side of the mean that contain 95 % of a normal distribution
SUBJECT_KEYS = [*METHOD_KEYS, "subject"]
IMAGE_KEYS = [*SUBJECT_KEYS, "image"]
AGREEMENT = "bias [95 % limits], or (range) of few subjects"


class Limits(NamedTuple):
    """How a label differs from the expert over `subjects`: mean and SD of label - expert, and the limits of 95 %.

    `least` and `most` are the range of the differences. `lower` and `upper` are NaN below five subjects, `sd` for a
    single one, all numbers for none.
    """

    subjects: int
    expert: float
    bias: float
    sd: float
    lower: float
    upper: float
    least: float
    most: float


def bland_altman(expert: np.ndarray, label: np.ndarray) -> Limits:
    """Return bias and 95 % limits of agreement, bias ± 1.96 SD, of paired numbers (Bland and Altman, Lancet 1986).

    Both sides, float [subjects], are the same measure of the same subjects; a pair with NaN is left out. The limits are
    valid if differences are about normal and do not grow with the measure.

    >>> bland_altman([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0])[:3]
    (5, 1.0, 2.0)
    """
    expert, label = np.asarray(expert, dtype=float), np.asarray(label, dtype=float)
    both = ~np.isnan(expert) & ~np.isnan(label)
    expert, difference = expert[both], (label - expert)[both]
    if not len(expert):
        return Limits(0, *[np.nan] * 7)
    bias, sd = float(difference.mean()), float(difference.std(ddof=1)) if len(expert) > 1 else np.nan
    reach = LIMITS_SD * sd if len(expert) >= MIN_SUBJECTS else np.nan
    ends = float(difference.min()), float(difference.max())
    return Limits(len(expert), float(expert.mean()), bias, sd, bias - reach, bias + reach, *ends)


def measures_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the means over images of `MEASURES` as text: a row for the expert and each method of one run."""
    means = rows.groupby(["strategy", "translator"], sort=False)[list(MEASURES)].mean()
    text = {name: [format_measure(v, column, sign="") for v in means[column]] for column, name in MEASURES.items()}
    return pd.DataFrame(text, index=means.index).reset_index()


def pair_with_expert(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each measure of each label beside the expert's, one row for each method, subject and measure.

    `rows` are those of `morphometrics.csv` and may be empty. The result has `SUBJECT_KEYS`, `measure` (a key of
    `MEASURES`), `label` and `expert`: means over the images of a subject in which both are defined, of which the label
    is first averaged over folds.
    """
    values = rows.groupby(IMAGE_KEYS, as_index=False)[list(MEASURES)].mean()
    long = values.melt(IMAGE_KEYS, var_name="measure", value_name="label")
    is_expert = long["strategy"] == EXPERT
    expert = long[is_expert].drop(columns=["strategy", "translator"]).rename(columns={"label": "expert"})
    images = long[~is_expert].merge(expert).dropna().astype({"label": float, "expert": float})
    return images.groupby([*SUBJECT_KEYS, "measure"], sort=False)[["label", "expert"]].mean().reset_index()


def limits_of_agreement(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the `Limits` of every method and measure, from `pair_with_expert`."""
    keys = [*METHOD_KEYS, "measure"]
    groups = pairs.groupby(keys, sort=False)
    found = [(*key, *bland_altman(of["expert"], of["label"])) for key, of in groups]
    return in_display_order(pd.DataFrame(found, columns=[*keys, *Limits._fields]))


def best_method_pairs(pairs: pd.DataFrame, dice: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `pair_with_expert` of the label-free method with the highest Dice in each experiment.

    The choice is made by Dice (rows of `dice.csv`; mean over subjects and both classes), not by the agreement shown.
    """
    values = image_values(label_free(dice))
    best = {experiment: best_method(of, set(of["translator"])) for experiment, of in values.groupby(EXPERIMENT_KEYS)}
    methods = [(*experiment, *method) for experiment, method in best.items() if method]
    return pairs[pd.MultiIndex.from_frame(pairs[[*EXPERIMENT_KEYS, "strategy", "translator"]]).isin(methods)]


def agreement_overview(table: pd.DataFrame, *, profile: str = "") -> pd.DataFrame:
    """Return the table of `limits_of_agreement` as text: a bias always with its limits, or with its range."""
    methods = zip(table["strategy"], table["translator"], strict=True)
    text = table[EXPERIMENT_KEYS].assign(method=[method_words(*method, profile=profile) for method in methods])
    text["measure"], text["subjects"] = table["measure"].map(MEASURES), table["subjects"].astype(str)
    text["expert"] = [format_measure(of.expert, of.measure, sign="") for of in table.itertuples()]
    text[AGREEMENT] = [limits_text(of, of.measure) for of in table.itertuples()]
    return text


def limits_text(limits: Limits, measure: str) -> str:
    """Return `bias [lower, upper]` or, below five subjects, `bias (least to most)`."""
    bias, lower, upper, least, most = (
        format_measure(getattr(limits, name), measure) for name in ("bias", "lower", "upper", "least", "most")
    )
    return f"{bias} ({least} to {most})" if pd.isna(limits.lower) else f"{bias} [{lower}, {upper}]"


def format_measure(value: float, measure: str, sign: str = "+") -> str:
    """Return a number of a measure as text; `sign=""` omits the plus.

    >>> format_measure(0.0314, "mvf"), format_measure(1234.5, "density_per_mm2"), format_measure(np.nan, "mvf")
    ('+0.031', '+1234', '–')
    """
    return "–" if pd.isna(value) else f"{value:{sign}.{0 if measure == DENSITY else 3}f}"
