"""The shift ladder: drawn tissue whose look moves in steps from TEM to another modality. When does which strategy win?

On every rung the truth is exact, and nothing but the look changes: an image is a mixture of the same tissue seen by two
instruments. Between TEM and SEM, whose contrast is inverted, it passes through a rung on which myelin and axon are
hardly to be told apart.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from histobridge.metrics.overlap import class_scores
from histobridge.phantom import RENDERERS, draw_geometry, render
from histobridge.segmenter import Segmenter
from histobridge.strategies.polarity import choose_sign, evidence
from histobridge.translators.syndiff import SynDiff
from histobridge_study.config import Profile

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
IMAGES, SIDE = 6, 256
OF_U = 5000  # seeds of U begin here: no tissue of it is in L
COLUMNS = ["modality", "step", "sign", "strategy", "image", "class", "dice"]

Drawn = tuple[list[np.ndarray], list[np.ndarray]]


def rung(modality: str, step: float, seed: int, shape: tuple[int, int] = (SIDE, SIDE)) -> tuple[np.ndarray, np.ndarray]:
    """Draw tissue that looks `step` of the way from TEM to a modality; return image and exact mask.

    Parameters
    ----------
    modality : str
        One of `phantom.RENDERERS`.
    step : float
        0 is TEM, 1 the modality.

    Returns
    -------
    image : ndarray, float32 [H, W] in 0..1
    mask : ndarray, uint8 [H, W]

    Examples
    --------
    >>> (tem, _), (half, _), (sem, _) = (rung("sem", step, 3, (64, 64)) for step in (0, 0.5, 1))
    >>> bool(np.allclose(half, (tem + sem) / 2, atol=1e-6))
    True
    """
    geometry = draw_geometry(seed, shape)
    tem, other = (render(geometry, look, seed) for look in ("tem", modality))
    return np.asarray((1 - step) * tem + step * other, np.float32), geometry.mask


def climb(modality: str, profile: Profile, *, seed: int = 0) -> pd.DataFrame:
    """Return the Dice of the pre-trained model, adaptation and tutorship on every rung; columns `COLUMNS`.

    Parameters
    ----------
    modality : str
        Of the top rung.
    profile : Profile
        Its settings of translator, segmenter, student and judge.
    """
    source = _drawn("tem", 0.0, 0)
    polarity_segmenter = Segmenter(
        profile.polarity_segmenter or profile.segmenter.model_copy(update={"blank": 0.0}), seed=seed
    )
    teacher = Segmenter(profile.segmenter, seed=seed)
    polarity_segmenter.fit(*source, name=f"{modality}: judge")
    teacher.fit(*source, name=f"{modality}: source segmenter")
    rungs = [_on_rung(modality, step, profile, source, polarity_segmenter, teacher, seed) for step in STEPS]
    return pd.concat(rungs, ignore_index=True)[COLUMNS]


def crossings(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mean Dice over images and classes: a row a modality and step, a column a strategy, and the `best` one."""
    table = rows.groupby(["modality", "step", "strategy"], sort=False)["dice"].mean().unstack()
    return table.assign(best=table.idxmax(axis=1)).reset_index().rename_axis(columns=None)


def modalities() -> list[str]:
    """Return the modalities that a ladder can lead to."""
    return [name for name in RENDERERS if name != "tem"]


def _drawn(modality: str, step: float, first: int) -> Drawn:
    images, masks = zip(*(rung(modality, step, first + k) for k in range(IMAGES)), strict=True)
    return list(images), list(masks)


def _on_rung(
    modality: str,
    step: float,
    profile: Profile,
    source: Drawn,
    polarity_segmenter: Segmenter,
    teacher: Segmenter,
    seed: int,
) -> pd.DataFrame:
    images, truth = _drawn(modality, step, OF_U)
    sign = choose_sign(evidence(polarity_segmenter.probabilities, images))
    translator = SynDiff(profile.translator, sign=sign, seed=seed)
    translator.fit(source[0], images)
    student = teacher.warm_start(seed=seed, steps=profile.student_steps)
    towards = [translator.translate(image, "U", seed=seed) for image in source[0]]
    student.fit(towards, source[1], name=f"{modality} {step:g}: student")
    labels = {
        "pretrained": [teacher.predict(image) for image in images],
        "adaptation": [teacher.predict(translator.translate(image, "L", seed=seed)) for image in images],
        "tutorship": [student.predict(image) for image in images],
    }
    rows = [
        {"strategy": strategy, "image": number, "class": row["class"], "dice": row["dice"]}
        for strategy, masks in labels.items()
        for number, (true, mask) in enumerate(zip(truth, masks, strict=True))
        for row in class_scores(true, mask)
    ]
    return pd.DataFrame(rows).assign(modality=modality, step=step, sign=sign)
