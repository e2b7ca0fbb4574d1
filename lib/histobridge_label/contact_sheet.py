"""What is shown of somebody's own images before anything is trained: all of them, and how they compare with L."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from histobridge.display.drawing import SMALL, VERMILLION, blank, panel, panel_grid, refuse_empty, short, styled

COLUMNS, MOST = 6, 48


class Thumbnail(NamedTuple):
    """A small picture [h, w] in 0..1 with its name, its pixel size as shown (µm/px), and what to say below it."""

    name: str
    picture: np.ndarray
    um_per_px: float
    note: str
    odd: bool = False


@styled
def contact_sheet(thumbnails: Sequence[Thumbnail]) -> Figure:
    """Show images side by side, each with a scale bar of its own; what is odd about one is written in colour.

    At most `MOST` are shown, evenly chosen; the headline says so.
    """
    refuse_empty(thumbnails, "images")
    step = -(-len(thumbnails) // MOST)
    shown = thumbnails[::step]
    columns = min(COLUMNS, max(4, len(shown)))
    figure, grid = panel_grid(-(-len(shown) // columns), columns, gap=0.42)
    for axes, one in zip(grid.flat, shown, strict=False):
        panel(axes, one.picture, title=short(one.name, 16), um_per_px=one.um_per_px)
        axes.set_anchor("N")
        text = {"loc": "left", "fontsize": SMALL, "color": VERMILLION if one.odd else "black"}
        axes.set_xlabel("\n".join(textwrap.wrap(one.note, 22, max_lines=3, placeholder=" …")), **text)
    blank(grid.flat[len(shown) :])
    if step > 1:
        figure.suptitle(f"{len(shown)} of {len(thumbnails)} images, evenly chosen", x=0.01, ha="left")
    return figure
