"""Pictures of images: translations beside their sources, pseudo labels beside the expert's mask."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from histobridge.display.drawing import (
    CLASS_COLOURS,
    CORRECT_COLOURS,
    ERROR_COLOURS,
    SMALL,
    Images,
    blank,
    colour_handles,
    common_side,
    error_map,
    overlay,
    panel,
    panel_grid,
    refuse_empty,
    refuse_other_shapes,
    shorten,
    styled,
)
from histobridge.io.images import middle

LETTERS_PER_INCH = 14  # of a title


@styled
def translations(
    rows: Sequence[tuple[str, Images]], *, um_per_px: float | Sequence[float] | None = None, side: int = 256
) -> Figure:
    """Show a grid of images, such as an image, its translation and its round trip, one row an image.

    Parameters
    ----------
    rows : sequence of (str, mapping of str to ndarray)
        The label of a row, and its images [H, W] by title. A title is not repeated below an equal one.
    um_per_px : float or sequence of float, optional
        Pixel size of all rows or of each; draws a scale bar in the first panel of each row.
    side : int
        Side of the central square that is shown, in px, at most.
    """
    refuse_empty(rows, "rows of images")
    side = common_side([image for _, images in rows for image in images.values()], side)
    columns = max(len(images) for _, images in rows)
    figure, grid = panel_grid(len(rows), columns)
    letters = int(LETTERS_PER_INCH * (figure.get_figwidth() - 0.4) / columns)
    titles_above: list[str] = []
    for panels, (label, images), size in zip(grid, rows, np.broadcast_to(um_per_px, len(rows)), strict=True):
        for column, (title, image) in enumerate(images.items()):
            repeated = titles_above[column : column + 1] == [title]
            panel(
                panels[column],
                middle(image, side),
                title="" if repeated else textwrap.fill(title, letters, break_long_words=False),
                um_per_px=size if column == 0 else None,
            )
        panels[0].set_ylabel(shorten(label, letters))
        blank(panels[len(images) :])
        titles_above = list(images)
    return figure


@styled
def overlays(
    pictures: Mapping[str, tuple[np.ndarray, np.ndarray | None]], *, um_per_px: float | None = None, side: int = 256
) -> Figure:
    """Show images side by side, with myelin and axon tinted where a mask is given.

    Parameters
    ----------
    pictures : mapping of str to (ndarray, ndarray or None)
        Image [H, W] and its class mask, by title.
    um_per_px : float, optional
        Pixel size; draws a scale bar in the first panel.
    side : int
        Side of the central square that is shown, in px, at most.
    """
    refuse_empty(pictures, "images")
    side = common_side([image for image, _ in pictures.values()], side)
    figure, grid = panel_grid(1, len(pictures))
    for column, (title, (image, mask)) in enumerate(pictures.items()):
        shown = image if mask is None else overlay(image, mask)
        panel(grid[0][column], middle(shown, side), title=title, um_per_px=None if column else um_per_px)
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
    """Show the pseudo labels of one image beside the expert's mask and an error map, one row a strategy.

    Parameters
    ----------
    image, truth : ndarray [H, W]
        Image and expert mask.
    masks : mapping of str to ndarray
        Pseudo label by strategy.
    translations : mapping of str to ndarray, optional
        The translated image that the segmenter of a strategy saw. Other strategies saw the image itself.
    dice : mapping of str to str, optional
        Text below the error map of a strategy.
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
        translation = translations.get(strategy)
        panel(row[0], middle(image, side), um_per_px=um_per_px)
        if translation is None:
            blank(row[1:2], "not translated")
        else:
            panel(row[1], middle(translation, side))
        pictures = (overlay(image, mask), overlay(image, truth), error_map(truth, mask))
        for axes, picture in zip(row[2:], pictures, strict=True):
            panel(axes, middle(picture, side))
        row[0].set_ylabel(textwrap.fill(strategy, 18))
        row[4].set_xlabel(textwrap.fill(dice.get(strategy, ""), 20), loc="left", fontsize=SMALL)
    for axes, title in zip(grid[0], ("image", "translation", "pseudo label", "expert mask", "errors"), strict=True):
        axes.set_title(title)
    handles = colour_handles(CLASS_COLOURS | ERROR_COLOURS | CORRECT_COLOURS)
    figure.legend(handles=handles, loc="outside lower center", ncols=7, handlelength=1, columnspacing=1)
    return figure
