"""The figures of notebook 09: the exports of the label tool as other tools read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from histobridge.display.drawing import (
    CLASS_COLOURS,
    CORRECT_COLOURS,
    ERROR_COLOURS,
    GREY,
    PAGE,
    VERMILLION,
    Images,
    colour_handles,
    common_side,
    error_map,
    new_figure,
    overlay,
    panel,
    panel_grid,
    refuse_empty,
    refuse_other_shapes,
    require_columns,
    styled,
)
from histobridge.io.images import middle
from histobridge_study.plotting.handoff import draw_polygons
from histobridge_study.plotting.morphometry import medians

Area = tuple[str, Iterable[int], Sequence[np.ndarray]]
"""Name, colour (red, green, blue, 0..255), and rings [N, 2] of x, y in px from the upper left corner of the image."""
DIAMETER, G_RATIO, AT_BORDER = "axon_diam (um)", "gratio", "image_border_touching"
"""Columns of AxonDeepSeg."""


@styled
def picture_row(pictures: Images, *, um_per_px: float, side: int = 192) -> Figure:
    """Show the middle of pictures side by side.

    Parameters
    ----------
    pictures : mapping of str to ndarray
        Grey [H, W] or coloured [H, W, 3 or 4], in 0..1, by title.
    um_per_px : float
        Pixel size; draws a scale bar in the first panel.
    side : int
        Side of the central square that is shown, in px, at most.
    """
    refuse_empty(pictures, "pictures")
    figure = new_figure(PAGE, PAGE / len(pictures) + 0.2)
    for number, (axes, (title, picture)) in enumerate(
        zip(figure.subplots(1, len(pictures), squeeze=False)[0], pictures.items(), strict=True)
    ):
        panel(axes, middle(picture, side), title=title, um_per_px=None if number else um_per_px)
    return figure


@styled
def outlines(image: np.ndarray, areas: Sequence[Area], *, um_per_px: float, filled: bool = False) -> Figure:
    """Show an image, and the outlines of areas over it, in their colours.

    Parameters
    ----------
    image : ndarray [H, W]
    areas : sequence of (str, sequence of int, sequence of ndarray)
        See `Area`. Names and colours of the areas are the legend.
    um_per_px : float
        Pixel size; draws a scale bar.
    filled : bool
        Whether areas are tinted.
    """
    refuse_empty(areas, "areas")
    figure = new_figure(PAGE, 3.8)
    plain, drawn = figure.subplots(1, 2)
    panel(plain, image, title="image", um_per_px=um_per_px)
    panel(drawn, image, title=f"{len(areas)} areas as they were read")
    colours = {}
    for name, colour, rings in areas:
        colours[name] = tuple(value / 255 for value in colour)
        draw_polygons(drawn, [rings], colours[name], filled=filled)
    figure.legend(handles=colour_handles(colours), loc="outside lower center", ncols=len(colours), handlelength=1)
    return figure


@styled
def pyramid_levels(
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    colours: Mapping[int, Sequence[float]],
    um_per_px: Sequence[float],
    *,
    side_um: float = 12.8,
) -> Figure:
    """Show the same middle part of every level of a pyramid: above the image, below it its labels in their colours.

    Parameters
    ----------
    images, labels : sequence of ndarray [H, W]
        Grey values 0..255 and label values, the finest level first.
    colours : mapping of int to sequence of float
        Red, green and blue 0..1 by label value.
    um_per_px : sequence of float
        Pixel size of each level.
    side_um : float
        Side of the part that is shown, µm, at most.
    """
    refuse_empty(images, "levels")
    figure, grid = panel_grid(2, len(images), gap=0.3)
    for level, (image, label, size) in enumerate(zip(images, labels, um_per_px, strict=True)):
        refuse_other_shapes(image, {"labels": label})
        height, width = image.shape
        side = common_side([image], max(1, round(side_um / size)))
        grey, classes = middle(image, side) / 255, middle(label, side)
        title = f"level {level}: {height} × {width} px\n{size:g} µm/px"
        panel(grid[0, level], grey, title=title, um_per_px=None if level else size)
        panel(grid[1, level], overlay(grey, classes, colours))
    grid[0, 0].set_ylabel("image")
    grid[1, 0].set_ylabel("labels")
    return figure


@styled
def differing_pixels(image: np.ndarray, mask: np.ndarray, others: Images, *, um_per_px: float) -> Figure:
    """Show an image with a mask and those of other tools, and below each of these where it differs from the first.

    Parameters
    ----------
    image, mask : ndarray [H, W]
        The image, and the class mask of `histobridge apply`.
    others : mapping of str to ndarray [H, W]
        Class masks by tool.
    um_per_px : float
        Pixel size; draws a scale bar.
    """
    refuse_empty(others, "other masks")
    refuse_other_shapes(image, {"mask": mask, **others})
    figure, grid = panel_grid(2, 1 + len(others), gap=0.3)
    panel(grid[0, 0], overlay(image, mask), title="histobridge apply", um_per_px=um_per_px)
    panel(grid[1, 0], image, title="image")
    for (above, below), (name, other) in zip(grid.T[1:], others.items(), strict=True):
        panel(above, overlay(image, other), title=name)
        title = f"{(other != mask).sum()} of {mask.size} px differ"
        panel(below, error_map(mask, other), title=title)
    colours = CLASS_COLOURS | CORRECT_COLOURS | ERROR_COLOURS
    names = {"correct myelin": "equal myelin", "correct axon": "equal axon"}
    names |= {"false negative": "missing", "false positive": "added"}
    handles = colour_handles({names.get(name, name): colour for name, colour in colours.items()})
    figure.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=1)
    return figure


@styled
def axon_diameter_and_g_ratio(table: pd.DataFrame) -> Figure:
    """Show the g-ratio against the axon's diameter of every complete fibre in a table with the columns of AxonDeepSeg.

    The line is the median of fibres of similar diameter.
    """
    require_columns(table, [DIAMETER, G_RATIO, AT_BORDER], "the table")
    complete = table[~table[AT_BORDER] & table[G_RATIO].notna()]
    refuse_empty(complete, "complete fibres with a sheath")
    figure = new_figure(PAGE / 2, 2.6)
    axes = figure.subplots()
    axes.scatter(complete[DIAMETER], complete[G_RATIO], s=8, color=GREY, linewidth=0)
    axes.plot(*medians(complete[[DIAMETER, G_RATIO]].to_numpy()), color=VERMILLION, label="median")
    axes.set(xlabel=DIAMETER, ylabel=G_RATIO, ylim=(0, 1), xlim=(0, None), title=f"{len(complete)} complete fibres")
    axes.legend(loc="lower right")
    return figure
