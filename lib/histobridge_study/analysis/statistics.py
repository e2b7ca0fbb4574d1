"""How sure a number is: bootstrap intervals, a paired test and its correction. Arrays go in, numbers come out.

The unit of all of it is the image, because folds share their images: five folds are five trainings, and their spread
(the SD of the tables) says nothing of what other images would give. Images of one subject are alike in turn, so
where there are subjects enough it is subjects that are drawn, each with all its images (a cluster bootstrap).

With few units a percentile interval is too narrow: five subjects of one sign always exclude 0, and by chance alone
that happens once in 16. Read an interval of five subjects as a sign, not as a proof.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
SUBJECTS_ENOUGH = 5  # fewer have hardly any distinct resamples (10 of three subjects): images are drawn instead


class Interval(NamedTuple):
    """An estimate and its 95 % percentile bootstrap interval.

    Attributes
    ----------
    value, low, high : float
        `low` and `high` are NaN where fewer than two units could be drawn.
    resampled : str
        What was drawn, such as "5 subjects"; "8 images" means that their subjects were too few.
    """

    value: float
    low: float
    high: float
    resampled: str


class SignedRank(NamedTuple):
    """A Wilcoxon signed-rank test of paired differences: their number and median, effect size in -1..1, two-sided p."""

    n: int
    median: float
    effect: float
    p: float


class _Units(NamedTuple):
    """What is drawn together: the sum of the values of each unit and how many they are."""

    sums: np.ndarray
    counts: np.ndarray
    name: str

    def mean(self, drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        return self.sums[drawn].sum(axis=axis) / self.counts[drawn].sum(axis=axis)


def mean_interval(values: np.ndarray, subjects: np.ndarray, *, seed: int = 0) -> Interval:
    """Return the mean of one value an image with its interval.

    Parameters
    ----------
    values : array of float [images]
        Such as Dice, or a difference of two Dice of one image. NaN (undefined) is left out.
    subjects : array [images]
        The subject of each. From `SUBJECTS_ENOUGH` subjects on they are drawn, each with all its images; else images
        are drawn as if independent, and the interval is too narrow by as much as they are not.
    seed : int
        Of the resampling: one seed, one answer.

    Examples
    --------
    >>> mean_interval([0.5, 0.5, 1.0, np.nan], ["a", "a", "b", "b"])
    Interval(value=0.6666666666666666, low=0.5, high=1.0, resampled='3 images')
    """
    units = _units(values, subjects)
    low, high = _percentiles((len(units.sums),), units.mean, seed)
    return Interval(_mean(units), low, high, f"{len(units.sums)} {units.name}")


def drop_interval(
    near: tuple[np.ndarray, np.ndarray], far: tuple[np.ndarray, np.ndarray], *, seed: int = 0
) -> Interval:
    """Return by how much the mean of other images is lower: mean of `near` less mean of `far`, drawn apart.

    Parameters
    ----------
    near, far : (values, subjects)
        Of two sets of images, each as in `mean_interval`.
    """
    one, other = _units(*near), _units(*far)
    sizes = len(one.sums), len(other.sums)
    low, high = _percentiles(sizes, lambda i, j, axis: one.mean(i, axis) - other.mean(j, axis), seed)
    return Interval(_mean(one) - _mean(other), low, high, f"{sizes[0]} {one.name}, {sizes[1]} {other.name}")


def rank_correlation(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> Interval:
    """Return Spearman's rank correlation of paired numbers with an interval over pairs; infinite ones rank last.

    A resample in which one side is constant has no order and counts as 0.

    Examples
    --------
    >>> rank_correlation([1, 2, 3, np.inf], [10, 20, 30, 40]).value
    1.0
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    low, high = _percentiles((len(x),), lambda drawn, axis: _spearman(x[drawn], y[drawn]), seed)
    return Interval(float(np.round(_spearman(x, y), 12)), low, high, f"{len(x)} cells")


def signed_rank(differences: np.ndarray) -> SignedRank:
    """Test whether paired differences lie symmetrically about 0 (Wilcoxon; exact for few).

    The effect size is the matched-pairs rank-biserial correlation (Kerby 2014): the rank sum of the positive
    differences less that of the negative ones, divided by both. Differences of 0 carry no sign and are left out of
    both; nothing but zeros gives p = 1 and effect 0. NaN is left out.

    Examples
    --------
    >>> signed_rank([0.1, 0.2, 0.3, 0.4, 0.5])
    SignedRank(n=5, median=0.3, effect=1.0, p=0.0625)
    """
    found = np.asarray(differences, dtype=float)
    found = np.round(found[~np.isnan(found)], 9)  # so that noise of summation neither breaks ties nor hides a 0
    signed = found[found != 0]
    if not len(signed):
        return SignedRank(len(found), 0.0, 0.0, 1.0) if len(found) else SignedRank(0, np.nan, np.nan, np.nan)
    ranks = stats.rankdata(np.abs(signed))
    effect = (ranks * np.sign(signed)).sum() / ranks.sum()
    p = stats.wilcoxon(signed).pvalue
    return SignedRank(len(found), float(np.median(found)), float(effect), float(p))


def smallest_p(n: int) -> float:
    """Return the smallest two-sided p that a signed-rank test of `n` pairs can give: 2 / 2^n, all of one sign.

    >>> [round(smallest_p(n), 4) for n in (5, 6)]
    [0.0625, 0.0312]
    """
    return min(1.0, 2.0 ** (1 - n))


def holm(p: np.ndarray) -> np.ndarray:
    """Return the p values [n] of one family after Holm's step-down correction; NaN is no member of the family.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)  # NaN comes last
    factors = np.isfinite(p).sum() - np.arange(len(p))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return adjusted


def _units(values: np.ndarray, subjects: np.ndarray) -> _Units:
    values, subjects = np.asarray(values, dtype=float), np.asarray(subjects)
    known = ~np.isnan(values)
    values, (names, owner) = values[known], np.unique(subjects[known], return_inverse=True)
    if len(names) < SUBJECTS_ENOUGH:
        return _Units(values, np.ones(len(values)), "images")
    return _Units(np.bincount(owner, values), np.bincount(owner).astype(float), "subjects")


def _mean(units: _Units) -> float:
    return float(units.mean(np.arange(len(units.sums)))) if len(units.sums) else np.nan


def _percentiles(sizes: tuple[int, ...], statistic: Callable, seed: int) -> tuple[float, float]:
    """Draw the numbers of units, not their values, so that a unit may hold many images."""
    if min(sizes) < 2:
        return np.nan, np.nan
    found = stats.bootstrap(
        tuple(np.arange(size) for size in sizes),
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlate ranks along the last axis; 0 where a side has no spread."""
    x, y = (stats.rankdata(side, axis=-1) for side in (x, y))
    x, y = (side - side.mean(axis=-1, keepdims=True) for side in (x, y))
    spread = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.divide((x * y).sum(axis=-1), spread, out=np.zeros_like(spread), where=spread > 0)
