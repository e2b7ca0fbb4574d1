"""The noise schedule of few large steps and its posterior, as pure functions.

SynDiff (Özbey et al., arXiv 2207.08208) goes from an image x_0 to noise x_T in T = 4 large steps. The reverse of such
a large step is not Gaussian, so that a discriminator replaces the Gaussian likelihood (Xiao et al., denoising diffusion
GANs, arXiv 2112.07804). Noise levels run from 0 (clean) to T (noise).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """Variance-preserving noise levels.

    Attributes
    ----------
    alpha_bar : Tensor, float32 [T + 1]
        Share of the image's variance that is left at each level 0..T: 1 at level 0, near 0 at level T.
    """

    alpha_bar: Tensor

    def to(self, device: torch.device) -> Schedule:
        """Return the schedule on a device."""
        return Schedule(self.alpha_bar.to(device))

    @property
    def steps(self) -> int:
        """The number of steps T."""
        return len(self.alpha_bar) - 1


def vp_schedule(steps: int = 4, beta_min: float = 0.1, beta_max: float = 20.0) -> Schedule:
    """Sample the variance-preserving SDE of Song et al. (arXiv 2011.13456, eq. 33) at T + 1 equidistant times.

    alpha_bar(s) = exp(-s² (beta_max - beta_min) / 2 - s beta_min) for s in 0..1.

    >>> vp_schedule(4).alpha_bar[0].item(), vp_schedule(4).alpha_bar[4].item() < 1e-4
    (1.0, True)
    """
    time = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64)
    log_alpha_bar = -0.5 * time**2 * (beta_max - beta_min) - time * beta_min
    return Schedule(log_alpha_bar.exp().float())


def _at(values: Tensor, level: Tensor) -> Tensor:
    """Return the value at each image's level, as [B, 1, 1, 1]."""
    return values.to(level.device)[level].view(-1, 1, 1, 1)


def diffuse(schedule: Schedule, x_0: Tensor, level: Tensor, noise: Tensor) -> Tensor:
    """Draw x_t from q(x_t | x_0): sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise.

    Parameters
    ----------
    x_0, noise : Tensor, float [B, 1, H, W]
        The image in -1..1 and standard normal noise.
    level : Tensor, int64 [B]
        Noise level t of each image, 0..T.
    """
    alpha_bar = _at(schedule.alpha_bar, level)
    return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise


def diffuse_one_step(schedule: Schedule, x_t: Tensor, level: Tensor, noise: Tensor) -> Tensor:
    """Draw x_{t+1} from q(x_{t+1} | x_t), one forward step from `level` t; arguments as in `diffuse`."""
    alpha = _at(schedule.alpha_bar, level + 1) / _at(schedule.alpha_bar, level)
    return alpha.sqrt() * x_t + (1 - alpha).sqrt() * noise


def posterior(schedule: Schedule, x_0: Tensor, x_t: Tensor, level: Tensor, before: Tensor, noise: Tensor) -> Tensor:
    """Draw x_s from q(x_s | x_t, x_0) for s < t, the Gaussian posterior of one forward step or of several at once.

    For s = t - 1 it is that of Ho et al. (arXiv 2006.11239, eq. 6 and 7). Several steps from s to t are one with the
    product of their alphas, so that the same equations hold with alpha = alpha_bar(t) / alpha_bar(s). At s = 0 the
    variance is zero and the mean is x_0, so that the last step returns the predicted image.

    Parameters
    ----------
    x_0 : Tensor, float [B, 1, H, W]
        The clean image, or its prediction.
    x_t : Tensor, float [B, 1, H, W]
        The image at `level`.
    level, before : Tensor, int64 [B]
        The level t of x_t, 1..T, and the level s of the result, 0..t-1.
    noise : Tensor, float [B, 1, H, W]
        Standard normal noise.
    """
    alpha_bar_t, alpha_bar_s = _at(schedule.alpha_bar, level), _at(schedule.alpha_bar, before)
    alpha = alpha_bar_t / alpha_bar_s
    mean = alpha_bar_s.sqrt() * (1 - alpha) * x_0 + alpha.sqrt() * (1 - alpha_bar_s) * x_t
    variance = (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha)
    return mean / (1 - alpha_bar_t) + variance.sqrt() * noise


def sampling_levels(steps: int, sampled: int) -> list[int]:
    """Return the levels from T = `steps` down to 0 at which an image is drawn in `sampled` steps, evenly spaced.

    Skipped levels are not missed: a generator predicts x_0 from any level (as in DDIM, Song et al., arXiv 2010.02502).

    >>> sampling_levels(4, 4), sampling_levels(4, 2), sampling_levels(4, 1)
    ([4, 3, 2, 1, 0], [4, 2, 0], [4, 0])
    """
    return [round(steps * (sampled - number) / sampled) for number in range(sampled + 1)]
