"""Simulated shift: drawn tissue whose appearance moves in steps from TEM to another modality.

At every step the truth is exact, and only the appearance changes: an image is a weighted mean of the same tissue seen
by two instruments. Between TEM and SEM, whose contrast is inverted, there is a step at which myelin and axon have
nearly the same grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from histobridge.config import TrainingProfile
from histobridge.metrics import class_scores
from histobridge.phantom import RENDERERS, draw_geometry, render
from histobridge.segmenter import Segmenter
from histobridge.strategies import Examples, adapt, tutor
from histobridge.strategies.polarity import choose_sign, evidence
from histobridge.strategies.recipe import train_segmenter
from histobridge.translators import SynDiff
from histobridge_label.finetune import finetune

MODALITIES = tuple(name for name in RENDERERS if name != "tem")
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
TARGET_SEED = 5000  # the target tissue is drawn from here on: none of it is in the source
COLUMNS = ["modality", "step", "sign", "strategy", "image", "class", "dice"]


def mixed_phantom(
    modality: str, step: float, seed: int, shape: tuple[int, int] = (256, 256)
) -> tuple[np.ndarray, np.ndarray]:
    """Draw tissue whose appearance lies between TEM and another modality; return image and exact mask.

    Parameters
    ----------
    modality : str
        One of `phantom.RENDERERS`.
    step : float
        Weight of the modality: 0 is TEM, 1 is the modality.

    Returns
    -------
    image : ndarray, float32 [H, W] in 0..1
    mask : ndarray, uint8 [H, W]

    Examples
    --------
    >>> (tem, _), (half, _), (sem, _) = (mixed_phantom("sem", step, 3, (64, 64)) for step in (0, 0.5, 1))
    >>> bool(np.allclose(half, (tem + sem) / 2, atol=1e-6))
    True
    """
    geometry = draw_geometry(seed, shape)
    tem, other = (render(geometry, name, seed) for name in ("tem", modality))
    return np.asarray((1 - step) * tem + step * other, np.float32), geometry.mask


def simulate_shift(
    modality: str,
    profile: TrainingProfile,
    *,
    seed: int = 0,
    steps: Sequence[float] = STEPS,
    images: int = 6,
    side: int = 256,
) -> pd.DataFrame:
    """Score the pretrained segmenter, adaptation and tutorship at every step from TEM to a modality.

    Parameters
    ----------
    modality : str
        One of `MODALITIES`.
    profile : TrainingProfile
        Settings of the translator and the segmenters.
    seed : int
        Seed of all networks.
    steps : sequence of float
        Weights of the modality, 0..1.
    images, side : int
        Number of images of each domain, and their side in px.

    Returns
    -------
    DataFrame
        One row per step, strategy, image and class; columns `COLUMNS`.
    """
    shape = (side, side)
    source = [mixed_phantom("tem", 0, n, shape) for n in range(images)]
    teacher = train_segmenter(Segmenter(profile.segmenter, seed=seed), source)
    polarity_segmenter = train_segmenter(Segmenter(profile.for_polarity, seed=seed), source)
    fit_student = partial(finetune, teacher, steps=profile.student_steps, seed=seed)
    tables = []
    for step in steps:
        target = [mixed_phantom(modality, step, TARGET_SEED + n, shape) for n in range(images)]
        unlabelled = [image for image, _ in target]
        sign = choose_sign(evidence(polarity_segmenter.probabilities, unlabelled))
        translator = SynDiff(profile.translator, sign=sign, seed=seed)
        translator.fit([image for image, _ in source], unlabelled)
        student = tutor(source, translator, fit_student, seed=seed)
        labels = {
            "pretrained": [teacher.predict(image) for image in unlabelled],
            "adaptation": [adapt(image, translator, teacher, seed=seed) for image in unlabelled],
            "tutorship": [student.predict(image) for image in unlabelled],
        }
        tables.append(_scores(labels, target).assign(modality=modality, step=step, sign=sign))
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def best_by_step(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean Dice over images and classes: one row per modality and step, and the `best` strategy of each.

    Parameters
    ----------
    rows : DataFrame
        From `simulate_shift`, of one modality or several.
    """
    table = rows.groupby(["modality", "step", "strategy"], sort=False)["dice"].mean().unstack()
    return table.assign(best=table.idxmax(axis=1)).reset_index().rename_axis(columns=None)


def _scores(labels: dict[str, list[np.ndarray]], target: Examples) -> pd.DataFrame:
    rows = [
        {"strategy": strategy, "image": number, "class": row["class"], "dice": row["dice"]}
        for strategy, masks in labels.items()
        for number, ((_, true), mask) in enumerate(zip(target, masks, strict=True))
        for row in class_scores(true, mask)
    ]
    return pd.DataFrame(rows)
