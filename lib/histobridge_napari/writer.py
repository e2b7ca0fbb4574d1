"""napari's writer of masks: the layer of classes becomes a file that every command of histobridge reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from histobridge.io.masks import write_mask
from histobridge_napari.corrections import checked_classes


def write_labels(path: str, data: np.ndarray, meta: dict[str, Any]) -> list[str]:
    """Write a layer of classes (0 background, 1 myelin, 2 axon) as a PNG of 0, 127 and 255; return the path.

    Parameters
    ----------
    path : str
    data : ndarray
        Integers `[H, W]` in 0..2.
    meta : dict
        Of the layer.

    Raises
    ------
    UserError
        If the layer holds other labels, or the file cannot be written.
    """
    write_mask(path, checked_classes(np.asarray(data), f"The layer '{meta.get('name', path)}'"))
    return [path]
