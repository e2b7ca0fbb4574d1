"""The figures, each from arrays or a table: a function takes what is to be seen and returns a matplotlib `Figure`.

Nothing is shown and no setting of matplotlib is left changed. A returned figure is not known to pyplot, so a
notebook cell that ends with the call displays it once. Colours are those of Okabe and Ito, which colour-blind readers
can tell apart; myelin is blue and axon orange in every figure.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence, Sized
from itertools import cycle, product
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from histobridge.errors import UserError
from histobridge.metrics import AXON, MYELIN
from histobridge.polarity import INVERT, KEEP, choose_sign
from histobridge.tables import CELL, ORDER, TRANSLATION_CELL

Images = Mapping[str, np.ndarray]

BLUE, ORANGE, VERMILLION, GREEN = "#0072B2", "#E69F00", "#D55E00", "#009E73"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#777777"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, "black")
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
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "svg.hashsalt": "histobridge",  # the same figure gives the same file
}
PAGE = 7.1  # inches: the width of a printed page of two columns
TALLEST_PSNR = 50.0  # dB; a control that is its own inverse comes back exactly, which no axis can hold

_styled = matplotlib.rc_context(STYLE)


# --- Images -------------------------------------------------------------------------------------------------


@_styled
def domains(
    source: Images, target: Images, *, um_per_px: tuple[float, float], names: tuple[str, str], side: int = 256
) -> Figure:
    """Show what is to be bridged: crops of both domains as the translator sees them, and their intensities.

    Parameters
    ----------
    source, target : mapping of str to ndarray
        Images by name, float32 [H, W] in 0..1; the first four are shown, the histograms count all. Every crop is the
        central square of one common side, so a pixel has the same size on the page throughout.
    um_per_px : (float, float)
        Pixel sizes of source and target.
    names : (str, str)
        What to call the two domains.
    side : int
        Side of the crops in px, at most.

    Raises
    ------
    UserError
        If a domain holds no image, or a pixel size is not positive.
    """
    for name, images in zip(names, (source, target), strict=True):
        _refuse_empty(images, f"images of '{name}'")
    shown = [dict(list(images.items())[:4]) for images in (source, target)]
    columns = max(map(len, shown))
    side = _common_side([image for images in shown for image in images.values()], side)
    panel = min(1.75, PAGE / columns)
    figure = _figure(max(columns * panel, 3.5), 2 * (panel + 0.15) + 1.7)
    grid = figure.add_gridspec(3, columns, height_ratios=[panel, panel, 1.3])
    for row, (name, images, size) in enumerate(zip(names, shown, um_per_px, strict=True)):
        for column, (title, image) in enumerate(images.items()):
            axes = figure.add_subplot(grid[row, column])
            _panel(axes, _middle(image, side), title=title, um_per_px=size if column == 0 else None)
            axes.set_ylabel(f"{name}\n{size:.4g} µm/px" if column == 0 else "")
    _histograms(figure.add_subplot(grid[2, :]), dict(zip(names, (source, target), strict=True)))
    return figure


def _histograms(axes: Axes, all_images: dict[str, Images]) -> None:
    """Draw the mean histogram of each domain over the faint histograms of its images."""
    edges = np.linspace(0, 1, 65)
    medians = []
    for (name, images), colour in zip(all_images.items(), (BLUE, VERMILLION), strict=True):
        shares = [100 * np.histogram(image, edges)[0] / image.size for image in images.values()]
        for share in shares:
            axes.stairs(share, edges, color=colour, alpha=0.25, linewidth=0.5)
        axes.stairs(np.mean(shares, axis=0), edges, color=colour, linewidth=1.8, label=name)
        medians.append(f"{name} {np.median([np.median(image) for image in images.values()]):.2f}")
    axes.set(xlim=(0, 1), xlabel="intensity (0 black, 1 white)", ylabel="pixels (%)")
    axes.set_title(f"The median intensities differ: {', '.join(medians)} (thin: single images, thick: mean)")
    axes.legend()


@_styled
def translations(
    rows: Sequence[tuple[str, Images]], *, um_per_px: float | Sequence[float] | None = None, side: int = 256
) -> Figure:
    """Show a grid of panels, such as an image, its translation and its round trip, one labelled row an image.

    Parameters
    ----------
    rows : sequence of (str, mapping of str to ndarray)
        A label and the row's panels by title, float32 [H, W] in 0..1. A title that the panel above carries too is not
        repeated.
    um_per_px : float or sequence of float, optional
        Pixel size, one for all or one a row; draws a scale bar in each row's first panel.
    side : int
        Side of the central square that is shown, in px, at most.

    Raises
    ------
    UserError
        If there are no rows, or a pixel size is not positive.
    """
    _refuse_empty(rows, "rows of images")
    side = _common_side([image for _, panels in rows for image in panels.values()], side)
    figure, grid = _panel_grid(len(rows), max(len(panels) for _, panels in rows))
    above: list[str] = []
    for axes, (label, panels), size in zip(grid, rows, np.broadcast_to(um_per_px, len(rows)), strict=True):
        for column, (title, image) in enumerate(panels.items()):
            repeated = above[column : column + 1] == [title]
            bar = size if column == 0 else None
            _panel(axes[column], _middle(image, side), title="" if repeated else title, um_per_px=bar)
        axes[0].set_ylabel(label)
        above = list(panels)
        _blank(axes[len(panels) :])
    return figure


@_styled
def pseudo_labels(
    image: np.ndarray,
    truth: np.ndarray,
    masks: Images,
    *,
    translations: Images | None = None,
    dice: Mapping[str, str] | None = None,
    um_per_px: float | None = None,
    side: int = 384,
) -> Figure:
    """Show the pseudo labels of one image beside the expert's, one row a strategy, and where they differ.

    Parameters
    ----------
    image : ndarray, float32 [H, W] in 0..1
    truth : ndarray, uint8 [H, W]
        Expert mask: 0 background, 1 myelin, 2 axon.
    masks : mapping of str to ndarray
        Pseudo label, coded as `truth`, by strategy.
    translations : mapping of str to ndarray, optional
        The translated image that a strategy's segmenter saw; strategies left out saw the image itself.
    dice : mapping of str to str, optional
        Text to write under the error map of a strategy.
    um_per_px : float, optional
        Pixel size; draws a scale bar.
    side : int
        Side of the central square that is shown, in px, at most.

    Raises
    ------
    UserError
        If there is no mask, or an array is not of the image's shape.
    """
    _refuse_empty(masks, "pseudo labels")
    translations, dice = translations or {}, dice or {}
    _refuse_other_shapes(image, {"truth": truth, **masks, **translations})
    side = _common_side([image], side)
    image, truth = _middle(image, side), _middle(truth, side)
    figure, grid = _panel_grid(len(masks), 5)
    for row, (axes, (strategy, mask)) in enumerate(zip(grid, masks.items(), strict=True)):
        mask = _middle(mask, side)
        _panel(axes[0], image, um_per_px=um_per_px if row == 0 else None)
        axes[0].set_ylabel(textwrap.fill(strategy, 18))
        if strategy in translations:
            _panel(axes[1], _middle(translations[strategy], side))
        else:
            _blank(axes[1:2], "the image itself")
        _panel(axes[2], _overlay(image, mask))
        _panel(axes[3], _overlay(image, truth))
        _panel(axes[4], error_map(truth, mask))
        axes[4].set_xlabel(textwrap.fill(dice.get(strategy, ""), 24), loc="left")
    for axes, title in zip(
        grid[0], ("image", "translation", "pseudo label", "expert", "errors"), strict=True
    ):
        axes.set_title(title)
    colours = CLASS_COLOURS | ERROR_COLOURS | CORRECT_COLOURS
    handles = [Patch(facecolor=colour, label=name) for name, colour in colours.items()]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), handlelength=1, columnspacing=1
    )
    return figure


def error_map(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return a picture, float [H, W, 3] in 0..1, of how `predicted` errs: both uint8 [H, W], 0, 1 myelin, 2 axon.

    What is background in both is white, what is right is grey; `ERROR_COLOURS` mark foreground that is missed,
    background taken for foreground (invented), and myelin and axon swapped.

    >>> picture = error_map(np.array([[2, 0, 1, 0]]), np.array([[0, 1, 2, 0]]))
    >>> picture.round(2)[0].tolist()  # missed, invented, swapped, background
    [[0.84, 0.37, 0.0], [0.34, 0.71, 0.91], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    colours = CORRECT_COLOURS | ERROR_COLOURS
    where = {
        "correct myelin": (truth == MYELIN) & (predicted == MYELIN),
        "correct axon": (truth == AXON) & (predicted == AXON),
        "missed": (truth > 0) & (predicted == 0),
        "invented": (truth == 0) & (predicted > 0),
        "swapped": (truth > 0) & (predicted > 0) & (truth != predicted),
    }
    picture = np.ones((*truth.shape, 3))
    for name, pixels in where.items():
        picture[pixels] = to_rgb(colours[name])
    return picture


def _overlay(image: np.ndarray, mask: np.ndarray, *, opacity: float = 0.5) -> np.ndarray:
    """Return `image` with myelin and axon tinted, float [H, W, 3]."""
    picture = np.repeat(image[..., None], 3, axis=2).astype(float)
    for value, name in ((MYELIN, "myelin"), (AXON, "axon")):
        tint = np.array(to_rgb(CLASS_COLOURS[name]))
        picture[mask == value] = (1 - opacity) * picture[mask == value] + opacity * tint
    return picture


# --- Training -----------------------------------------------------------------------------------------------


@_styled
def losses(history: pd.DataFrame) -> Figure:
    """Show the training of SynDiff: faint lines every step, strong lines their running mean.

    Parameters
    ----------
    history : DataFrame
        One row a step: `step`, `seconds`, `cycle`, `l1`, and `adversarial_`, `critic_`, `logit_real_` and
        `logit_fake_` of `F` (non-diffusive) and `G` (diffusive generators). Each critic loss sums two domains and two
        terms, so a discriminator that only guesses has 4 ln 2.

    Raises
    ------
    UserError
        If a column is missing or there is no row.
    """
    names = ["cycle", "l1", "adversarial_F", "adversarial_G"]
    critics, logits = ["critic_F", "critic_G"], [f"logit_{w}_{k}" for k in "FG" for w in ("real", "fake")]
    _require_columns(history, ["step", "seconds", *names, *critics, *logits], "the training history")
    figure = _figure(PAGE, 2.6)
    left, middle, right = figure.subplots(1, 3)
    kinds = {"F": "non-diffusive (F)", "G": "diffusive (G)"}
    labels = {"cycle": "cycle", "l1": "L1", **{f"adversarial_{k}": f"adversarial, {kinds[k]}" for k in kinds}}
    for name, colour in zip(names, (GREEN, PURPLE, BLUE, VERMILLION), strict=True):
        _curve(left, history, name, colour, label=labels[name])
    for kind, colour in (("F", BLUE), ("G", VERMILLION)):
        _curve(middle, history, f"critic_{kind}", colour, label=kinds[kind])
        _curve(right, history, f"logit_real_{kind}", colour, label=f"real, {kinds[kind]}")
        _curve(right, history, f"logit_fake_{kind}", colour, label=f"fake, {kinds[kind]}", linestyle="--")
    middle.axhline(4 * math.log(2), color="black", linestyle=":", label="chance, 4 ln 2")
    right.axhline(0, color="black", linestyle=":", label="undecided")
    left.set(title="What the generators minimise", ylabel="loss")
    middle.set(title="What the discriminators minimise", ylabel="loss")
    right.set(title="How discriminators judge", ylabel="mean logit")
    for axes in (left, middle, right):
        axes.set_xlabel("step")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), fontsize=7)
    minutes = history["seconds"].iloc[-1] / 60
    figure.suptitle(
        f"{len(history)} steps of training took {minutes:.1f} minutes", x=0.01, ha="left", fontsize=9
    )
    return figure


@_styled
def segmenter_losses(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Show the training losses of segmenters by name, each a DataFrame of `step` and `loss`.

    Raises
    ------
    UserError
        If there is no history, a column is missing or there is no row.
    """
    _refuse_empty(histories, "training histories")
    figure = _figure(4.5, 2.4)
    axes = figure.subplots()
    for (name, history), colour in zip(histories.items(), cycle(PALETTE), strict=False):
        _require_columns(history, ["step", "loss"], f"the training history of '{name}'")
        _curve(axes, history, "loss", colour, label=name)
    axes.set(xlabel="step", ylabel="Dice + cross-entropy loss", title="What the segmenters minimise")
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def _curve(axes: Axes, history: pd.DataFrame, name: str, colour: str, **options) -> None:
    """Draw a strong running mean over the faint values."""
    window = max(1, len(history) // 20)
    mean = history[name].rolling(window, center=True, min_periods=1).mean()
    axes.plot(history["step"], history[name], color=colour, alpha=0.2, linewidth=0.5)
    axes.plot(history["step"], mean, color=colour, **options)


@_styled
def polarity(evidence: pd.DataFrame) -> Figure:
    """Show which sign is better anatomy: enclosure of axons by myelin in each image and in its negative.

    Parameters
    ----------
    evidence : DataFrame
        What `histobridge.polarity.evidence` returns. An image without a predicted axon counts as not enclosed.

    Raises
    ------
    UserError
        If a column is missing or there is no row.
    """
    _require_columns(evidence, ["image", "sign", "enclosure"], "the evidence on polarity")
    share = evidence.fillna({"enclosure": 0.0}).pivot(index="image", columns="sign", values="enclosure")
    share = 100 * share[[KEEP, INVERT]]
    mean, places = share.mean(), (0, 1)
    figure = _figure(3.4, 2.9)
    axes = figure.subplots()
    for _, pair in share.iterrows():
        axes.plot(places, pair, "o-", color=GREY, alpha=0.6, markersize=3, linewidth=0.7)
    axes.plot(places, mean, "D-", color=VERMILLION, markersize=7, linewidth=2.2, label="mean")
    for place, value, align in zip(places, mean, ("right", "left"), strict=True):
        space = " " * 3
        axes.text(place, value, f"{space}{value:.0f} %{space}", color=VERMILLION, ha=align, va="center")
    winner = {KEEP: "keep the contrast", INVERT: "invert the contrast"}[choose_sign(evidence)]
    axes.set_title(f"Anatomy says: {winner}")
    axes.set(xlim=(-0.45, 1.45), ylim=(0, 100), ylabel="myelin in a 3 px ring around axons (%)")
    axes.set_xticks(places, ["image as it is", "negative"])
    axes.legend()
    return figure


# --- Scores -------------------------------------------------------------------------------------------------


@_styled
def dice_bars(table: pd.DataFrame) -> Figure:
    """Show the Dice of every label-free strategy and control as dots, and the supervised bound as dashed lines.

    Parameters
    ----------
    table : DataFrame
        What `histobridge.tables.dice_table` returns. Each pair gets a panel, for each protocol and split that
        the table holds. Whiskers and bands are one SD over folds; a single fold has none.

    Raises
    ------
    UserError
        If a column is missing or there is no row.
    """
    _require_columns(table, [*CELL, "mean", "sd", "folds"], "the table of Dice")
    ways = table.loc[table["strategy"] != "supervised", ["strategy", "translator"]].drop_duplicates()
    _refuse_empty(ways, "label-free strategies in the table of Dice")
    ways = sorted(ways.itertuples(index=False, name=None), key=_place)
    pairs, settings = (
        list(table[columns].drop_duplicates().itertuples(index=False, name=None))
        for columns in (["pair"], ["protocol", "split"])
    )
    figure = _figure(min(PAGE, 1.5 + 2.7 * len(pairs)), 0.7 + len(settings) * (0.4 + 0.2 * len(ways)))
    grid = figure.subplots(len(settings), len(pairs), sharex=True, sharey=True, squeeze=False)
    for axes, (setting, pair) in zip(grid.flat, product(settings, pairs), strict=True):
        here = (table[["pair", "protocol", "split"]] == [*pair, *setting]).all(axis=1)
        _dice_panel(axes, table[here], ways)
        axes.set_title(f"{pair[0]} ({', '.join(setting)})")
    grid[0, 0].set(xlim=(0, 1), ylim=(len(ways) - 0.5, -0.5))
    grid[0, 0].set_yticks(range(len(ways)), [_way_label(*way) for way in ways])
    folds = "–".join(str(n) for n in sorted({table["folds"].min(), table["folds"].max()}))
    figure.supxlabel(f"Dice, mean ± SD over folds ({folds}); dashed: supervised bound", fontsize=8)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def _dice_panel(axes: Axes, table: pd.DataFrame, ways: list[tuple[str, str]]) -> None:
    """Draw one pair: a row for each (strategy, translator), light stripes to lead the eye."""
    for row in range(0, len(ways), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="0.95", linewidth=0)
    for shift, (name, colour) in zip((0.15, -0.15), CLASS_COLOURS.items(), strict=True):
        cells = table[table["class"] == name].set_index(["strategy", "translator"])
        is_bound = cells.index.get_level_values("strategy") == "supervised"
        free = cells[~is_bound]
        rows = [ways.index(way) + shift for way in free.index]
        axes.errorbar(free["mean"], rows, xerr=free["sd"], fmt="o", color=colour, markersize=4, label=name)
        for bound in cells[is_bound].itertuples():
            axes.axvline(bound.mean, color=colour, linestyle="--", linewidth=1)
            axes.axvspan(bound.mean - bound.sd, bound.mean + bound.sd, color=colour, alpha=0.12, linewidth=0)


def _place(way: tuple[str, str]) -> tuple[int, int]:
    """Where a (strategy, translator) stands in `tables.ORDER`; what is not in it comes last."""
    orders = (ORDER["strategy"], ORDER["translator"])
    return tuple(
        order.index(name) if name in order else len(order) for order, name in zip(orders, way, strict=True)
    )


def _way_label(strategy: str, translator: str) -> str:
    return strategy if translator == "none" else f"{strategy}, {translator}"


@_styled
def reconstruction_bars(rows: pd.DataFrame) -> Figure:
    """Show how much of an image the round trip brings back: SSIM, PSNR and L1, mean ± SD over images.

    It says nothing of polarity: a contrast inverted twice comes back whole. PSNR is cut at `TALLEST_PSNR`.

    Parameters
    ----------
    rows : DataFrame
        Rows of `translation.csv`: the columns of `TRANSLATION_CELL` and `ssim`, `psnr` (dB) and `l1`. A row of panels
        for each pair, protocol and split.

    Raises
    ------
    UserError
        If a column is missing or there is no row.
    """
    measures = {
        "ssim": "SSIM (more is better)",
        "psnr": "PSNR in dB (more is better)",
        "l1": "L1 (less is better)",
    }
    _require_columns(rows, [*TRANSLATION_CELL, *measures], "the table of translations")
    rows = rows.assign(psnr=rows["psnr"].clip(upper=TALLEST_PSNR))
    groups = list(rows.groupby(["pair", "protocol", "split"], sort=False))
    names = sorted(rows["translator"].unique(), key=lambda name: _place(("", name)))
    figure = _figure(PAGE, 0.5 + len(groups) * (0.8 + 0.25 * len(names)))
    grid = figure.subplots(len(groups), len(measures), sharex="col", sharey=True, squeeze=False)
    bars = dict(y="translator", order=names, hue="direction", hue_order=sorted(rows["direction"].unique()))
    bars |= dict(palette=[BLUE, VERMILLION], errorbar="sd", err_kws={"linewidth": 0.8, "color": "black"})
    for panels, (group, cells) in zip(grid, groups, strict=True):
        for axes, (measure, title) in zip(panels, measures.items(), strict=True):
            sns.barplot(cells, x=measure, ax=axes, legend=axes is grid[0, 0], **bars)
            axes.set(title=title, xlabel="", ylabel=f"{group[0]} ({', '.join(group[1:])})")
    return figure


# --- On paper -----------------------------------------------------------------------------------------------


@matplotlib.rc_context(STYLE)
def save(figure: Figure, path: Path | str) -> tuple[Path, Path]:
    """Write a figure as `path`.svg and, at 300 dpi, `path`.png; return both paths. Folders are made.

    The same figure gives the same files, byte for byte: no date goes in.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    svg, png = (path.with_name(f"{path.name}.{ending}") for ending in ("svg", "png"))
    figure.savefig(svg, dpi=300, metadata={"Date": None})
    figure.savefig(png, dpi=300)
    return svg, png


def scale_bar_um(width_px: int, um_per_px: float) -> float:
    """Return the length in µm of a scale bar: 1, 2 or 5 times a power of ten, at most 0.3 of the width.

    >>> scale_bar_um(256, 0.1), scale_bar_um(256, 0.0164)
    (5.0, 1.0)

    Raises
    ------
    UserError
        If the pixel size is not positive.
    """
    if not um_per_px > 0:
        raise UserError(f"A pixel of {um_per_px} µm cannot be drawn to scale: give a pixel size above 0.")
    longest = 0.3 * width_px * um_per_px
    decade = 10.0 ** math.floor(math.log10(longest))
    return max(step * decade for step in (1, 2, 5) if step * decade <= longest)


def _scale_bar(axes: Axes, shape: tuple[int, int], um_per_px: float) -> None:
    """Draw a white bar with a dark edge at the lower left, to be seen on any grey."""
    length, margin, height = scale_bar_um(shape[1], um_per_px), 0.05 * shape[0], 0.02 * shape[0]
    corner = (margin, shape[0] - margin - height)
    bar = Rectangle(corner, length / um_per_px, height, facecolor="white", edgecolor="black", linewidth=0.5)
    axes.add_patch(bar)
    edge = [withStroke(linewidth=1.5, foreground="black")]
    text = dict(color="white", fontsize=7, ha="left", va="bottom", path_effects=edge)
    axes.text(corner[0], corner[1] - 0.5 * height, f"{length:g} µm", **text)


def _panel(axes: Axes, picture: np.ndarray, *, title: str = "", um_per_px: float | None = None) -> None:
    """Show one grey [H, W] or colour [H, W, 3] picture, 0..1, never stretched in contrast."""
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[], title=title)
    axes.spines[:].set_visible(False)
    if um_per_px is not None:
        _scale_bar(axes, picture.shape[:2], um_per_px)


def _blank(panels: np.ndarray, note: str = "") -> None:
    for axes in panels:
        axes.set_axis_off()
        axes.text(0.5, 0.5, note, color=GREY, ha="center", va="center", transform=axes.transAxes)


def _panel_grid(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes [rows, columns], as wide as needed and at most a page."""
    panel = min(1.75, (PAGE - 0.3) / columns)
    figure = _figure(0.3 + columns * panel, 0.3 + rows * (panel + 0.1))
    return figure, figure.subplots(rows, columns, squeeze=False)


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches.

    A notebook shows the figures that pyplot knows at the end of a cell, and the cell's value besides. Closing it at
    once leaves the second; a `Figure` of pyplot's making is needed all the same, for it sets up how notebooks show it.
    """
    figure = plt.figure(figsize=(width, height), layout="constrained")
    plt.close(figure)
    return figure


# --- Crops and checks ---------------------------------------------------------------------------------------


def _common_side(images: list[np.ndarray], side: int) -> int:
    return min(side, *(length for image in images for length in image.shape))


def _middle(image: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - side) // 2 for length in image.shape)
    return image[top : top + side, left : left + side]


def _refuse_empty(things: Sized, what: str) -> None:
    if len(things) == 0:
        raise UserError(f"There are no {what} to draw: run the stage that makes them first.")


def _refuse_other_shapes(image: np.ndarray, others: Images) -> None:
    for name, other in others.items():
        if other.shape != image.shape:
            raise UserError(
                f"'{name}' has shape {other.shape}, its image {image.shape}: bring both to one pixel size."
            )


def _require_columns(table: pd.DataFrame, columns: list[str], what: str) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise UserError(
            f"In {what} the columns {', '.join(missing)} are missing: write it anew with this version."
        )
    _refuse_empty(table, f"rows in {what}")
