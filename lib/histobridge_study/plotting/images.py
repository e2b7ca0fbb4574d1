"""Pictures of images: the two domains, translations beside their sources, pseudo labels beside the expert's."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from histobridge.display.drawing import (
    BLUE,
    CLASS_COLOURS,
    CORRECT_COLOURS,
    ERROR_COLOURS,
    LETTERS,
    PAGE,
    VERMILLION,
    Images,
    blank,
    colour_handles,
    common_side,
    error_map,
    middle,
    new_figure,
    overlay,
    panel,
    panel_grid,
    panel_side,
    refuse_empty,
    refuse_other_shapes,
    scale_bar,
    short,
    styled,
)

NAME = 22  # letters of an image's name above a panel


@styled
def domains(
    source: Images,
    target: Images,
    *,
    um_per_px: tuple[float, float],
    names: tuple[str, str],
    side: int = 256,
) -> Figure:
    """Show what is to be bridged: crops of both domains as the translator sees them, and their intensities.

    Parameters
    ----------
    source, target : mapping of str to ndarray
        Images by name; the first four are shown, the histograms count all. Every crop is a central square of
        one side, so a pixel has the same size on the page throughout.
    um_per_px : (float, float)
        Pixel sizes of source and target.
    names : (str, str)
        What to call the two domains.
    side : int
        Side of the crops in px, at most.
    """
    for name, images in zip(names, (source, target), strict=True):
        refuse_empty(images, f"images of '{name}'")
    shown = [dict(list(images.items())[:4]) for images in (source, target)]
    side = common_side([image for images in shown for image in images.values()], side)
    columns = max(map(len, shown))
    inches = min(1.75, PAGE / columns)
    figure = new_figure(max(columns * inches, 4.6), 2 * (inches + 0.15) + 1.7)
    grid = figure.add_gridspec(3, columns, height_ratios=[inches, inches, 1.3])
    for row, (name, images, size) in enumerate(zip(names, shown, um_per_px, strict=True)):
        for column, (title, image) in enumerate(images.items()):
            axes = figure.add_subplot(grid[row, column])
            panel(axes, middle(image, side), title=short(title, NAME), um_per_px=size if column == 0 else None)
            axes.set_ylabel(f"{name}\n{size:.4g} µm/px" if column == 0 else "")
    _histograms(figure.add_subplot(grid[2, :]), names, (source, target))
    return figure


def _histograms(axes: Axes, names: tuple[str, str], both: tuple[Images, Images]) -> None:
    """Draw the mean histogram of each domain over the faint histograms of its images."""
    edges = np.linspace(0, 1, 65)
    medians = []
    for name, images, colour in zip(names, both, (BLUE, VERMILLION), strict=True):
        shares = [100 * np.histogram(image, edges)[0] / image.size for image in images.values()]
        for share in shares:
            axes.stairs(share, edges, color=colour, alpha=0.25, linewidth=0.5)
        axes.stairs(np.mean(shares, axis=0), edges, color=colour, linewidth=1.8, label=f"{name}, mean")
        medians.append(np.median([np.median(image) for image in images.values()]))
    axes.set(xlim=(0, 1), xlabel="intensity (0 black, 1 white)", ylabel="pixels (%)")
    sentence = " and ".join(f"{median:.2f} in {name}" for median, name in zip(medians, names, strict=True))
    axes.set_title(f"The median intensity is {sentence}")
    axes.legend()


@styled
def translations(
    rows: Sequence[tuple[str, Images]],
    *,
    um_per_px: float | Sequence[float] | None = None,
    side: int = 256,
) -> Figure:
    """Show a grid of panels, such as an image, its translation and its round trip: one labelled row an image.

    Parameters
    ----------
    rows : sequence of (str, mapping of str to ndarray)
        A label and the row's panels by title; a title that the panel above carries too is not repeated.
    um_per_px : float or sequence of float, optional
        Pixel size, one for all or one a row; draws a scale bar in each row's first panel.
    side : int
        Side of the central square that is shown, in px, at most.
    """
    refuse_empty(rows, "rows of images")
    side = common_side([image for _, panels in rows for image in panels.values()], side)
    columns = max(len(panels) for _, panels in rows)
    (figure, grid), letters = panel_grid(len(rows), columns), int(LETTERS * panel_side(columns))
    above: list[str] = []
    for axes, (label, panels), size in zip(grid, rows, np.broadcast_to(um_per_px, len(rows)), strict=True):
        for column, (title, image) in enumerate(panels.items()):
            repeated = above[column : column + 1] == [title]
            bar = size if column == 0 else None
            heading = "" if repeated else textwrap.fill(title, letters)
            panel(axes[column], middle(image, side), title=heading, um_per_px=bar)
        axes[0].set_ylabel(short(label, letters))
        blank(axes[len(panels) :])
        above = list(panels)
    return figure


@styled
def pseudo_labels(
    image: np.ndarray,
    truth: np.ndarray,
    masks: Images,
    *,
    translations: Images | None = None,
    dice: Mapping[str, str] | None = None,
    um_per_px: float | None = None,
    side: int = 256,
) -> Figure:
    """Show the pseudo labels of one image beside the expert's, one row a strategy, and where they differ.

    Parameters
    ----------
    image, truth : ndarray
        Image and expert mask.
    masks : mapping of str to ndarray
        Pseudo label by strategy.
    translations : mapping of str to ndarray, optional
        The translated image that a strategy's segmenter saw; strategies left out saw the image itself.
    dice : mapping of str to str, optional
        Text to write under the error map of a strategy.
    um_per_px : float, optional
        Pixel size; draws a scale bar.
    side : int
        Side of the central square that is shown, in px, at most.
    """
    refuse_empty(masks, "pseudo labels")
    translations, dice = translations or {}, dice or {}
    refuse_other_shapes(image, {"truth": truth, **masks, **translations})
    side = common_side([image], side)
    figure, grid = panel_grid(len(masks), 5, gap=0.35 if dice else 0.05)
    for row, (strategy, mask) in zip(grid, masks.items(), strict=True):
        arrays = (image, translations.get(strategy), mask, truth)
        _strategy_row(row, *(None if array is None else middle(array, side) for array in arrays))
        row[0].set_ylabel(textwrap.fill(strategy, 18))
        row[4].set_xlabel(textwrap.fill(dice.get(strategy, ""), 20), loc="left", fontsize=7)
    for axes, title in zip(grid[0], ("image", "translation", "pseudo label", "expert", "errors"), strict=True):
        axes.set_title(title)
    if um_per_px is not None:
        scale_bar(grid[0, 0], (side, side), um_per_px)
    handles = colour_handles(CLASS_COLOURS | ERROR_COLOURS | CORRECT_COLOURS)
    figure.legend(handles=handles, loc="outside lower center", ncols=7, handlelength=1, columnspacing=1)
    return figure


def _strategy_row(
    row: np.ndarray, image: np.ndarray, translation: np.ndarray | None, mask: np.ndarray, truth: np.ndarray
) -> None:
    panel(row[0], image)
    if translation is None:
        blank(row[1:2], "the image itself")
    else:
        panel(row[1], translation)
    panel(row[2], overlay(image, mask))
    panel(row[3], overlay(image, truth))
    panel(row[4], error_map(truth, mask))
