"""Bootstrap intervals over subjects, and rank correlation: arrays in, numbers out.

The unit of all statistics is the subject. Folds share their images, so that their spread describes trainings and not
other animals; images and patches of one subject resemble each other and may overlap.

With few units a percentile interval is too narrow. If all of five subjects have the same sign, the interval excludes 0,
and by chance alone that happens once in 16 times. An interval of five subjects is an indication, not a proof; below
five there is none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
MIN_SUBJECTS = 5  # fewer have hardly any distinct resamples (10 of three subjects)


class Interval(NamedTuple):
    """An estimate with its 95 % percentile bootstrap interval `low` to `high`, NaN where there are too few units.

    `least` and `most` are the range of the units themselves, and `units` says how many there are.
    """

    value: float
    low: float
    high: float
    least: float
    most: float
    units: str

    def text(self, form: str = ".3f") -> str:
        """Return the value with its interval, or with its range where there is no interval.

        >>> mean_interval([0.2, 0.4]).text()
        '0.300 (2 subjects, 0.200 to 0.400)'
        """
        if not np.isnan(self.low):
            return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}] ({self.units})"
        span = "" if np.isnan(self.least) else f", {self.least:{form}} to {self.most:{form}}"
        return f"{self.value:{form}} ({self.units}{span})"


def mean_interval(values: np.ndarray, *, seed: int = 0) -> Interval:
    """Return the mean of one value for each subject, float [subjects], with its interval; NaN is left out.

    >>> mean_interval([0.5, 0.5, 0.5, 0.5, 1.0, np.nan])[:3]
    (0.6, 0.5, 0.8)
    """
    values = _defined(values)
    if not len(values):
        return Interval(*[np.nan] * 5, subjects_text(0))
    low, high = _percentiles(_resampled_means(values, seed)) if len(values) >= MIN_SUBJECTS else (np.nan, np.nan)
    ends = float(values.min()), float(values.max())
    return Interval(float(values.mean()), low, high, *ends, subjects_text(len(values)))


def difference_interval(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> Interval:
    """Return the mean of `first` less that of `second`, each one value for each subject of its own, with its interval.

    The subjects of both sides are drawn independently. There is no range: subjects are not paired.
    """
    one, other = _defined(first), _defined(second)
    units = f"{subjects_text(len(one))} and {subjects_text(len(other))}"
    if not len(one) or not len(other):
        return Interval(*[np.nan] * 5, units)
    low = high = np.nan
    if min(len(one), len(other)) >= MIN_SUBJECTS:
        low, high = _percentiles(_resampled_means(one, seed) - _resampled_means(other, seed + 1))
    return Interval(float(one.mean() - other.mean()), low, high, np.nan, np.nan, units)


def rank_correlation(x: np.ndarray, y: np.ndarray, *, seed: int = 0) -> Interval:
    """Return Spearman's rank correlation of paired numbers with an interval over pairs; infinite numbers rank last.

    If one side is constant, as it may be in a resample, the correlation is 0.

    >>> rank_correlation([1, 2, 3, np.inf], [10, 20, 30, 40]).value
    1.0
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    units = f"{len(x)} cells"
    if len(x) < 2:
        return Interval(*[np.nan] * 5, units)
    drawn = _resamples(len(x), seed)
    low, high = _percentiles(_spearman(x[drawn], y[drawn]))
    return Interval(float(np.round(_spearman(x, y), 12)), low, high, np.nan, np.nan, units)


def difference_text(value: float, low: float, high: float, least: float, most: float) -> str:
    """Return a mean difference with its interval in brackets or, where there is none, the range of the subjects.

    >>> difference_text(0.1, np.nan, np.nan, -0.05, 0.2)
    '+0.100 (-0.050 to +0.200)'
    """
    if np.isnan(value):
        return "–"
    if np.isnan(low):
        return f"{value:+.3f} ({least:+.3f} to {most:+.3f})"
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def subjects_text(count: int) -> str:
    """Return the number of subjects in words.

    >>> subjects_text(1), subjects_text(5)
    ('1 subject', '5 subjects')
    """
    return f"{count} subject{'' if count == 1 else 's'}"


def _defined(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    return values[~np.isnan(values)]


@lru_cache(maxsize=16)
def _resamples(units: int, seed: int) -> np.ndarray:
    """Return the units of each resample, int [RESAMPLES, units]: the same for every mean of so many units."""
    return np.random.default_rng((seed, units)).integers(units, size=(RESAMPLES, units))


def _resampled_means(values: np.ndarray, seed: int) -> np.ndarray:
    return values[_resamples(len(values), seed)].mean(axis=1)


def _percentiles(resampled: np.ndarray) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


def _spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Correlate ranks along the last axis; 0 where a side is constant."""
    x, y = (stats.rankdata(side, axis=-1) for side in (x, y))
    x, y = (side - side.mean(axis=-1, keepdims=True) for side in (x, y))
    norm = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return np.divide((x * y).sum(axis=-1), norm, out=np.zeros_like(norm), where=norm > 0)
