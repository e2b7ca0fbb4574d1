"""The parameters of the tour, the tissue that it draws, and the table of Dice that it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field

from histobridge.config import SegmenterSettings, Strict, SynDiffSettings
from histobridge.metrics import mean_dice
from histobridge.phantom import phantom
from histobridge_study.parameters import parameters_of


class Drawn(NamedTuple):
    """The images of one animal, float32 [H, W] in 0..1, and their exact masks, uint8 [H, W]."""

    images: list[np.ndarray]
    masks: list[np.ndarray]

    @property
    def examples(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Pairs of an image and its mask."""
        return list(zip(self.images, self.masks, strict=True))


class Tour(Strict):
    """The parameters of notebook 00. Budgets are training steps; `side` and crops are pixels of `um_per_px`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seed: int = Field(0, ge=0)
    images: int = Field(6, ge=2)
    side: int = Field(160, ge=64, multiple_of=32)  # the networks halve it, and it is cut into tiles of 32 px
    um_per_px: float = Field(0.1, gt=0, le=0.4)
    segmenter_steps: int = Field(250, ge=1)
    translator_steps: int = Field(200, ge=1)
    student_steps: int = Field(150, ge=1)

    def draw(self, modality: str, *, animal: int) -> Drawn:
        """Draw the images of one animal; every animal has its own tissue, in any modality."""
        first = 10_000 * self.seed + 100 * animal
        pairs = [phantom(modality, first + n, (self.side, self.side), self.um_per_px) for n in range(self.images)]
        return Drawn([image for image, _ in pairs], [mask for _, mask in pairs])

    @property
    def segmenter(self) -> SegmenterSettings:
        """A small segmenter. It also judges polarity, and therefore learns without `blank` crops."""
        return SegmenterSettings(steps=self.segmenter_steps, crop=64, widths=(16, 16, 32, 32, 64, 16), blank=0)

    @property
    def syndiff(self) -> SynDiffSettings:
        """A small SynDiff."""
        return SynDiffSettings(
            steps=self.translator_steps,
            crop=64,
            batch=4,
            multipliers=(1, 2),
            critic_multipliers=(1, 2),
        )


def open_tour(parameters: dict) -> Tour:
    """Check the parameters of notebook 00, `globals()` in a notebook, and return them.

    Raises
    ------
    UserError
        If one is unknown, of the wrong type or out of range.
    """
    return parameters_of(parameters, Tour, opened="tour")


def mean_dice_table(labels: Mapping[str, Sequence[np.ndarray]], truth: Sequence[np.ndarray]) -> pd.DataFrame:
    """Return the mean Dice of axon and myelin over images, 0..1, one row per method.

    Parameters
    ----------
    labels : mapping of str to sequence of ndarray
        Predicted class masks uint8 [H, W] by method, one per image.
    truth : sequence of ndarray
        True masks of the same images.

    Examples
    --------
    >>> mask = np.array([[0, 1, 2]], dtype=np.uint8)
    >>> mean_dice_table({"perfect": [mask]}, [mask]).loc["perfect"].tolist()
    [1.0, 1.0]
    """
    return pd.DataFrame({name: mean_dice(zip(truth, masks, strict=True)) for name, masks in labels.items()}).T
