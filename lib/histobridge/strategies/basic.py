"""The two published strategies, their baseline and their reference, as functions of arrays and models.

=============  ====================================================================================================
`pretrained`   the segmenter of L straight on an image of U (baseline)
`adapt`        an image of U is translated to L, then segmented by the segmenter of L (U -> L)
`tutor`        images of L are translated to U, keep their masks and train a student, which segments U (L -> U)
`supervised`   a segmenter trained on masks of *other* subjects of U: a reference, and no strategy
=============  ====================================================================================================

Caching and the choice of a start are handed in: `fit` trains a segmenter on examples or recalls one that was trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from histobridge.data.datasets import Examples
from histobridge.training.map_images import map_images

if TYPE_CHECKING:
    from histobridge.segmenter import Segmenter
    from histobridge.translators import Translator

Fit = Callable[[Examples], "Segmenter"]
"""Trains a segmenter on examples."""


def pretrained(image: np.ndarray, segmenter: Segmenter) -> np.ndarray:
    """Return the mask uint8 [H, W] that the segmenter of L finds in an image of U, float32 [H, W] in 0..1."""
    return segmenter.predict(image)


def adapt(image: np.ndarray, translator: Translator, segmenter: Segmenter, *, seed: int = 0) -> np.ndarray:
    """Return the mask uint8 [H, W] of an image of U by adaptation.

    Parameters
    ----------
    image : ndarray, float32 [H, W] in 0..1
        Of the unlabelled domain U.
    translator : Translator
    segmenter : Segmenter
        Of the labelled domain L.
    seed : int
        Of the noise that the translation starts from.
    """
    return segmenter.predict(translator.translate(image, "L", seed=seed))


def translate_examples(examples: Examples, translator: Translator, *, seed: int = 0) -> Examples:
    """Return images of L translated to U, with their masks unchanged."""
    images = map_images(lambda example: translator.translate(example[0], "U", seed=seed), examples)
    return [(image, mask) for image, (_, mask) in zip(images, examples, strict=True)]


def tutor(examples: Examples, translator: Translator, fit: Fit, *, seed: int = 0) -> Segmenter:
    """Return a student of U by tutorship: it learns from images of L translated to U, with the masks of L.

    Parameters
    ----------
    examples : sequence of (image, mask)
        Of the labelled domain L.
    translator : Translator
    fit : callable
        Trains a segmenter on examples.
    seed : int
        Of the noise that translations start from.
    """
    return fit(translate_examples(examples, translator, seed=seed))


def supervised(examples: Examples, fit: Fit) -> Segmenter:
    """Return a segmenter trained on expert masks of U: the reference that strategies are compared with."""
    return fit(examples)
