"""Bootstrap intervals over subjects agree with closed forms and with counting by hand."""

import time

import numpy as np
import pytest

from histobridge_study.analysis.statistics import difference_interval, mean_interval, rank_correlation


def test_the_interval_of_a_mean_is_about_two_standard_errors_wide():
    """For 400 subjects it is mean ± 1.96 SD / √n, up to the noise of resampling."""
    values = np.random.default_rng(1).normal(0.7, 0.1, 400)
    found = mean_interval(values)
    error = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.001)


def test_the_same_seed_gives_the_same_interval():
    """The same seed gives the same interval bit for bit; another seed draws other resamples."""
    values = np.linspace(0.1, 0.9, 8) ** 2
    assert mean_interval(values) == mean_interval(values) != mean_interval(values, seed=1)


def test_five_subjects_have_an_interval_and_four_have_none():
    """Below five subjects there is the mean with the range of the subjects, and their number."""
    five, four = mean_interval([0.1, 0.2, 0.3, 0.4, 0.5]), mean_interval([0.1, 0.2, 0.3, 0.4])
    assert five.low == pytest.approx(0.18, abs=0.03) and five.high == pytest.approx(0.42, abs=0.03)
    assert np.isnan([four.low, four.high]).all()
    assert four.text() == "0.250 (4 subjects, 0.100 to 0.400)"
    assert five.text().startswith("0.300 [0.1") and five.text().endswith("(5 subjects)")


def test_undefined_subjects_are_left_out():
    """NaN is left out, so that five numbers of which one is undefined have no interval."""
    assert mean_interval([0.2, np.nan, 0.6])[0] == pytest.approx(0.4)
    assert np.isnan(mean_interval([0.1, 0.2, 0.3, 0.4, np.nan]).low)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_without_subjects_there_is_no_number(values):
    """All numbers are NaN."""
    assert np.isnan(mean_interval(values)[:5]).all()


def test_a_difference_is_first_less_second():
    """It is positive if the second set is lower; constants have an interval of width 0, and few subjects none."""
    found = difference_interval([0.8] * 6, [0.5] * 5)
    assert found[:3] == pytest.approx((0.3, 0.3, 0.3)) and found.units == "6 subjects and 5 subjects"
    few = difference_interval([0.8] * 6, [0.5] * 3)
    assert few.value == pytest.approx(0.3) and np.isnan(few.low)


def test_the_two_sides_of_a_difference_are_drawn_independently():
    """Variances add: for equal sets the interval is √2 times as wide as that of one mean, not of width 0."""
    values = np.random.default_rng(2).normal(0, 1, 200)
    one, difference = mean_interval(values), difference_interval(values, values)
    assert (difference.high - difference.low) / (one.high - one.low) == pytest.approx(2**0.5, rel=0.06)


def test_many_cells_are_quick():
    """A thousand intervals take seconds: all means of as many subjects share their resamples."""
    values, start = np.random.default_rng(3).random((1000, 6)), time.process_time()
    for of_cell in values:
        mean_interval(of_cell)
    assert time.process_time() - start < 20


def test_rank_correlation_depends_on_order_only():
    """A monotone curve gives 1, its mirror -1, and a swap in four numbers 0.8, by 1 - 6 Σd² / n(n² - 1)."""
    x = np.arange(8.0)
    assert rank_correlation(x, np.exp(x))[:3] == pytest.approx((1, 1, 1))
    assert rank_correlation(x, -(x**3)).value == pytest.approx(-1)
    assert rank_correlation([1, 2, 3, 4], [1, 2, 4, 3]).value == pytest.approx(0.8)


def test_an_infinite_number_ranks_last():
    """A control that is its own inverse has an infinite PSNR; several infinite numbers are tied."""
    assert rank_correlation([1, 2, 3, np.inf], [1, 2, 3, 4]).value == pytest.approx(1)
    tied = rank_correlation([1, 2, np.inf, np.inf], [1, 2, 4, 3]).value
    assert tied == pytest.approx(rank_correlation([1, 2, 3, 3], [1, 2, 4, 3]).value)


def test_the_correlation_with_a_constant_is_zero():
    """The correlation with a constant is 0, not NaN, also in a resample that happens to be constant."""
    assert rank_correlation([1, 1, 1], [1, 2, 3])[:3] == (0, 0, 0)
    assert np.isfinite(rank_correlation([1, 2], [1, 2])[:3]).all()
