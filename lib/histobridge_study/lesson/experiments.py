"""Experiments that show one thing each: what a cycle loss measures, how far one step may jump, a walk from noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from histobridge.classes import AXON
from histobridge.metrics import l1, mean_dice
from histobridge.phantom import phantom
from histobridge.training.device import device
from histobridge.translators import Domain, SynDiff
from histobridge.translators.diffusion import diffuse, diffuse_one_step, vp_schedule

SHIFT_PX = 8
Transform = Callable[[np.ndarray], np.ndarray]

TRANSFORMS: dict[str, tuple[Transform, Transform]] = {
    "nothing": (lambda x: x, lambda x: x),
    "negative": (lambda x: 1 - x, lambda x: 1 - x),
    "shift": (lambda x: np.roll(x, SHIFT_PX, 1), lambda x: np.roll(x, -SHIFT_PX, 1)),
    "mirror": (lambda x: x[:, ::-1].copy(), lambda x: x[:, ::-1].copy()),
    "blur": (lambda x: ndimage.gaussian_filter(x, 1.5), lambda x: x),
    "four greys": (lambda x: np.float32(np.round(3 * x) / 3), lambda x: x),
}
"""Translations by hand, each with its best inverse; nothing restores what blur and rounding remove."""


class RoundTrip(NamedTuple):
    """A translation, float32 [H, W] in 0..1, its cycle loss (L1), and the mean Dice of its labels."""

    name: str
    translation: np.ndarray
    cycle_l1: float
    dice: float


def round_trips(image: np.ndarray, mask: np.ndarray, predict: Transform) -> list[RoundTrip]:
    """Translate an image by each of `TRANSFORMS`, translate it back, and label the translation.

    Parameters
    ----------
    image, mask : ndarray
        float32 [H, W] in 0..1 and its class mask, uint8 [H, W].
    predict : callable
        Maps an image to a class mask; `Segmenter.predict` of a segmenter that can read the target domain.
    """
    trips = []
    for name, (forward, backward) in TRANSFORMS.items():
        translation = forward(image)
        scores = mean_dice([(mask, predict(translation))])
        trips.append(
            RoundTrip(name, translation, l1(image, backward(translation)), float(np.nanmean(list(scores.values()))))
        )
    return trips


class StepBack(NamedTuple):
    """The grey values x_t, float32 [N], of pixels that had nearly the same grey value x_{t+1} in a walk of T steps."""

    steps: int
    before: np.ndarray


def steps_back(images: Sequence[np.ndarray], *, steps: Sequence[int] = (1000, 32, 4), seed: int = 0) -> list[StepBack]:
    """Sample q(x_t | x_{t+1}), with x_0 unknown, for walks of many and of few steps that arrive at one noise level.

    That level is a quarter of the walk, where four large steps have made their first. The pixels are those whose
    x_{t+1} lies within 0.05 of the middle between the darkest and the brightest tenth.

    Parameters
    ----------
    images : sequence of ndarray
        float32 [H, W] in 0..1.
    steps : sequence of int
        Numbers of steps T, multiples of 4.
    """
    pixels = torch.from_numpy(np.concatenate([image.ravel() for image in images]))
    x_0 = (2 * pixels - 1).repeat(8)[None, None, None]  # eight draws of noise per pixel give enough samples
    return [StepBack(T, _one_step_back(x_0, T, seed)) for T in steps]


def _one_step_back(x_0: torch.Tensor, steps: int, seed: int) -> np.ndarray:
    schedule, rng = vp_schedule(steps), torch.Generator().manual_seed(seed)
    level = torch.tensor([steps // 4 - 1])
    x_t = diffuse(schedule, x_0, level, torch.randn(x_0.shape, generator=rng))
    x_next = diffuse_one_step(schedule, x_t, level, torch.randn(x_0.shape, generator=rng))
    dark, bright = torch.quantile(x_0.flatten()[:: x_0.numel() // 100_000 + 1], torch.tensor([0.1, 0.9]))
    middle = schedule.alpha_bar[level + 1].sqrt() * (dark + bright) / 2
    return x_t[(x_next - middle).abs() < 0.05].numpy()


def one_axon(modality: str = "tem", seed: int = 0, *, side: int = 128, um_per_px: float = 0.04) -> np.ndarray:
    """Return an image, float32 [side, side] in 0..1, centred on the largest axon of a drawn tissue."""
    image, mask = phantom(modality, seed, (3 * side, 3 * side), um_per_px)
    inside = np.zeros(mask.shape, bool)
    inside[side // 2 : -side // 2, side // 2 : -side // 2] = True
    axons, count = ndimage.label((mask == AXON) & inside)
    largest = 1 + np.argmax(ndimage.sum_labels(axons > 0, axons, range(1, count + 1)))
    centre = np.clip(np.round(ndimage.center_of_mass(axons == largest)).astype(int), side // 2, 3 * side - side // 2)
    top, left = centre - side // 2
    return image[top : top + side, left : left + side]


class Step(NamedTuple):
    """One level t of a walk from noise: x_t and the generator's guess of x_0, float32 [H, W]; no guess at t = 0."""

    level: int
    noisy: np.ndarray
    guess: np.ndarray | None


@torch.no_grad()
def walk(translator: SynDiff, image: np.ndarray, to: Domain, *, seed: int = 0) -> list[Step]:
    """Return every level of the walk from noise to domain `to`, conditioned on an image [H, W] of one window."""
    condition = torch.from_numpy(2 * image - 1)[None, None].to(device())
    levels = translator.walk(condition, to, [tuple(slice(0, side) for side in image.shape)], seed=seed)
    return [Step(level, _grey(x), None if guess is None else _grey(guess)) for level, x, guess in levels]


def _grey(x: torch.Tensor) -> np.ndarray:
    return (x[0, 0].cpu().numpy() + 1) / 2
