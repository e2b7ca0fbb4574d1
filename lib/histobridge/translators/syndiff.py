"""SynDiff (Özbey et al., arXiv 2207.08208): its diffusive and its non-diffusive generators as two translators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from histobridge.config import SynDiffSettings
from histobridge.io.progress import Report
from histobridge.tiles import Place
from histobridge.training.crops import stack
from histobridge.training.device import device, weight_arrays
from histobridge.training.distributed import launch, save_from_first
from histobridge.training.loop import train
from histobridge.training.noise import noise_canvas
from histobridge.translators.base import Domain
from histobridge.translators.diffusion import posterior, sampling_levels, vp_schedule
from histobridge.translators.learned import LearnedTranslator, translate_in_windows
from histobridge.translators.syndiff_training import SynDiffTraining, build_generators

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class SynDiffNetworks(LearnedTranslator):
    """The generators of SynDiff and their training, which `SynDiff` and `Cycle` share.

    The parameters are those of `LearnedTranslator`.
    """

    settings_class = SynDiffSettings
    build_generators = staticmethod(build_generators)

    def fit(
        self,
        source: list[np.ndarray],
        target: list[np.ndarray],
        *,
        checkpoint: Path | None = None,
        report: Report | None = None,
    ) -> pd.DataFrame:
        """Train on unpaired images float32 [H, W] in 0..1, from the last `checkpoint` if there is one.

        All visible GPUs share each batch as far as it divides (see `distributed.launch`). The result does not depend
        on their number, up to rounding.

        Parameters
        ----------
        source, target : list of ndarray
            Images of L and of U.
        checkpoint, report
            As in `training.loop.train`.

        Returns
        -------
        DataFrame
            The losses of every step, as `training.loop.train` returns them.

        Raises
        ------
        UserError
            If a domain has no image or one smaller than a crop, a loss is not finite, or the checkpoint does not fit.
        """
        self.check_domains(source, target)
        batch = self.settings.joint_batch
        history, weights = launch(_train, self.facts(), source, target, checkpoint, report, batch=batch)
        self.generators.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        return history


class SynDiff(SynDiffNetworks):
    """Adversarial diffusion: T large denoising steps or fewer, conditioned on the image to translate.

    The parameters are those of `SynDiffNetworks`.
    """

    name = "syndiff"

    def __init__(self, settings: SynDiffSettings, *, sign: int, seed: int = 0):
        super().__init__(settings, sign=sign, seed=seed)
        self.schedule = vp_schedule(settings.diffusion_steps, settings.beta_min, settings.beta_max)

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Denoise from pure noise to an image of domain `to`, conditioned on `image` (the paper's inference).

        Another `seed` draws another latent and another canvas of noise, and gives another plausible translation.
        """

        def denoise(condition: Tensor, places: Sequence[Place]) -> Tensor:
            for _, x, _ in self.walk(condition, to, places, seed=seed):
                last = x
            return last

        return translate_in_windows(image, denoise)

    def walk(
        self, condition: Tensor, to: Domain, places: Sequence[Place], *, seed: int = 0
    ) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        """Yield every stage of the reverse diffusion from noise to an image of domain `to`.

        Parameters
        ----------
        condition : Tensor, float [B, 1, H, W] in -1..1
            The image to translate, or windows of it.
        to : {"L", "U"}
        places : sequence of B places
            Rows and columns of each window in the image; they select the noise.
        seed : int

        Yields
        ------
        level : int
            Noise level t, from T down to 0 in as many steps as the settings name.
        x_t : Tensor, float [B, 1, H, W]
        x_0 : Tensor, float [B, 1, H, W], or None
            The prediction of the clean image from x_t; None at level 0, where x_t is that image.
        """
        generator, steps = self.generators[f"G_{to}"].eval(), self.schedule.steps
        latents = _latents(seed, steps, self.settings.latent)
        x = noise_canvas(seed, steps, places, condition.device)
        for level, before in pairwise(sampling_levels(steps, self.settings.sampling_steps or steps)):
            t, s = (torch.tensor([number], device=condition.device) for number in (level, before))
            x_0 = generator(x, condition, t, latents[level - 1]).float().clamp(-1, 1)
            yield level, x, x_0
            if before:
                x = posterior(self.schedule, x_0, x, t, s, noise_canvas(seed, before, places, condition.device))
        yield 0, x_0, None  # which the posterior at level 0 returns


class Cycle(SynDiffNetworks):
    """The non-diffusive generators of SynDiff, a CycleGAN that is trained with it: one pass, no noise.

    The parameters are those of `SynDiffNetworks`.
    """

    name = "cycle"

    @classmethod
    def of(cls, syndiff: SynDiff) -> Cycle:
        """Return the non-diffusive generators of a trained SynDiff as a translator; the weights are shared."""
        cycle = cls(syndiff.settings, sign=syndiff.sign, seed=syndiff.seed)
        cycle.generators = syndiff.generators
        return cycle

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Translate in one pass; `seed` has no effect."""
        generator = self.generators[f"F_{to}"].eval()
        return translate_in_windows(image, lambda windows, places: generator(windows))


def _latents(seed: int, steps: int, length: int) -> list[Tensor]:
    """Draw one latent [1, length] per diffusion step, the same for every window of an image."""
    rng = np.random.default_rng([seed, steps, 0, 0, 1])
    return [torch.from_numpy(rng.standard_normal((1, length), dtype=np.float32)).to(device()) for _ in range(steps)]


def _train(
    fabric: Fabric,
    settings: dict,
    source: list[np.ndarray],
    target: list[np.ndarray],
    checkpoint: Path | None,
    report: Report | None,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Train in one of the processes that Fabric started; return the losses and the averaged generators.

    Arguments and result are NumPy arrays, which pass between processes through a pipe. Tensors would pass through
    shared memory, of which containers have little.
    """
    tensors = [[stack(2 * image - 1) for image in images] for images in (source, target)]
    training = SynDiffTraining(fabric, **SynDiffNetworks.arguments(settings), source=tensors[0], target=tensors[1])
    history = train(
        training,
        training.settings.steps,
        name=SynDiff.name,
        settings={**settings, "sampling_steps": None},  # which may change while a training is interrupted
        checkpoint=checkpoint,
        save_every=training.settings.save_every,
        report=report if fabric.is_global_zero else lambda line: None,
        save=lambda *content: save_from_first(fabric, *content),
    )
    return history, weight_arrays(training.average)
