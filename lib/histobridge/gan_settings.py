"""Settings of the translators that are one generator a direction, trained against one critic a domain."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from histobridge.strict import Strict


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

    steps: int = Field(780, ge=1)
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

    steps: int = Field(720, ge=1)
    weight_nce: float = Field(1.0, ge=0)
    weight_identity: float = Field(1.0, ge=0)
    temperature: float = Field(0.07, gt=0)
    patches: int = Field(256, ge=2)
    projection: int = 64
