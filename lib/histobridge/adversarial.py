"""One training step of SynDiff: four generators, four discriminators, one optimiser for either kind.

After Özbey et al., SynDiff (arXiv 2207.08208, section III). Each network runs forward once a step: the fakes made for
the generators' losses are reused, detached, for the discriminators'. U is the unlabelled domain, L the labelled.
"""

from __future__ import annotations

import copy

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F

from histobridge.compute import autocast, device, place
from histobridge.crops import random_crops
from histobridge.diffusion import diffuse, diffuse_one_step, posterior, vp_schedule
from histobridge.networks import DiffusiveGenerator, Discriminator, Generator
from histobridge.training import linear_decay, step_generator


class SynDiffSettings(BaseModel):
    """The size of SynDiff and its training; the defaults suit two CPU cores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = 600
    crop: int = 64
    batch: int = 8
    diffusion_steps: int = 4
    beta_min: float = 0.1
    beta_max: float = 20.0
    width: int = 32
    multipliers: tuple[int, ...] = (1, 2, 3)
    blocks: int = 1
    attention: tuple[int, ...] = ()
    stem: int = 2
    latent: int = 32
    embedding: int = 64
    cycle_width: int = 32
    cycle_multipliers: tuple[int, ...] = (1, 2)
    critic_width: int = 32
    critic_multipliers: tuple[int, ...] = (1, 2, 3)
    lr_generator: float = 3e-4
    lr_critic: float = 6e-4
    weight_l1: float = 1.0
    weight_cycle: float = 2.0
    r1: float = 0.08
    r1_every: int = 8
    ema: float = 0.998
    save_every: int = 50


def build_generators(s: SynDiffSettings, sign: int) -> nn.ModuleDict:
    """Return the generators: G_L, G_U (diffusive) and F_L, F_U (non-diffusive); each is named for what it makes."""
    wide = dict(width=s.width, multipliers=s.multipliers, blocks=s.blocks, attention=s.attention, stem=s.stem)
    slim = dict(width=s.cycle_width, multipliers=s.cycle_multipliers, blocks=s.blocks, stem=s.stem)
    nets = {f"G_{d}": DiffusiveGenerator(sign, s.latent, s.embedding, **wide) for d in "LU"}
    nets |= {f"F_{d}": Generator(sign, **slim) for d in "LU"}
    return place(nn.ModuleDict(nets))


def build_critics(s: SynDiffSettings) -> nn.ModuleDict:
    """Return the discriminators: DG_L, DG_U of the diffusive generators and DF_L, DF_U of the others."""
    size = dict(width=s.critic_width, multipliers=s.critic_multipliers, stem=s.stem)
    nets = {f"DG_{d}": Discriminator(2, embedding=s.embedding, **size) for d in "LU"}
    nets |= {f"DF_{d}": Discriminator(1, **size) for d in "LU"}
    return place(nn.ModuleDict(nets))


class SynDiffTraining:
    """SynDiff in training (a `Trainee`); images are lists of tensors [1, H, W] in -1..1, and no label comes near."""

    def __init__(self, settings: SynDiffSettings, sign: int, seed: int, source: list[Tensor], target: list[Tensor]):
        torch.manual_seed(seed)
        self.settings, self.seed = settings, seed
        self.images = {"L": source, "U": target}
        self.schedule = vp_schedule(settings.diffusion_steps, settings.beta_min, settings.beta_max)
        self.generators, self.critics = build_generators(settings, sign), build_critics(settings)
        self.average = copy.deepcopy(self.generators).requires_grad_(False)
        self.generator_optimiser = _adam(self.generators, settings.lr_generator)
        self.critic_optimiser = _adam(self.critics, settings.lr_critic)

    def step(self, number: int) -> dict[str, float]:
        """Train generators, then discriminators, on one batch of crops."""
        rng = step_generator(self.seed, number)
        real = {d: self._crops(d, rng) for d in "LU"}
        self._set_learning_rate(number)
        with autocast():
            self.critics.requires_grad_(False)
            losses, pairs = self._generator_losses(real, rng)
        _descend(self.generator_optimiser, sum(losses.values()))
        with autocast():
            self.critics.requires_grad_(True)
            critic, logits = self._critic_losses(pairs)
        penalty = self._gradient_penalty(pairs) if number % self.settings.r1_every == 0 else {}
        _descend(self.critic_optimiser, sum(critic.values()) + sum(penalty.values()))
        self._update_average(number)
        return {name: value.item() for name, value in (losses | critic | logits).items()}

    def state(self) -> dict:
        """Return weights, averaged weights and optimisers."""
        parts = (self.generators, self.critics, self.average, self.generator_optimiser, self.critic_optimiser)
        return dict(zip(_PARTS, (part.state_dict() for part in parts), strict=True))

    def restore(self, state: dict) -> None:
        """Take up what `state` returned."""
        for part in _PARTS:
            getattr(self, part).load_state_dict(state[part])

    def _crops(self, domain: str, rng: torch.Generator) -> Tensor:
        crops = random_crops(self.images[domain], self.settings.crop, self.settings.batch, rng)
        return crops.to(device(), memory_format=torch.channels_last)

    def _generator_losses(self, real: dict[str, Tensor], rng: torch.Generator) -> tuple[dict, dict]:
        """Return the adversarial, cycle and L1 losses and, for each discriminator, its (real, fake, level)."""
        g, s = self.generators, self.settings
        fake = {"U": g["F_U"](real["L"]), "L": g["F_L"](real["U"])}  # the missing partners
        again = {"L": g["F_L"](fake["U"]), "U": g["F_U"](fake["L"])}
        losses = {"cycle": s.weight_cycle * sum(F.l1_loss(again[d], real[d]) for d in "LU")}
        pairs = {f"DF_{d}": (real[d], fake[d], None) for d in "LU"}
        l1 = 0.0
        for d, other in ("U", "L"), ("L", "U"):
            x_0, pairs[f"DG_{d}"] = self._diffusive(d, real[d], fake[other], rng)
            l1 = l1 + F.l1_loss(x_0, real[d])
        losses["l1"] = s.weight_l1 * l1
        for kind in "FG":
            fooled = (self._logits(f"D{kind}_{d}", pairs[f"D{kind}_{d}"], 1) for d in "LU")
            losses[f"adversarial_{kind}"] = sum(F.softplus(-logits).mean() for logits in fooled)
        return losses, pairs

    def _diffusive(self, d: str, x: Tensor, condition: Tensor, rng: torch.Generator) -> tuple[Tensor, tuple]:
        """Noise the real image to level t + 1, predict x_0 from it, and step back to t."""
        level = torch.randint(self.schedule.steps, (len(x),), generator=rng).to(x.device)
        noise = [torch.randn(x.shape, generator=rng).to(x) for _ in range(3)]
        latent = torch.randn(len(x), self.settings.latent, generator=rng).to(x)
        x_t = diffuse(self.schedule, x, level, noise[0])
        x_next = diffuse_one_step(self.schedule, x_t, level, noise[1])
        x_0 = self.generators[f"G_{d}"](x_next, condition, level + 1, latent)
        x_t_fake = posterior(self.schedule, x_0, x_next, level, noise[2])
        return x_0, (torch.cat([x_t, x_next], 1), torch.cat([x_t_fake, x_next], 1), level)

    def _logits(self, critic: str, pair: tuple, which: int) -> Tensor:
        level = pair[2]
        return self.critics[critic](pair[which], *(() if level is None else (level,))).float()

    def _critic_losses(self, pairs: dict[str, tuple]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the logistic losses of the discriminators on real and detached fake images, and the mean logits."""
        told = {name: self._tell_apart(name, pair) for name, pair in pairs.items()}
        losses, logits = {}, {}
        for kind in "FG":
            real, fake = (torch.cat([told[f"D{kind}_{d}"][which].flatten() for d in "LU"]) for which in (0, 1))
            losses[f"critic_{kind}"] = 2 * (F.softplus(-real).mean() + F.softplus(fake).mean())  # both domains
            logits |= {f"logit_real_{kind}": real.mean(), f"logit_fake_{kind}": fake.mean()}
        return losses, logits

    def _tell_apart(self, critic: str, pair: tuple) -> tuple[Tensor, Tensor]:
        detached = (pair[0], pair[1].detach(), pair[2])
        return self._logits(critic, detached, 0), self._logits(critic, detached, 1)

    def _gradient_penalty(self, pairs: dict[str, tuple]) -> dict[str, Tensor]:
        """Return lazy R1 on the real images (Mescheder et al., arXiv 1801.04406), in float32."""
        penalties = {}
        for name, (real, _, level) in pairs.items():
            real = real.detach().requires_grad_(True)
            logits = self._logits(name, (real, None, level), 0)
            (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
            # A pixel is seen by one patch or a few: the energy a patch, so that gamma does not grow with the crop.
            energy = gradient.square().sum() / logits.numel()
            penalties[name] = 0.5 * self.settings.r1 * energy
        return penalties

    def _set_learning_rate(self, number: int) -> None:
        factor = linear_decay(number, self.settings.steps)
        self.generator_optimiser.param_groups[0]["lr"] = self.settings.lr_generator * factor
        self.critic_optimiser.param_groups[0]["lr"] = self.settings.lr_critic * factor

    @torch.no_grad()
    def _update_average(self, number: int) -> None:
        """Let the averaged weights follow (EMA), faster while the training is young."""
        decay = min(self.settings.ema, (1 + number) / (10 + number))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generators.parameters()), 1 - decay)


_PARTS = ("generators", "critics", "average", "generator_optimiser", "critic_optimiser")


def _adam(networks: nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(networks.parameters(), lr=rate, betas=(0.5, 0.9), fused=True)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
