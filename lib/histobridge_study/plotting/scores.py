"""Plots of scores: Dice of the strategies, of their ablation and under a simulated shift, and reconstruction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pandas as pd
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
    figure_title,
    new_figure,
    refuse_empty,
    require_columns,
    styled,
)
from histobridge_study.analysis.tables import CELL_KEYS, DISPLAY_ORDER, EXPERIMENT_KEYS, TRANSLATION_KEYS

MAX_PSNR = 50  # dB: the PSNR of a control that inverts itself exactly is infinite
MEASURES = {"ssim": "SSIM ↑", "psnr": f"PSNR ↑ (dB, cut at {MAX_PSNR})", "l1": "L1 ↓"}
DIRECTION_COLOURS = (BLUE, VERMILLION)
STRATEGY_COLOURS = {"pretrained": GREY, "adaptation": BLUE, "tutorship": VERMILLION}


# --- Dice ---------------------------------------------------------------------------------------------------


@styled
def dice_bars(table: pd.DataFrame) -> Figure:
    """Show the Dice of every label-free strategy and control, and the supervised reference as dashed lines.

    Parameters
    ----------
    table : DataFrame
        From `histobridge_study.analysis.tables.dice_table`. Each pair has a column of panels, each protocol and split a
        row. Whiskers and bands are one SD over folds; a single fold has none.
    """
    require_columns(table, [*CELL_KEYS, "mean", "image_mean", "sd", "folds"], "the table of Dice")
    methods = _distinct(table[table["strategy"] != "supervised"], ["strategy", "translator"])
    refuse_empty(methods, "label-free strategies in the table of Dice")
    methods = sorted(methods, key=_story_order)
    pairs, settings = _distinct(table, EXPERIMENT_KEYS[:1]), _distinct(table, EXPERIMENT_KEYS[1:])
    figure = new_figure(min(PAGE, 1.5 + 2.7 * len(pairs)), 1.0 + len(settings) * max(0.9, 0.25 + 0.2 * len(methods)))
    grid = figure.subplots(len(settings), len(pairs), sharex=True, sharey=True, squeeze=False)
    for axes, (setting, pair) in zip(grid.flat, product(settings, pairs), strict=True):
        _dice_panel(axes, table[(table[EXPERIMENT_KEYS] == [*pair, *setting]).all(axis=1)], methods)
    for axes, (pair,) in zip(grid[0], pairs, strict=True):
        axes.set_title(pair)
    for axes, setting in zip(grid[:, 0], settings, strict=True):
        axes.set_ylabel("\n".join(setting))
    for axes in grid[-1]:
        axes.set_xlabel("Dice")
    labels = [strategy if translator == "none" else f"{strategy}, {translator}" for strategy, translator in methods]
    grid[0, 0].set_yticks(range(len(methods)), labels)
    grid[0, 0].set(xlim=(0, 1), ylim=(len(methods) - 0.5, -0.5))
    grid[0, 0].xaxis.set_major_formatter("{x:g}")
    handles = [Line2D([], [], color=c, marker="o", markersize=4, label=n) for n, c in CLASS_COLOURS.items()]
    handles += [Line2D([], [], color=GREY, linestyle="--", label="supervised reference")]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    figure_title(figure, f"Dice of label-free strategies, mean ± SD over {fold_count(table)}")
    return figure


def _dice_panel(axes: Axes, cells: pd.DataFrame, methods: list[tuple]) -> None:
    """Draw the Dice of one pair, protocol and split: one row a (strategy, translator), striped for legibility."""
    for row in range(0, len(methods), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="0.95", linewidth=0)
    for cell in cells[cells["strategy"] == "supervised"].to_dict("records"):
        # Every fold of the reference scores other images, so the number to compare is its mean over images.
        colour, mean, sd = CLASS_COLOURS[cell["class"]], cell["image_mean"], cell["sd"]
        axes.axvline(mean, color=colour, linestyle="--", linewidth=1)
        if sd > 0:
            axes.axvspan(mean - sd, mean + sd, color=colour, alpha=0.12, linewidth=0)
    free = cells[cells["strategy"] != "supervised"]
    rows = [methods.index(method) for method in zip(free["strategy"], free["translator"], strict=True)]
    _class_dots(axes, free.assign(row=rows))
    if cells.empty:
        axes.text(0.5, 0.5, "not run", color=GREY, ha="center", va="center", transform=axes.transAxes)


def _class_dots(axes: Axes, cells: pd.DataFrame) -> None:
    """Draw the mean ± SD of each class, two dots beside each other in the `row` of a method."""
    for shift, (name, colour) in zip((0.15, -0.15), CLASS_COLOURS.items(), strict=True):
        of = cells[cells["class"] == name]
        axes.errorbar(of["mean"], of["row"] + shift, xerr=of["sd"], fmt="o", color=colour, markersize=4, label=name)


@styled
def ablation_bars(table: pd.DataFrame) -> Figure:
    """Show the Dice of the complete `refined` strategy and of it without one component, mean ± SD over folds.

    Parameters
    ----------
    table : DataFrame
        From `histobridge_study.analysis.tables.ablation_table`.
    """
    require_columns(table, [*EXPERIMENT_KEYS, "recipe", "class", "mean", "sd"], "the table of the ablation")
    pairs, recipes = table["pair"].unique(), list(table["recipe"].unique())
    figure = new_figure(min(PAGE, 1.8 + 1.9 * len(pairs)), 1.1 + 0.25 * len(recipes))
    grid = figure.subplots(1, len(pairs), squeeze=False, sharey=True)[0]
    for axes, pair in zip(grid, pairs, strict=True):
        cells = table[table["pair"] == pair]
        _class_dots(axes, cells.assign(row=cells["recipe"].map(recipes.index)))
        axes.set(title=pair, xlabel="Dice, mean ± SD")
    grid[0].set_yticks(range(len(recipes)), recipes)
    grid[0].invert_yaxis()
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure_title(figure, "Ablation of the refined strategy")
    return figure


@styled
def simulated_shift_lines(rows: pd.DataFrame) -> Figure:
    """Show the mean Dice of every strategy against the size of a simulated shift, one panel a modality.

    A marker is hollow where the contrast was inverted.

    Parameters
    ----------
    rows : DataFrame
        From `histobridge_study.analysis.simulated_shift`: `modality`, `step`, `sign`, `strategy` and `dice`.
    """
    require_columns(rows, ["modality", "step", "sign", "strategy", "dice"], "the table of the simulated shift")
    names = rows["modality"].unique()
    figure = new_figure(min(PAGE, 1.3 + 1.9 * len(names)), 2.6)
    grid = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(grid, names, strict=True):
        means = rows[rows["modality"] == name].groupby(["strategy", "step"])[["dice", "sign"]].mean()
        for strategy, colour in STRATEGY_COLOURS.items():
            line = means.loc[strategy]
            axes.plot(line.index, line["dice"], color=colour, label=strategy)
            faces = [colour if sign > 0 else "white" for sign in line["sign"]]
            axes.scatter(line.index, line["dice"], facecolors=faces, edgecolors=colour, s=18, zorder=3)
        axes.set(title=f"TEM to {name}", xlabel="shift, 0 to 1", ylim=(0, 1))
    grid[0].set_ylabel("Dice, mean of both classes")
    hollow = Line2D([], [], marker="o", linestyle="", markersize=4, color=GREY, mfc="white", label="contrast inverted")
    handles = [*grid[0].get_legend_handles_labels()[0], hollow]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, 2 * len(names)), columnspacing=1)
    figure_title(figure, "Dice under a simulated shift")
    return figure


# --- Reconstruction -----------------------------------------------------------------------------------------


@styled
def reconstruction_bars(rows: pd.DataFrame) -> Figure:
    """Show how well the round trip reconstructs an image: SSIM, PSNR and L1, mean ± SD over images.

    The round trip cannot detect a wrong polarity: a contrast that is inverted twice is reconstructed exactly.

    Parameters
    ----------
    rows : DataFrame
        Rows of `translation.csv`. Each pair, protocol and split has a row of panels.
    """
    rows = reconstruction_scores(rows)
    groups, translators = list(rows.groupby(EXPERIMENT_KEYS, sort=False)), ordered_translators(rows)
    figure = new_figure(PAGE, 0.75 + len(groups) * max(0.9, 0.25 + 0.18 * len(translators)))
    grid = figure.subplots(len(groups), len(MEASURES), sharex="col", sharey=True, squeeze=False)
    directions = sorted(set(rows["direction"]))
    for panels, (group, cells) in zip(grid, groups, strict=True):
        measure_bars(panels, cells, translators, directions)
        panels[0].set_ylabel("\n".join(group))
    for axes, title in zip(grid[0], MEASURES.values(), strict=True):
        axes.set_title(title)
        axes.set_xlim(left=0)
    figure.legend(handles=direction_handles(directions), loc="outside lower center", ncols=2)
    figure_title(figure, "Reconstruction by the round trip, mean ± SD over images")
    return figure


def reconstruction_scores(rows: pd.DataFrame) -> pd.DataFrame:
    """Check rows of `translation.csv` and return them with the PSNR cut at `MAX_PSNR`.

    Raises
    ------
    UserError
        If a column is missing or there are no rows.
    """
    require_columns(rows, [*TRANSLATION_KEYS, *MEASURES], "the table of translations")
    return rows.assign(psnr=rows["psnr"].clip(upper=MAX_PSNR))


def ordered_translators(rows: pd.DataFrame) -> list[str]:
    """Return the translators of a table in the order of `tables.DISPLAY_ORDER`, unknown ones last."""
    return sorted(rows["translator"].unique(), key=lambda name: _story_order(("", name)))


def measure_bars(panels: Sequence[Axes], rows: pd.DataFrame, translators: list[str], directions: list[str]) -> None:
    """Draw SSIM, PSNR and L1 into three panels: one bar a translator and direction, mean ± SD over images."""
    import seaborn as sns  # only here: it takes a second to import

    colours = dict(zip(directions, DIRECTION_COLOURS, strict=False))
    bars = {"y": "translator", "order": translators, "hue": "direction", "hue_order": directions, "palette": colours}
    bars |= {"errorbar": "sd", "err_kws": {"linewidth": 0.8, "color": "black"}, "saturation": 1, "width": 0.7}
    for axes, measure in zip(panels, MEASURES, strict=True):
        sns.barplot(rows, x=measure, ax=axes, legend=False, **bars)
        axes.set(xlabel="", ylabel="")


def direction_handles(directions: list[str]) -> list[Patch]:
    """Return the legend entries of `measure_bars`, such as `L to U to L`."""
    return colour_handles(dict(zip([d.replace("->", " to ") for d in directions], DIRECTION_COLOURS, strict=False)))


# --- Tables -------------------------------------------------------------------------------------------------


def fold_count(table: pd.DataFrame) -> str:
    """Return in words over how many folds a table summarises, from its column `folds`.

    >>> fold_count(pd.DataFrame({"folds": [3, 5]})), fold_count(pd.DataFrame({"folds": [1]}))
    ('3 to 5 folds', '1 fold')
    """
    fewest, most = table["folds"].min(), table["folds"].max()
    return f"{most if fewest == most else f'{fewest} to {most}'} fold{'s' if most > 1 else ''}"


def _story_order(method: tuple[str, str]) -> tuple[int, ...]:
    """Return the place of a (strategy, translator) in `tables.DISPLAY_ORDER`; names that are not in it come last."""
    orders = zip((DISPLAY_ORDER["strategy"], DISPLAY_ORDER["translator"]), method, strict=True)
    return tuple(order.index(name) if name in order else len(order) for order, name in orders)


def _distinct(table: pd.DataFrame, columns: list[str]) -> list[tuple]:
    return list(table[columns].drop_duplicates().itertuples(index=False, name=None))
