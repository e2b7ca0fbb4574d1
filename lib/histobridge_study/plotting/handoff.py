"""A pseudo label as annotation tools display its exported files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    panel,
    panel_grid,
    refuse_other_shapes,
    styled,
)
from histobridge.io.images import middle
from histobridge.io.masks import encode_mask

GOLDEN = 0.618034  # turns of hue between one fibre and the next, so that consecutive numbers look different


@styled
def handoff_panel(
    image: np.ndarray, mask: np.ndarray, uncertain: np.ndarray, *, um_per_px: float, side: int = 128
) -> Figure:
    """Show an image and what is exported with it: mask, numbered fibres, polygons, uncertainty.

    Parameters
    ----------
    image, mask, uncertain : ndarray [H, W]
        Image, class mask and uncertainty 0..1.
    um_per_px : float
        Pixel size; it separates fibres from specks and draws a scale bar.
    side : int
        Side of the central square that is shown, in px, at most.
    """
    from histobridge_label.export.instances import fibre_labels  # the other plots do without the label tool

    refuse_other_shapes(image, {"mask": mask, "uncertainty": uncertain})
    side = common_side([image], side)
    fibres = middle(fibre_labels(mask, um_per_px), side)  # numbered before the crop cuts fibres at its border
    image, mask, uncertain = (middle(picture, side) for picture in (image, mask, uncertain))
    pictures = {
        "image": image,
        "mask (AxonDeepSeg)": encode_mask(mask) / 255,
        "fibres (napari, Fiji)": _fibre_colours(fibres),
        "polygons (QuPath)": image,
        "uncertainty (0 to 1)": uncertain,
    }
    figure, grid = panel_grid(1, len(pictures), gap=0.3)
    for axes, (title, picture) in zip(grid[0], pictures.items(), strict=True):
        panel(axes, picture, title=title, um_per_px=um_per_px if title == "image" else None)
    _draw_polygons(grid[0, 3], mask, fibres)
    handles = colour_handles({f"polygon of {name}": colour for name, colour in CLASS_COLOURS.items()})
    figure.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=1)
    return figure


def _fibre_colours(fibres: np.ndarray) -> np.ndarray:
    """Return a picture, float [H, W, 3] in 0..1, with one colour a fibre on black."""
    hue, value = fibres * GOLDEN % 1, (fibres > 0).astype(float)
    return hsv_to_rgb(np.stack([hue, 0.6 * value, 0.95 * value], axis=-1))


def _draw_polygons(axes: Axes, mask: np.ndarray, fibres: np.ndarray) -> None:
    """Draw the polygons of a mask. Their corners lie between pixels, whose centres are whole numbers."""
    from histobridge_label.export.geojson import features, polygons_of

    for feature in features(mask, fibres):
        colour = CLASS_COLOURS[feature["properties"]["classification"]["name"].lower()]
        draw_polygons(axes, polygons_of(feature), colour)


def draw_polygons(axes: Axes, polygons: Iterable[Sequence[np.ndarray]], colour: object, *, filled: bool = True) -> None:
    """Draw polygons, each a list of rings [N, 2] of x, y in px from the upper left corner, over a picture."""
    outlines = [Outline.make_compound_path(*(Outline(ring - 0.5, closed=True) for ring in rings)) for rings in polygons]
    if filled:
        axes.add_collection(PathCollection(outlines, facecolor=colour, alpha=0.3))
    axes.add_collection(PathCollection(outlines, facecolor="none", edgecolor=colour, linewidth=0.7))
