"""What notebook 02 does: find the polarity, train the translators, translate both domains, score the translations.

Everything slow is kept in the run's folder as soon as it exists and is taken from there the next time, so that a
killed run loses at most one checkpoint interval.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.domains import Sample
from histobridge.files import write_table
from histobridge.images import read_image, write_image
from histobridge.metrics import ClassSwap, class_swap, l1, offset_px, psnr, seam, ssim
from histobridge.polarity import choose_sign, evidence
from histobridge.segmenter import Segmenter
from histobridge.study import Run
from histobridge.tiling import window_starts
from histobridge.training import Say
from histobridge.translator import CONTROLS, OVERLAP, WINDOW, Control, SynDiff, Translator, load_translator


def polarity_evidence(run: Run, judge: Segmenter, images: list[Sample]) -> pd.DataFrame:
    """Return what the source segmenter sees in images of U and in their negatives (kept as polarity.csv)."""
    found = evidence(judge.probabilities, [s.image for s in images])
    return write_table(run.models / f"polarity-{run.translator_key}.csv", found)


def sign_for(run: Run, found: pd.DataFrame) -> int:
    """Return the sign that translators start at: from the evidence, unless study.yaml names one for this pair."""
    return choose_sign(found) if run.pair.polarity == "auto" else run.pair.polarity


def train_syndiff(run: Run, sign: int, source: list[Sample], target: list[Sample]) -> pd.DataFrame:
    """Train SynDiff (resuming) unless that was done before; return the losses of every step."""
    path, log = _translator_path(run, "syndiff"), run.models / f"losses-{run.translator_key}.csv"
    if path.exists() and log.exists():
        return pd.read_csv(log)
    translator = SynDiff(run.profile.translator, sign=sign, seed=run.seed)
    draft = path.with_suffix(".checkpoint")
    history = translator.fit([s.image for s in source], [s.image for s in target], checkpoint=draft)
    write_table(log, history)
    translator.save(path)
    draft.unlink(missing_ok=True)
    return history


def fit_controls(run: Run, source: list[Sample], target: list[Sample]) -> None:
    """Fit and save the classical controls."""
    for name in set(run.translators) & set(CONTROLS):
        control = Control(name)
        control.fit([s.image for s in source], [s.image for s in target])
        control.save(_translator_path(run, name))


def trained_translators(run: Run) -> dict[str, Translator]:
    """Return the study's translators by name, as notebook 02 has left them.

    Raises
    ------
    UserError
        If notebook 02 has not run yet.
    """
    return {name: load_translator(name, _translator_path(run, name)) for name in run.translators}


def _translator_path(run: Run, name: str) -> Path:
    file = "syndiff" if name == "cycle" else name  # the cycle generators are part of SynDiff
    return run.models / "translators" / run.translator_key / f"{file}.pt"


def translated(run: Run, translator: Translator, samples: list[Sample], to: str) -> list[Sample]:
    """Return samples translated `to` L or U, kept as 8-bit PNGs; a second call reads those."""
    folder, say = run.shared / "translations" / translator.name / f"to-{to}", Say()
    away = []
    for number, sample in enumerate(samples, 1):
        path = folder / f"{sample.name}.png"
        if not path.exists():
            say(f"{translator.name}: translating {sample.name} to {to}, image {number} of {len(samples)}")
            write_image(path, translator.translate(sample.image, to, seed=run.seed))
        away.append(Sample(sample.name, sample.subject, read_image(path)))
    return away


def translation_rows(
    run: Run, translator: Translator, samples: list[Sample], there: list[Sample], to: str
) -> pd.DataFrame:
    """Score translations `there` of `samples`: round trip by SSIM, PSNR, L1; one way by offset (px) and seam.

    Returns
    -------
    DataFrame
        One row an image, columns as in reports/translation.csv.
    """
    back = "L" if to == "U" else "U"
    rows, say = [], Say()
    for number, (sample, away) in enumerate(zip(samples, there, strict=True), 1):
        say(f"{translator.name}: round trip of {sample.name} over {to}, image {number} of {len(samples)}")
        again = translator.translate(away.image, back, seed=run.seed)
        rows.append({"image": sample.name, **_translation_scores(sample.image, away.image, again)})
    p = run.parameters
    key = {"pair": p.pair, "protocol": p.protocol, "fold": run.translator_key, "translator": translator.name}
    return pd.DataFrame(rows).assign(**key, direction=f"{back}->{to}", split=p.split)


def _translation_scores(image: np.ndarray, away: np.ndarray, again: np.ndarray) -> dict[str, float]:
    rows, columns = (window_starts(side, WINDOW, OVERLAP) for side in image.shape)
    return {
        "ssim": ssim(image, again),
        "psnr": psnr(image, again),
        "l1": l1(image, again),
        "offset_px": offset_px(image, away),
        "seam": seam(away, rows=rows, columns=columns),
    }


def round_trip_swap(
    judge: Segmenter, translator: Translator, samples: list[Sample], there: list[Sample], *, seed: int
) -> ClassSwap:
    """Return the share of pixels of L whose class, as the source segmenter sees it, the round trip changes."""
    before = [judge.predict(s.image).ravel() for s in samples]
    after = [judge.predict(translator.translate(s.image, "L", seed=seed)).ravel() for s in there]
    return class_swap(np.concatenate(before)[None], np.concatenate(after)[None])
