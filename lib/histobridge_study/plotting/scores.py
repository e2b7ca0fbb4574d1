"""Plots of scores: Dice of the strategies, and what a round trip brings back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from histobridge.display.drawing import (
    BLUE,
    CLASS_COLOURS,
    GREY,
    PAGE,
    VERMILLION,
    colour_handles,
    new_figure,
    readme_table,
    refuse_empty,
    require_columns,
    styled,
)
from histobridge_study.analysis.tables import CELL_KEYS, DISPLAY_ORDER, TRANSLATION_KEYS

SETTING = ["pair", "protocol", "split"]
TALLEST_PSNR = 50  # dB; a control that is its own inverse comes back exactly, which no axis can hold
MEASURES = {"ssim": "SSIM ↑", "psnr": f"PSNR, dB, cut at {TALLEST_PSNR} ↑", "l1": "L1 ↓"}
DIRECTION_COLOURS = (BLUE, VERMILLION)


@styled
def dice_bars(table: pd.DataFrame) -> Figure:
    """Show the Dice of every label-free strategy and control as dots, the supervised bound as dashed lines.

    Parameters
    ----------
    table : DataFrame
        From `analysis.tables.dice_table`. A column of panels for each pair, a row for each protocol and
        split. Whiskers and bands are one SD over folds; a single fold has none.
    """
    require_columns(table, [*CELL_KEYS, "mean", "image_mean", "sd", "folds"], "the table of Dice")
    methods = _distinct(table[table["strategy"] != "supervised"], ["strategy", "translator"])
    refuse_empty(methods, "label-free strategies in the table of Dice")
    methods = sorted(methods, key=_place)
    pairs, settings = _distinct(table, SETTING[:1]), _distinct(table, SETTING[1:])
    figure = new_figure(min(PAGE, 1.5 + 2.7 * len(pairs)), 1.0 + len(settings) * max(0.9, 0.25 + 0.2 * len(methods)))
    grid = figure.subplots(len(settings), len(pairs), sharex=True, sharey=True, squeeze=False)
    for axes, (setting, pair) in zip(grid.flat, product(settings, pairs), strict=True):
        here = (table[SETTING] == [*pair, *setting]).all(axis=1)
        _dice_panel(axes, table[here], methods)
    for axes, (pair,) in zip(grid[0], pairs, strict=True):
        axes.set_title(pair)
    for axes, setting in zip(grid[:, 0], settings, strict=True):
        axes.set_ylabel("\n".join(setting))
    labels = [s if t == "none" else f"{s}, {t}" for s, t in methods]
    grid[0, 0].set_yticks(range(len(methods)), labels)
    grid[0, 0].set(xlim=(0, 1), ylim=(len(methods) - 0.5, -0.5))
    grid[0, 0].xaxis.set_major_formatter("{x:g}")
    for axes in grid[-1]:
        axes.set_xlabel(f"Dice, mean ± SD (folds: {_extent(table['folds'])})")
    handles = [Line2D([], [], color=c, marker="o", markersize=4, label=n) for n, c in CLASS_COLOURS.items()]
    handles += [Line2D([], [], color=GREY, linestyle="--", label="supervised bound")]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    readme_table(figure, "How near label-free strategies come to supervision")
    return figure


def _dice_panel(axes: Axes, table: pd.DataFrame, methods: list[tuple]) -> None:
    """Draw one pair: a row for each (strategy, translator), light stripes to lead the eye."""
    for row in range(0, len(methods), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="0.95", linewidth=0)
    for shift, (name, colour) in zip((0.15, -0.15), CLASS_COLOURS.items(), strict=True):
        of_class = table[table["class"] == name]
        bound = of_class["strategy"] == "supervised"
        for cell in of_class[bound].itertuples():
            at = cell.image_mean  # over the same images as the other rows, which its mean over folds is not
            axes.axvline(at, color=colour, linestyle="--", linewidth=1)
            if cell.sd > 0:
                axes.axvspan(at - cell.sd, at + cell.sd, color=colour, alpha=0.12, linewidth=0)
        free = of_class[~bound]
        rows = [methods.index(method) + shift for method in zip(free["strategy"], free["translator"], strict=True)]
        axes.errorbar(free["mean"], rows, xerr=free["sd"], fmt="o", color=colour, markersize=4)


def _place(method: tuple[str, str]) -> tuple[int, ...]:
    """Where a (strategy, translator) stands in `tables.DISPLAY_ORDER`; what is not in it comes last."""
    orders = zip((DISPLAY_ORDER["strategy"], DISPLAY_ORDER["translator"]), method, strict=True)
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
        Rows of `translation.csv`: the columns of `TRANSLATION_KEYS` and `ssim`, `psnr` (dB) and `l1`. A row
        of panels for each pair, protocol and split.
    """
    rows = translation_scores(rows)
    groups, names = list(rows.groupby(SETTING, sort=False)), translators_in_order(rows)
    figure = new_figure(PAGE, 0.75 + len(groups) * max(0.9, 0.25 + 0.25 * len(names)))
    grid = figure.subplots(len(groups), len(MEASURES), sharex="col", sharey=True, squeeze=False)
    directions = sorted(set(rows["direction"]))
    for panels, (group, cells) in zip(grid, groups, strict=True):
        measure_bars(panels, cells, names, directions)
        panels[0].set_ylabel("\n".join(group))
    for axes, title in zip(grid[0], MEASURES.values(), strict=True):
        axes.set_title(title)
        axes.set_xlim(left=0)
    figure.legend(handles=direction_legend(directions), loc="outside lower center", ncols=2)
    readme_table(figure, "What a round trip brings back, mean ± SD over images")
    return figure


def translation_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Check rows of `translation.csv` and return them with the PSNR cut at `TALLEST_PSNR`.

    Raises
    ------
    UserError
        If a column is missing or there are no rows.
    """
    require_columns(rows, [*TRANSLATION_KEYS, *MEASURES], "the table of translations")
    return rows.assign(psnr=rows["psnr"].clip(upper=TALLEST_PSNR))


def translators_in_order(rows: pd.DataFrame) -> list[str]:
    """Return the translators of a table as `tables.DISPLAY_ORDER` has them, unknown ones last."""
    return sorted(rows["translator"].unique(), key=lambda name: _place(("", name)))


def measure_bars(panels: Sequence[Axes], rows: pd.DataFrame, names: list[str], directions: list[str]) -> None:
    """Draw SSIM, PSNR and L1 into three panels: a bar a translator and direction, mean ± SD over images."""
    colours = dict(zip(directions, DIRECTION_COLOURS, strict=False))
    bars = {"y": "translator", "order": names, "hue": "direction", "hue_order": directions, "palette": colours}
    bars |= {"errorbar": "sd", "err_kws": {"linewidth": 0.8, "color": "black"}, "saturation": 1, "width": 0.7}
    for axes, measure in zip(panels, MEASURES, strict=True):
        sns.barplot(rows, x=measure, ax=axes, legend=False, **bars)
        axes.set(xlabel="", ylabel="")


def direction_legend(directions: list[str]) -> list[Patch]:
    """Return what a legend needs to name the colours of `measure_bars`."""
    names = [name.replace("->", " to ") for name in directions]
    return colour_handles(dict(zip(names, DIRECTION_COLOURS, strict=False)))
