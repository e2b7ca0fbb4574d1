"""How near is a translation to the truth? On drawn tissue it is known: two instruments see the same tissue.

A translator learns from unpaired drawn images of two modalities. It is then asked for the other modality of tissue that
was drawn in both. No mask of any target is needed, so that the size and the losses of SynDiff can be chosen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge.cache import Cache
from histobridge.config import SynDiffSettings, of_sign
from histobridge.errors import one_of
from histobridge.metrics.reconstruction import l1, psnr, ssim
from histobridge.phantom import draw_geometry, render
from histobridge.strategies.cached import fit_translator
from histobridge.translators import Control, Cycle, SynDiff, Translator

IMAGES, PAIRS = 10, 4
"""Number of drawn images from which each domain is learned, and of tissues that are drawn in both."""
FIRST_OF_U, FIRST_OF_PAIRS = 1000, 2000
"""Tissues of L are numbered from 0, those of U and those drawn in both from here on: none is drawn twice."""
SIGNS = {"sem": -1, "bf": 1, "tem-other": 1}
"""The polarity of each modality against TEM."""
VARIANTS: dict[str, dict] = {
    "compact": {},
    "G with the shortcut": {"condition_shortcut": True},
    "600 steps": {"steps": 600},
    "random start of F": {"start_f": "random"},
    "cycle 2, L1 1": {"weight_cycle": 2.0, "weight_l1": 1.0},
    "identity term 4": {"weight_identity": 4.0},
    "8 crops of 64 px": {"crop": 64, "batch": 8},
    "width 24": {"width": 24, "cycle_width": 24, "critic_width": 24},
    "published rates": {"lr_generator": 1.6e-4, "lr_critic": 1e-4},
}
"""What may be changed in the settings of SynDiff, one thing at a time."""
MEASURES = {"l1": l1, "psnr": psnr, "ssim": ssim}


class DrawnDomains(NamedTuple):
    """Images float32 [H, W] in 0..1: unpaired ones of L and U to learn from, and pairs (L, U) of the same tissue."""

    source: list[np.ndarray]
    target: list[np.ndarray]
    pairs: list[tuple[np.ndarray, np.ndarray]]


def drawn_domains(modality: str, *, images: int = IMAGES, pairs: int = PAIRS, side: int = 256) -> DrawnDomains:
    """Draw TEM as L and another modality of `SIGNS` as U; images have `side` px."""
    one_of("modality", modality, SIGNS)

    def seen(by: str, first: int, number: int) -> list[np.ndarray]:
        return [render(draw_geometry(tissue, (side, side)), by, tissue) for tissue in range(first, first + number)]

    both = (seen(by, FIRST_OF_PAIRS, pairs) for by in ("tem", modality))
    return DrawnDomains(seen("tem", 0, images), seen(modality, FIRST_OF_U, images), list(zip(*both, strict=True)))


def fitted_controls(drawn: DrawnDomains, modality: str) -> dict[str, Control]:
    """Return the controls of the right polarity that need no training, by name."""
    names = of_sign(("none", "invert", "histogram", "invert-histogram", "fourier", "invert-fourier"), SIGNS[modality])
    controls = {name: Control(name) for name in names}
    for control in controls.values():
        control.fit(drawn.source, drawn.target)
    return controls


def trained_variant(
    variant: str, settings: SynDiffSettings, drawn: DrawnDomains, modality: str, folder: Path, *, seed: int = 0
) -> tuple[dict[str, Translator], pd.DataFrame]:
    """Train SynDiff with one of `VARIANTS`, or recall it from a folder.

    Returns
    -------
    translators : dict
        `syndiff` and its `cycle` generators.
    losses : DataFrame
        Of every step.
    """
    changed = settings.model_copy(update=VARIANTS[one_of("variant", variant, VARIANTS)])
    syndiff = SynDiff(changed, sign=SIGNS[modality], seed=seed)
    syndiff, losses = fit_translator(Cache(folder), syndiff, drawn.source, drawn.target)
    return {"cycle": Cycle.of(syndiff), "syndiff": syndiff}, losses


def distances(translators: Mapping[str, Translator], drawn: DrawnDomains) -> pd.DataFrame:
    """Return how far translations are from the truth.

    Returns
    -------
    DataFrame
        One row a translator, direction and tissue: `l1`, `psnr` and `ssim` between translation and truth.
    """
    rows = [
        {"translator": name, "direction": direction, "tissue": number}
        | {measure: of(truth, translator.translate(image, direction[-1])) for measure, of in MEASURES.items()}
        for name, translator in translators.items()
        for number, (of_l, of_u) in enumerate(drawn.pairs)
        for direction, image, truth in (("L->U", of_l, of_u), ("U->L", of_u, of_l))
    ]
    return pd.DataFrame(rows)


def compare_variants(
    variants: Iterable[str], settings: SynDiffSettings, modality: str, folder: Path, *, seed: int = 0
) -> pd.DataFrame:
    """Train variants on one modality, and return their `distances` and those of the controls (variant `control`).

    The column `minutes` is the time of the training, and `logit_gap_G` and `logit_gap_F` are by how much the mean logit
    of the critics is higher for real images than for translations, over the last tenth of the steps.
    """
    drawn = drawn_domains(modality)
    tables = [distances(fitted_controls(drawn, modality), drawn).assign(variant="control")]
    for variant in variants:
        translators, losses = trained_variant(variant, settings, drawn, modality, folder, seed=seed)
        last = losses.tail(max(1, len(losses) // 10)).mean()
        gaps = {f"logit_gap_{kind}": last[f"logit_real_{kind}"] - last[f"logit_fake_{kind}"] for kind in "FG"}
        minutes = losses["seconds"].iloc[-1] / 60
        tables.append(distances(translators, drawn).assign(variant=variant, minutes=minutes, **gaps))
    return pd.concat(tables, ignore_index=True).assign(modality=modality, seed=seed)


def variant_overview(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over tissues, directions and modalities of what `compare_variants` measured."""
    keys = ["variant", "translator"]
    measured = [*MEASURES, "logit_gap_F", "logit_gap_G", "minutes"]
    return rows.groupby(keys, sort=False)[measured].mean().reset_index()
