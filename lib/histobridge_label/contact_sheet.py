"""A contact sheet: all images of a folder as thumbnails, before anything is trained."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from histobridge.display.drawing import (
    SMALL,
    VERMILLION,
    blank,
    figure_title,
    panel,
    panel_grid,
    refuse_empty,
    shorten,
    styled,
)

COLUMNS = 6


class Thumbnail(NamedTuple):
    """A small picture [h, w] in 0..1, its name, its pixel size as shown (µm/px) and a note; `odd` marks a problem."""

    name: str
    picture: np.ndarray
    um_per_px: float
    note: str
    odd: bool = False


@styled
def contact_sheet(shown: Sequence[Thumbnail], of: int) -> Figure:
    """Show images side by side, each with its own scale bar; notes on problems are in colour.

    If they are fewer than the images that they are chosen `of`, a title says so.
    """
    refuse_empty(shown, "images")
    columns = min(COLUMNS, max(4, len(shown)))
    figure, grid = panel_grid(-(-len(shown) // columns), columns, gap=0.42)
    for axes, one in zip(grid.flat, shown, strict=False):
        panel(axes, one.picture, title=shorten(one.name, 16), um_per_px=one.um_per_px)
        axes.set_anchor("N")
        text = {"loc": "left", "fontsize": SMALL, "color": VERMILLION if one.odd else "black"}
        axes.set_xlabel("\n".join(textwrap.wrap(one.note, 22, max_lines=3, placeholder=" …")), **text)
    blank(grid.flat[len(shown) :])
    if len(shown) < of:
        figure_title(figure, f"{len(shown)} of {of} images, evenly chosen")
    return figure
