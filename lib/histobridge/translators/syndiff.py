"""Translators between the labelled domain L and the unlabelled domain U, behind one small interface.

A translator learns from images alone; nothing here has ever heard of a mask.

=======================  ==============================================================================
`none`                   the image as it is
`invert`                 the negative
`histogram`              grey values matched to those of the other domain
`invert-histogram`       the negative, matched
`histogram-blur`         as blurred as the other domain, then matched (`blur.py`)
`invert-histogram-blur`  the negative, as blurred, matched
`cycle`                  the non-diffusive generators inside SynDiff (a CycleGAN)
`syndiff`                the diffusive generators of SynDiff, T steps from noise
=======================  ==============================================================================
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from histobridge.cache import digest
from histobridge.config import SynDiffSettings
from histobridge.io.progress import Report, silent
from histobridge.tiles import Place
from histobridge.training import checkpoint as checkpoints
from histobridge.training.crops import check_domain, stack
from histobridge.training.device import device, weights_of
from histobridge.training.distributed import launch
from histobridge.training.loop import saver, train
from histobridge.training.sliding_window import noise_canvas, over_windows
from histobridge.translators.diffusion import posterior, vp_schedule
from histobridge.translators.syndiff_training import SynDiffTraining, build_generators

if TYPE_CHECKING:
    from lightning_fabric import Fabric
from histobridge.translators.base import Domain


class SynDiff:
    """Adversarial diffusion between two unpaired domains (Özbey et al., arXiv 2207.08208).

    Parameters
    ----------
    settings : SynDiffSettings
        Size and training.
    sign : {1, -1}
        The polarity that the generators start at: 1 keeps the contrast, -1 inverts it. See `polarity.py`.
    seed : int
        Same seed, settings, images and machine: same weights, bit for bit.
    """

    name = "syndiff"

    def __init__(self, settings: SynDiffSettings, *, sign: int, seed: int = 0):
        self.settings, self.sign, self.seed = settings, sign, seed
        self.generators: nn.ModuleDict = build_generators(settings, sign)
        self.schedule = vp_schedule(settings.diffusion_steps, settings.beta_min, settings.beta_max)

    def fit(
        self,
        source: list[np.ndarray],
        target: list[np.ndarray],
        *,
        checkpoint: Path | None = None,
        report: Report | None = None,
    ) -> pd.DataFrame:
        """Train on unpaired images, resuming from `checkpoint`; return the losses of every step (see `train`).

        All visible GPUs share each batch, as far as it can be shared (see `compute.launch`); the result is the same,
        up to rounding, for any number of them.

        Raises
        ------
        UserError
            If a domain has no image or one smaller than a crop, a loss is not finite, or the checkpoint does not fit.
        """
        for images, name in (source, "L (labelled)"), (target, "U (unlabelled)"):
            check_domain(images, self.settings.crop, name)
        history, weights = launch(
            _train, self._settings(), source, target, checkpoint, report, batch=self.settings.joint_batch
        )
        self.generators.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        return history

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Walk T steps from noise to an image of domain `to`, conditioned on `image` (SynDiff section III-C).

        Another `seed` draws another latent and another noise canvas, and so another plausible translation.
        """

        def denoise(condition: Tensor, place: Place) -> Tensor:
            return deque(self.walk(condition, to, place, seed=seed), maxlen=1).pop()[1]  # the last stop

        return self._tiled(image, denoise)

    def walk(
        self, condition: Tensor, to: Domain, place: Place, *, seed: int = 0
    ) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        """Yield every stop from noise to an image of domain `to`: level t (T to 0), x_t and the guess of x_0.

        Parameters
        ----------
        condition : Tensor, float [1, 1, H, W] in -1..1
            The image, or a window of it, that leads the walk.
        to : {"L", "U"}
        place : tuple of slice
            Rows and columns of the window in the image, which decide its noise.
        seed : int

        Yields
        ------
        tuple of int, Tensor, Tensor or None
            Both tensors are like `condition`; at level 0 there is nothing left to guess.
        """
        generator, steps = self.generators[f"G_{to}"].eval(), self.schedule.steps
        latents = _latents(seed, steps, self.settings.latent)
        x = noise_canvas(seed, steps, place).to(condition)
        for level in reversed(range(steps)):
            t = torch.tensor([level], device=condition.device)
            x_0 = generator(x, condition, t + 1, latents[level]).float().clamp(-1, 1)
            yield level + 1, x, x_0
            x = posterior(self.schedule, x_0, x, t, noise_canvas(seed, level, place).to(condition))
        yield 0, x, None

    def _tiled(self, image: np.ndarray, network) -> np.ndarray:
        return np.clip((over_windows(_to_network(image), network)[0] + 1) / 2, 0, 1)

    def _settings(self) -> dict:
        return {**self.settings.model_dump(mode="json"), "sign": self.sign, "seed": self.seed}

    @property
    def fingerprint(self) -> str:
        """A hash of the settings and the generators' weights."""
        return digest(self.name, self._settings(), weights_of(self.generators))

    def save(self, path: Path) -> None:
        """Write the averaged generators and the settings."""
        checkpoints.save(path, self.generators.state_dict(), self._settings())

    @classmethod
    def load(cls, path: Path) -> SynDiff:
        """Read a saved translator."""
        saved = checkpoints.load(path)
        translator = cls(**_arguments(saved["settings"]))
        translator.generators.load_state_dict(saved["state"])
        return translator


def _arguments(saved: dict) -> dict:
    """Return what `SynDiff` is made with from the settings that it saves."""
    settings = dict(saved)
    return {"sign": settings.pop("sign"), "seed": settings.pop("seed"), "settings": SynDiffSettings(**settings)}


def _train(
    fabric: Fabric,
    settings: dict,
    source: list[np.ndarray],
    target: list[np.ndarray],
    checkpoint: Path | None,
    report: Report | None,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Train in each of the processes that Fabric started; return the history and the averaged generators.

    All that goes in and comes out is NumPy, which passes through a pipe: tensors would go through /dev/shm, which
    containers keep small.
    """
    tensors = [[stack(_to_network(image)) for image in images] for images in (source, target)]
    training = SynDiffTraining(fabric, **_arguments(settings), source=tensors[0], target=tensors[1])
    history = train(
        training,
        training.settings.steps,
        name=SynDiff.name,
        settings=settings,
        checkpoint=checkpoint,
        save_every=training.settings.save_every,
        report=report if fabric.is_global_zero else silent,
        save=saver(fabric),
    )
    return history, weights_of(training.average)


class Cycle(SynDiff):
    """SynDiff's own non-diffusive generators, which come for free: one pass, no noise."""

    name = "cycle"

    @classmethod
    def of(cls, syndiff: SynDiff) -> Cycle:
        """Return the cycle generators of a trained SynDiff; the weights are shared."""
        cycle = cls(syndiff.settings, sign=syndiff.sign, seed=syndiff.seed)
        cycle.generators = syndiff.generators
        return cycle

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Translate in one pass; `seed` changes nothing."""
        generator = self.generators[f"F_{to}"].eval()
        return self._tiled(image, lambda piece, place: generator(piece))


def _to_network(image: np.ndarray) -> np.ndarray:
    return 2 * image - 1


def _latents(seed: int, steps: int, length: int) -> list[Tensor]:
    """Draw one latent for each step, the same for every window of an image."""
    rng = np.random.default_rng([seed, steps, 0, 0, 1])
    return [torch.from_numpy(rng.standard_normal((1, length), dtype=np.float32)).to(device()) for _ in range(steps)]
