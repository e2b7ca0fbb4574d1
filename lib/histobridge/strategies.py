"""The ways to a pseudo label, as short functions of segmenter and translator.

=============  ============================================================================================
`pretrained`   the source segmenter straight on U (baseline)
`adaptation`   U translated to L, then the source segmenter (U -> L)
`tutorship`    L translated to U keeps its masks and trains a student, which is applied to U (L -> U)
`supervised`   a segmenter trained on masks of *other* subjects of U: the upper bound, and no strategy
=============  ============================================================================================

Only `supervised` is ever given a mask of U.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from histobridge.segmenter import Segmenter, SegmenterSettings

STRATEGIES = ("pretrained", "adaptation", "tutorship", "supervised")


def train_segmenter(
    images: list[np.ndarray],
    masks: list[np.ndarray],
    settings: SegmenterSettings,
    *,
    seed: int,
    name: str,
    path: Path,
) -> Segmenter:
    """Return the segmenter saved at `path`, or train one there (resuming) on images and masks [H, W].

    The source segmenter, a tutorship's student and the supervised bound differ only in what they are given:
    images of L, images of L translated to U with the masks of L, or images of U with masks of U.
    """
    if path.exists():
        return Segmenter.load(path)
    segmenter = Segmenter(settings, seed=seed)
    draft = path.with_suffix(".checkpoint")
    segmenter.fit(images, masks, name=name, checkpoint=draft)
    segmenter.save(path)
    draft.unlink(missing_ok=True)
    return segmenter
