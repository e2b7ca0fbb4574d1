"""The settings of models and training, their defaults and their validation. Importing them does not import torch."""

from __future__ import annotations

import re
from datetime import date
from importlib import resources
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from histobridge.errors import UserError, one_of

CONTROLS = ("none", "invert", "histogram", "invert-histogram", "histogram-blur", "invert-histogram-blur")
"""Names of the classical translators, with which every learned translator is compared."""

TRANSLATOR_CLASSES = {
    **dict.fromkeys(CONTROLS, "histobridge.translators.controls:Control"),
    "cycle": "histobridge.translators.syndiff:Cycle",
    "syndiff": "histobridge.translators.syndiff:SynDiff",
}
"""Where the class of every translator is, by name. As text, so that names can be checked without importing torch."""

TRANSLATORS = tuple(TRANSLATOR_CLASSES)
"""Names of all translators."""

Polarity = Literal["auto", 1, -1]
"""The sign that translators start at: chosen by anatomy, or stated (1 keeps the contrast, -1 inverts it)."""

REFINED = "refined"
"""Name of the refined strategy, which extends the two strategies of the paper."""


LONGEST_NAME = 100
"""Letters of a `Name`."""


def checked_name(name: str) -> str:
    """Return a name that may be that of a folder on any system, and stand in a command; else raise ValueError.

    >>> checked_name("tem-pns_2.1")
    'tem-pns_2.1'
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"the name {name!a:.120} cannot be used: take at most {LONGEST_NAME} letters, digits, '.', '_' and '-', "
            "of which the first is a letter or digit"
        )
    return name


Name = Annotated[str, AfterValidator(checked_name)]
"""Of a dataset, pair or profile: it becomes part of paths, commands and pages."""


class Strict(BaseModel):
    """A frozen model that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    compile : bool
        Whether a card compiles the networks: that takes minutes once, and makes each step faster.
    save_every : int
        Steps between checkpoints.
    """

    steps: int = 600
    crop: int = 64
    batch: int = Field(8, ge=1)
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
    weight_l1: float = 1.0
    weight_cycle: float = 2.0
    weight_identity: float = Field(4.0, ge=0)
    r1: float = 0.08
    r1_every: int = 8
    ema: float = 0.998
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


class SegmenterSettings(Strict):
    """Size and training of the segmenter; the defaults suit two CPU cores.

    Attributes
    ----------
    steps : int
        Training steps.
    crop : int
        Side of a training crop, px.
    batch : int
        Crops per step.
    stem : int
        The network folds `stem` x `stem` px into channels before the U-Net and unfolds them after it. A stem of 2 costs
        half as much as 1 and doubles the field of view, which helps to tell an axon from background of the same grey.
    widths : tuple of six int
        Channels of MONAI's BasicUNet.
    lr : float
        Initial learning rate.
    zoom : tuple of float
        Range from which the magnification of the training crops is drawn.
    blank : float
        Share of training crops in which a blob is painted over with one grey and labelled as background.
    save_every : int
        Steps between checkpoints.
    """

    steps: int = 300
    crop: int = 128
    batch: int = 8
    stem: int = 2
    widths: tuple[int, int, int, int, int, int] = (32, 32, 64, 64, 128, 32)
    lr: float = 2e-3
    zoom: tuple[float, float] = (0.7, 1.4)
    blank: float = Field(0.5, ge=0, le=1)
    save_every: int = 100

    def for_polarity(self) -> SegmenterSettings:
        """Return the settings of the polarity segmenter, which learns from crops without blank parts.

        Partly blank crops teach a segmenter that every axon has a sheath. It then finds sheaths in negatives too, and
        can no longer tell an image from its negative.
        """
        return self.model_copy(update={"blank": 0.0})


class RefinementSettings(Strict):
    """Training of the refined strategy.

    Attributes
    ----------
    rounds : int
        Of self-training.
    steps : int
        Training steps of each round.
    syndiff : bool
        Whether SynDiff teaches a student in the default recipe.
    """

    rounds: int = Field(2, ge=0)
    steps: int = Field(400, ge=1)
    syndiff: bool = False


class TrainingProfile(Strict):
    """Settings of all models that are trained together.

    Attributes
    ----------
    translator : SynDiffSettings
    segmenter : SegmenterSettings
        Segmenter of L.
    student_steps : int
        Steps for which students continue from the weights of that segmenter.
    polarity_segmenter : SegmenterSettings, optional
        Segmenter that decides the polarity; by default `segmenter.for_polarity()`.
    refinement : RefinementSettings
    """

    translator: SynDiffSettings
    segmenter: SegmenterSettings
    student_steps: int = Field(300, ge=1)
    polarity_segmenter: SegmenterSettings | None = None
    refinement: RefinementSettings = RefinementSettings()

    @property
    def for_polarity(self) -> SegmenterSettings:
        """Settings of the segmenter that decides the polarity."""
        return self.polarity_segmenter or self.segmenter.for_polarity()


def training_profiles() -> dict[str, dict]:
    """Return the profiles of `profiles.yaml` by name, as plain numbers."""
    return yaml.safe_load(resources.files("histobridge").joinpath("profiles.yaml").read_text(encoding="utf-8"))


def training_profile(name: str) -> TrainingProfile:
    """Return a profile of `profiles.yaml`; a `UserError` lists the valid names."""
    profiles = training_profiles()
    return validated(TrainingProfile, profiles[one_of("profile", name, profiles)], f"The profile '{name}'")


def validated(model: type[Strict], values: dict, name: str):
    """Return a `model` made of `values`.

    Parameters
    ----------
    model : type of Strict
    values : dict
        The fields of the model.
    name : str
        Where the values come from, such as a file name; the error message starts with it.

    Raises
    ------
    UserError
        If a value is wrong; the message names the first one.
    """
    try:
        return model(**values)
    except ValidationError as error:
        fault = min(error.errors(), key=lambda f: f["type"] != "extra_forbidden")  # a misspelt name explains the rest
        where = ".".join(map(str, fault["loc"]))
        known = f" Known names: {', '.join(model.model_fields)}." if len(fault["loc"]) == 1 else ""
        unquoted = fault["type"] == "string_type" and isinstance(fault["input"], int | date)  # YAML reads `no` as False
        message = fault["msg"].removeprefix("Value error, ") + (": write it in quotes" if unquoted else "")
        raise UserError(f"{name}: '{where}': {message}.{known}") from error
