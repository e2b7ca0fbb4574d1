"""The files of one image of a hand-off as layers of napari, every pixel as it stands in the file.

One layer holds both classes, because two layers that are edited apart soon contradict each other. Layers have the pixel
size of the image, so that napari shows a scale bar in µm.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from histobridge.io.pixels import read_plane
from histobridge_label.export import Handoff, names
from histobridge_label.export.geojson import CLASSES, COLOURS

IMAGE, UNCERTAINTY, INSTANCES, LABEL = "image", "uncertainty", "instances", "axon and myelin"
ORIGIN = "histobridge"
"""Key of the metadata of a layer that tell its hand-off, image and part: one of the names above."""
OPACITY = 0.4  # of classes: what is below must stay visible
UNIT = "µm"

LayerData = tuple[np.ndarray, dict[str, Any], str]


def layers_of(handoff: Handoff, image: str, label: np.ndarray) -> Iterator[LayerData]:
    """Yield the layers of one image, from the lowest to the uppermost.

    Parameters
    ----------
    handoff : Handoff
    image : str
        Its name in the hand-off.
    label : ndarray
        uint8 `[H, W]` of classes: as it was handed off, or as it was corrected.

    Yields
    ------
    tuple
        Data, options and type of a layer, as readers of napari return them: image and uncertainty uint8 `[H, W]`,
        instances uint16 or uint32 `[H, W]` and the classes uint8 `[H, W]`.

    Raises
    ------
    UserError
        If a file cannot be read.
    """

    def about(part: str) -> dict[str, Any]:
        origin = {"handoff": str(handoff.folder.resolve()), "image": image, "part": part}
        scale = [handoff.um_per_px(image)] * 2
        return {"name": part, "scale": scale, "units": [UNIT] * 2, "metadata": {ORIGIN: origin}}

    grey = {"contrast_limits": (0, 255)}
    yield _pixels(handoff.file(image, ".png")), about(IMAGE) | grey, "image"
    uncertain = {"colormap": "magma", "blending": "additive", "opacity": 0.6, "visible": False}
    yield _pixels(handoff.file(image, names.UNCERTAINTY)), about(UNCERTAINTY) | grey | uncertain, "image"
    numbered = {"visible": False, "opacity": OPACITY}
    yield _pixels(handoff.file(image, names.INSTANCES)), about(INSTANCES) | numbered, "labels"
    yield label, class_layer_options() | about(LABEL), "labels"


def class_layer_options() -> dict[str, Any]:
    """Return the options of a labels layer of classes: the colours of all figures, see-through."""
    from napari.utils.colormaps import DirectLabelColormap

    colours = {value: np.array([*COLOURS[class_name], 255]) / 255 for class_name, value in CLASSES.items()}
    nothing = np.zeros(4)
    colormap = DirectLabelColormap(color_dict={**colours, 0: nothing, None: nothing})
    return {"opacity": OPACITY, "colormap": colormap}


def _pixels(path: Path) -> np.ndarray:
    return read_plane(path).values
