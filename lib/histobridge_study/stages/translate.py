"""Stage 02: train the translators, translate both domains, and score the translations."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from histobridge.data.datasets import Sample
from histobridge.io.files import read_table, write_table
from histobridge.metrics.reconstruction import l1, psnr, ssim
from histobridge.metrics.translation_checks import offset_px, seam
from histobridge.strategies import TranslatorRecipe, cached
from histobridge.strategies.cached import CachedTranslator
from histobridge.training.map_images import map_images
from histobridge.training.sliding_window import window_borders
from histobridge.translators import Translator, load_translator
from histobridge_study.runs import Run

STAGE = "02_translate"
KEPT = "translators.csv"
"""Which translators there are, and the reason why one was refused."""


def recipe(run: Run) -> TranslatorRecipe:
    """Return the recipe for the translators of a run; its trainings are remembered."""
    return TranslatorRecipe(
        examples=run.data.source_examples,
        target=[sample.image for sample in run.data.seen_images],
        settings=run.profile.learned,
        segmenter=run.profile.for_polarity,
        wanted=run.study.translators,
        polarity=run.pair.polarity,
        seed=run.translator_seed,
        fit_segmenter=partial(cached.fit_segmenter, run.cache, name="polarity segmenter"),
        fit_translator=partial(cached.fit_translator, run.cache),
    )


def remembered(run: Run, translators: dict[str, Translator]) -> dict[str, CachedTranslator]:
    """Return translators that remember their translations, by name."""
    return {name: CachedTranslator(translator, run.cache) for name, translator in translators.items()}


def save_translators(run: Run, steps: TranslatorRecipe, checks: pd.DataFrame | None = None) -> dict:
    """Write the translators and what was found about them into the stage's folder.

    Parameters
    ----------
    run : Run
    steps : TranslatorRecipe
    checks : DataFrame, optional
        From `TranslatorRecipe.checks`; what it refuses is left out of this study.

    Returns
    -------
    dict of str to CachedTranslator
        The translators that were kept, in the order of the study.
    """
    folder = run.stage(STAGE).folder
    refused = {} if checks is None else checks.set_index("translator")["refused"].dropna().to_dict()
    names = [name for name in steps.names if name not in refused]
    write_table(folder / "polarity.csv", steps.evidence)
    write_table(folder / KEPT, pd.DataFrame([{"translator": n, "refused": refused.get(n)} for n in steps.names]))
    for name in names:
        if name != "cycle":  # the cycle generators are part of SynDiff
            steps.translators[name].save(folder / "translators" / f"{name}.pt")
    return remembered(run, {name: steps.translators[name] for name in names})


def trained_translators(run: Run) -> dict[str, CachedTranslator]:
    """Return the translators that stage 02 has kept, by name: those that make sense for the sign and passed the check.

    Raises
    ------
    UserError
        If that stage has not finished.
    """
    files = run.stage(STAGE).files()
    table = read_table(files[KEPT])
    names = table.loc[table["refused"].isna(), "translator"]
    file_of = {"cycle": "syndiff"}
    held = {name: files[f"translators/{file_of.get(name, name)}.pt"] for name in names}
    return remembered(run, {name: load_translator(name, file) for name, file in held.items()})


def translated(run: Run, translator: CachedTranslator, samples: list[Sample], to: str) -> list[Sample]:
    """Return samples of one domain translated `to` the other (L or U)."""
    images = map_images(lambda sample: translator.translate(sample.image, to, seed=run.translator_seed), samples)
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
    key = {"pair": p.pair, "protocol": p.protocol, "fold": run.translator_fold}
    key |= {"translator_seed": run.translator_seed, "translator": translator}
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
