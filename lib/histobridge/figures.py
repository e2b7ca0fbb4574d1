"""The figures, each from arrays or a table: a function takes what is to be seen and returns a `Figure`.

Nothing is shown and no setting of matplotlib stays changed. A returned figure is not known to pyplot, so a
notebook cell that ends with the call displays it once. What they are drawn with is in `histobridge.drawing`.

Images are float32 [H, W] in 0..1 (their contrast is never stretched), masks uint8 [H, W] with 0 background,
1 myelin and 2 axon, and pixel sizes in µm/px. Every function raises `UserError` if there is nothing to draw,
a column is missing, shapes differ or a pixel size is not positive.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle, product

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from histobridge.drawing import (
    BLUE,
    CLASS_COLOURS,
    CORRECT_COLOURS,
    ERROR_COLOURS,
    GREEN,
    GREY,
    PAGE,
    PALETTE,
    PURPLE,
    VERMILLION,
    Images,
    blank,
    common_side,
    error_map,
    headline,
    middle,
    new_figure,
    overlay,
    panel,
    panel_grid,
    refuse_empty,
    refuse_other_shapes,
    require_columns,
    save,
    scale_bar,
    styled,
)
from histobridge.polarity import INVERT, KEEP, choose_sign
from histobridge.tables import CELL, ORDER, TRANSLATION_CELL

__all__ = [
    "dice_bars",
    "domains",
    "losses",
    "polarity",
    "pseudo_labels",
    "reconstruction_bars",
    "save",
    "segmenter_losses",
    "translations",
]

SETTING = ["pair", "protocol", "split"]
TALLEST_PSNR = 50  # dB; a control that is its own inverse comes back exactly, which no axis can hold


# --- Images -------------------------------------------------------------------------------------------------


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
            panel(axes, middle(image, side), title=title, um_per_px=size if column == 0 else None)
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
    figure, grid = panel_grid(len(rows), max(len(panels) for _, panels in rows))
    above: list[str] = []
    for axes, (label, panels), size in zip(grid, rows, np.broadcast_to(um_per_px, len(rows)), strict=True):
        for column, (title, image) in enumerate(panels.items()):
            repeated = above[column : column + 1] == [title]
            bar = size if column == 0 else None
            panel(axes[column], middle(image, side), title="" if repeated else title, um_per_px=bar)
        axes[0].set_ylabel(label)
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
    colours = CLASS_COLOURS | ERROR_COLOURS | CORRECT_COLOURS
    handles = [Patch(facecolor=colour, label=name) for name, colour in colours.items()]
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


# --- Training -----------------------------------------------------------------------------------------------


@styled
def losses(history: pd.DataFrame) -> Figure:
    """Show the training of SynDiff: faint lines every step, strong lines their running mean.

    Parameters
    ----------
    history : DataFrame
        One row a step: `step`, `seconds`, `cycle`, `l1`, and `adversarial_`, `critic_`, `logit_real_` and
        `logit_fake_` of `F` (non-diffusive) and `G` (diffusive generators). Each critic loss sums two domains
        and two terms, so discriminators that only guess have 4 ln 2.
    """
    kinds = {"F": BLUE, "G": VERMILLION}
    parts = ("adversarial", "critic", "logit_real", "logit_fake")
    needed = ["step", "seconds", "cycle", "l1", *(f"{part}_{kind}" for part in parts for kind in kinds)]
    require_columns(history, needed, "the training history")
    figure = new_figure(PAGE, 2.5)
    left, middle, right = figure.subplots(1, 3)
    _curve(left, history, "cycle", GREEN)
    _curve(left, history, "l1", PURPLE)
    for kind, colour in kinds.items():
        _curve(left, history, f"adversarial_{kind}", colour)
        _curve(middle, history, f"critic_{kind}", colour)
        _curve(right, history, f"logit_real_{kind}", colour)
        _curve(right, history, f"logit_fake_{kind}", colour, linestyle="--")
    middle.axhline(4 * math.log(2), color="black", linestyle=":")
    right.axhline(0, color="black", linestyle=":")
    left.set(title="What the generators minimise", xlabel="step", ylabel="loss")
    middle.set(title="What the discriminators minimise", xlabel="step", ylabel="loss")
    right.set(title="Can they tell real from fake?", xlabel="step", ylabel="mean logit")
    figure.legend(handles=_loss_legend(), loc="outside lower center", ncols=7, columnspacing=1.2)
    minutes = history["seconds"].iloc[-1] / 60
    headline(figure, f"{len(history)} steps of training took {minutes:.1f} minutes")
    return figure


def _loss_legend() -> list[Line2D]:
    lines = {
        "cycle": {"color": GREEN},
        "L1": {"color": PURPLE},
        "non-diffusive (F)": {"color": BLUE},
        "diffusive (G)": {"color": VERMILLION},
        "of real images": {"color": GREY},
        "of fakes": {"color": GREY, "linestyle": "--"},
        "chance": {"color": "black", "linestyle": ":"},
    }
    return [Line2D([], [], label=label, **look) for label, look in lines.items()]


@styled
def segmenter_losses(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Show the training losses of segmenters by name, each a table of `step` and `loss`."""
    refuse_empty(histories, "training histories")
    figure = new_figure(4.5, 2.4)
    axes = figure.subplots()
    for (name, history), colour in zip(histories.items(), cycle(PALETTE), strict=False):
        require_columns(history, ["step", "loss"], f"the training history of '{name}'")
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


@styled
def polarity(evidence: pd.DataFrame) -> Figure:
    """Show which sign is better anatomy: enclosure of axons by myelin in each image and in its negative.

    Parameters
    ----------
    evidence : DataFrame
        From `histobridge.polarity.evidence`; an image without a predicted axon counts as not enclosed.
    """
    require_columns(evidence, ["image", "sign", "enclosure"], "the evidence on polarity")
    share = evidence.fillna({"enclosure": 0.0}).pivot(index="image", columns="sign", values="enclosure")
    share = 100 * share[[KEEP, INVERT]]
    figure = new_figure(3.4, 2.9)
    axes = figure.subplots()
    for pair in share.to_numpy():
        axes.plot((0, 1), pair, "o-", color=GREY, alpha=0.6, markersize=3, linewidth=0.7)
    mean = share.mean()
    axes.plot((0, 1), mean, "D-", color=VERMILLION, markersize=7, linewidth=2.2, label="mean")
    for place, value, align in zip((0, 1), mean, ("right", "left"), strict=True):
        axes.text(place, value, f"   {value:.0f} %   ", color=VERMILLION, ha=align, va="center")
    verdict = "invert" if choose_sign(evidence) == INVERT else "keep"
    axes.set_title(f"Anatomy says: {verdict} the contrast")
    axes.set(xlim=(-0.45, 1.45), ylim=(0, 100), ylabel="myelin in a 3 px ring around axons (%)")
    axes.set_xticks((0, 1), ["image as it is", "negative"])
    axes.legend(loc="lower center")
    return figure


# --- Scores -------------------------------------------------------------------------------------------------


@styled
def dice_bars(table: pd.DataFrame) -> Figure:
    """Show the Dice of every label-free strategy and control as dots, the supervised bound as dashed lines.

    Parameters
    ----------
    table : DataFrame
        From `histobridge.tables.dice_table`. A column of panels for each pair, a row for each protocol and
        split. Whiskers and bands are one SD over folds; a single fold has none.
    """
    require_columns(table, [*CELL, "mean", "sd", "folds"], "the table of Dice")
    ways = _distinct(table[table["strategy"] != "supervised"], ["strategy", "translator"])
    refuse_empty(ways, "label-free strategies in the table of Dice")
    ways = sorted(ways, key=_place)
    pairs, settings = _distinct(table, SETTING[:1]), _distinct(table, SETTING[1:])
    figure = new_figure(min(PAGE, 1.5 + 2.7 * len(pairs)), 1.0 + len(settings) * max(0.9, 0.25 + 0.2 * len(ways)))
    grid = figure.subplots(len(settings), len(pairs), sharex=True, sharey=True, squeeze=False)
    for axes, (setting, pair) in zip(grid.flat, product(settings, pairs), strict=True):
        here = (table[SETTING] == [*pair, *setting]).all(axis=1)
        _dice_panel(axes, table[here], ways)
    for axes, (pair,) in zip(grid[0], pairs, strict=True):
        axes.set_title(pair)
    for axes, setting in zip(grid[:, 0], settings, strict=True):
        axes.set_ylabel("\n".join(setting))
    labels = [s if t == "none" else f"{s}, {t}" for s, t in ways]
    grid[0, 0].set_yticks(range(len(ways)), labels)
    grid[0, 0].set(xlim=(0, 1), ylim=(len(ways) - 0.5, -0.5))
    grid[0, 0].xaxis.set_major_formatter("{x:g}")
    for axes in grid[-1]:
        axes.set_xlabel(f"Dice, mean ± SD (folds: {_extent(table['folds'])})")
    handles = [Line2D([], [], color=c, marker="o", markersize=4, label=n) for n, c in CLASS_COLOURS.items()]
    handles += [Line2D([], [], color=GREY, linestyle="--", label="supervised bound")]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    headline(figure, "How near label-free strategies come to supervision")
    return figure


def _dice_panel(axes: Axes, table: pd.DataFrame, ways: list[tuple]) -> None:
    """Draw one pair: a row for each (strategy, translator), light stripes to lead the eye."""
    for row in range(0, len(ways), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="0.95", linewidth=0)
    for shift, (name, colour) in zip((0.15, -0.15), CLASS_COLOURS.items(), strict=True):
        of_class = table[table["class"] == name]
        bound = of_class["strategy"] == "supervised"
        for cell in of_class[bound].itertuples():
            axes.axvline(cell.mean, color=colour, linestyle="--", linewidth=1)
            if cell.sd > 0:
                axes.axvspan(cell.mean - cell.sd, cell.mean + cell.sd, color=colour, alpha=0.12, linewidth=0)
        free = of_class[~bound]
        rows = [ways.index(way) + shift for way in zip(free["strategy"], free["translator"], strict=True)]
        axes.errorbar(free["mean"], rows, xerr=free["sd"], fmt="o", color=colour, markersize=4)


def _place(way: tuple[str, str]) -> tuple[int, ...]:
    """Where a (strategy, translator) stands in `tables.ORDER`; what is not in it comes last."""
    orders = zip((ORDER["strategy"], ORDER["translator"]), way, strict=True)
    return tuple(order.index(name) if name in order else len(order) for order, name in orders)


def _distinct(table: pd.DataFrame, columns: list[str]) -> list[tuple]:
    return list(table[columns].drop_duplicates().itertuples(index=False, name=None))


def _extent(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return str(low) if low == high else f"{low} to {high}"


@styled
def reconstruction_bars(rows: pd.DataFrame) -> Figure:
    """Show how much of an image the round trip brings back: SSIM, PSNR and L1, mean ± SD over images.

    It says nothing of polarity: a contrast inverted twice comes back whole. PSNR is cut at `TALLEST_PSNR`.

    Parameters
    ----------
    rows : DataFrame
        Rows of `translation.csv`: the columns of `TRANSLATION_CELL` and `ssim`, `psnr` (dB) and `l1`. A row
        of panels for each pair, protocol and split.
    """
    measures = {"ssim": "SSIM ↑", "psnr": f"PSNR, dB, cut at {TALLEST_PSNR} ↑", "l1": "L1 ↓"}
    require_columns(rows, [*TRANSLATION_CELL, *measures], "the table of translations")
    rows = rows.assign(psnr=rows["psnr"].clip(upper=TALLEST_PSNR))
    groups = list(rows.groupby(SETTING, sort=False))
    names = sorted(rows["translator"].unique(), key=lambda name: _place(("", name)))
    figure = new_figure(PAGE, 0.75 + len(groups) * max(0.9, 0.25 + 0.25 * len(names)))
    grid = figure.subplots(len(groups), len(measures), sharex="col", sharey=True, squeeze=False)
    bars = {
        "y": "translator",
        "order": names,
        "hue": "direction",
        "hue_order": sorted(set(rows["direction"])),
    }
    bars |= {"palette": [BLUE, VERMILLION], "saturation": 1, "width": 0.7}
    bars |= {"errorbar": "sd", "err_kws": {"linewidth": 0.8, "color": "black"}}
    for panels, (group, cells) in zip(grid, groups, strict=True):
        for axes, measure in zip(panels, measures, strict=True):
            sns.barplot(cells, x=measure, ax=axes, legend=axes is grid[0, 0], **bars)
            axes.set(xlabel="", ylabel="")
        panels[0].set_ylabel("\n".join(group))
    for axes, title in zip(grid[0], measures.values(), strict=True):
        axes.set_title(title)
        axes.set_xlim(left=0)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    grid[0, 0].get_legend().remove()
    headline(figure, "What a round trip brings back, mean ± SD over images")
    return figure
