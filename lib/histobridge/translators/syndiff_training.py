"""One training step of SynDiff: four generators, four discriminators, one optimiser for either kind.

After Özbey et al., SynDiff (arXiv 2207.08208, section III). Each network runs forward once a step: the fakes made for
the generators' losses are reused, detached, for the discriminators'. U is the unlabelled domain, L the labelled.

A step draws one joint batch, from its number alone. Every process takes an equal share, in parts of what fits into
memory at once, and gradients are averaged over parts and processes: all losses are means over images, so that the
result is that of one process with the whole batch, up to rounding. The gradients are averaged by hand, in one
all-reduce an optimiser, because DistributedDataParallel wants one forward a backward of each network it wraps, and here
a network runs up to four times, with a second derivative for R1. What is not wrapped keeps its names: averages and
checkpoints need not know how many processes there are.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from histobridge.config import SynDiffSettings
from histobridge.training.crops import random_crops
from histobridge.training.device import adam, place
from histobridge.training.loop import DECAYS, step_generator
from histobridge.translators.diffusion import diffuse, diffuse_one_step, posterior, vp_schedule
from histobridge.translators.networks import DiffusiveGenerator, Discriminator, Generator

if TYPE_CHECKING:
    from lightning_fabric import Fabric

BETAS = (0.5, 0.9)
"""Of Adam, as published."""


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


class Drawn(NamedTuple):
    """What is drawn at random for one domain, an entry an image: all that a step needs.

    Attributes
    ----------
    image : Tensor, float [B, 1, crop, crop]
    level : Tensor, int64 [B]
        Noise level t, 0..T-1.
    noises : Tensor, float [B, 1, crop, crop], three of them
        For x_t, for x_{t+1} and for the posterior.
    latent : Tensor, float [B, latent]
    """

    image: Tensor
    level: Tensor
    noise_t: Tensor
    noise_next: Tensor
    noise_posterior: Tensor
    latent: Tensor

    def part(self, which: slice, device: torch.device) -> Drawn:
        """Return some of the images, on a device."""
        image = place(self.image[which], device)
        return Drawn(image, *(tensor[which].to(device) for tensor in self[1:]))


def draw(images: dict[str, list[Tensor]], s: SynDiffSettings, rng: torch.Generator) -> dict[str, Drawn]:
    """Draw the joint batch of a step for both domains."""
    n = s.joint_batch
    crops = {d: random_crops(images[d], s.crop, n, rng) for d in "LU"}
    drawn = {}
    for d in "UL":
        level = torch.randint(s.diffusion_steps, (n,), generator=rng)
        noises = [torch.randn(crops[d].shape, generator=rng) for _ in range(3)]
        drawn[d] = Drawn(crops[d], level, *noises, torch.randn(n, s.latent, generator=rng))
    return drawn


def shares(n: int, batch: int, rank: int, processes: int) -> list[slice]:
    """Return the parts of at most `batch` images that one process takes of a joint batch of `n`.

    >>> shares(8, 3, rank=1, processes=2)
    [slice(4, 7, None), slice(7, 8, None)]
    """
    mine = range(n)[rank * n // processes : (rank + 1) * n // processes]
    return [slice(start, min(start + batch, mine.stop)) for start in mine[::batch]]


class SynDiffTraining:
    """SynDiff in training (a `Trainee`); images are lists of tensors [1, H, W] in -1..1, and no label comes near.

    `fabric` says where, in which precision and with how many others; with the same seed all processes start alike,
    and stay so, because only averaged gradients move the weights.
    """

    def __init__(
        self,
        fabric: Fabric,
        settings: SynDiffSettings,
        sign: int,
        seed: int,
        source: list[Tensor],
        target: list[Tensor],
    ):
        torch.manual_seed(seed)
        self.fabric, self.settings, self.sign, self.seed = fabric, settings, sign, seed
        self.images = {"L": source, "U": target}
        self.schedule = vp_schedule(settings.diffusion_steps, settings.beta_min, settings.beta_max)
        self.generators, self.critics = build_generators(settings, sign), build_critics(settings)
        self.average = copy.deepcopy(self.generators).requires_grad_(False)
        self.generator_optimiser = adam(self.generators, settings.lr_generator, betas=BETAS)
        self.critic_optimiser = adam(self.critics, settings.lr_critic, betas=BETAS)

    def step(self, number: int) -> dict[str, float]:
        """Train generators, then discriminators, on this process's share of a joint batch; return its joint losses."""
        parts, weights = self._parts(number)
        self._set_learning_rate(number)
        self.critics.requires_grad_(False)
        generator, pairs = zip(*map(self._teach_generators, parts, weights), strict=True)
        self._descend(self.generator_optimiser)
        self.critics.requires_grad_(True)
        penalise = number % self.settings.r1_every == 0
        critic = [self._teach_critics(p, weight, penalise) for p, weight in zip(pairs, weights, strict=True)]
        self._descend(self.critic_optimiser)
        self._update_average(number)
        return self._joint([g | c for g, c in zip(generator, critic, strict=True)], weights)

    def _parts(self, number: int) -> tuple[list[dict[str, Drawn]], list[float]]:
        """Return this process's parts of the joint batch, and the share of its images in each."""
        drawn = draw(self.images, self.settings, step_generator(self.seed, number))
        n, batch = self.settings.joint_batch, self.settings.batch
        slices = shares(n, batch, self.fabric.global_rank, self.fabric.world_size)
        parts = [{d: drawn[d].part(which, self.fabric.device) for d in drawn} for which in slices]
        sizes = [len(part["L"].level) for part in parts]
        return parts, [size / sum(sizes) for size in sizes]

    def _teach_generators(self, part: dict[str, Drawn], weight: float) -> tuple[dict[str, Tensor], dict[str, tuple]]:
        """Add the gradients of the generators' losses; return those and the detached images they made."""
        with self.fabric.autocast():
            losses, pairs = self._generator_losses(part)
        self.fabric.backward(weight * sum(losses.values()))
        return losses, {name: (real, fake.detach(), level) for name, (real, fake, level) in pairs.items()}

    def _teach_critics(self, pairs: dict[str, tuple], weight: float, penalise: bool) -> dict[str, Tensor]:
        """Add the gradients of the discriminators' losses; return those and the mean logits."""
        with self.fabric.autocast():
            losses, logits = self._critic_losses(pairs)
        penalty = self._gradient_penalty(pairs) if penalise else {}
        self.fabric.backward(weight * (sum(losses.values()) + sum(penalty.values())))
        return losses | logits

    def state(self) -> dict:
        """Return weights, averaged weights and optimisers."""
        parts = (self.generators, self.critics, self.average, self.generator_optimiser, self.critic_optimiser)
        return dict(zip(_PARTS, (part.state_dict() for part in parts), strict=True))

    def restore(self, state: dict) -> None:
        """Take up what `state` returned."""
        for part in _PARTS:
            getattr(self, part).load_state_dict(state[part])

    def _joint(self, losses: list[dict[str, Tensor]], weights: list[float]) -> dict[str, float]:
        """Return the means over all parts and processes."""
        told = [torch.stack([value.detach().float() for value in part.values()]) for part in losses]
        mean = sum(weight * values for weight, values in zip(weights, told, strict=True))
        return dict(zip(losses[0], self.fabric.all_reduce(mean).tolist(), strict=True))

    def _descend(self, optimiser: torch.optim.Optimizer) -> None:
        """Step down the gradients, averaged over the processes, and clear them."""
        if self.fabric.world_size > 1:
            gradients = [p.grad for group in optimiser.param_groups for p in group["params"]]
            joint = self.fabric.all_reduce(torch.cat([g.flatten() for g in gradients]))
            for gradient, mean in zip(gradients, joint.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(mean.view_as(gradient))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def _generator_losses(self, part: dict[str, Drawn]) -> tuple[dict, dict]:
        """Return the adversarial, cycle and L1 losses and, for each discriminator, its (real, fake, level)."""
        g, s = self.generators, self.settings
        real = {d: part[d].image for d in "LU"}
        fake = {"U": g["F_U"](real["L"]), "L": g["F_L"](real["U"])}  # the missing partners
        again = {"L": g["F_L"](fake["U"]), "U": g["F_U"](fake["L"])}
        losses = {"cycle": s.weight_cycle * sum(F.l1_loss(again[d], real[d]) for d in "LU")}
        losses |= self._identity(real)
        pairs = {f"DF_{d}": (real[d], fake[d], None) for d in "LU"}
        l1 = 0.0
        for d, other in ("U", "L"), ("L", "U"):
            x_0, pairs[f"DG_{d}"] = self._diffusive(d, part[d], fake[other])
            l1 = l1 + F.l1_loss(x_0, real[d])
        losses["l1"] = s.weight_l1 * l1
        for kind in "FG":
            fooled = (self._logits(f"D{kind}_{d}", pairs[f"D{kind}_{d}"], 1) for d in "LU")
            losses[f"adversarial_{kind}"] = sum(F.softplus(-logits).mean() for logits in fooled)
        return losses, pairs

    def _identity(self, real: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return CycleGAN's identity term (arXiv 1703.10593, section 5.2): what looks like L already needs no change.

        There is none where the contrast is inverted: no image of L could then pass for one of U.
        """
        weight = self.settings.weight_identity if self.sign > 0 else 0.0
        change = (F.l1_loss(self.generators[f"F_{d}"](real[d]), real[d]) for d in "LU")
        return {"identity": weight * sum(change)} if weight else {}

    def _diffusive(self, d: str, drawn: Drawn, condition: Tensor) -> tuple[Tensor, tuple]:
        """Noise the real image to level t + 1, predict x_0 from it, and step back to t."""
        level = drawn.level
        x_t = diffuse(self.schedule, drawn.image, level, drawn.noise_t)
        x_next = diffuse_one_step(self.schedule, x_t, level, drawn.noise_next)
        x_0 = self.generators[f"G_{d}"](x_next, condition, level + 1, drawn.latent)
        x_t_fake = posterior(self.schedule, x_0, x_next, level, drawn.noise_posterior)
        return x_0, (torch.cat([x_t, x_next], 1), torch.cat([x_t_fake, x_next], 1), level)

    def _logits(self, critic: str, pair: tuple, which: int) -> Tensor:
        level = pair[2]
        return self.critics[critic](pair[which], *(() if level is None else (level,))).float()

    def _critic_losses(self, pairs: dict[str, tuple]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the logistic losses of the discriminators on real and fake images, and the mean logits."""
        told = {name: self._tell_apart(name, pair) for name, pair in pairs.items()}
        losses, logits = {}, {}
        for kind in "FG":
            real, fake = (torch.cat([told[f"D{kind}_{d}"][which].flatten() for d in "LU"]) for which in (0, 1))
            losses[f"critic_{kind}"] = 2 * (F.softplus(-real).mean() + F.softplus(fake).mean())  # both domains
            logits |= {f"logit_real_{kind}": real.mean(), f"logit_fake_{kind}": fake.mean()}
        return losses, logits

    def _tell_apart(self, critic: str, pair: tuple) -> tuple[Tensor, Tensor]:
        return self._logits(critic, pair, 0), self._logits(critic, pair, 1)

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
        factor = DECAYS[self.settings.decay](number, self.settings.steps)
        self.generator_optimiser.param_groups[0]["lr"] = self.settings.lr_generator * factor
        self.critic_optimiser.param_groups[0]["lr"] = self.settings.lr_critic * factor

    @torch.no_grad()
    def _update_average(self, number: int) -> None:
        """Let the averaged weights follow (EMA), faster while the training is young."""
        decay = min(self.settings.ema, (1 + number) / (10 + number))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generators.parameters()), 1 - decay)


_PARTS = ("generators", "critics", "average", "generator_optimiser", "critic_optimiser")
