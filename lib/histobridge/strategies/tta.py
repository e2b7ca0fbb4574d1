"""Test-time augmentation: the mean of a segmenter's probabilities over several views of an image.

A small network depends on direction and on size. So an image is also segmented turned and mirrored, at the zoom at
which the axons of U are as large as those of L, and for the final labels at one at which the smallest axons are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import interpolate

from histobridge.training.device import device

Predict = Callable[[np.ndarray], np.ndarray]


class View(NamedTuple):
    """One view of an image: enlarged by `zoom`, then turned by quarters, then mirrored."""

    zoom: float = 1.0
    turns: int = 0
    mirrored: bool = False


LEAST_ZOOM, MOST_ZOOM = 0.75, 1.5
SMALL_AXON_ZOOM = 2.0
"""Enlarges axons of half the common diameter to that diameter. Large axons are then larger than all of L: this view
alone would lose them."""


def tta_views(zoom: float) -> tuple[View, ...]:
    """Return four views, two of them enlarged by `zoom`, within `LEAST_ZOOM` and `MOST_ZOOM`.

    >>> [view.zoom for view in tta_views(1.3)]
    [1.0, 1.0, 1.3, 1.3]
    """
    zoom = float(np.clip(zoom, LEAST_ZOOM, MOST_ZOOM))
    return (View(), View(1.0, 2, True), View(zoom, 1), View(zoom, 3, True))


def final_views(zoom: float) -> tuple[View, ...]:
    """Return three views for the final labels: the image, one enlarged by `zoom`, and one for small axons.

    >>> [view.zoom for view in final_views(1.3)]
    [1.0, 1.3, 2.0]
    """
    upright, _, zoomed, _ = tta_views(zoom)
    return upright, zoomed, View(SMALL_AXON_ZOOM, 3, True)


def predict_over_views(predict: Predict, image: np.ndarray, views: tuple[View, ...]) -> np.ndarray:
    """Return the mean over views of class probabilities float32 [C, H, W] of an image [H, W].

    Parameters
    ----------
    predict : callable
        Maps an image [h, w] to probabilities [C, h, w]; `Segmenter.probabilities`.

    Examples
    --------
    >>> image = np.array([[0.0, 1.0], [2.0, 3.0]], dtype=np.float32)
    >>> predict_over_views(lambda view: view[None], image, (View(), View(turns=1, mirrored=True))).tolist()
    [[[0.0, 1.0], [2.0, 3.0]]]
    """
    total = sum(_undo(predict(_view_of(image, view)), view, image.shape) for view in views)
    return np.asarray(total / len(views), np.float32)


def _view_of(image: np.ndarray, view: View) -> np.ndarray:
    turned = np.rot90(_resized(image, tuple(round(side * view.zoom) for side in image.shape)), view.turns)
    return np.ascontiguousarray(turned[:, ::-1] if view.mirrored else turned)


def _undo(seen: np.ndarray, view: View, shape: tuple[int, int]) -> np.ndarray:
    """Undo a view on probabilities [C, h, w]."""
    seen = seen[:, :, ::-1] if view.mirrored else seen
    return np.stack([_resized(layer, shape) for layer in np.rot90(seen, -view.turns, (1, 2))])


def _resized(layer: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if layer.shape == shape:
        return layer
    tensor = torch.from_numpy(np.ascontiguousarray(layer, np.float32)).to(device())
    return interpolate(tensor[None, None], shape, mode="bilinear")[0, 0].numpy(force=True)
