"""Small experiments that show one thing each: what a cycle sees, how far one step may jump, a walk from noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from histobridge.classes import AXON
from histobridge.metrics.overlap import mean_dice
from histobridge.metrics.reconstruction import l1
from histobridge.phantom import phantom
from histobridge.training.device import device
from histobridge.translators.base import Domain
from histobridge.translators.diffusion import Schedule, diffuse, diffuse_one_step, vp_schedule
from histobridge.translators.syndiff import SynDiff

SHIFT_PX = 8
Change = Callable[[np.ndarray], np.ndarray]


def _same(image: np.ndarray) -> np.ndarray:
    return image


# How to go there, and the best way back.
CHANGES: dict[str, tuple[Change, Change]] = {
    "nothing": (_same, _same),
    "negative": (lambda x: 1 - x, lambda x: 1 - x),
    "shift": (lambda x: np.roll(x, SHIFT_PX, 1), lambda x: np.roll(x, -SHIFT_PX, 1)),
    "mirror": (lambda x: x[:, ::-1].copy(), lambda x: x[:, ::-1].copy()),
    "blur": (lambda x: ndimage.gaussian_filter(x, 1.5), _same),
    "four greys": (lambda x: np.float32(np.round(3 * x) / 3), _same),
}
"""Translators that nobody would want, with their way back; what blur and coarse greys lose, none restores."""


class RoundTrip(NamedTuple):
    """An image translated, float32 [H, W] in 0..1; what the cycle loss says of it, and what it does to labels."""

    name: str
    translation: np.ndarray
    cycle_l1: float
    dice: float


def round_trips(image: np.ndarray, mask: np.ndarray, predict: Change) -> list[RoundTrip]:
    """Translate an image by each of `CHANGES`, go back, and label the translation.

    The target is taken to look like the source (another microscope of the same kind), so that the segmenter of the
    source stands for anybody who can read the target.

    Parameters
    ----------
    image, mask : ndarray
        float32 [H, W] in 0..1 and its class mask uint8 [H, W].
    predict : callable
        Maps an image to a class mask; `Segmenter.predict`.

    Returns
    -------
    list of RoundTrip
        `dice` is the mean over axon and myelin of the translation's labels against the mask of the image.
    """
    found = []
    for name, (there, back) in CHANGES.items():
        seen = there(image)
        scores = mean_dice([(mask, predict(seen))])
        found.append(RoundTrip(name, seen, l1(image, back(seen)), float(np.nanmean(list(scores.values())))))
    return found


class StepBack(NamedTuple):
    """Where pixels were a level before they arrived at about the same grey: float32 [N], -1..1 and noise beyond."""

    steps: int
    before: np.ndarray


def steps_back(
    images: Sequence[np.ndarray], *, steps: Sequence[int] = (1000, 32, 4), seed: int = 0, most: float = 0.05
) -> list[StepBack]:
    """Draw q(x_t | x_{t+1}), without knowing x_0, for walks of few and of many steps, at the same noise level.

    All steps arrive at a quarter of the walk, where four large steps have made their first. Of all pixels of all
    images those are kept whose x_{t+1} is within `most` of the middle between the darkest and brightest tenth.

    Parameters
    ----------
    images : sequence of ndarray
        float32 [H, W] in 0..1.
    steps : sequence of int
        Numbers of steps T, multiples of 4.
    """
    pixels = torch.from_numpy(np.concatenate([image.ravel() for image in images]))
    x_0 = (2 * pixels - 1).repeat(8)[None, None, None]  # eight draws of noise each: enough pixels arrive
    return [StepBack(T, _one_step_back(x_0, vp_schedule(T), seed, most)) for T in steps]


def _one_step_back(x_0: torch.Tensor, schedule: Schedule, seed: int, most: float) -> np.ndarray:
    rng = torch.Generator().manual_seed(seed)
    level = torch.tensor([schedule.steps // 4 - 1])
    x_t = diffuse(schedule, x_0, level, torch.randn(x_0.shape, generator=rng))
    x_next = diffuse_one_step(schedule, x_t, level, torch.randn(x_0.shape, generator=rng))
    dark, bright = torch.quantile(x_0.flatten()[:: x_0.numel() // 100_000 + 1], torch.tensor([0.1, 0.9]))
    there = schedule.alpha_bar[level + 1].sqrt() * (dark + bright) / 2
    return x_t[(x_next - there).abs() < most].numpy()


def one_axon(modality: str = "tem", seed: int = 0, *, side: int = 128, um_per_px: float = 0.04) -> np.ndarray:
    """Return an image float32 [side, side] in 0..1 of the largest axon of a drawn tissue, in its middle."""
    image, mask = phantom(modality, seed, (3 * side, 3 * side), um_per_px)
    inside = np.zeros(mask.shape, bool)
    inside[side // 2 : -side // 2, side // 2 : -side // 2] = True
    axons, count = ndimage.label((mask == AXON) & inside)
    largest = 1 + np.argmax(ndimage.sum_labels(axons > 0, axons, range(1, count + 1)))
    centre = np.clip(np.round(ndimage.center_of_mass(axons == largest)).astype(int), side // 2, 3 * side - side // 2)
    top, left = centre - side // 2
    return image[top : top + side, left : left + side]


class Step(NamedTuple):
    """A stop of a walk from noise: level t, the noisy image x_t, and the generator's guess of x_0 (None at t = 0).

    Both float32 [H, W]; in 0..1, but for noise beyond.
    """

    level: int
    noisy: np.ndarray
    guess: np.ndarray | None


@torch.no_grad()
def walk(translator: SynDiff, image: np.ndarray, to: Domain, *, seed: int = 0) -> list[Step]:
    """Walk from noise to an image of domain `to`, led by `image`, and show every stop (SynDiff, section III-C).

    What `SynDiff.translate` does window by window, on one image [H, W] that is small enough to need none.
    """
    condition = torch.from_numpy(2 * image - 1)[None, None].to(device())
    stops = translator.walk(condition, to, tuple(slice(0, side) for side in image.shape), seed=seed)
    return [Step(level, _grey(x), None if guess is None else _grey(guess)) for level, x, guess in stops]


def _grey(x: torch.Tensor) -> np.ndarray:
    return (x[0, 0].cpu().numpy() + 1) / 2
