"""What is handed to annotation tools, as each of them will show it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline

from histobridge.display.drawing import (
    CLASS_COLOURS,
    colour_handles,
    common_side,
    middle,
    panel,
    panel_grid,
    refuse_other_shapes,
    styled,
)
from histobridge.io.masks import encode_mask
from histobridge_label.export.geojson import areas, features
from histobridge_label.export.instances import fibre_labels

GOLDEN = 0.618034  # of a turn of hue from one fibre to the next: neighbours in number never look alike


@styled
def handoff_panel(
    image: np.ndarray, mask: np.ndarray, uncertain: np.ndarray, *, um_per_px: float, side: int = 128
) -> Figure:
    """Show an image and what is handed off with it: mask, numbered fibres, polygons, uncertainty.

    Parameters
    ----------
    image, mask, uncertain : ndarray
        Image, class mask and uncertainty 0..1, `[H, W]`.
    um_per_px : float
        Pixel size; fibres are told from specks by it, and it draws a scale bar.
    side : int
        Side of the central square that is shown, in px, at most; polygons want it small enough to see their steps.
    """
    refuse_other_shapes(image, {"mask": mask, "uncertainty": uncertain})
    side = common_side([image], side)
    fibres = middle(fibre_labels(mask, um_per_px), side)  # numbered in the whole image: cut fibres are not whole
    image, mask, uncertain = (middle(picture, side) for picture in (image, mask, uncertain))
    pictures = {
        "image": image,
        "mask (AxonDeepSeg)": encode_mask(mask) / 255,
        "fibres (napari, Fiji)": _coloured(fibres),
        "polygons (QuPath)": image,
        "uncertainty": uncertain,
    }
    figure, grid = panel_grid(1, len(pictures), gap=0.3)
    for axes, (title, picture) in zip(grid[0], pictures.items(), strict=True):
        panel(axes, picture, title=title, um_per_px=um_per_px if title == "image" else None)
    _draw_polygons(grid[0, 3], mask, fibres)
    handles = colour_handles({f"polygon of {name}": colour for name, colour in CLASS_COLOURS.items()})
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=1)
    return figure


def _coloured(fibres: np.ndarray) -> np.ndarray:
    """Return a picture, float [H, W, 3] in 0..1, in which every fibre has a colour and the rest is black."""
    hue = fibres * GOLDEN % 1
    value = (fibres > 0).astype(float)
    return hsv_to_rgb(np.stack([hue, 0.6 * value, 0.95 * value], axis=-1))


def _draw_polygons(axes: Axes, mask: np.ndarray, fibres: np.ndarray) -> None:
    """Draw the outlines and the insides of polygons over a picture, whose pixels are centred on whole numbers."""
    for feature in features(mask, fibres):
        colour = CLASS_COLOURS[feature["properties"]["classification"]["name"].lower()]
        outlines = [_outline(rings) for rings in areas(feature)]
        axes.add_collection(PathCollection(outlines, facecolor=colour, alpha=0.3))
        axes.add_collection(PathCollection(outlines, facecolor="none", edgecolor=colour, linewidth=0.7))


def _outline(rings: list) -> Outline:
    return Outline.make_compound_path(*(Outline(ring - 0.5, closed=True) for ring in rings))
