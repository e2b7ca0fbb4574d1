"""Bootstrap intervals, paired tests and Holm's correction agree with closed forms and with counting by hand."""

import numpy as np
import pytest

from histobridge_study.analysis.statistics import (
    difference_interval,
    holm,
    mean_interval,
    rank_correlation,
    signed_rank,
    smallest_p,
)

EACH = list("abcdefgh")  # eight images of eight subjects


def test_the_interval_of_a_mean_is_about_two_standard_errors_wide():
    """For 400 images of 400 subjects it is mean ± 1.96 SD / √n, up to the noise of resampling."""
    values = np.random.default_rng(1).normal(0.7, 0.1, 400)
    found = mean_interval(values, np.arange(400))
    error = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.001)


def test_the_same_seed_gives_the_same_interval():
    """The same seed gives the same interval bit for bit; another seed draws other resamples."""
    values = np.linspace(0.1, 0.9, 8) ** 2
    assert mean_interval(values, EACH) == mean_interval(values, EACH) != mean_interval(values, EACH, seed=1)


def test_images_of_one_subject_are_drawn_together():
    """Five subjects with twenty equal images each give the interval of five images, not of a hundred."""
    five = [0.1, 0.3, 0.5, 0.7, 0.9]
    repeated, subjects = np.repeat(five, 20), np.repeat(EACH[:5], 20)
    clustered, single = mean_interval(repeated, subjects), mean_interval(five, EACH[:5])
    assert clustered[:3] == pytest.approx(single[:3])
    assert clustered.resampled == "5 subjects"
    as_if_independent = mean_interval(repeated, np.arange(100))
    assert clustered.high - clustered.low > 3 * (as_if_independent.high - as_if_independent.low)


def test_subjects_are_weighted_by_their_images():
    """The value is the mean over images, not over subjects."""
    assert mean_interval([1, 0, 0, 0, 0, 0], list("abcdee")).value == pytest.approx(1 / 6)


def test_with_four_subjects_images_are_drawn():
    """Below five subjects images are drawn instead, and `resampled` names them."""
    found = mean_interval([0.1, 0.1, 0.1, 0.1, 0.9], list("aabcd"))
    assert found.resampled == "5 images"
    assert found.low == pytest.approx(0.1)


def test_undefined_images_are_left_out_of_an_interval():
    """NaN is left out, and so is a subject without any other value."""
    assert mean_interval([0.2, np.nan, 0.6, np.nan], list("aabc")) == mean_interval([0.2, 0.6], list("ab"))


@pytest.mark.parametrize("values", [[], [0.5], [np.nan, np.nan]])
def test_fewer_than_two_images_have_no_interval(values):
    """One image or none gives NaN for both ends."""
    found = mean_interval(values, EACH[: len(values)])
    assert np.isnan([found.low, found.high]).all()


def test_a_difference_is_first_less_second():
    """The difference is positive if the second set is lower; constants have an interval of width 0."""
    found = difference_interval(([0.8] * 6, EACH[:6]), ([0.5] * 3, EACH[:3]))
    assert found[:3] == pytest.approx((0.3, 0.3, 0.3))
    assert found.resampled == "6 subjects, 3 images"


def test_the_two_sides_of_a_difference_are_drawn_independently():
    """Variances add: for equal sets the interval is √2 times as wide as that of one mean, not of width 0."""
    values = np.random.default_rng(2).normal(0, 1, 200)
    one, difference = mean_interval(values, np.arange(200)), difference_interval(*[(values, np.arange(200))] * 2)
    assert (difference.high - difference.low) / (one.high - one.low) == pytest.approx(2**0.5, rel=0.06)


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


def test_effect_and_p_of_a_signed_rank_test_by_hand():
    """With ranks 1 to 6 and only the smallest negative, the effect is (20 - 1) / 21 and p is 2 * 2 / 64."""
    found = signed_rank([-0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert (found.n, found.median) == (6, pytest.approx(0.35))
    assert found.effect == pytest.approx(19 / 21)
    assert found.p == pytest.approx(2 * 2 / 64)


def test_differences_of_one_sign_give_the_smallest_p():
    """`smallest_p` equals p if all differences have one sign; five images cannot reach 0.05, six can."""
    for n in (1, 4, 5, 6, 9):
        assert signed_rank(np.arange(1, n + 1) / 10).p == pytest.approx(smallest_p(n))
    assert smallest_p(5) > 0.05 > smallest_p(6)


def test_no_difference_is_no_evidence():
    """Zeros, also up to rounding errors, give p 1 and effect 0; without any value p is NaN."""
    assert signed_rank([0.0, 0.1 + 0.2 - 0.3, 0.0]) == (3, 0, 0, 1)
    assert signed_rank([np.nan]).n == 0
    assert np.isnan(signed_rank([np.nan]).p)


def test_zeros_count_only_in_n_and_median():
    """Differences of 0 count in n and in the median, not in effect and p."""
    found, without = signed_rank([0, 0, 0.1, 0.2, -0.3]), signed_rank([0.1, 0.2, -0.3])
    assert (found.effect, found.p) == pytest.approx((without.effect, without.p))
    assert (found.effect, found.p) == pytest.approx((0, 1))  # ranks 1 + 2 against 3
    assert (found.n, found.median) == (5, 0)


def test_exchanging_the_sides_changes_only_the_sign():
    """Effect and median change sign, and p stays."""
    forward, reverse = signed_rank([0.1, -0.2, 0.4, 0.5]), signed_rank([-0.1, 0.2, -0.4, -0.5])
    assert (reverse.median, reverse.effect, reverse.p) == pytest.approx((-forward.median, -forward.effect, forward.p))


def test_holm_by_hand():
    """Factors are 4, 3, 2, 1 in order of size; results never decrease and never exceed 1; the input order stays."""
    assert holm([0.02, 0.9, 0.01, 0.015]).tolist() == pytest.approx([0.045, 0.9, 0.04, 0.045])
    assert holm([0.6, 0.7]).tolist() == [1, 1]


def test_nan_is_no_member_of_the_family():
    """NaN stays NaN and does not increase the other p values."""
    found = holm([np.nan, 0.01, 0.04])
    assert np.isnan(found[0])
    assert found[1:].tolist() == pytest.approx([0.02, 0.04])
