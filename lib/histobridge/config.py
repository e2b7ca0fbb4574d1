"""The settings of models and training, their defaults and their validation. Importing them does not import torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from importlib import resources
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError

from histobridge.errors import UserError, one_of
from histobridge.strict import Strict
from histobridge.translator_settings import CutSettings, CycleGanSettings, SynDiffSettings

CONTROLS = (
    *("none", "invert", "histogram", "invert-histogram", "histogram-blur", "invert-histogram-blur"),
    *("fourier", "invert-fourier"),
)
"""Names of the classical translators, with which every learned translator is compared."""

TRANSLATOR_CLASSES = {
    **dict.fromkeys(CONTROLS, "histobridge.translators.controls:Control"),
    "cyclegan": "histobridge.translators.cyclegan:CycleGan",
    "cut": "histobridge.translators.cut:Cut",
    "cycle": "histobridge.translators.syndiff:Cycle",
    "syndiff": "histobridge.translators.syndiff:SynDiff",
}
"""Where the class of every translator is, by name. As text, so that names can be checked without importing torch."""

TRANSLATORS = tuple(TRANSLATOR_CLASSES)
"""Names of all translators."""

LEARNED = ("cyclegan", "cut", "cycle", "syndiff")
"""Names of the translators that are trained; `cycle` comes out of the training of `syndiff`."""


MATCHED = {1: "histogram", -1: "invert-histogram"}
"""The control that gives L the contrast and the grey values of U, by the sign of the translators."""


def control_sign(name: str) -> int:
    """Return 1 or -1 if a translator is a control that keeps or inverts the contrast; 0 for all others and `none`.

    >>> control_sign("histogram"), control_sign("invert"), control_sign("none"), control_sign("cut")
    (1, -1, 0, 0)
    """
    if name not in CONTROLS or name == "none":
        return 0
    return -1 if name.startswith("invert") else 1


def of_sign(names: Iterable[str], sign: int) -> tuple[str, ...]:
    """Return the translators among `names` that make sense where the contrast is kept (sign 1) or inverted (-1).

    Of the controls these are `none` and those of that polarity; every other translator is for both.

    >>> of_sign(("none", "invert", "histogram", "invert-histogram", "syndiff"), -1)
    ('none', 'invert', 'invert-histogram', 'syndiff')
    """
    return tuple(name for name in names if control_sign(name) in (0, sign))


Polarity = Literal["auto", 1, -1]
"""The sign that translators start at: chosen by anatomy, or stated (1 keeps the contrast, -1 inverts it)."""

REFINED = "refined"
"""Name of the refined strategy, which extends the two strategies of the paper."""

MANY_SOURCES = "many-sources"
"""Name of the refined strategy without SynDiff that learns from further labelled microscopes too."""

REFINED_STRATEGIES = REFINED, MANY_SOURCES

REFERENCES = ("supervised", "reference", "reference-synthetic", "reference-refined")
"""Names of what has learned from masks of U, of other subjects: references, and no strategies."""

STRATEGIES = (
    *("pretrained", "randomised", "renormalised", "pretrained-anatomy", "adaptation", "tutorship"),
    *REFINED_STRATEGIES,
    *REFERENCES,
)
"""Names of all strategies and references, in the order of tables and figures."""


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
    randomise : bool
        Whether training crops vary widely: half of them are negatives, all are blurred at random, and grey values vary
        more. This is domain randomisation (Tobin et al., arXiv 1703.06907).
    norm : {"group", "batch"}
        How feature maps are normalised: by groups of channels of each image, or by the statistics of training crops,
        which `Segmenter.renormalised` replaces.
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
    randomise: bool = False
    norm: Literal["group", "batch"] = "group"
    save_every: int = 100

    def for_polarity(self) -> SegmenterSettings:
        """Return the settings of the polarity segmenter, which learns from crops without blank parts.

        Partly blank crops teach a segmenter that every axon has a sheath. It then finds sheaths in negatives too, and
        can no longer tell an image from its negative.
        """
        return self.model_copy(update={"blank": 0.0})


class RefinementSettings(Strict):
    """The refined strategy.

    Attributes
    ----------
    rounds, steps : int
        Rounds of self-training, and the training steps of each.
    syndiff : bool
        Whether SynDiff teaches a student in the default recipe, that of `histobridge label`. The study runs both.
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
    cyclegan, cut : CycleGanSettings, CutSettings
    """

    translator: SynDiffSettings
    segmenter: SegmenterSettings
    student_steps: int = Field(300, ge=1)
    polarity_segmenter: SegmenterSettings | None = None
    refinement: RefinementSettings = RefinementSettings()
    cyclegan: CycleGanSettings = CycleGanSettings()
    cut: CutSettings = CutSettings()

    @property
    def learned(self) -> dict[str, Strict]:
        """Settings of the translators that are trained, by name."""
        return {"syndiff": self.translator, "cyclegan": self.cyclegan, "cut": self.cut}

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
