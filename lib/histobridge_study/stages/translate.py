"""What notebook 02 does: find the polarity, train the translators, translate both domains, score the translations.

Everything slow is kept in the run's folder with what it was made from (`kept.py`), and is taken from there the next
time: a killed run loses at most one checkpoint interval or one image.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.cache import digest, kept
from histobridge.config import CONTROLS, YOUNGER
from histobridge.data.datasets import Sample
from histobridge.io.files import write_table
from histobridge.io.images import read_image, write_image
from histobridge.io.progress import ThrottledProgress
from histobridge.metrics.reconstruction import l1, psnr, ssim
from histobridge.metrics.translation_checks import ClassSwap, class_swap, offset_px, seam
from histobridge.segmenter import Segmenter
from histobridge.strategies.polarity import choose_sign, evidence
from histobridge.training.sliding_window import window_borders
from histobridge.translators import Control, SynDiff, Translator, load_translator
from histobridge_study.runs import Run, data_checksum

OTHER = {"L": "U", "U": "L"}


def polarity_evidence(run: Run, polarity_segmenter: Segmenter, images: list[Sample]) -> pd.DataFrame:
    """Return what the source segmenter sees in images of U and in their negatives; written as polarity.csv."""
    found = evidence(polarity_segmenter.probabilities, [s.image for s in images])
    return write_table(run.shared / "polarity.csv", found)


def sign_for(run: Run, found: pd.DataFrame) -> int:
    """Return the sign that translators start at: from the evidence, unless study.yaml names one for this pair."""
    return choose_sign(found) if run.pair.polarity == "auto" else run.pair.polarity


def train_syndiff(run: Run, sign: int, source: list[Sample], target: list[Sample]) -> pd.DataFrame:
    """Train SynDiff (resuming) unless that was done before; return the losses of every step."""
    images = [[s.image for s in samples] for samples in (source, target)]
    settings = run.profile.translator.model_dump(mode="json")
    home = kept(_home(run, "syndiff"), settings=settings, sign=sign, seed=run.seed, images=digest(images))
    model, log, draft = (home / name for name in ("model.pt", "losses.csv", "model.checkpoint"))
    if not model.exists():
        translator = SynDiff(run.profile.translator, sign=sign, seed=run.seed)
        write_table(log, translator.fit(*images, checkpoint=draft))
        translator.save(model)
        draft.unlink(missing_ok=True)
    return pd.read_csv(log)


def fit_controls(run: Run, source: list[Sample], target: list[Sample]) -> None:
    """Fit and save the classical controls: a matter of seconds, so always anew."""
    for name in set(run.translators) & set(CONTROLS):
        control = Control(name)
        control.fit([s.image for s in source], [s.image for s in target])
        control.save(_home(run, name) / "model.pt")


def trained_translators(run: Run) -> dict[str, Translator]:
    """Return the study's translators by name, as notebook 02 has left them.

    Raises
    ------
    UserError
        If notebook 02 has not run yet.
    """
    models = {name: _home(run, name) / "model.pt" for name in run.translators}
    return {name: load_translator(name, file) for name, file in models.items() if name not in YOUNGER or file.exists()}


def _home(run: Run, name: str) -> Path:
    own = "syndiff" if name == "cycle" else name  # the cycle generators are part of SynDiff
    return run.models / run.translator_key / own


def translated(run: Run, translator: Translator, samples: list[Sample], to: str) -> list[Sample]:
    """Return samples of one domain translated `to` the other (L or U), kept as 8-bit PNGs."""
    folder = _translations(run, translator, f"to-{to}")
    return _read_or_make(folder, samples, lambda s: translator.translate(s.image, to, seed=run.seed))


def round_trip(run: Run, translator: Translator, there: list[Sample], over: str) -> list[Sample]:
    """Return translations `there` (in domain `over`) translated back again, kept as 8-bit PNGs."""
    folder = _translations(run, translator, f"to-{over}-and-back")
    return _read_or_make(folder, there, lambda s: translator.translate(s.image, OTHER[over], seed=run.seed))


def _translations(run: Run, translator: Translator, method: str) -> Path:
    """Return the folder of one translator's images, which depend on its weights, the seed and both data sets."""
    sides = {at.dataset: [at.um_per_px, data_checksum(at.dataset)] for at in (run.pair.source, run.pair.target)}
    folder = run.shared / "translations" / translator.name / method
    return kept(folder, translator=translator.fingerprint, seed=run.seed, data=sides)


def _read_or_make(folder: Path, samples: list[Sample], make: Callable[[Sample], np.ndarray]) -> list[Sample]:
    say, made = ThrottledProgress(), []
    for number, sample in enumerate(samples, 1):
        path = folder / f"{sample.name}.png"
        if not path.exists():
            say(f"{folder.parent.name} {folder.name}: {sample.name}, image {number} of {len(samples)}")
            write_image(path, make(sample))
        made.append(Sample(sample.name, sample.subject, read_image(path)))
    return made


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
        {"image": one.name, **_translation_scores(one.image, away.image, again.image)}
        for one, away, again in zip(samples, there, back, strict=True)
    ]
    p = run.parameters
    key = {"pair": p.pair, "protocol": p.protocol, "fold": run.translator_key, "translator": translator}
    return pd.DataFrame(rows).assign(**key, direction=f"{OTHER[to]}->{to}", split=p.split)


def _translation_scores(image: np.ndarray, away: np.ndarray, again: np.ndarray) -> dict[str, float]:
    rows, columns = map(window_borders, image.shape)
    return {
        "ssim": ssim(image, again),
        "psnr": psnr(image, again),
        "l1": l1(image, again),
        "offset_px": offset_px(image, away),
        "seam": seam(away, rows=rows, columns=columns),
    }


def round_trip_swap(polarity_segmenter: Segmenter, samples: list[Sample], back: list[Sample]) -> ClassSwap:
    """Return the share of pixels of L whose class, as the source segmenter sees it, the round trip changes."""
    before, after = (
        np.concatenate([polarity_segmenter.predict(s.image).ravel() for s in images]) for images in (samples, back)
    )
    return class_swap(before[None], after[None])
