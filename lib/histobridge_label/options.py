"""What the label tool is told about the labelled source and the training."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from histobridge.config import Polarity, TrainingProfile, training_profile

PUBLIC_SOURCES = ("tem", "sem", "tem-pns", "bf")
"""Names of the public labelled sets, which the command line takes by default; the first is L."""


class LabelOptions(NamedTuple):
    """The labelled source, and how much is spent on training.

    Attributes
    ----------
    source : str
        A dataset with masks; `phantom` is drawn, and a toy.
    source_manifest : Path, optional
        Of other labelled images, whose files lie in `data`/NAME; they take the place of `source`.
    further : tuple of str
        Further datasets with masks, from which the students learn too.
    profile : str
        Of profiles.yaml.
    work_at : float, optional
        Pixel size (µm/px) at which the images are like those of the source; suggested by default.
    seed : int
    polarity : {"auto", 1, -1}
        Whether the images have the contrast of the source (1) or the opposite one; chosen by anatomy by default.
    translate : bool, optional
        Whether SynDiff learns to translate and teaches a student; by default as in the profile.
    data, mirror : Path
        The folder of the datasets, and one that missing files may be copied from.
    """

    source: str = "tem"
    source_manifest: Path | None = None
    profile: str = "cpu"
    work_at: float | None = None
    seed: int = 0
    polarity: Polarity = "auto"
    data: Path = Path("data")
    mirror: Path | None = None
    translate: bool | None = None
    further: tuple[str, ...] = ()

    @property
    def training(self) -> TrainingProfile:
        """The settings of training; a `UserError` lists the profiles if there is none of that name."""
        profile = training_profile(self.profile)
        if self.translate is None:
            return profile
        refinement = profile.refinement.model_copy(update={"syndiff": self.translate})
        return profile.model_copy(update={"refinement": refinement})
