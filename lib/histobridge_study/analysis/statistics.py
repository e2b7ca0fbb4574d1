"""Bootstrap intervals, the Wilcoxon signed-rank test and Holm's correction: arrays in, numbers out.

The unit of all statistics is the image, because folds share their images: the spread over five folds describes five
trainings, not other images. Images of one subject resemble each other, so where there are enough subjects the bootstrap
draws subjects, each with all its images (a cluster bootstrap).

With few units a percentile interval is too narrow. If all of five subjects have the same sign, the interval excludes 0,
and by chance alone that happens once in 16 times. An interval of five subjects is an indication, not a proof.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
MIN_SUBJECTS = 5  # fewer have hardly any distinct resamples (10 of three subjects): images are drawn instead


class Interval(NamedTuple):
    """An estimate and its 95 % percentile bootstrap interval, NaN where fewer than two units could be drawn.

    `resampled` names what was drawn: "8 images" instead of "5 subjects" means that there were too few subjects.
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
    """The units that the bootstrap draws: the sum and the number of the values of each."""

    sums: np.ndarray
    counts: np.ndarray
    name: str

    @classmethod
    def of(cls, values: np.ndarray, subjects: np.ndarray) -> _Units:
        values, subjects = np.asarray(values, dtype=float), np.asarray(subjects)
        defined = ~np.isnan(values)
        values, (names, owner) = values[defined], np.unique(subjects[defined], return_inverse=True)
        if len(names) < MIN_SUBJECTS:
            return cls(values, np.ones(len(values)), "images")
        return cls(np.bincount(owner, values), np.bincount(owner).astype(float), "subjects")

    def mean(self, drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        return self.sums[drawn].sum(axis=axis) / self.counts[drawn].sum(axis=axis)

    @property
    def overall_mean(self) -> float:
        return float(self.mean(np.arange(len(self.sums)))) if len(self.sums) else np.nan

    def __str__(self) -> str:
        return f"{len(self.sums)} {self.name}"


def mean_interval(values: np.ndarray, subjects: np.ndarray, *, seed: int = 0) -> Interval:
    """Return the mean of one value per image, float [images], with its interval; NaN is left out.

    From `MIN_SUBJECTS` subjects on, the bootstrap draws subjects, each with all its images. Otherwise it draws images
    as if they were independent, and the interval is too narrow if they are not.

    >>> mean_interval([0.5, 0.5, 1.0, np.nan], ["a", "a", "b", "b"])
    Interval(value=0.6666666666666666, low=0.5, high=1.0, resampled='3 images')
    """
    units = _Units.of(values, subjects)
    low, high = _percentiles((len(units.sums),), units.mean, seed)
    return Interval(units.overall_mean, low, high, str(units))


def difference_interval(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray], *, seed: int = 0
) -> Interval:
    """Return the mean of `first` less that of `second`, independent sets of (values, subjects), with its interval."""
    one, other = _Units.of(*first), _Units.of(*second)
    sizes = len(one.sums), len(other.sums)
    low, high = _percentiles(sizes, lambda i, j, axis: one.mean(i, axis) - other.mean(j, axis), seed)
    return Interval(one.overall_mean - other.overall_mean, low, high, f"{one}, {other}")


def rank_correlation(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> Interval:
    """Return Spearman's rank correlation of paired numbers with an interval over pairs; infinite numbers rank last.

    If one side is constant, as it may be in a resample, the correlation is 0.

    >>> rank_correlation([1, 2, 3, np.inf], [10, 20, 30, 40]).value
    1.0
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    low, high = _percentiles((len(x),), lambda drawn, axis: _spearman(x[drawn], y[drawn]), seed)
    return Interval(float(np.round(_spearman(x, y), 12)), low, high, f"{len(x)} cells")


def signed_rank(differences: np.ndarray) -> SignedRank:
    """Test whether paired differences are symmetric about 0 (Wilcoxon; exact for few).

    The effect size is the matched-pairs rank-biserial correlation (Kerby 2014): the rank sum of the positive
    differences less that of the negative ones, divided by the sum of both. Differences of 0 are left out of effect and
    p; nothing but zeros gives effect 0 and p = 1. NaN is left out of everything.

    >>> signed_rank([0.1, 0.2, 0.3, 0.4, 0.5])
    SignedRank(n=5, median=0.3, effect=1.0, p=0.0625)
    """
    differences = np.asarray(differences, dtype=float)
    # Rounding, so that noise of summation neither breaks ties nor hides a 0.
    differences = np.round(differences[~np.isnan(differences)], 9)
    nonzero = differences[differences != 0]
    if not len(differences):
        return SignedRank(0, np.nan, np.nan, np.nan)
    if not len(nonzero):
        return SignedRank(len(differences), 0.0, 0.0, 1.0)
    ranks = stats.rankdata(np.abs(nonzero))
    effect = (ranks * np.sign(nonzero)).sum() / ranks.sum()
    p = stats.wilcoxon(nonzero).pvalue
    return SignedRank(len(differences), float(np.median(differences)), float(effect), float(p))


def smallest_p(n: int) -> float:
    """Return the smallest two-sided p of a signed-rank test of `n` pairs, 2 / 2^n: all differences have one sign.

    >>> [round(smallest_p(n), 4) for n in (5, 6)]
    [0.0625, 0.0312]
    """
    return min(1.0, 2.0 ** (1 - n))


def holm(p: np.ndarray) -> np.ndarray:
    """Return the p values [n] of one family after Holm's step-down correction; NaN is no member of the family.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)  # NaN comes last
    factors = np.isfinite(p).sum() - np.arange(len(p))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return adjusted


def _percentiles(sizes: tuple[int, ...], statistic: Callable, seed: int) -> tuple[float, float]:
    """Bootstrap a statistic of the indices of drawn units, so that a unit may hold many images."""
    if min(sizes) < 2:
        return np.nan, np.nan
    indices = tuple(np.arange(size) for size in sizes)
    options = {"n_resamples": RESAMPLES, "confidence_level": CONFIDENCE, "method": "percentile", "vectorized": True}
    interval = stats.bootstrap(indices, statistic, rng=np.random.default_rng(seed), **options).confidence_interval
    return float(interval.low), float(interval.high)


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlate ranks along the last axis; 0 where a side is constant."""
    x, y = (stats.rankdata(side, axis=-1) for side in (x, y))
    x, y = (side - side.mean(axis=-1, keepdims=True) for side in (x, y))
    norm = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.divide((x * y).sum(axis=-1), norm, out=np.zeros_like(norm), where=norm > 0)
