"""A segmenter that learns from corrected labels, and what each correction is worth.

The labels of the next batch come from the segmenter that made the first ones, gone on with on what somebody corrected.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from histobridge.errors import UserError
from histobridge.io.progress import Report
from histobridge.segmenter import Segmenter

Examples = Sequence[tuple[np.ndarray, np.ndarray]]
"""Images float32 [H, W] in 0..1 with their masks uint8 [H, W], as `corrections.training_examples` returns them."""


def finetune(
    segmenter: Segmenter,
    corrected: Examples,
    *,
    steps: int,
    seed: int = 0,
    report: Report | None = None,
) -> Segmenter:
    """Return a segmenter that goes on from another, on corrected images; the other stays as it is.

    Parameters
    ----------
    segmenter : Segmenter
        Whose weights and settings it starts from: the one that made the labels.
    corrected : sequence of (image, mask)
        float32 `[H, W]` in 0..1 and uint8 `[H, W]`, at the segmenter's pixel size (see
        `corrections.training_examples`). One is enough. Add what must not be forgotten.
    steps : int
        Of training.
    seed : int
        Of the random crops.
    report : callable, optional
        Called with a progress line each step; prints one every ten seconds by default.

    Returns
    -------
    Segmenter

    Raises
    ------
    UserError
        If nothing was corrected, an image is smaller than a training crop, or a loss is not finite.
    """
    if not corrected:
        raise UserError("There is no corrected image to learn from: correct one first.")
    learner = segmenter.warm_start(seed=seed, steps=steps)
    images, masks = zip(*corrected, strict=True)
    learner.fit(list(images), list(masks), name="fine-tuning", report=report)
    return learner
