"""What the figures are drawn with: page and colours, panels and scale bars, overlays and error maps, checks, saving.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; myelin is blue and axon orange in
every figure. Images, masks and pixel sizes are those of `histobridge_study.plotting`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sized
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle
from matplotlib.path import Path as Polyline
from matplotlib.patheffects import withStroke

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.errors import UserError
from histobridge.io.files import atomic_write
from histobridge.io.images import middle as middle  # figures are drawn with it

Images = Mapping[str, np.ndarray]

BLUE, ORANGE, VERMILLION, GREEN = "#0072B2", "#E69F00", "#D55E00", "#009E73"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#777777"
CLASS_COLOURS = {"myelin": BLUE, "axon": ORANGE}
ERROR_COLOURS = {"missed": VERMILLION, "invented": SKY, "swapped": "black"}
CORRECT_COLOURS = {"correct myelin": "#AAAAAA", "correct axon": "#DDDDDD"}
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 120,
    "figure.titlesize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "svg.hashsalt": "histobridge",  # the same figure gives the same file
}
PAGE = 7.1  # inches: the width of a printed page of two columns
LETTERS = 14  # of a title, in an inch
SMALL = 7  # pt: the smallest type that is read in print without effort

styled = matplotlib.rc_context(STYLE)
"""Decorates a function that draws: it draws in `STYLE`, and matplotlib's settings stay as they were."""


# --- Figures ------------------------------------------------------------------------------------------------


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches.

    At the end of a cell a notebook shows the cell's value and every figure that pyplot knows: closed at once,
    it is shown once. It must be of pyplot's making all the same, which teaches the notebook to show figures.
    """
    figure = plt.figure(figsize=(width, height), layout="constrained")
    plt.close(figure)
    return figure


def panel_grid(rows: int, columns: int, *, gap: float = 0.05) -> tuple[Figure, np.ndarray]:
    """Return a figure, at most a page wide, and its axes [rows, columns], a gap (inches) below each row."""
    side = panel_side(columns)
    figure = new_figure(0.4 + columns * side, 0.25 + rows * (side + gap))
    return figure, figure.subplots(rows, columns, squeeze=False)


def panel_side(columns: int) -> float:
    """Return the side, inches, of a panel in a grid of so many columns."""
    return min(1.75, (PAGE - 0.4) / columns)


def sheet(height: float) -> tuple[Figure, Axes]:
    """Return a figure a page wide and, all over it, axes to draw on: inches from the upper left corner.

    For figures whose parts stand where they are put; `axes_at` puts them.
    """
    figure = new_figure(PAGE, height)
    figure.set_layout_engine("none")
    ground = figure.add_axes((0, 0, 1, 1))
    ground.set(xlim=(0, PAGE), ylim=(height, 0))
    ground.set_axis_off()
    return figure, ground


def axes_at(ground: Axes, left: float, top: float, width: float, height: float) -> Axes:
    """Return new axes on a `sheet`, placed in inches from its upper left corner."""
    whole_width, whole_height = ground.figure.get_size_inches()
    bottom = whole_height - top - height
    return ground.figure.add_axes(
        (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    )


def readme_table(figure: Figure, sentence: str) -> None:
    """Write a sentence over a figure, from the left."""
    figure.suptitle(sentence, x=0.01, ha="left")


@styled
def save(figure: Figure, path: Path | str) -> tuple[Path, Path]:
    """Write a figure as `path`.svg and, at 300 dpi, `path`.png, each whole or not at all; return both paths.

    The same figure gives the same files, byte for byte: no date goes in. Missing folders are made.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    path = Path(path)
    svg, png = (path.with_name(f"{path.name}.{ending}") for ending in ("svg", "png"))
    with atomic_write(svg) as draft:
        figure.savefig(draft, format="svg", dpi=300, metadata={"Date": None})
    with atomic_write(png) as draft:
        figure.savefig(draft, format="png", dpi=300)
    return svg, png


# --- Panels -------------------------------------------------------------------------------------------------


def panel(axes: Axes, picture: np.ndarray, *, title: str = "", um_per_px: float | None = None) -> None:
    """Show one grey [H, W] or colour [H, W, 3] picture in 0..1, with a scale bar if its pixel size is given."""
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[], title=title)
    axes.spines[:].set_visible(False)
    if um_per_px is not None:
        scale_bar(axes, picture.shape[:2], um_per_px)


def short(name: str, most: int) -> str:
    """Return a name of at most so many letters, left out in the middle: the ends tell names of one folder apart.

    >>> short("sub-rat3_sample-data10_SEM", 15)
    'sub-rat…a10_SEM'
    """
    keep = most - 1
    return name if len(name) <= most else f"{name[: keep - keep // 2]}…{name[-(keep // 2) :]}"


def blank(panels: Iterable[Axes], note: str = "") -> None:
    """Leave square panels empty but for a note."""
    for axes in panels:
        axes.set_axis_off()
        axes.set_box_aspect(1)
        axes.text(0.5, 0.5, note, color=GREY, ha="center", va="center", transform=axes.transAxes)


def scale_bar(axes: Axes, shape: tuple[int, int], um_per_px: float) -> None:
    """Draw a white bar with a dark edge at the lower left of a picture of `shape`, to be seen on any grey."""
    length, margin, height = scale_bar_um(shape[1], um_per_px), 0.05 * shape[0], 0.03 * shape[0]
    corner = (margin, shape[0] - margin - height)
    axes.add_patch(Rectangle(corner, length / um_per_px, height, fc="white", ec="black", linewidth=0.5))
    edge = [withStroke(linewidth=1.5, foreground="black")]
    text = {"color": "white", "fontsize": SMALL, "va": "bottom", "path_effects": edge}
    axes.text(margin, corner[1] - height, f"{length:g} µm", **text)


def scale_bar_um(width_px: int, um_per_px: float) -> float:
    """Return the length in µm of a scale bar: 1, 2 or 5 times a power of ten, at most 0.3 of the width.

    Raises
    ------
    UserError
        If the pixel size is not positive.

    >>> scale_bar_um(256, 0.1), scale_bar_um(256, 0.0164)
    (5.0, 1.0)
    """
    if not um_per_px > 0:
        raise UserError(f"A pixel of {um_per_px} µm cannot be drawn to scale: give a pixel size above 0.")
    longest = 0.3 * width_px * um_per_px * (1 + 1e-9)  # round-off must not cost a whole step
    decade = 10.0 ** math.floor(math.log10(longest))
    return max(step * decade for step in (1, 2, 5) if step * decade <= longest)


def arrow(ground: Axes, *points: tuple[float, float], colour: str = GREY) -> None:
    """Draw an arrow along points of a `sheet`, (x, y) in inches; it ends at the last."""
    ground.add_patch(
        FancyArrowPatch(
            path=Polyline(points), arrowstyle="-|>", mutation_scale=7, color=colour, linewidth=1, fill=False
        )
    )


def word_box(ground: Axes, centre: tuple[float, float], size: tuple[float, float], words: str, colour: str) -> None:
    """Draw a filled box of `size` (inches) around words in white on a `sheet`."""
    corner = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
    ground.add_patch(FancyBboxPatch(corner, *size, boxstyle="round,pad=0,rounding_size=0.06", fc=colour, ec="none"))
    text = {"color": "white", "fontsize": SMALL, "fontweight": "bold", "ha": "center", "va": "center"}
    ground.text(*centre, words, **text)


# --- Pictures -----------------------------------------------------------------------------------------------


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return `image` with myelin and axon tinted, float [H, W, 3] in 0..1.

    The grey only dims the tint: a mixture would turn orange to brown where axons are dark, and blue to sky
    blue where myelin is bright.
    """
    picture = np.repeat(image[..., None], 3, axis=2).astype(float)
    for value, name in ((MYELIN, "myelin"), (AXON, "axon")):
        picture[mask == value] = (0.75 + 0.25 * picture[mask == value]) * to_rgb(CLASS_COLOURS[name])
    return picture


def error_map(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return a picture, float [H, W, 3] in 0..1, of how the mask `predicted` errs.

    What is background in both is white and what is right is grey; `ERROR_COLOURS` mark foreground that is
    missed, background taken for foreground (invented), and myelin and axon swapped.

    >>> picture = error_map(np.array([[2, 0, 1, 0]]), np.array([[0, 1, 2, 0]]))
    >>> picture.round(2)[0].tolist()  # missed, invented, swapped, background
    [[0.84, 0.37, 0.0], [0.34, 0.71, 0.91], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    is_true, is_predicted = truth != BACKGROUND, predicted != BACKGROUND
    where = {
        "correct myelin": (truth == MYELIN) & (predicted == MYELIN),
        "correct axon": (truth == AXON) & (predicted == AXON),
        "missed": is_true & ~is_predicted,
        "invented": ~is_true & is_predicted,
        "swapped": is_true & is_predicted & (truth != predicted),
    }
    picture = np.ones((*truth.shape, 3))
    for name, pixels in where.items():
        picture[pixels] = to_rgb((CORRECT_COLOURS | ERROR_COLOURS)[name])
    return picture


def common_side(images: Iterable[np.ndarray], side: int) -> int:
    """Return the largest side in px, at most `side`, of a square that fits into every image.

    >>> common_side([np.zeros((50, 60)), np.zeros((70, 40))], 256)
    40
    """
    return min(side, *(length for image in images for length in image.shape))


# --- Checks -------------------------------------------------------------------------------------------------


def colour_handles(colours: Mapping[str, str]) -> list[Patch]:
    """Return what a legend shows of colours by name: a patch each."""
    return [Patch(facecolor=colour, label=name) for name, colour in colours.items()]


def refuse_empty(things: Sized, what: str) -> None:
    """Raise a `UserError` if there are no `things` to draw; `what` names them."""
    if len(things) == 0:
        raise UserError(f"There are no {what} to draw: run the stage that makes them first.")


def refuse_other_shapes(image: np.ndarray, others: Images) -> None:
    """Raise a `UserError` that names the first of `others` whose shape is not that of `image`."""
    for name, other in others.items():
        if other.shape != image.shape:
            raise UserError(f"'{name}' has shape {other.shape}, its image {image.shape}: use one pixel size.")


def require_columns(table: pd.DataFrame, columns: list[str], what: str) -> None:
    """Raise a `UserError` if a table, which `what` names, lacks columns or has no rows."""
    missing = [name for name in columns if name not in table]
    if missing:
        raise UserError(f"In {what} the columns {', '.join(missing)} are missing: write it anew.")
    refuse_empty(table, f"rows in {what}")
