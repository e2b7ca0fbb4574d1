"""Do pseudo labels give the same measures as expert masks? Bland and Altman's bias and limits, image by image.

Dice can be high while every sheath is too thick. Rows are those of `morphometrics.csv`, one for each image, fold,
strategy and translator; the expert mask is a strategy of its own, `EXPERT`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge_study.analysis.comparisons import best_method
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
IMAGE_KEYS = [*METHOD_KEYS, "subject", "image"]


class Limits(NamedTuple):
    """How a label differs from the expert over `n` images: mean and SD of label - expert, and the limits of 95 %.

    `sd`, `lower` and `upper` are NaN for a single image, all numbers for none.
    """

    n: int
    expert: float
    bias: float
    sd: float
    lower: float
    upper: float


def bland_altman(expert: np.ndarray, label: np.ndarray) -> Limits:
    """Return bias and 95 % limits of agreement, bias ± 1.96 SD, of paired numbers (Bland and Altman, Lancet 1986).

    Both sides, float [images], are the same measure of the same images; a pair with NaN is left out. The limits are
    valid if differences are about normal and do not grow with the measure. Images count as independent: if subjects
    have several images, the limits are too narrow.

    >>> bland_altman([1.0, 2.0, 3.0], [1.0, 3.0, 5.0])
    Limits(n=3, expert=2.0, bias=1.0, sd=1.0, lower=-0.96, upper=2.96)
    """
    expert, label = np.asarray(expert, dtype=float), np.asarray(label, dtype=float)
    both = ~np.isnan(expert) & ~np.isnan(label)
    expert, difference = expert[both], (label - expert)[both]
    if not len(expert):
        return Limits(0, *[np.nan] * 5)
    bias, sd = float(difference.mean()), float(difference.std(ddof=1)) if len(expert) > 1 else np.nan
    return Limits(len(expert), float(expert.mean()), bias, sd, bias - LIMITS_SD * sd, bias + LIMITS_SD * sd)


def measures_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the means over images of `MEASURES` as text: a row for the expert and each method of one run."""
    means = rows.groupby(["strategy", "translator"], sort=False)[list(MEASURES)].mean()
    text = {name: [format_measure(v, column, sign="") for v in means[column]] for column, name in MEASURES.items()}
    return pd.DataFrame(text, index=means.index).reset_index()


def pair_with_expert(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each measure of each label beside the expert's, one row for each method, image and measure.

    `rows` are those of `morphometrics.csv` and may be empty. The result has `IMAGE_KEYS`, `measure` (a key of
    `MEASURES`), `label` (its mean over folds, so that an image counts once) and `expert`. Images without an expert mask
    are left out.
    """
    values = rows.groupby(IMAGE_KEYS, as_index=False)[list(MEASURES)].mean()
    long = values.melt(IMAGE_KEYS, var_name="measure", value_name="label")
    is_expert = long["strategy"] == EXPERT
    expert = long[is_expert].drop(columns=["strategy", "translator"]).rename(columns={"label": "expert"})
    return long[~is_expert].merge(expert)


def limits_of_agreement(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the `Limits` of every method and measure, and the number of `subjects`, from `pair_with_expert`."""
    keys = [*METHOD_KEYS, "measure"]
    found = [
        (*key, *bland_altman(of["expert"], of["label"]), of.dropna()["subject"].nunique())
        for key, of in pairs.groupby(keys, sort=False)
    ]
    return in_display_order(pd.DataFrame(found, columns=[*keys, *Limits._fields, "subjects"]))


def best_method_pairs(pairs: pd.DataFrame, dice: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `pair_with_expert` of the label-free method with the highest Dice in each experiment.

    The choice is made by Dice (rows of `dice.csv`; mean over images and both classes), not by the agreement shown.
    """
    label_free = image_values(dice[dice["strategy"] != "supervised"])
    best = {
        experiment: best_method(of, set(of["translator"])) for experiment, of in label_free.groupby(EXPERIMENT_KEYS)
    }
    methods = [(*experiment, *method) for experiment, method in best.items() if method]
    return pairs[pd.MultiIndex.from_frame(pairs[[*EXPERIMENT_KEYS, "strategy", "translator"]]).isin(methods)]


def agreement_overview(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `limits_of_agreement` as text, each measure by its name and with suitable decimals."""
    text = table.assign(measure=table["measure"].map(MEASURES)).astype({"n": str, "subjects": str})
    for column in ("expert", "bias", "sd", "lower", "upper"):
        sign = "" if column in ("expert", "sd") else "+"
        text[column] = [format_measure(*pair, sign) for pair in zip(table[column], table["measure"], strict=True)]
    return text


def format_measure(value: float, measure: str, sign: str = "+") -> str:
    """Return a number of a measure as text; `sign=""` omits the plus.

    >>> format_measure(0.0314, "mvf"), format_measure(1234.5, "density_per_mm2"), format_measure(np.nan, "mvf")
    ('+0.031', '+1234', '–')
    """
    return "–" if pd.isna(value) else f"{value:{sign}.{0 if measure == DENSITY else 3}f}"
