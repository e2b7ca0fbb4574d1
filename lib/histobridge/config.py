"""The numbers that a profile of study.yaml may set, and their defaults. No network, and no torch, comes with them.

Planning a study, showing help and writing job scripts need the numbers alone, and should not wait for torch.
"""

from __future__ import annotations

from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from histobridge.errors import UserError, one_of

YOUNGER = ("histogram-blur", "invert-histogram-blur")
"""Controls that came when runs had been published. A run without them stays valid, since they change no other row."""
CONTROLS = ("none", "invert", "histogram", "invert-histogram", *YOUNGER)
TRANSLATORS = (*CONTROLS, "cycle", "syndiff")
REFINED = "refined"
"""The strategy that goes beyond the paper; `refinement.py` says what it is."""


class Strict(BaseModel):
    """Frozen, and an unknown field is a mistake rather than ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SynDiffSettings(Strict):
    """The size of SynDiff and its training; the defaults suit two CPU cores.

    A step takes `accumulate` times `batch` images; `batch` is what a device holds at once.
    """

    steps: int = 600
    crop: int = 64
    batch: int = Field(8, ge=1)
    # Dumped only where they differ from what was done before they existed: older runs and checkpoints still fit.
    accumulate: int = Field(1, ge=1, exclude_if=lambda value: value == 1)
    decay: Literal["linear", "cosine"] = Field("linear", exclude_if=lambda value: value == "linear")
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
    weight_identity: float = Field(4.0, ge=0)  # where the contrast is kept, else 0
    r1: float = 0.08
    r1_every: int = 8
    ema: float = 0.998
    save_every: int = 50

    @property
    def joint_batch(self) -> int:
        """Images a step."""
        return self.batch * self.accumulate


class SegmenterSettings(Strict):
    """Size and training of the segmenter; the defaults suit two CPU cores.

    `stem` x `stem` pixels are folded into channels before the U-Net and unfolded behind it: half the cost, and twice
    the field of view, which tells an axon from background of the same grey. `blank` is the share of training crops
    in which a part is painted over with one grey and called background: an even area is no axon without a sheath.
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
        """Return the settings of a segmenter that is asked about polarity: it learns from whole crops only.

        From partly blank crops a segmenter learns that there is no axon without a sheath, and then finds sheaths in
        negatives too. A segmenter that is to tell an image from its negative must not.
        """
        return self.model_copy(update={"blank": 0.0})


class RefinementSettings(Strict):
    """Self-training of strategy `refined`: how many rounds, and how many steps each."""

    rounds: int = Field(2, ge=0)
    steps: int = Field(400, ge=1)


class TrainingProfile(Strict):
    """How much is spent on the models: their settings under one name.

    Attributes
    ----------
    translator : SynDiffSettings
    segmenter : SegmenterSettings
        Of the segmenter of L.
    student_steps : int
        Students continue from the weights of that segmenter for so many steps.
    polarity_segmenter : SegmenterSettings, optional
        Of the segmenter that is asked about polarity; by default `segmenter.for_polarity()`.
    refinement : RefinementSettings
    """

    translator: SynDiffSettings
    segmenter: SegmenterSettings
    student_steps: int = Field(300, ge=1)
    polarity_segmenter: SegmenterSettings | None = None
    refinement: RefinementSettings = RefinementSettings()

    @property
    def for_polarity(self) -> SegmenterSettings:
        """The settings of the segmenter that is asked about polarity."""
        return self.polarity_segmenter or self.segmenter.for_polarity()


def training_profiles() -> dict[str, dict]:
    """Return the settings in `profiles.yaml` by profile, as plain numbers."""
    return yaml.safe_load(resources.files("histobridge").joinpath("profiles.yaml").read_text(encoding="utf-8"))


def training_profile(name: str) -> TrainingProfile:
    """Return a profile of `profiles.yaml`; a `UserError` lists the valid names."""
    profiles = training_profiles()
    return validated(TrainingProfile, profiles[one_of("profile", name, profiles)], f"The profile '{name}'")


def validated(model: type[Strict], values: dict, name: str):
    """Return the model made of values; a `UserError` names the first that is wrong, and what `name` they stand in."""
    try:
        return model(**values)
    except ValidationError as error:
        fault = min(error.errors(), key=lambda f: f["type"] != "extra_forbidden")  # a typing error explains the rest
        where = ".".join(map(str, fault["loc"]))
        known = f" Known names: {', '.join(model.model_fields)}." if len(fault["loc"]) == 1 else ""
        raise UserError(f"{name}: '{where}': {fault['msg']}.{known}") from error
