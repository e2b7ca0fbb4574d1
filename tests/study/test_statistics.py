"""inference.py: intervals, paired tests and Holm's correction, against closed forms and counting by hand."""

import numpy as np
import pytest

from histobridge_study.analysis.statistics import (
    drop_interval,
    holm,
    mean_interval,
    rank_correlation,
    signed_rank,
    smallest_p,
)

EACH = list("abcdefgh")  # eight images of eight subjects


def test_the_interval_of_a_mean_is_about_two_standard_errors_wide():
    """Of 400 images of 400 subjects: mean ± 1.96 SD / √n, to within the noise of resampling."""
    values = np.random.default_rng(1).normal(0.7, 0.1, 400)
    found = mean_interval(values, np.arange(400))
    error = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.001)


def test_the_same_seed_gives_the_same_interval():
    """A table made twice is equal, bit for bit; another seed draws other resamples."""
    values = np.linspace(0.1, 0.9, 8) ** 2
    assert mean_interval(values, EACH) == mean_interval(values, EACH) != mean_interval(values, EACH, seed=1)


def test_images_of_one_subject_are_drawn_together():
    """Five subjects with twenty equal images each say no more than five images, and far less than a hundred."""
    five = [0.1, 0.3, 0.5, 0.7, 0.9]
    repeated, subjects = np.repeat(five, 20), np.repeat(EACH[:5], 20)
    clustered, file_lock = mean_interval(repeated, subjects), mean_interval(five, EACH[:5])
    assert clustered[:3] == pytest.approx(file_lock[:3])
    assert clustered.resampled == "5 subjects"
    as_if_independent = mean_interval(repeated, np.arange(100))
    assert clustered.high - clustered.low > 3 * (as_if_independent.high - as_if_independent.low)


def test_a_subject_weighs_as_much_as_its_images():
    """The value is the mean over images, whatever is drawn: not the mean over subjects."""
    assert mean_interval([1, 0, 0, 0, 0, 0], list("abcdee")).value == pytest.approx(1 / 6)


def test_of_four_subjects_images_are_drawn():
    """Too few subjects give hardly any distinct resample, so images are drawn and the interval says so."""
    found = mean_interval([0.1, 0.1, 0.1, 0.1, 0.9], list("aabcd"))
    assert found.resampled == "5 images"
    assert found.low == pytest.approx(0.1)


def test_undefined_images_are_left_out_of_an_interval():
    """NaN changes nothing but the number of images drawn, nor does a subject that has nothing else."""
    assert mean_interval([0.2, np.nan, 0.6, np.nan], list("aabc")) == mean_interval([0.2, 0.6], list("ab"))


@pytest.mark.parametrize("values", [[], [0.5], [np.nan, np.nan]])
def test_nothing_to_draw_from_is_no_interval(values):
    """One image or none has no spread to show."""
    found = mean_interval(values, EACH[: len(values)])
    assert np.isnan([found.low, found.high]).all()


def test_a_drop_is_near_less_far():
    """Positive where the second set is lower; constants have an interval without width."""
    found = drop_interval(([0.8] * 6, EACH[:6]), ([0.5] * 3, EACH[:3]))
    assert found[:3] == pytest.approx((0.3, 0.3, 0.3))
    assert found.resampled == "6 subjects, 3 images"


def test_the_two_sides_of_a_drop_are_drawn_apart():
    """Variances add: equal sets give an interval √2 as wide as that of one mean, not one of width 0."""
    values = np.random.default_rng(2).normal(0, 1, 200)
    one, drop = mean_interval(values, np.arange(200)), drop_interval(*[(values, np.arange(200))] * 2)
    assert (drop.high - drop.low) / (one.high - one.low) == pytest.approx(2**0.5, rel=0.06)


def test_rank_correlation_sees_order_only():
    """A monotone curve is 1 and its mirror -1; two swapped neighbours of four are 0.8 by 1 - 6 Σd² / n(n² - 1)."""
    x = np.arange(8.0)
    assert rank_correlation(x, np.exp(x))[:3] == pytest.approx((1, 1, 1))
    assert rank_correlation(x, -(x**3)).value == pytest.approx(-1)
    assert rank_correlation([1, 2, 3, 4], [1, 2, 4, 3]).value == pytest.approx(0.8)


def test_an_infinite_number_ranks_last():
    """A control that is its own inverse has infinite PSNR; several of them are tied."""
    assert rank_correlation([1, 2, 3, np.inf], [1, 2, 3, 4]).value == pytest.approx(1)
    tied = rank_correlation([1, 2, np.inf, np.inf], [1, 2, 4, 3]).value
    assert tied == pytest.approx(rank_correlation([1, 2, 3, 3], [1, 2, 4, 3]).value)


def test_a_constant_has_no_order():
    """The correlation is 0, not NaN, and so is that of a resample which happens to be constant."""
    assert rank_correlation([1, 1, 1], [1, 2, 3])[:3] == (0, 0, 0)
    assert np.isfinite(rank_correlation([1, 2], [1, 2])[:3]).all()


def test_effect_and_p_of_a_signed_rank_test_by_hand():
    """Ranks 1 to 6, only the smallest negative: effect (20 - 1) / 21, and 2 of 64 signs are as extreme, twice."""
    found = signed_rank([-0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert (found.n, found.median) == (6, pytest.approx(0.35))
    assert found.effect == pytest.approx(19 / 21)
    assert found.p == pytest.approx(2 * 2 / 64)


def test_all_of_one_sign_is_the_smallest_p_there_is():
    """Which is what `smallest_p` says, for each number of images; five cannot reach 0.05, six can."""
    for n in (1, 4, 5, 6, 9):
        assert signed_rank(np.arange(1, n + 1) / 10).p == pytest.approx(smallest_p(n))
    assert smallest_p(5) > 0.05 > smallest_p(6)


def test_no_difference_is_no_evidence():
    """Nothing but zeros: p 1, effect 0. Noise of the last bit is a zero too. Nothing at all has no p."""
    assert signed_rank([0.0, 0.1 + 0.2 - 0.3, 0.0]) == (3, 0, 0, 1)
    assert signed_rank([np.nan]).n == 0
    assert np.isnan(signed_rank([np.nan]).p)


def test_zeros_carry_no_sign():
    """They count in n and in the median, not in effect and p."""
    found, without = signed_rank([0, 0, 0.1, 0.2, -0.3]), signed_rank([0.1, 0.2, -0.3])
    assert (found.effect, found.p) == pytest.approx((without.effect, without.p))
    assert (found.effect, found.p) == pytest.approx((0, 1))  # ranks 1 + 2 against 3
    assert (found.n, found.median) == (5, 0)


def test_the_other_way_round_only_the_sign_changes():
    """Effect and median change sign, p stays."""
    there, back = signed_rank([0.1, -0.2, 0.4, 0.5]), signed_rank([-0.1, 0.2, -0.4, -0.5])
    assert (back.median, back.effect, back.p) == pytest.approx((-there.median, -there.effect, there.p))


def test_holm_by_hand():
    """Times 4, 3, 2, 1 in order of size, never below the one before and never above 1; order of input is kept."""
    assert holm([0.02, 0.9, 0.01, 0.015]).tolist() == pytest.approx([0.045, 0.9, 0.04, 0.045])
    assert holm([0.6, 0.7]).tolist() == [1, 1]


def test_what_has_no_p_is_no_member_of_the_family():
    """NaN stays NaN and makes the others no stricter."""
    found = holm([np.nan, 0.01, 0.04])
    assert np.isnan(found[0])
    assert found[1:].tolist() == pytest.approx([0.02, 0.04])
