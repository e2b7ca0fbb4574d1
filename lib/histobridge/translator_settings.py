"""Settings of the translators that are trained: SynDiff, CycleGAN and CUT."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from histobridge.strict import Strict


class SynDiffSettings(Strict):
    """Size and training of SynDiff; the defaults suit two CPU cores.

    Attributes
    ----------
    steps : int
        Training steps.
    crop : int
        Side of a training crop, px.
    batch : int
        Images that a device holds at once.
    accumulate : int
        Batches whose gradients are summed in one step: a step takes `accumulate * batch` images of either domain.
    decay : {"linear", "cosine"}
        How the learning rates fall (see `training.loop.DECAYS`).
    diffusion_steps : int
        Steps T from image to noise.
    sampling_steps : int, optional
        Steps in which an image is translated, at most T; by default T. It does not matter to training.
    beta_min, beta_max : float
        Noise rates of the variance-preserving schedule at its two ends.
    width, multipliers, blocks : int, tuple of int, int
        Diffusive generator: channels, their factor at each level, residual blocks per level.
    attention : tuple of int
        Levels of the diffusive generator with self-attention; 0 is the finest.
    stem : int
        Every network folds `stem` x `stem` px into channels before its first convolution.
    latent, embedding : int
        Length of the latent z, and of the embedding of noise level and latent.
    cycle_width, cycle_multipliers : int, tuple of int
        Non-diffusive generator: channels, and their factor at each level.
    critic_width, critic_multipliers : int, tuple of int
        Discriminators: channels, and their factor at each level.
    lr_generator, lr_critic : float
        Initial learning rates.
    weight_l1, weight_cycle, weight_identity : float
        Weights of the L1, cycle and identity losses. The identity loss applies only where the contrast is kept.
    r1, r1_every : float, int
        Weight of the R1 penalty, and the interval in steps at which it is added.
    ema : float
        Decay of the exponential moving average of the generators' weights, per step.
    start_f : {"identity", "random"}
        Start of the non-diffusive generators: plus or minus the identity, by the polarity that anatomy has chosen, or
        random weights, as published. Only the first cannot flip the contrast; the other relies on the check afterwards.
    condition_shortcut : bool
        Whether the diffusive generators add plus or minus their condition to their output. It is not published. With it
        they start as the exact inverse of the cycle generators, and their discriminators have nothing to tell apart.
    compile : bool
        Whether a card compiles the networks: that takes minutes once, and makes each step faster.
    save_every : int
        Steps between checkpoints.
    """

    steps: int = 300
    crop: int = 96
    batch: int = Field(4, ge=1)
    accumulate: int = Field(1, ge=1)
    decay: Literal["linear", "cosine"] = "linear"
    diffusion_steps: int = 4
    sampling_steps: int | None = Field(None, ge=1)
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
    weight_l1: float = 0.5
    weight_cycle: float = 0.5
    weight_identity: float = Field(0.0, ge=0)
    r1: float = 0.08
    r1_every: int = 8
    ema: float = 0.998
    start_f: Literal["identity", "random"] = "identity"
    condition_shortcut: bool = False
    compile: bool = False
    save_every: int = 50

    @field_validator("sampling_steps")
    @classmethod
    def _no_more_than_all(cls, steps: int | None, info: ValidationInfo) -> int | None:
        if steps is not None and steps > info.data.get("diffusion_steps", steps):
            raise ValueError(f"{steps} sampling steps are more than the {info.data['diffusion_steps']} diffusion steps")
        return steps

    @property
    def joint_batch(self) -> int:
        """Images of either domain per step."""
        return self.batch * self.accumulate

    def of_training(self) -> dict:
        """Return, as plain values, the settings that decide the weights."""
        return self.model_dump(mode="json", exclude={"sampling_steps"})


class GanSettings(Strict):
    """Size and training that CycleGAN and CUT share; the defaults suit two CPU cores.

    Attributes
    ----------
    steps : int
        Training steps.
    crop, batch : int
        Side of a training crop (px), and crops of either domain per step.
    decay : {"linear", "cosine"}
        How the learning rate falls (see `training.loop.DECAYS`).
    width, multipliers, blocks : int, tuple of int, int
        Generator: channels, their factor at each level, residual blocks per level.
    stem : int
        Every network folds `stem` x `stem` px into channels before its first convolution.
    critic_width, critic_multipliers : int, tuple of int
        Critics: channels, and their factor at each level.
    lr : float
        Initial learning rate of generators and critics.
    weight_identity : float
        Weight of the identity term, which applies only where the contrast is kept.
    ema : float
        Decay of the exponential moving average of the generators' weights, per step.
    save_every : int
        Steps between checkpoints.
    """

    steps: int = Field(540, ge=1)
    crop: int = 64
    batch: int = Field(8, ge=1)
    decay: Literal["linear", "cosine"] = "linear"
    width: int = 32
    multipliers: tuple[int, ...] = (1, 2, 3)
    blocks: int = 1
    stem: int = 2
    critic_width: int = 32
    critic_multipliers: tuple[int, ...] = (1, 2, 3)
    lr: float = 3e-4
    weight_identity: float = Field(0.0, ge=0)
    ema: float = 0.998
    save_every: int = 50

    def of_training(self) -> dict:
        """Return, as plain values, the settings that decide the weights: all of them."""
        return self.model_dump(mode="json")


class CycleGanSettings(GanSettings):
    """Of CycleGAN (Zhu et al., arXiv 1703.10593), with the published weights.

    Attributes
    ----------
    weight_cycle : float
        Weight of the L1 distance between an image and its round trip.
    """

    weight_cycle: float = Field(10.0, ge=0)
    weight_identity: float = Field(5.0, ge=0)


class CutSettings(GanSettings):
    """Of CUT (Park et al., arXiv 2007.15651), with the published weights and temperature.

    Attributes
    ----------
    weight_nce : float
        Weight of the contrastive loss between the patches of an image and of its translation.
    temperature : float
        By which similarities are divided before the softmax.
    patches : int
        Places of an image that are compared at each layer, at most.
    projection : int
        Channels of the two layers that features pass through before they are compared (published: 256).
    """

    steps: int = Field(480, ge=1)
    weight_nce: float = Field(1.0, ge=0)
    weight_identity: float = Field(1.0, ge=0)
    temperature: float = Field(0.07, gt=0)
    patches: int = Field(256, ge=2)
    projection: int = 64
