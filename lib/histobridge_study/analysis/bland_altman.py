"""Do pseudo labels measure what the expert masks measure? Bland and Altman's bias and limits, image by image.

Dice can be high and every sheath too thick. Rows are those of `morphometrics.csv`: one an image, fold, strategy and
translator, in which the expert mask stands as a strategy of its own, `EXPERT`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge_study.analysis.comparisons import best_method
from histobridge_study.analysis.tables import METHOD, SETTING, image_values, in_story_order

EXPERT = "expert"
DENSITY = "density_per_mm2"  # in thousands: decimals would be noise
MEASURES = {  # per-image numbers of `morphometrics.summary`
    "axon_diameter_um_mean": "axon diameter, µm",
    "fibre_diameter_um_mean": "fibre diameter, µm",
    "myelin_thickness_um_mean": "myelin thickness, µm",
    "g_ratio_mean": "g-ratio",
    DENSITY: "fibres / mm²",
    "mvf": "myelin fraction (MVF)",
    "avf": "axon fraction (AVF)",
}
WITHIN = 1.96  # SD to either side of the mean that hold 95 % of a normal distribution
SEEN = [*METHOD, "subject", "image"]


class Limits(NamedTuple):
    """How a label differs from the expert over `n` images: the mean and SD of label - expert, and where 95 % lie.

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

    Parameters
    ----------
    expert, label : array of float [images]
        The same measure of the same images; a pair with NaN is left out. The limits hold if differences are about
        normal and do not grow with the measure. Images count as independent: with several of one subject the limits
        are too narrow by as much as they are not.

    Examples
    --------
    >>> bland_altman([1.0, 2.0, 3.0], [1.0, 3.0, 5.0])
    Limits(n=3, expert=2.0, bias=1.0, sd=1.0, lower=-0.96, upper=2.96)
    """
    expert, label = np.asarray(expert, dtype=float), np.asarray(label, dtype=float)
    both = ~np.isnan(expert) & ~np.isnan(label)
    expert, difference = expert[both], (label - expert)[both]
    if not len(expert):
        return Limits(0, *[np.nan] * 5)
    bias, sd = float(difference.mean()), float(difference.std(ddof=1)) if len(expert) > 1 else np.nan
    return Limits(len(expert), float(expert.mean()), bias, sd, bias - WITHIN * sd, bias + WITHIN * sd)


def measures_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the means over images of `MEASURES`, by name, as text: a row for the expert and each way of one run."""
    means = rows.groupby(["strategy", "translator"], sort=False)[list(MEASURES)].mean()
    text = {name: [number(value, column, sign="") for value in means[column]] for column, name in MEASURES.items()}
    return pd.DataFrame(text, index=means.index).reset_index()


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what each label and the expert measured in each image, one row an image, way and measure.

    Parameters
    ----------
    rows : DataFrame
        Of `morphometrics.csv`: the columns `WAY`, `fold`, `subject`, `image` and `MEASURES`. May be empty.

    Returns
    -------
    DataFrame
        `WAY`, `subject`, `image`, `measure` (a key of `MEASURES`), `label` (its mean over folds, so that
        an image counts once) and `expert`. Images without an expert mask are left out.
    """
    values = rows.groupby(SEEN, as_index=False)[list(MEASURES)].mean()
    long = values.melt(SEEN, var_name="measure", value_name="label")
    is_expert = long["strategy"] == EXPERT
    expert = long[is_expert].drop(columns=["strategy", "translator"]).rename(columns={"label": "expert"})
    return long[~is_expert].merge(expert)


def agreement(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return bias and limits of agreement of every way and measure, from rows of `paired`.

    Returns
    -------
    DataFrame
        `WAY`, `measure`, the numbers of `Limits` in the unit of the measure, and of how many `subjects` the images are.
    """
    keys = [*METHOD, "measure"]
    found = [
        (*key, *bland_altman(of["expert"], of["label"]), of.dropna()["subject"].nunique())
        for key, of in pairs.groupby(keys, sort=False)
    ]
    return in_story_order(pd.DataFrame(found, columns=[*keys, *Limits._fields, "subjects"]))


def of_best(pairs: pd.DataFrame, dice: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `paired` of one way in each pair, protocol and split: the label-free one of the highest Dice.

    Dice (rows of `dice.csv`; mean over images and both classes) chooses, not the agreement that is then shown.
    """
    free = image_values(dice[dice["strategy"] != "supervised"])
    best = {setting: best_method(of, of["translator"].unique()) for setting, of in free.groupby(SETTING)}
    settings, methods = (
        pairs[keys].itertuples(index=False, name=None) for keys in (SETTING, ["strategy", "translator"])
    )
    return pairs[
        np.array([best.get(setting) == method for setting, method in zip(settings, methods, strict=True)], dtype=bool)
    ]


def agreement_overview(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table of `agreement` as text, each measure by its name and with as many decimals as it needs."""
    text = table.assign(measure=table["measure"].map(MEASURES)).astype({"n": str, "subjects": str})
    for column in ("expert", "bias", "sd", "lower", "upper"):
        sign = "" if column in ("expert", "sd") else "+"
        text[column] = [number(*pair, sign) for pair in zip(table[column], table["measure"], strict=True)]
    return text


def number(value: float, measure: str, sign: str = "+") -> str:
    """Return a number of a measure as text, with a sign unless it is to have none.

    >>> number(0.0314, "mvf"), number(1234.5, "density_per_mm2"), number(np.nan, "mvf")
    ('+0.031', '+1234', '–')
    """
    return "–" if pd.isna(value) else f"{value:{sign}.{0 if measure == DENSITY else 3}f}"
