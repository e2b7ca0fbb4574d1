"""The lesson's parameters, the animals it draws, and the few numbers that its tables show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field

from histobridge.config import SegmenterSettings, Strict, SynDiffSettings, validated
from histobridge.metrics.overlap import mean_dice
from histobridge.metrics.review import errors_per_tile
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge_study.config import ROOT
from histobridge_study.parameters import fresh

PUBLISHED = {"axon": "0.736 ± 0.005", "myelin": "0.652 ± 0.005"}
"""Tutorship with SynDiff on SEM as published (arXiv 2412.02858), on its own TEM and its own split of SEM."""
ROWS = (
    ("none", "pretrained"),
    ("invert", "adaptation"),
    ("invert", "tutorship"),
    ("syndiff", "adaptation"),
    ("syndiff", "tutorship"),
)


class Drawn(NamedTuple):
    """What one animal gives: images float32 [H, W] in 0..1, and their exact masks uint8 [H, W]."""

    images: list[np.ndarray]
    masks: list[np.ndarray]


class Tour(Strict):
    """The parameters of notebook 00. All budgets are steps; `side` and crops are pixels of `um_per_px`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    seed: int = Field(0, ge=0)
    images: int = Field(6, ge=2)
    side: int = Field(160, ge=64, multiple_of=32)  # halved so often, and cut in tiles of 32
    um_per_px: float = Field(0.1, gt=0, le=0.4)
    segmenter_steps: int = Field(250, ge=1)
    translator_steps: int = Field(200, ge=1)
    student_steps: int = Field(150, ge=1)

    def draw(self, modality: str, *, animal: int) -> Drawn:
        """Draw the images of one animal; another animal has other tissue, in any modality."""
        first = 10_000 * self.seed + 100 * animal
        pairs = [phantom(modality, first + n, (self.side, self.side), self.um_per_px) for n in range(self.images)]
        return Drawn([image for image, _ in pairs], [mask for _, mask in pairs])

    @property
    def segmenter(self) -> SegmenterSettings:
        """A segmenter small enough for a lesson; it judges polarity too, and so learns without `blank` crops.

        `strategies.polarity_judge` says why.
        """
        return SegmenterSettings(steps=self.segmenter_steps, crop=64, widths=(16, 16, 32, 32, 64, 16), blank=0)

    @property
    def syndiff(self) -> SynDiffSettings:
        """A SynDiff small enough for a lesson, with the published losses alone: no identity term helps either start."""
        return SynDiffSettings(
            steps=self.translator_steps, batch=4, multipliers=(1, 2), critic_multipliers=(1, 2), weight_identity=0
        )


def open_tour(parameters: dict) -> Tour:
    """Check the parameters of notebook 00, `globals()` in a notebook, and return them.

    Raises
    ------
    UserError
        If one is unknown, of the wrong type or out of range.
    """
    return validated(Tour, fresh(parameters, "tour", Tour), "The parameters")


def go_on(start: Segmenter, images: Sequence[np.ndarray], masks: Sequence[np.ndarray], *, steps: int) -> Segmenter:
    """Return a student: a segmenter that goes on from the weights of `start`, on other images [H, W] with masks."""
    student = start.warm_start(seed=start.seed, steps=steps)
    student.fit(list(images), list(masks), name="student")
    return student


def dice_table(labels: Mapping[str, Sequence[np.ndarray]], truth: Sequence[np.ndarray]) -> pd.DataFrame:
    """Return Dice of axon and myelin, 0..1, on the mean over images.

    Parameters
    ----------
    labels : mapping of str to sequence of ndarray
        By name of the way: predicted class masks uint8 [H, W], one an image.
    truth : sequence of ndarray
        The true masks of the same images.

    Examples
    --------
    >>> mask = np.array([[0, 1, 2]], dtype=np.uint8)
    >>> dice_table({"perfect": [mask]}, [mask]).loc["perfect"].tolist()
    [1.0, 1.0]
    """
    found = {method: mean_dice(zip(truth, masks, strict=True)) for method, masks in labels.items()}
    return pd.DataFrame(found).T


def final_losses(history: pd.DataFrame) -> dict[str, float]:
    """Return what SynDiff's training ends at: the means over the last quarter of its steps.

    Parameters
    ----------
    history : DataFrame
        Of `SynDiff.fit`. F are the generators of the cycle, G the diffusive ones.
    """
    last = history.tail(max(1, len(history) // 4)).mean()
    names = {
        "cycle": "cycle L1",
        "l1": "L1 of guessed image",
        "adversarial_F": "fooling critics, F",
        "adversarial_G": "fooling critics, G",
        "critic_F": "critics of F",
        "critic_G": "critics of G",
    }
    return {title: float(last[name]) for name, title in names.items()}


def errors_found(order: pd.DataFrame, wrong: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return a review order with the `wrong` pixels in each tile, and the share of all that is `found` up to there.

    Parameters
    ----------
    order : DataFrame
        Of `uncertainty.review_order`, on images whose sides are multiples of the tiles', so that no tiles overlap.
    wrong : mapping of str to ndarray
        bool [H, W] by image.
    """
    table = order.assign(wrong=errors_per_tile(order, wrong).astype(int))
    return table.assign(found=table["wrong"].cumsum() / max(1, table["wrong"].sum()))


def real_results(pair: str = "tem-sem") -> pd.DataFrame:
    """Return Dice on real images, from this repository's published table, beside the published study's headline.

    Each entry is mean ± SD over five folds, with the 95 % bootstrap interval where it was computed here.
    """
    table = pd.read_csv(ROOT / "reports" / "table1.csv").query("pair == @pair and protocol == 'transductive'")
    table = table.set_index(["translator", "strategy"]).loc[list(ROWS), ["axon", "myelin"]]
    table.index = [f"{strategy}, {translator}" for translator, strategy in table.index]
    if pair == "tem-sem":
        table.loc["tutorship, SynDiff, as published"] = PUBLISHED
    return table
