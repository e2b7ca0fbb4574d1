"""Should a translator keep the contrast or invert it, and has it done so after training?

Cycle and adversarial losses cannot tell: a translator that makes dark sheaths bright and back again has perfect losses
and useless labels. Anatomy can tell. An axon is wrapped in myelin, so if a segmenter of L finds axons with a ring of
myelin in an image of U but not in its negative, U has the polarity of L. No label of U is used. What counts as evidence
here is special to axons and myelin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from histobridge.classes import AXON, MYELIN
from histobridge.errors import UserError
from histobridge.io.images import middle
from histobridge.metrics.instances import enclosure
from histobridge.metrics.translation_checks import ClassSwap

KEEP, INVERT = 1, -1
SIDE = 768
"""Evidence is taken from the central square of this side (px) of each image: enough, and quick."""


class PolarityError(UserError):
    """A translator changed the polarity that the evidence asked for."""


def evidence(probabilities: Callable[[np.ndarray], np.ndarray], images: Iterable[np.ndarray]) -> pd.DataFrame:
    """Segment images and their negatives, and measure what anatomy expects.

    Parameters
    ----------
    probabilities : callable
        Maps an image float32 [H, W] in 0..1 to class probabilities [3, H, W]; `Segmenter.probabilities`.
    images : iterable of ndarray
        Images of U, or translations that should look like L.

    Returns
    -------
    DataFrame
        One row an image and sign (1 as it is, -1 negative): `image`, `sign`, `enclosure` (share of a 3 px ring
        around the predicted axons that is predicted myelin), `confidence` (mean probability of the
        predicted class), `axon` and `myelin` (area fractions).
    """
    rows = []
    for number, image in enumerate(images):
        for sign in (KEEP, INVERT):
            square = middle(image, SIDE)
            seen = probabilities(square if sign == KEEP else 1 - square)
            rows.append({"image": number, "sign": sign, **_measure(seen)})
    return pd.DataFrame(rows)


def _measure(seen: np.ndarray) -> dict[str, float]:
    mask = seen.argmax(0).astype(np.uint8)
    return {
        "enclosure": enclosure(mask),
        "confidence": float(seen.max(0).mean()),
        "axon": float((mask == AXON).mean()),
        "myelin": float((mask == MYELIN).mean()),
    }


def choose_sign(found: pd.DataFrame) -> int:
    """Return the sign whose axons are better enclosed by myelin, on the mean over images; a tie keeps the contrast.

    An image on which no axon is predicted counts as not enclosed.
    """
    mean = found.fillna({"enclosure": 0.0}).groupby("sign")["enclosure"].mean()
    return INVERT if mean[INVERT] > mean[KEEP] else KEEP


def contrast_kept(image: np.ndarray, translation: np.ndarray) -> float:
    """Return the correlation of an image with its translation: positive where the contrast was kept."""
    return float(np.corrcoef(image.ravel(), translation.ravel())[0, 1])


def check_translation(
    sign: int, pairs: Iterable[tuple[np.ndarray, np.ndarray]], found: pd.DataFrame, *, stated: bool = False
) -> None:
    """Refuse a trained translator that swaps classes.

    Parameters
    ----------
    sign : {1, -1}
        The polarity that the evidence asked for.
    pairs : iterable of (image, translation)
        Of one direction; check the other too.
    found : DataFrame
        `evidence` on the translations of U, which should look like L as they are, not as negatives.
    stated : bool
        Whether somebody who can see the images has stated the polarity: then `found` does not count.

    Raises
    ------
    PolarityError
        If the median correlation has the other sign, or the negatives of the translations are better anatomy.
    """
    median = float(np.median([contrast_kept(image, translation) for image, translation in pairs]))
    if not median * sign > 0:  # NaN too: a translation of one grey correlates with nothing
        raise PolarityError(
            f"The translator should {_verb(sign)} the contrast, but its translations correlate with their sources by "
            f"{median:.2f}: classes are swapped and every label would be wrong. Train with another seed or more "
            "steps, in another --out."
        )
    if not stated and choose_sign(found) == INVERT:
        raise PolarityError(
            "The negatives of the translations look more like the labelled domain than the translations do: "
            "classes are swapped. Look at the images, and state the polarity: `polarity: 1` (keep) or `-1` (invert) "
            "for this pair in study.yaml, or --polarity of `histobridge label`."
        )


def check_round_trip(swap: ClassSwap, *, most: float = 0.1) -> None:
    """Refuse a translator whose round trip turns axon into myelin or back, as the source segmenter sees it.

    Raises
    ------
    PolarityError
        If more than the share `most` of all pixels changes between the two.
    """
    if swap.axon_myelin > most:
        raise PolarityError(
            f"The round trip turns {swap.axon_myelin:.0%} of the pixels from axon to myelin or back: the translation "
            "does not keep classes. Train with more steps or another seed, in another --out."
        )


def _verb(sign: int) -> str:
    return "keep" if sign == KEEP else "invert"
