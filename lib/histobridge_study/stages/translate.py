"""Stage 02: train the translators, translate both domains, and score the translations."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from histobridge.data.datasets import Sample
from histobridge.io.files import write_table
from histobridge.metrics.reconstruction import l1, psnr, ssim
from histobridge.metrics.translation_checks import offset_px, seam
from histobridge.strategies import TranslatorRecipe, cached
from histobridge.strategies.cached import CachedTranslator
from histobridge.training.map_images import map_images
from histobridge.training.sliding_window import window_borders
from histobridge.translators import load_translator
from histobridge_study.runs import Run

STAGE = "02_translate"


def recipe(run: Run) -> TranslatorRecipe:
    """Return the recipe for the translators of a run; its trainings are remembered."""
    return TranslatorRecipe(
        examples=run.data.source_examples,
        target=[sample.image for sample in run.data.seen_images],
        syndiff=run.profile.translator,
        segmenter=run.profile.for_polarity,
        controls=run.study.controls,
        polarity=run.pair.polarity,
        seed=run.seed,
        fit_segmenter=partial(cached.fit_segmenter, run.cache, name="polarity segmenter"),
        fit_syndiff=partial(cached.fit_syndiff, run.cache),
    )


def save_translators(run: Run, steps: TranslatorRecipe) -> dict[str, CachedTranslator]:
    """Write the translators and the evidence of polarity into the stage's folder; return the translators by name."""
    folder = run.stage(STAGE).folder
    write_table(folder / "polarity.csv", steps.evidence)
    for name, translator in steps.translators.items():
        if name in run.study.translators and name != "cycle":  # the cycle generators are part of SynDiff
            translator.save(folder / "translators" / f"{name}.pt")
    return _in_order(run, steps.translators)


def trained_translators(run: Run) -> dict[str, CachedTranslator]:
    """Return the translators of the study by name, as stage 02 has left them.

    Raises
    ------
    UserError
        If that stage has not finished.
    """
    kept = run.stage(STAGE).files()
    files = {name: "syndiff" if name == "cycle" else name for name in run.study.translators}
    return _in_order(run, {name: load_translator(name, kept[f"translators/{file}.pt"]) for name, file in files.items()})


def _in_order(run: Run, translators: dict) -> dict[str, CachedTranslator]:
    return {name: CachedTranslator(translators[name], run.cache) for name in run.study.translators}


def translated(run: Run, translator: CachedTranslator, samples: list[Sample], to: str) -> list[Sample]:
    """Return samples of one domain translated `to` the other (L or U)."""
    images = map_images(lambda sample: translator.translate(sample.image, to, seed=run.seed), samples)
    return [replace(sample, image=image) for sample, image in zip(samples, images, strict=True)]


def translation_rows(
    run: Run, translator: str, to: str, samples: list[Sample], there: list[Sample], back: list[Sample]
) -> pd.DataFrame:
    """Score translations of `samples` `to` a domain: round trip by SSIM, PSNR, L1; one way by offset (px) and seam.

    Returns
    -------
    DataFrame
        One row an image, columns as in reports/translation.csv.
    """
    rows = [
        {"image": sample.name, **_scores(sample.image, away.image, again.image)}
        for sample, away, again in zip(samples, there, back, strict=True)
    ]
    p, direction = run.parameters, {"U": "L->U", "L": "U->L"}[to]
    key = {"pair": p.pair, "protocol": p.protocol, "fold": run.translator_fold, "translator": translator}
    return pd.DataFrame(rows).assign(**key, direction=direction, split=p.split)


def _scores(image: np.ndarray, away: np.ndarray, again: np.ndarray) -> dict[str, float]:
    rows, columns = map(window_borders, image.shape)
    return {
        "ssim": ssim(image, again),
        "psnr": psnr(image, again),
        "l1": l1(image, again),
        "offset_px": offset_px(image, away),
        "seam": seam(away, rows=rows, columns=columns),
    }
