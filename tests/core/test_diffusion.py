"""diffusion.py: the schedule, the forward process and its posterior, held against their closed forms."""

import math

import pytest
import torch

from histobridge.translators.diffusion import diffuse, diffuse_one_step, posterior, sampling_levels, vp_schedule

SCHEDULE = vp_schedule()
LEVELS = range(SCHEDULE.steps)
ONE, ZERO = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)


def at(level: int, n: int = 1) -> torch.Tensor:
    """The same level for each of n images."""
    return torch.full((n,), level)


def weight(function, *, of: int, level: int) -> float:
    """The value of a linear function of three images, or two, if image `of` is 1 and the others are 0."""
    inputs = [ONE if place == of else ZERO for place in range(3)]
    if function is posterior:
        return posterior(SCHEDULE, *inputs[:2], at(level + 1), at(level), inputs[2]).item()
    return function(SCHEDULE, inputs[0], at(level), inputs[1]).item()


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 1000])
def test_the_image_fades_completely(steps):
    """alpha_bar decreases strictly from exactly 1 at level 0 to less than 1e-4 at level T."""
    alpha_bar = vp_schedule(steps).alpha_bar
    assert len(alpha_bar) == steps + 1 == vp_schedule(steps).steps + 1
    assert alpha_bar[0] == 1 and 0 < alpha_bar[-1] < 1e-4
    assert (alpha_bar.diff() < 0).all()


def test_alpha_bar_integrates_beta():
    """alpha_bar is exp(-∫ beta) for a beta that grows linearly from 0.1 to 20."""
    time = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    integral = torch.trapezoid(0.1 + 19.9 * time[:5001], time[:5001])
    assert SCHEDULE.alpha_bar[2].item() == pytest.approx(math.exp(-integral), rel=1e-6)


def test_other_betas_give_another_schedule():
    """A constant beta gives exp(-beta s)."""
    alpha_bar = vp_schedule(2, beta_min=3, beta_max=3).alpha_bar
    assert alpha_bar.tolist() == pytest.approx([1, math.exp(-1.5), math.exp(-3)])


@pytest.mark.parametrize("level", range(5))
def test_diffusion_preserves_the_variance(level):
    """Image and noise of variance one give variance one at each level, with a share alpha_bar of the image."""
    image, noise = (weight(diffuse, of=place, level=level) for place in (0, 1))
    assert image**2 == pytest.approx(SCHEDULE.alpha_bar[level].item())
    assert image**2 + noise**2 == pytest.approx(1)


@pytest.mark.parametrize("level", LEVELS)
def test_one_more_step_leads_to_the_next_level(level):
    """q(x_{t+1} | x_t) after q(x_t | x_0) has the mean and variance of q(x_{t+1} | x_0)."""
    image, noise = (weight(diffuse, of=place, level=level) for place in (0, 1))
    factor, added = (weight(diffuse_one_step, of=place, level=level) for place in (0, 1))
    assert factor * image == pytest.approx(weight(diffuse, of=0, level=level + 1), abs=1e-6)
    variance = (factor * noise) ** 2 + added**2
    assert variance == pytest.approx(weight(diffuse, of=1, level=level + 1) ** 2)


def test_the_last_step_back_returns_the_image():
    """At level 0 the posterior is x_0, for any x_1 and noise."""
    x_0, x_1, noise = torch.randn(3, 2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    drawn = posterior(SCHEDULE, x_0, x_1, at(1, 2), at(0, 2), noise)
    torch.testing.assert_close(drawn, x_0, atol=1e-6, rtol=0)
    assert torch.equal(drawn, posterior(SCHEDULE, x_0, x_1, at(1, 2), at(0, 2), 0 * noise))


@pytest.mark.parametrize("level", LEVELS[1:])
def test_posterior_agrees_with_bayes(level):
    """Above level 0 the precisions of q(x_t | x_0) and q(x_{t+1} | x_t) add up and weight the mean."""
    here, after = (SCHEDULE.alpha_bar[i].item() for i in (level, level + 1))
    alpha = after / here
    precision = 1 / (1 - here) + alpha / (1 - alpha)
    expected = [math.sqrt(here) / (1 - here), math.sqrt(alpha) / (1 - alpha)]
    assert weight(posterior, of=2, level=level) ** 2 == pytest.approx(1 / precision, rel=1e-4)
    for place in (0, 1):
        found = weight(posterior, of=place, level=level)
        assert found == pytest.approx(expected[place] / precision, rel=1e-4)


@pytest.mark.parametrize("level", LEVELS)
def test_posterior_of_the_true_image_equals_the_forward_process(level):
    """For the true x_0, (x_t, x_{t+1}) have the same means and covariance in both: no discriminator can tell."""
    x_0, *noise = torch.randn(4, 1, 1, 1, 400_000, generator=torch.Generator().manual_seed(level))
    x_0 = 0.3 + 0.5 * x_0
    x_t = diffuse(SCHEDULE, x_0, at(level), noise[0])
    x_next = diffuse_one_step(SCHEDULE, x_t, at(level), noise[1])
    again = posterior(SCHEDULE, x_0, x_next, at(level + 1), at(level), noise[2])
    forward, backward = (torch.stack([x.flatten(), x_next.flatten()]) for x in (x_t, again))
    torch.testing.assert_close(backward.mean(1), forward.mean(1), atol=0.01, rtol=0)
    torch.testing.assert_close(backward.cov(), forward.cov(), atol=0.01, rtol=0)


@pytest.mark.parametrize(("level", "before"), [(4, 2), (4, 1), (3, 1)])
def test_one_large_step_back_equals_the_single_steps(level, before):
    """For a fixed x_0, q(x_s | x_t, x_0) has the mean and the variance of single steps back from t to s."""

    def weights(level, before):
        inputs = torch.eye(3).view(3, 3, 1, 1, 1, 1)
        return [posterior(SCHEDULE, *one[:2], at(level), at(before), one[2]).item() for one in inputs]

    image, start, variance = 0.0, 1.0, 0.0  # of x_s as image * x_0 + start * x_t + noise
    for step in range(level, before, -1):
        of_image, of_start, of_noise = weights(step, step - 1)
        image, start, variance = of_image + of_start * image, of_start * start, of_start**2 * variance + of_noise**2
    found = weights(level, before)
    assert found == pytest.approx([image, start, math.sqrt(variance)], abs=1e-5)


@pytest.mark.parametrize(("steps", "sampled"), [(4, 3), (8, 3), (5, 5), (1, 1)])
def test_sampled_levels_fall_from_noise_to_the_image(steps, sampled):
    """They begin at T, end at 0 and never repeat."""
    levels = sampling_levels(steps, sampled)
    assert levels[0] == steps and levels[-1] == 0 and len(levels) == sampled + 1
    assert levels == sorted(set(levels), reverse=True)


def test_each_image_of_a_batch_has_its_own_level():
    """A batch at several levels gives the same as each image alone."""
    a, b, noise = torch.randn(3, 4, 1, 5, 5, generator=torch.Generator().manual_seed(1))
    levels = torch.tensor([3, 0, 2, 1])
    for i in range(4):
        one = slice(i, i + 1)
        for step in (diffuse, diffuse_one_step):
            assert torch.equal(step(SCHEDULE, a, levels, noise)[one], step(SCHEDULE, a[one], levels[one], noise[one]))
        together = posterior(SCHEDULE, a, b, levels + 1, levels, noise)[one]
        alone = posterior(SCHEDULE, a[one], b[one], levels[one] + 1, levels[one], noise[one])
        assert torch.equal(together, alone)
