"""Several labelled microscopes, one new one: each labelled set gets the contrast and the grey values of U.

Which way round the contrast of a set must go needs no mask of U. The masks of the set tell whether its axons are
brighter than its myelin; those of L tell the same of L; and anatomy has told whether U has the polarity of L.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from histobridge.classes import AXON, MYELIN
from histobridge.config import MATCHED
from histobridge.strategies.basic import Examples, translate_examples
from histobridge.translators.controls import Control


def axons_are_bright(examples: Examples) -> bool:
    """Return whether axons are brighter than myelin, on the mean over images with masks of both.

    >>> image, mask = np.array([[0.9, 0.2, 0.5]], np.float32), np.array([[2, 1, 0]], np.uint8)
    >>> axons_are_bright([(image, mask)]), axons_are_bright([(1 - image, mask)])
    (True, False)
    """
    differences = [image[mask == AXON].mean() - image[mask == MYELIN].mean() for image, mask in _with_both(examples)]
    return bool(np.mean(differences) > 0)


def _with_both(examples: Examples) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    return ((image, mask) for image, mask in examples if (mask == AXON).any() and (mask == MYELIN).any())


def with_look_of(
    images: Sequence[np.ndarray], sources: Iterable[Examples], *, source: Examples, sign: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the examples of all sources with the contrast and the grey values of images of U.

    Parameters
    ----------
    images : sequence of ndarray, float32 [H, W] in 0..1
        Of U.
    sources : iterable of sequence of (image, mask)
        Labelled sets, each at the pixel size at which its axons have about the size, in pixels, of those of U.
    source : sequence of (image, mask)
        Of L.
    sign : {1, -1}
        Whether U has the polarity of L, by anatomy.
    """
    bright_in_u = axons_are_bright(source) == (sign > 0)
    found = []
    for examples in sources:
        matched = Control(MATCHED[1 if axons_are_bright(examples) == bright_in_u else -1])
        matched.fit([image for image, _ in examples], list(images))
        found += translate_examples(examples, matched)
    return found
