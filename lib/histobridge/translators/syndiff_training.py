"""The training of SynDiff (Özbey et al., arXiv 2207.08208). `SynDiffTraining.step` is one step, from top to bottom.

Names
-----
L, U : the labelled and the unlabelled domain; the paper's modalities A and B.
G_L, G_U : diffusive generators. G_U(x_{t+1}, y, t + 1, z) predicts the clean x_0 of domain U.
F_L, F_U : non-diffusive generators. F_U translates an image of L to U.
DG_L, DG_U, DF_L, DF_U : the discriminators of G and F.
Every network is named for the domain whose images it makes or judges. The paper's large step from t to t - k is here a
step from level t + 1 to level t, with levels 0 (clean) to T (noise).

Departures from the published training
--------------------------------------
Every network runs once per step: the discriminators reuse the images that were made for the generators' losses. One
optimiser serves all generators, and one all discriminators. By default the non-diffusive generators start as plus or
minus the identity; the setting `start_f` gives them random weights, as published. The diffusive generators start at
random.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, softplus

from histobridge.config import SynDiffSettings
from histobridge.training.crops import CropSource
from histobridge.training.device import adam, place
from histobridge.training.loop import DECAYS
from histobridge.training.philox import Draws
from histobridge.training.replay import Replayed, compiles, graphs_for
from histobridge.translators.adversarial import AdversarialTraining
from histobridge.translators.diffusion import diffuse, diffuse_one_step, posterior, vp_schedule
from histobridge.translators.networks import DiffusiveGenerator, Discriminator, Generator

if TYPE_CHECKING:
    from lightning_fabric import Fabric

BETAS = (0.5, 0.9)
"""Of Adam, as published."""


def build_generators(s: SynDiffSettings, sign: int) -> nn.ModuleDict:
    """Return the generators G_L, G_U (diffusive) and F_L, F_U (non-diffusive)."""
    wide = dict(width=s.width, multipliers=s.multipliers, blocks=s.blocks, attention=s.attention, stem=s.stem)
    slim = dict(width=s.cycle_width, multipliers=s.cycle_multipliers, blocks=s.blocks, stem=s.stem)
    sign_g, sign_f = sign * s.condition_shortcut, sign * (s.start_f == "identity")
    nets = {f"G_{d}": DiffusiveGenerator(sign_g, s.latent, s.embedding, **wide) for d in "LU"}
    nets |= {f"F_{d}": Generator(sign_f, **slim) for d in "LU"}
    return place(nn.ModuleDict(nets))


def build_critics(s: SynDiffSettings) -> nn.ModuleDict:
    """Return the discriminators DG_L, DG_U of the diffusive and DF_L, DF_U of the non-diffusive generators."""
    size = dict(width=s.critic_width, multipliers=s.critic_multipliers, stem=s.stem)
    nets = {f"DG_{d}": Discriminator(2, embedding=s.embedding, **size) for d in "LU"}
    nets |= {f"DF_{d}": Discriminator(1, **size) for d in "LU"}
    return place(nn.ModuleDict(nets))


class Batch(NamedTuple):
    """Everything that one step draws at random for one domain.

    Attributes
    ----------
    image : Tensor, float [B, 1, crop, crop] in -1..1
        Real images x_0.
    level : Tensor, int64 [B]
        Noise levels t, 0..T-1.
    noise_t, noise_next, noise_posterior : Tensor, float [B, 1, crop, crop]
        Standard normal noise for x_t, for x_{t+1} and for the posterior.
    latent : Tensor, float [B, latent]
        Standard normal z.
    """

    image: Tensor
    level: Tensor
    noise_t: Tensor
    noise_next: Tensor
    noise_posterior: Tensor
    latent: Tensor

    def part(self, which: slice) -> Batch:
        """Return some of the images."""
        return Batch(*(tensor[which] for tensor in self))


class CriticPair(NamedTuple):
    """What a discriminator compares: real and fake images [B, C, crop, crop], at noise levels [B] if it is diffusive.

    C is 1, or 2 for a diffusive discriminator, which sees x_t and x_{t+1}.
    """

    real: Tensor
    fake: Tensor
    level: Tensor | None = None


def draw(images: dict[str, CropSource], s: SynDiffSettings, draws: Draws) -> dict[str, Batch]:
    """Draw the joint batch of one step, shared by all processes, for both domains."""
    n = s.joint_batch
    batch = {}
    for d in "LU":
        crops = images[d].draw(s.crop, n, draws)
        noises = draws.normal(3, *crops.shape)
        batch[d] = Batch(crops, draws.integers(s.diffusion_steps, n), *noises, draws.normal(n, s.latent))
    return batch


def shares(n: int, batch: int, rank: int, processes: int) -> list[slice]:
    """Return the parts, of at most `batch` images, that process `rank` takes of a joint batch of `n` images.

    >>> shares(8, 3, rank=1, processes=2)
    [slice(4, 7, None), slice(7, 8, None)]
    """
    mine = range(n)[rank * n // processes : (rank + 1) * n // processes]
    return [slice(start, min(start + batch, mine.stop)) for start in mine[::batch]]


class SynDiffTraining(AdversarialTraining):
    """SynDiff in training (see `training.loop.Training`).

    Parameters
    ----------
    fabric : Fabric
        Device, precision and processes. With the same seed all processes start with the same weights, and they keep
        the same weights because only averaged gradients change them.
    settings : SynDiffSettings
    sign : {1, -1}
        Generators start as plus or minus the identity.
    seed : int
    source, target : list of Tensor, float [1, H, W] in -1..1
        Images of L and of U.
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
        self.images = {"L": CropSource(source, fabric.device), "U": CropSource(target, fabric.device)}
        self.schedule = vp_schedule(settings.diffusion_steps, settings.beta_min, settings.beta_max).to(fabric.device)
        self.generators, self.critics = build_generators(settings, sign), build_critics(settings)
        self.average = copy.deepcopy(self.generators).requires_grad_(False)
        self.generator_optimiser = adam(self.generators, betas=BETAS)
        self.critic_optimiser = adam(self.critics, betas=BETAS)
        if settings.compile and compiles(fabric.device):
            for network in (*self.generators.values(), *self.critics.values()):
                network.compile()

        # What a step reads besides images and weights: its number, and the decay of the average. The step with the R1
        # penalty has other kernels than the one without.
        self.number = torch.zeros((), dtype=torch.int64, device=fabric.device)
        self.draws = Draws(seed, self.number)
        self.decay = torch.zeros((), device=fabric.device)
        graphs = graphs_for(fabric.device, fabric.world_size)
        self._steps = {penalise: Replayed(partial(self._train, penalise), graphs) for penalise in (False, True)}
        self._names: list[str] = []

    @property
    def to_fit(self) -> str:
        """What to set where a step does not fit on the card."""
        s = self.settings
        if s.batch == 1:
            return "set a smaller `crop` or `width` of the translator in its profile"
        parts = 2 if s.batch % 2 == 0 else s.batch
        fewer = f"`batch: {s.batch // parts}` and `accumulate: {s.accumulate * parts}`"
        return f"set {fewer} of the translator in its profile, which gives the same result in more time"

    def step(self, number: int) -> dict[str, float]:
        """Train the generators, then the discriminators, on one joint batch; return its losses by name."""
        s = self.settings
        factor = DECAYS[s.decay](number, s.steps)
        rates = {"lr_generator": s.lr_generator * factor, "lr_critic": s.lr_critic * factor}
        self.begin_step(number, **rates, ema=s.ema)
        losses = self._steps[number % s.r1_every == 0]()  # R1 is lazy: only every few steps
        return dict(zip(self._names, losses.tolist(), strict=True))

    def _train(self, penalise: bool) -> Tensor:
        """Do the step that `number` and the learning rates describe; return its losses, named by `_names`."""
        # The joint batch depends on the seed and the number of the step alone. This process takes its share of it, in
        # parts that fit into memory. All losses are means over images, so that the weighted mean over parts, and then
        # the mean over processes, is the loss of the joint batch.
        parts, weights = self._draw_parts()

        # Generators. The discriminators stay as they are and only pass gradients on.
        self.critics.requires_grad_(False)
        losses, pairs = [], []
        for part, weight in zip(parts, weights, strict=True):
            with self.fabric.autocast():
                loss, pair = self._generator_losses(part)
            self.fabric.backward(weight * sum(loss.values()))
            losses.append(loss)
            pairs.append(pair)
        self._update(self.generator_optimiser)

        # Discriminators, on the same images, detached from the generators that made them. The penalty R1 is a
        # derivative of a derivative: in float32.
        self.critics.requires_grad_(True)
        for weight, loss, pair in zip(weights, losses, pairs, strict=True):
            with self.fabric.autocast():
                loss.update(self._critic_losses(pair))
            penalised = ("DG_L", "DG_U") if penalise else ()
            penalty = sum(gradient_energy(self.critics[n], pair[n].real, pair[n].level) for n in penalised)
            self.fabric.backward(weight * (loss["critic_F"] + loss["critic_G"] + 0.5 * self.settings.r1 * penalty))
        self._update(self.critic_optimiser)

        self.update_average()  # these weights translate later

        # Losses of the joint batch, for the log.
        self._names = list(losses[0])
        values = [torch.stack([value.detach().float() for value in loss.values()]) for loss in losses]
        return self.fabric.all_reduce(sum(weight * value for weight, value in zip(weights, values, strict=True)))

    def _generator_losses(self, part: dict[str, Batch]) -> tuple[dict[str, Tensor], dict[str, CriticPair]]:
        """Return the losses of the generators by name, and what each discriminator is to compare."""
        s, critics = self.settings, self.critics
        G, F = ({d: self.generators[f"{kind}_{d}"] for d in "LU"} for kind in "GF")
        loss: dict[str, Tensor] = {}
        pair: dict[str, CriticPair] = {}

        # Non-diffusive module: make the missing partner of each real image, and translate it back (cycle loss).
        real = {d: part[d].image for d in "LU"}  # [B, 1, crop, crop], as all images below
        partner = {"U": F["U"](real["L"]), "L": F["L"](real["U"])}
        cycled = {"L": F["L"](partner["U"]), "U": F["U"](partner["L"])}
        loss["cycle"] = s.weight_cycle * sum(l1_loss(cycled[d], real[d]) for d in "LU")
        pair.update({f"DF_{d}": CriticPair(real[d], partner[d]) for d in "LU"})

        # Identity loss of CycleGAN (arXiv 1703.10593, section 5.2): F_L leaves an image of L as it is. Where the
        # contrast is inverted it has no meaning, because no image of L could pass for one of U.
        if self.sign > 0 and s.weight_identity:
            loss["identity"] = s.weight_identity * sum(l1_loss(F[d](real[d]), real[d]) for d in "LU")

        # Diffusive module: noise the real image x_0 to level t + 1, predict it from there with its partner as the
        # condition y (L1 loss), and draw the fake x_t from the posterior given that prediction.
        l1 = []
        for d, other in ("U", "L"), ("L", "U"):
            x_0, t, noise_t, noise_next, noise_posterior, z = part[d]
            x_t = diffuse(self.schedule, x_0, t, noise_t)  # q(x_t | x_0)
            x_next = diffuse_one_step(self.schedule, x_t, t, noise_next)  # q(x_{t+1} | x_t)
            predicted = G[d](x_next, partner[other], t + 1, z)  # G(x_{t+1}, y, t + 1, z)
            fake_t = posterior(self.schedule, predicted, x_next, t + 1, t, noise_posterior)  # q(x_t | x_{t+1}, x_0)
            real_steps, fake_steps = torch.cat([x_t, x_next], 1), torch.cat([fake_t, x_next], 1)  # [B, 2, ...]
            pair[f"DG_{d}"] = CriticPair(real_steps, fake_steps, t)
            l1.append(l1_loss(predicted, x_0))
        loss["l1"] = s.weight_l1 * sum(l1)

        # Adversarial losses of both modules, in the non-saturating form -log D(fake) = softplus(-logit).
        for kind in "FG":
            both = [(critics[name], pair[name]) for name in (f"D{kind}_L", f"D{kind}_U")]
            logits = (critic(p.fake, p.level).float() for critic, p in both)  # a logit per patch
            loss[f"adversarial_{kind}"] = sum(softplus(-logit).mean() for logit in logits)
        return loss, pair

    def _critic_losses(self, pair: dict[str, CriticPair]) -> dict[str, Tensor]:
        """Return the logistic losses -log D(real) - log(1 - D(fake)) of the discriminators, and their mean logits."""
        loss = {}
        for kind in "FG":
            both = [(self.critics[name], pair[name]) for name in (f"D{kind}_L", f"D{kind}_U")]
            on_real = torch.cat([critic(p.real, p.level).float().flatten() for critic, p in both])
            on_fake = torch.cat([critic(p.fake.detach(), p.level).float().flatten() for critic, p in both])
            # Twice the mean over both domains is their sum.
            loss[f"critic_{kind}"] = 2 * (softplus(-on_real).mean() + softplus(on_fake).mean())
            loss.update({f"logit_real_{kind}": on_real.mean(), f"logit_fake_{kind}": on_fake.mean()})
        return loss

    def _draw_parts(self) -> tuple[list[dict[str, Batch]], list[float]]:
        """Return this process's parts of the joint batch, and the share of its images in each part."""
        n, most = self.settings.joint_batch, self.settings.batch
        slices = shares(n, most, self.fabric.global_rank, self.fabric.world_size)
        batch = draw(self.images, self.settings, self.draws.begin())
        parts = [{d: batch[d].part(which) for d in batch} for which in slices]
        sizes = [which.stop - which.start for which in slices]
        return parts, [size / sum(sizes) for size in sizes]

    def _update(self, optimiser: torch.optim.Optimizer) -> None:
        """Average the gradients over the processes in one all-reduce, take a step, and clear them.

        DistributedDataParallel would average them too, but it allows one forward pass per backward pass of a network.
        Here a network runs up to four times, with a second derivative for R1. Unwrapped networks also keep the names
        of their weights, so that checkpoints do not depend on the number of processes.
        """
        if self.fabric.world_size > 1:
            gradients = [p.grad for group in optimiser.param_groups for p in group["params"]]
            joint = self.fabric.all_reduce(torch.cat([g.flatten() for g in gradients]))
            for gradient, mean in zip(gradients, joint.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(mean.view_as(gradient))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def gradient_energy(critic: Discriminator, real: Tensor, level: Tensor) -> Tensor:
    """Return the squared gradient of the logits by the real x_t, as in R1 (Mescheder et al., arXiv 1801.04406).

    As published, the noisier x_{t+1} (the second channel) counts as given, and the critics of the cycle have no
    penalty. Only a few patches see a pixel. The energy is therefore divided by the number of patches, not of images:
    the penalty then does not depend on the size of the crop.
    """
    x_t, x_next = real.detach().split(1, dim=1)
    x_t.requires_grad_(True)
    # A compiled network has no second derivative: not by `__call__`.
    logits = critic.forward(torch.cat([x_t, x_next], 1), level).float()
    (gradient,) = torch.autograd.grad(logits.sum(), x_t, create_graph=True)
    return gradient.square().sum() / logits.numel()
