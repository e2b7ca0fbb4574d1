"""philox.py: the published numbers, and draws that depend on seed, step and order alone."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from histobridge.training.philox import Draws, key_of, philox, to_normal, to_uniform

KNOWN = [  # the known answers of Random123 for philox4x32: rounds, counter, key, result
    (7, "00000000 00000000 00000000 00000000", "00000000 00000000", "5f6fb709 0d893f64 4f121f81 4f730a48"),
    (10, "00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (10, "ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (10, "243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def draws(seed: int = 0, step: int = 0) -> Draws:
    """The draws of one step."""
    return Draws(seed, torch.tensor(step)).begin()


@pytest.mark.parametrize(("rounds", "counter", "key", "expected"), KNOWN)
def test_the_published_numbers(rounds, counter, key, expected):
    """Counters and keys give the words that the authors publish."""
    counter, key, expected = ([int(word, 16) for word in words.split()] for words in (counter, key, expected))
    found = philox(tuple(torch.tensor([word]) for word in counter), tuple(key), rounds)
    assert [int(word) for word in found] == expected


def test_uniform_numbers_are_below_one_and_normal_ones_finite():
    """The smallest and the largest words are no exception."""
    ends = torch.tensor([0, 0xFF, 0xFFFFFFFF])
    assert to_uniform(ends).tolist() == [0.0, 0.0, 1 - 2**-24]
    words, others = torch.meshgrid(ends, ends, indexing="ij")
    normal = torch.stack(to_normal(words, others))
    assert torch.isfinite(normal).all() and normal.abs().max() == pytest.approx(math.sqrt(64 * math.log(2)))


def test_uniform_numbers_are_uniform_and_normal_ones_normal():
    """A Kolmogorov-Smirnov test finds nothing, and neighbours do not correlate."""
    one = draws(seed=5)
    uniform, normal = one.uniform(100, 1000).numpy(), one.normal(100, 1001).numpy()
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-3 and stats.kstest(normal.ravel(), "norm").pvalue > 1e-3
    for drawn in (uniform, normal):
        for axis in (0, 1):
            shifted = np.roll(drawn, 1, axis)
            assert abs(np.corrcoef(drawn.ravel(), shifted.ravel())[0, 1]) < 0.01
    halves = np.split(normal.ravel()[:100_000], 2)  # the two numbers of Box and Muller
    assert abs(np.corrcoef(*halves)[0, 1]) < 0.02 and abs(np.corrcoef(*np.square(halves))[0, 1]) < 0.02


def test_integers_reach_every_value_equally():
    """The range is a number or a tensor, and its end is not reached."""
    counts = torch.bincount(draws().integers(5, 50_000))
    assert len(counts) == 5 and (counts / 10_000 - 1).abs().max() < 0.05
    ranges = torch.tensor([1, 2, 2**31])
    drawn = torch.stack([draws(step=step).integers(ranges, 3) for step in range(200)])
    assert (drawn[:, 0] == 0).all() and set(drawn[:, 1].tolist()) == {0, 1} and drawn[:, 2].max() > 2**30


def test_seed_step_and_order_decide_the_numbers():
    """Whatever differs, the numbers differ; large seeds count in full."""
    seeds = 0, 1, 2**32, 2**32 + 1
    first = {(seed, step): draws(seed, step).uniform(4).tolist() for seed in seeds for step in (0, 1)}
    assert len(set(map(tuple, first.values()))) == 8 and key_of(2**32) != key_of(0)
    one = draws()
    assert one.uniform(4).tolist() == first[0, 0] and one.uniform(4).tolist() not in first.values()


def test_drawing_ahead_changes_nothing():
    """A second step, whose numbers are enciphered at once, draws what a new object draws for it, and more if asked."""
    step, shapes = torch.tensor(3), [(), (5,), (2, 3), (7, 1)]
    one = Draws(1, step).begin()
    for shape in shapes:
        one.normal(*shape)
    step.fill_(4)
    one.begin()
    other = draws(1, 4)
    for shape in [*shapes, (100,), ()]:
        assert torch.equal(one.normal(*shape), other.normal(*shape))
