"""What CycleGAN and CUT share: a generator for each direction, a patch critic for each domain, and the step of both.

The critics have the least-squares loss (Mao et al., arXiv 1611.04076) that both papers use. A generator starts as plus
or minus the identity, as that of SynDiff's cycle does, and its averaged weights translate. Unlike in CycleGAN's paper,
critics see the translations of the present step only, without a history of earlier ones.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from histobridge.io.progress import Report
from histobridge.training.crops import CropSource, stack
from histobridge.training.device import adam, autocast, device, place
from histobridge.training.loop import DECAYS, train
from histobridge.training.philox import Draws
from histobridge.training.replay import Replayed, graphs_for
from histobridge.translator_settings import GanSettings
from histobridge.translators.adversarial import AdversarialTraining
from histobridge.translators.base import Domain
from histobridge.translators.learned import LearnedTranslator, translate_in_windows
from histobridge.translators.networks import Discriminator, Generator

BETAS = (0.5, 0.999)
"""Of Adam, as published for both."""


def one_pass_generators(s: GanSettings, sign: int) -> nn.ModuleDict:
    """Return the generators, named for the domain whose images they make; each starts as `sign` times the identity."""
    size = dict(width=s.width, multipliers=s.multipliers, blocks=s.blocks, stem=s.stem)
    return place(nn.ModuleDict({d: Generator(sign, **size) for d in "LU"}))


class GanTraining(AdversarialTraining):
    """Generators and critics in training (see `training.loop.Training`).

    Parameters
    ----------
    settings : GanSettings
    sign : {1, -1}
        Generators start as plus or minus the identity.
    seed : int
    source, target : list of Tensor, float [1, H, W] in -1..1
        Images of L and of U.
    """

    networks = ("generators", "helpers", "critics", "average")
    to_fit = "set a smaller `batch`, `crop` or `width` of this translator in its profile"

    def __init__(self, settings: GanSettings, sign: int, seed: int, source: list[Tensor], target: list[Tensor]):
        torch.manual_seed(seed)
        self.settings, self.sign = settings, sign
        self.images = {"L": CropSource(source, device()), "U": CropSource(target, device())}
        self.generators = one_pass_generators(settings, sign)
        size = dict(width=settings.critic_width, multipliers=settings.critic_multipliers, stem=settings.stem)
        self.critics = place(nn.ModuleDict({d: Discriminator(1, **size) for d in "LU"}))
        self.helpers = place(self.build_helpers())
        self.average = copy.deepcopy(self.generators).requires_grad_(False)
        self.generator_optimiser = adam(nn.ModuleList([self.generators, self.helpers]), betas=BETAS)
        self.critic_optimiser = adam(self.critics, betas=BETAS)
        self.number = torch.zeros((), dtype=torch.int64, device=device())
        self.decay = torch.zeros((), device=device())
        self.draws = Draws(seed, self.number)
        self._step = Replayed(self._train, graphs_for(device()))
        self._names: list[str] = []

    def build_helpers(self) -> nn.Module:
        """Return networks that learn with the generators and are not needed to translate."""
        return nn.ModuleDict()

    def generator_losses(self, real: dict[str, Tensor], fake: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the weighted losses of the generators by name, besides the adversarial one.

        Parameters
        ----------
        real, fake : dict of {"L", "U"} to Tensor, float [B, 1, crop, crop] in -1..1
            Images of a domain, and translations to it. `fake["U"]` are the translations of `real["L"]`.
        """
        raise NotImplementedError

    def step(self, number: int) -> dict[str, float]:
        """Train the generators, then the critics, on crops of both domains; return the losses by name."""
        s = self.settings
        rate = s.lr * DECAYS[s.decay](number, s.steps)
        self.begin_step(number, lr_generator=rate, lr_critic=rate, ema=s.ema)
        losses = self._step()
        return dict(zip(self._names, losses.tolist(), strict=True))

    def _train(self) -> Tensor:
        """Do the step that `number` and the learning rate describe; return its losses, named by `_names`."""
        draws = self.draws.begin()
        real = {d: place(self.images[d].draw(self.settings.crop, self.settings.batch, draws)) for d in "LU"}

        # Generators. The critics stay as they are and only pass gradients on.
        self.critics.requires_grad_(False)
        with autocast():
            fake = {"U": self.generators["U"](real["L"]), "L": self.generators["L"](real["U"])}
            loss = self.generator_losses(real, fake)
            loss["adversarial"] = sum((self.critics[d](fake[d]).float() - 1).square().mean() for d in "LU")
        sum(loss.values()).backward()
        _update(self.generator_optimiser)

        # Critics, on the same images, detached from the generators that made them.
        self.critics.requires_grad_(True)
        with autocast():
            on_real = torch.cat([self.critics[d](real[d]).float().flatten() for d in "LU"])
            on_fake = torch.cat([self.critics[d](fake[d].detach()).float().flatten() for d in "LU"])
        loss["critic"] = (on_real - 1).square().mean() + on_fake.square().mean()  # of two domains, each halved
        loss["critic"].backward()
        _update(self.critic_optimiser)

        self.update_average()  # these weights translate later
        loss |= {"logit_real": on_real.mean(), "logit_fake": on_fake.mean()}
        self._names = list(loss)
        return torch.stack([value.detach().float() for value in loss.values()])


def _update(optimiser: torch.optim.Optimizer) -> None:
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


class GanTranslator(LearnedTranslator):
    """A translator of one pass: the generator of a direction. The parameters are those of `LearnedTranslator`."""

    training_class: ClassVar[type[GanTraining]]
    build_generators = staticmethod(one_pass_generators)

    def fit(
        self,
        source: list[np.ndarray],
        target: list[np.ndarray],
        *,
        checkpoint: Path | None = None,
        report: Report | None = None,
    ) -> pd.DataFrame:
        """Train on unpaired images float32 [H, W] in 0..1 of L and of U, from the last `checkpoint` if there is one.

        Arguments and errors are those of `SynDiff.fit`. One process on one device trains.

        Returns
        -------
        DataFrame
            The losses of every step, as `training.loop.train` returns them.
        """
        self.check_domains(source, target)
        tensors = [[stack(2 * image - 1) for image in images] for images in (source, target)]
        training = self.training_class(self.settings, self.sign, self.seed, *tensors)
        history = train(
            training,
            self.settings.steps,
            name=self.name,
            settings=self.facts(),
            checkpoint=checkpoint,
            save_every=self.settings.save_every,
            report=report,
        )
        self.generators = training.average
        return history

    def translate(self, image: np.ndarray, to: Domain, *, seed: int = 0) -> np.ndarray:
        """Translate in one pass; `seed` has no effect."""
        generator = self.generators[to].eval()
        return translate_in_windows(image, lambda windows, places: generator(windows))
