"""How near is a translation to the truth? On drawn tissue it is known: both instruments see the same tissue.

A translator learns from unpaired drawn images of two modalities. It is then asked for the other modality of tissue that
was drawn in both. This needs no mask of any target, so that the size and the weights of SynDiff can be chosen here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge.config import SynDiffSettings
from histobridge.metrics.reconstruction import l1, psnr, ssim
from histobridge.phantom import draw_geometry, render
from histobridge.translators import Control, Cycle, SynDiff, Translator

IMAGES, PAIRS = 10, 4
"""Number of drawn images from which each domain is learned, and of tissues that are drawn in both."""
FIRST_OF_U, FIRST_OF_PAIRS = 1000, 2000
"""Tissues of L are numbered from 0, those of U and those drawn in both from here on: none is drawn twice."""
SIGNS = {"sem": -1, "bf": 1, "tem-other": 1}
"""The polarity of each modality against TEM."""
MEASURES = {"l1": l1, "psnr": psnr, "ssim": ssim}


class Drawn(NamedTuple):
    """Images float32 [H, W] in 0..1: unpaired ones of L and U to learn from, and pairs of the same tissue."""

    source: list[np.ndarray]
    target: list[np.ndarray]
    pairs: list[tuple[np.ndarray, np.ndarray]]


def drawn_domains(modality: str, *, images: int = IMAGES, pairs: int = PAIRS, side: int = 256) -> Drawn:
    """Draw TEM as L and another modality as U."""
    seen = lambda name, number: render(draw_geometry(number, (side, side)), name, number)  # noqa: E731
    numbers = range(FIRST_OF_PAIRS, FIRST_OF_PAIRS + pairs)
    return Drawn(
        [seen("tem", number) for number in range(images)],
        [seen(modality, number) for number in range(FIRST_OF_U, FIRST_OF_U + images)],
        [(seen("tem", number), seen(modality, number)) for number in numbers],
    )


def controls(drawn: Drawn, modality: str) -> dict[str, Control]:
    """Return the control without training of the right polarity, and the one with matched greys."""
    names = ("none", "histogram") if SIGNS[modality] > 0 else ("invert", "invert-histogram")
    found = {name: Control(name) for name in names}
    for control in found.values():
        control.fit(drawn.source, drawn.target)
    return found


def train(settings: SynDiffSettings, drawn: Drawn, modality: str, *, seed: int = 0, **options) -> tuple[dict, pd.DataFrame]:
    """Train SynDiff; return it with its cycle generators by name, and the losses of every step."""
    syndiff = SynDiff(settings, sign=SIGNS[modality], seed=seed)
    losses = syndiff.fit(drawn.source, drawn.target, **options)
    return {"cycle": Cycle.of(syndiff), "syndiff": syndiff}, losses


def distances(translators: Mapping[str, Translator], drawn: Drawn) -> pd.DataFrame:
    """Return how far translations are from the truth: one row a translator, direction and tissue."""
    rows = [
        {"translator": name, "direction": direction, "tissue": number}
        | {measure: of(truth, translator.translate(image, direction[-1])) for measure, of in MEASURES.items()}
        for name, translator in translators.items()
        for number, (of_l, of_u) in enumerate(drawn.pairs)
        for direction, image, truth in (("L->U", of_l, of_u), ("U->L", of_u, of_l))
    ]
    return pd.DataFrame(rows)
