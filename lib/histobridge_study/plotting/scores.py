"""Plots of scores: Dice of the methods, of an ablation and under a simulated shift, and reconstruction.

Every dot of a Dice is a subject. A diamond is the mean over subjects, and its whiskers the 95 % interval over subjects,
which needs five of them. How much trainings differ is no whisker: it stands in the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from histobridge.config import REFERENCES
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
from histobridge_study.analysis.ablation import ablation_differences, ablation_table
from histobridge_study.analysis.methods import Method, label_free, method_order, method_words, without_sign
from histobridge_study.analysis.tables import CELL_KEYS, EXPERIMENT_KEYS, TRANSLATION_KEYS, dice_table, subject_values

MAX_PSNR = 50  # dB: the PSNR of a control that inverts itself exactly is infinite
MEASURES = {"ssim": "SSIM ↑", "psnr": f"PSNR ↑ (dB, cut at {MAX_PSNR})", "l1": "L1 ↓"}
DIRECTION_COLOURS = (BLUE, VERMILLION)
STRATEGY_COLOURS = {"pretrained": GREY, "adaptation": BLUE, "tutorship": VERMILLION}


# --- Dice ---------------------------------------------------------------------------------------------------


@styled
def dice_dots(rows: pd.DataFrame, *, profile: str = "") -> Figure:
    """Show the Dice of every method by subject; the references stand below a line and have open marks.

    Where the contrast is inverted, the controls, `refined` and `many-sources` see negatives.

    Parameters
    ----------
    rows : DataFrame
        Rows of `dice.csv`. Each pair has a column of panels, each protocol and split a row.
    profile : str
        Of the runs; it decides what SynDiff is called.
    """
    require_columns(rows, [*CELL_KEYS, "fold", "subject", "image", "dice"], "the rows of Dice")
    refuse_empty(label_free(rows), "label-free strategies in the rows of Dice")
    places, labels = _method_places(rows, profile)
    subjects, table = (_placed(values, places) for values in (subject_values(rows), dice_table(rows)))
    pairs, settings = _distinct(rows, EXPERIMENT_KEYS[:1]), _distinct(rows, EXPERIMENT_KEYS[1:])
    rows_high = max(places.values()) + 1
    figure = new_figure(min(PAGE, 2.2 + 2.2 * len(pairs)), 1.1 + len(settings) * max(0.9, 0.25 + 0.16 * rows_high))
    grid = figure.subplots(len(settings), len(pairs), sharex=True, sharey=True, squeeze=False)
    for axes, (setting, pair) in zip(grid.flat, product(settings, pairs), strict=True):
        of_panel = ((part[EXPERIMENT_KEYS] == [*pair, *setting]).all(axis=1) for part in (subjects, table))
        _dice_panel(axes, *(part[here] for part, here in zip((subjects, table), of_panel, strict=True)), places)
    for axes, (pair,) in zip(grid[0], pairs, strict=True):
        axes.set_title(pair)
    for axes, setting in zip(grid[:, 0], settings, strict=True):
        axes.set_ylabel("\n".join(setting))
    for axes in grid[-1]:
        axes.set_xlabel("Dice")
    grid[0, 0].set_yticks(sorted(set(places.values())), labels)
    grid[0, 0].set(xlim=(0, 1), ylim=(rows_high - 0.5, -0.5))
    grid[0, 0].xaxis.set_major_formatter("{x:g}")
    figure.legend(handles=score_handles(references=True), loc="outside lower center", ncols=3)
    figure_title(figure, "Dice of every method, subject by subject")
    return figure


def _method_places(rows: pd.DataFrame, profile: str) -> tuple[dict[Method, int], list[str]]:
    """Return the row of each method, with a gap before the references, and the names of the rows.

    A control of negatives shares the row of the same control without: a pair has one of them.
    """
    methods = _distinct(rows, ["strategy", "translator"])
    lines = sorted({without_sign(method) for method in methods}, key=method_order)
    place = {line: n + (line[0] in REFERENCES) for n, line in enumerate(lines)}
    words = [method_words(*line, profile=profile).replace("supervised reference", "reference") for line in lines]
    return {method: place[without_sign(method)] for method in methods}, words


def _placed(table: pd.DataFrame, places: dict[Method, int]) -> pd.DataFrame:
    return table.assign(row=[places[method] for method in zip(table["strategy"], table["translator"], strict=True)])


def _dice_panel(axes: Axes, subjects: pd.DataFrame, means: pd.DataFrame, places: dict[Method, int]) -> None:
    """Draw the Dice of one pair, protocol and split: one row a method, striped for legibility."""
    for row in sorted(set(places.values()))[::2]:
        axes.axhspan(row - 0.5, row + 0.5, color="0.95", linewidth=0)
    first_reference = min((row for (strategy, _), row in places.items() if strategy in REFERENCES), default=None)
    if first_reference is not None:
        axes.axhline(first_reference - 1, color=GREY, linewidth=0.8)
    subject_dots(axes, subjects, means)
    if means.empty:
        axes.text(0.5, 0.5, "not run", color=GREY, ha="center", va="center", transform=axes.transAxes)


def subject_dots(axes: Axes, subjects: pd.DataFrame, means: pd.DataFrame, value: str = "dice") -> None:
    """Draw a dot for each subject, and a diamond with its interval for each mean, by class.

    Parameters
    ----------
    axes : Axes
    subjects, means : DataFrame
        Both have `class` and `row`, the height of a method, and may have `strategy`: references get open marks.
        `subjects` have a `value`, `means` have `mean`, `low` and `high`.
    value : str
        Column of the dots.
    """
    for shift, (name, colour) in zip((0.17, -0.17), CLASS_COLOURS.items(), strict=True):
        dots, mean = subjects[subjects["class"] == name], means[means["class"] == name]
        axes.scatter(dots[value], dots["row"] + shift, s=6, color=colour, alpha=0.45, linewidth=0)
        ends = [mean["mean"] - mean["low"], mean["high"] - mean["mean"]]
        axes.errorbar(mean["mean"], mean["row"] + shift, xerr=ends, fmt="none", ecolor=colour, elinewidth=1)
        is_open = mean["strategy"].isin(REFERENCES) if "strategy" in mean else np.zeros(len(mean), bool)
        faces = ["white" if open_mark else colour for open_mark in is_open]
        axes.scatter(mean["mean"], mean["row"] + shift, s=9, marker="D", c=faces, edgecolors=colour, zorder=3)


def score_handles(dot: str = "a subject", *, references: bool = False) -> list[Line2D]:
    """Return the legend entries of `subject_dots`."""
    mark = {"color": GREY, "linestyle": ""}
    handles = [Line2D([], [], color=c, marker="D", markersize=4, label=name) for name, c in CLASS_COLOURS.items()]
    handles += [Line2D([], [], marker="o", markersize=3, label=dot, **mark)]
    handles += [Line2D([], [], color=GREY, marker="D", markersize=4, label="mean; 95 % interval from 5 subjects on")]
    if references:
        handles += [
            Line2D([], [], marker="D", markersize=4, mfc="white", label="reference: has seen masks of U", **mark)
        ]
    return handles


@styled
def ablation_dots(rows: pd.DataFrame) -> Figure:
    """Show what one changed piece of the default recipe is worth: the paired difference of each fold and subject.

    Parameters
    ----------
    rows : DataFrame
        Rows of `ablation.csv`. Each pair has a panel. A dot is a fold and subject, a diamond the mean over subjects.
    """
    columns = [*EXPERIMENT_KEYS, "strategy", "fold", "subject", "recipe", "class", "dice"]
    require_columns(rows, columns, "the rows of the ablation")
    differences, table = ablation_differences(rows), ablation_table(rows)
    refuse_empty(table, "recipes with a piece changed in the rows of the ablation")
    pairs, recipes = table["pair"].unique(), list(table["recipe"].unique())
    figure = new_figure(min(PAGE, 1.8 + 1.9 * len(pairs)), 1.3 + 0.3 * len(recipes))
    grid = figure.subplots(1, len(pairs), squeeze=False, sharey=True, sharex=True)[0]
    for axes, pair in zip(grid, pairs, strict=True):
        parts = (part[part["pair"] == pair] for part in (differences, table))
        dots, means = (part.assign(row=part["recipe"].map(recipes.index)) for part in parts)
        axes.axvline(0, color=GREY, linewidth=0.8)
        subject_dots(axes, dots, means, "difference")
        axes.set(title=pair, xlabel="difference in Dice")
    grid[0].set_yticks(range(len(recipes)), recipes)
    grid[0].invert_yaxis()
    figure.legend(
        handles=score_handles("a fold and subject"), loc="outside lower center", ncols=4 if len(pairs) > 2 else 2
    )
    figure_title(figure, "The default recipe with one piece changed, less the default recipe")
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
    """Return the translators of a table in the order of the tables, unknown ones last."""
    return sorted(rows["translator"].unique(), key=lambda name: method_order(("", name)))


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


def _distinct(table: pd.DataFrame, columns: list[str]) -> list[tuple]:
    return list(table[columns].drop_duplicates().itertuples(index=False, name=None))
