"""How many corrected images close half of the gap to supervision?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from histobridge.config import SegmenterSettings
from histobridge.io.progress import Report
from histobridge.metrics.overlap import mean_dice
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge.translators.controls import Control
from histobridge_label.finetune import Examples, finetune


def corrections_needed(
    start: Segmenter,
    pool: Examples,
    test: Examples,
    *,
    counts: Sequence[int] = (1, 2, 4),
    steps: int,
    report: Report | None = None,
) -> pd.DataFrame:
    """Fine-tune on the first 1, 2, ... corrected images, and see how much of the gap to the bound each closes.

    The bound is the best that can be hoped for: the start fine-tuned on the whole pool.

    Parameters
    ----------
    start : Segmenter
        The one that made the labels.
    pool, test : sequence of (image, mask)
        Images with their true masks: what may be corrected, in the order of correction, and what is scored.
    counts : sequence of int
        How many are corrected, each at most the size of the pool.
    steps : int
        Of each fine-tuning.

    Returns
    -------
    DataFrame
        `corrected` (0 is the segmenter as it was, and the last row, -1, the bound), `axon` and `myelin` (mean Dice over
        `test`), `dice` (their mean) and `closed`: the share of the gap in `dice` between the first row and the last
        that is closed, NaN if there is none.
    """
    learners: dict[int, Callable[[], Segmenter]] = {0: lambda: start}
    learners |= {n: lambda n=n: finetune(start, pool[:n], steps=steps, report=report) for n in counts}
    learners[-1] = lambda: finetune(start, pool, steps=steps, report=report)
    table = pd.DataFrame([{"corrected": n, **_scores(learner(), test)} for n, learner in learners.items()])
    table["dice"] = table[["axon", "myelin"]].mean(axis=1)
    gap = table["dice"].iloc[-1] - table["dice"].iloc[0]
    table["closed"] = (table["dice"] - table["dice"].iloc[0]) / gap if gap > 0 else np.nan
    return table


def enough(table: pd.DataFrame, share: float = 0.5) -> int | None:
    """Return the smallest number of corrections in a table of `corrections_needed` that closes a share of the gap.

    None if none does.

    >>> enough(pd.DataFrame({"corrected": [0, 1, 2, -1], "closed": [0.0, 0.4, 0.7, 1.0]}))
    2
    """
    found = table[(table["corrected"] > 0) & (table["closed"] >= share)]
    return int(found["corrected"].min()) if len(found) else None


def on_phantoms(
    settings: SegmenterSettings,
    *,
    counts: Sequence[int] = (1, 2, 4),
    n_source: int = 8,
    n_test: int = 6,
    side: int = 256,
    steps: int = 100,
    seed: int = 0,
    report: Report | None = None,
) -> pd.DataFrame:
    """Draw TEM and SEM, label SEM by a student of TEM, and tell what corrections are worth (a table).

    Tutorship with a classical control: a segmenter of drawn TEM images in the contrast and the greys of drawn SEM,
    which then sees the true masks of a few images of SEM, and is scored on others.

    Parameters
    ----------
    settings : SegmenterSettings
        Of the student.
    counts, steps
        As for `corrections_needed`. The bound is fine-tuned on twice as many images as the largest count.
    n_source, n_test, side : int
        Numbers of images, and their side in px.
    seed : int
        Of the student, and the first of the phantoms.

    Returns
    -------
    DataFrame
        Of `corrections_needed`.
    """
    n_pool = 2 * max(counts)
    drawn = iter(range(1000 * seed, 1000 * (seed + 1)))
    source = [phantom("tem", next(drawn), (side, side)) for _ in range(n_source)]
    pool, test = ([phantom("sem", next(drawn), (side, side)) for _ in range(n)] for n in (n_pool, n_test))
    translator = Control("invert-histogram")
    translator.fit([image for image, _ in source], [image for image, _ in pool])
    student = Segmenter(settings, seed=seed)
    images = [translator.translate(image, "U") for image, _ in source]
    student.fit(images, [mask for _, mask in source], name="student", report=report)
    return corrections_needed(student, pool, test, counts=counts, steps=steps, report=report)


def _scores(segmenter: Segmenter, test: Examples) -> dict[str, float]:
    return mean_dice((mask, segmenter.predict(image)) for image, mask in test)
