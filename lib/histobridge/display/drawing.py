"""What every figure is drawn with: panels with scale bars, overlays, error maps, colours, checks, saving.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart. Myelin is blue and axon is orange in
every figure. An image is float32 [H, W] in 0..1, a mask uint8 [H, W] of classes, and a pixel size is in µm/px.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from matplotlib_scalebar.scalebar import ScaleBar

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.errors import UserError
from histobridge.io.files import atomic_write

Images = Mapping[str, np.ndarray]

BLUE, ORANGE, VERMILLION, GREEN = "#0072B2", "#E69F00", "#D55E00", "#009E73"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#777777"
CLASS_COLOURS = {"myelin": BLUE, "axon": ORANGE}
TINTS = {MYELIN: CLASS_COLOURS["myelin"], AXON: CLASS_COLOURS["axon"]}
ERROR_COLOURS = {"false negative": VERMILLION, "false positive": SKY, "classes swapped": "black"}
CORRECT_COLOURS = {"correct myelin": "#AAAAAA", "correct axon": "#DDDDDD"}
SMALL = 7  # pt: the smallest type that is easy to read in print
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
    "text.parse_math": False,  # a dollar in the name of a file is a dollar; no figure holds a formula
    "svg.hashsalt": "histobridge",  # the same figure gives the same file
}
MICRO_FORMULA = r"$\mathregular{\mu}$"
PAGE = 7.1  # inches: the width of a printed page of two columns
PANEL = 1.75  # inches: the largest panel of a grid

styled = matplotlib.rc_context(STYLE)
"""Decorator of a function that draws: `STYLE` holds inside, and matplotlib's settings are the same afterwards."""


# --- Figures ------------------------------------------------------------------------------------------------


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches.

    pyplot makes the figure, because only then can a notebook show it, and closes it at once, because a notebook would
    show an open figure a second time at the end of the cell.
    """
    figure = plt.figure(figsize=(width, height), layout="constrained")
    plt.close(figure)
    return figure


def panel_grid(rows: int, columns: int, *, gap: float = 0.05) -> tuple[Figure, np.ndarray]:
    """Return a figure, at most `PAGE` wide, and its axes [rows, columns], with a gap (inches) below each row."""
    side = min(PANEL, (PAGE - 0.4) / columns)
    figure = new_figure(0.4 + columns * side, 0.25 + rows * (side + gap))
    return figure, figure.subplots(rows, columns, squeeze=False)


def figure_title(figure: Figure, text: str) -> None:
    """Write a title over a whole figure, aligned to the left."""
    figure.suptitle(text, x=0.01, ha="left")


@styled
def save_figure(figure: Figure, path: Path | str) -> tuple[Path, Path]:
    """Write a figure as `path`.svg and, at 300 dpi, `path`.png; return both paths. Missing folders are made.

    The files carry no date, so the same figure gives the same bytes.

    Raises
    ------
    UserError
        If the folder cannot be written or the disk is full.
    """
    path = Path(path)
    svg, png = (path.with_name(f"{path.name}.{ending}") for ending in ("svg", "png"))
    images = figure.findobj(AxesImage)
    interpolations = [image.get_interpolation() for image in images]
    for image in images:
        image.set_interpolation("none")  # the SVG then holds the pixels as they are and is several times smaller
    with atomic_write(svg) as draft:
        figure.savefig(draft, format="svg", dpi=300, metadata={"Date": None})
    for image, interpolation in zip(images, interpolations, strict=True):
        image.set_interpolation(interpolation)
    with atomic_write(png) as draft:
        figure.savefig(draft, format="png", dpi=300)
    return svg, png


# --- Panels -------------------------------------------------------------------------------------------------


def panel(axes: Axes, picture: np.ndarray, *, title: str = "", um_per_px: float | None = None) -> None:
    """Show a grey [H, W] or colour [H, W, 3] picture in 0..1, with a scale bar if its pixel size is given."""
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[], title=title)
    axes.spines[:].set_visible(False)
    if um_per_px is not None:
        scale_bar(axes, um_per_px)


def scale_bar(axes: Axes, um_per_px: float) -> None:
    """Draw a scale bar over a picture: white in a dark box, legible on any grey.

    Raises
    ------
    UserError
        If the pixel size is not positive.
    """
    if not um_per_px > 0:
        raise UserError(f"A pixel of {um_per_px} µm cannot be drawn to scale: give a pixel size above 0.")
    box = {"color": "white", "box_color": "black", "box_alpha": 0.6, "pad": 0.3, "border_pad": 0.2, "sep": 2}
    text = {"font_properties": {"size": SMALL}, "scale_loc": "top", "scale_formatter": _length}
    axes.add_artist(
        ScaleBar(um_per_px, "um", location="lower left", length_fraction=0.3, width_fraction=0.02, **box, **text)
    )


def _length(value: float, unit: str) -> str:
    """Return a length as text; ScaleBar gives its unit as a formula, which figures do not set."""
    return f"{value:g} {unit.replace(MICRO_FORMULA, 'µ')}"


def blank(panels: Iterable[Axes], note: str = "") -> None:
    """Leave square panels empty except for a note."""
    for axes in panels:
        axes.set_axis_off()
        axes.set_box_aspect(1)
        axes.text(0.5, 0.5, note, color=GREY, ha="center", va="center", transform=axes.transAxes)


def shorten(name: str, letters: int) -> str:
    """Return a name of at most `letters` letters. The middle is cut, because names in a folder differ at their ends.

    >>> shorten("sub-rat3_sample-data10_SEM", 15)
    'sub-rat…a10_SEM'
    """
    end = (letters - 1) // 2
    return name if len(name) <= letters else f"{name[: letters - 1 - end]}…{name[-end:]}"


def colour_handles(colours: Mapping[str, str]) -> list[Patch]:
    """Return the legend entries of colours by name."""
    return [Patch(facecolor=colour, label=name) for name, colour in colours.items()]


# --- Pictures -----------------------------------------------------------------------------------------------


def overlay(image: np.ndarray, mask: np.ndarray, colours: Mapping[int, object] = TINTS) -> np.ndarray:
    """Return `image` with the classes of a mask tinted, float [H, W, 3] in 0..1.

    The grey value only dims the tint: a mixture would turn orange to brown in dark axons. `colours` are matplotlib's,
    by class.
    """
    picture = np.repeat(image[..., None], 3, axis=2).astype(float)
    for value, colour in colours.items():
        picture[mask == value] = (0.75 + 0.25 * picture[mask == value]) * to_rgb(colour)
    return picture


def error_map(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return a picture of the errors of the mask `predicted`, float [H, W, 3] in 0..1.

    Background in both masks is white, correct foreground has `CORRECT_COLOURS` and errors have `ERROR_COLOURS`.

    >>> picture = error_map(np.array([[2, 0, 1, 0]]), np.array([[0, 1, 2, 0]]))
    >>> picture.round(2)[0].tolist()  # false negative, false positive, classes swapped, background
    [[0.84, 0.37, 0.0], [0.34, 0.71, 0.91], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    pixels = {
        "correct myelin": (truth == MYELIN) & (predicted == MYELIN),
        "correct axon": (truth == AXON) & (predicted == AXON),
        "false negative": (truth != BACKGROUND) & (predicted == BACKGROUND),
        "false positive": (truth == BACKGROUND) & (predicted != BACKGROUND),
        "classes swapped": (truth != BACKGROUND) & (predicted != BACKGROUND) & (truth != predicted),
    }
    picture = np.ones((*truth.shape, 3))
    for name, colour in (CORRECT_COLOURS | ERROR_COLOURS).items():
        picture[pixels[name]] = to_rgb(colour)
    return picture


def common_side(images: Iterable[np.ndarray], side: int) -> int:
    """Return the largest side in px, at most `side`, of a square that fits into every image.

    >>> common_side([np.zeros((50, 60)), np.zeros((70, 40))], 256)
    40
    """
    return min(side, *(length for image in images for length in image.shape))


# --- Checks -------------------------------------------------------------------------------------------------


def refuse_empty(things: Sized, what: str) -> None:
    """Raise a `UserError` if there are no `things` to draw; `what` names them."""
    if len(things) == 0:
        raise UserError(f"There are no {what} to draw: run the stage that makes them first.")


def refuse_other_shapes(image: np.ndarray, others: Images) -> None:
    """Raise a `UserError` that names the first of `others` whose shape differs from that of `image`."""
    for name, other in others.items():
        if other.shape != image.shape:
            raise UserError(f"'{name}' has shape {other.shape}, its image {image.shape}: use one pixel size.")


def require_columns(table: pd.DataFrame, columns: list[str], what: str) -> None:
    """Raise a `UserError` if a table, which `what` names, lacks columns or has no rows."""
    missing = [name for name in columns if name not in table]
    if missing:
        raise UserError(f"In {what} the columns {', '.join(missing)} are missing: run again what wrote it.")
    refuse_empty(table, f"rows in {what}")
