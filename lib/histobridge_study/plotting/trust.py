"""Plots of trust: where a label is unsure, whether it is as sure as it says, what each piece of `refined` is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from histobridge.display.drawing import (
    BLUE,
    CLASS_COLOURS,
    GREY,
    PAGE,
    VERMILLION,
    blank,
    error_map,
    new_figure,
    overlay,
    panel,
    panel_grid,
    readme_table,
    refuse_empty,
    refuse_other_shapes,
    require_columns,
    styled,
)
from histobridge.metrics.calibration import calibration_error
from histobridge_study.analysis.recommend import SCORES
from histobridge_study.analysis.tables import EXPERIMENT_KEYS


@styled
def where_to_look(
    image: np.ndarray,
    mask: np.ndarray,
    unsure: np.ndarray,
    order: pd.DataFrame,
    *,
    truth: np.ndarray | None = None,
    um_per_px: float | None = None,
    label: str = "refined label",
) -> Figure:
    """Show an image, its label, how unsure it is and, if the expert's mask is given, where it errs.

    Parameters
    ----------
    image, mask, unsure : ndarray
        Image, class mask and uncertainty 0..1, [H, W].
    order : DataFrame
        The tiles of this image, from `uncertainty.review_order`; the first tenth of them is framed.
    label : str
        What to call the label.
    """
    refuse_empty(order, "tiles")
    refuse_other_shapes(image, {"mask": mask, "uncertainty": unsure} | ({} if truth is None else {"truth": truth}))
    pictures = {"image": image, label: overlay(image, mask), "uncertainty": unsure}
    pictures |= {} if truth is None else {"errors": error_map(truth, mask)}
    figure, grid = panel_grid(1, len(pictures))
    for axes, (title, picture) in zip(grid[0], pictures.items(), strict=True):
        panel(axes, picture, title=title, um_per_px=um_per_px if title == "image" else None)
    for tile in order.head(int(np.ceil(len(order) / 10))).itertuples():
        for axes in grid[0, 1:]:
            corner = tile.left_px, tile.top_px
            axes.add_patch(Rectangle(corner, tile.side_px, tile.side_px, fill=False, ec=VERMILLION, lw=0.8))
    return figure


@styled
def trust_curves(bins: pd.DataFrame, curve: pd.DataFrame) -> Figure:
    """Show for each pair whether labels are as sure as they say, and how errors go when the unsure is taken away.

    Parameters
    ----------
    bins, curve : DataFrame
        Rows of `reliability.csv` and `sparsification.csv`: of `uncertainty.reliability` and `.sparsification`, with the
        columns pair, protocol, split and fold. Folds are taken together.
    """
    require_columns(bins, [*EXPERIMENT_KEYS, "bin", "n", "confident", "right"], "the table of reliability")
    require_columns(curve, [*EXPERIMENT_KEYS, "removed", "error", "oracle"], "the table of sparsification")
    settings = list(bins.groupby(EXPERIMENT_KEYS, sort=False).groups)
    figure = new_figure(min(PAGE, 0.8 + 2.1 * len(settings)), 4.2)
    grid = figure.subplots(2, len(settings), squeeze=False, sharey="row")
    for (above, below), setting in zip(grid.T, settings, strict=True):
        _reliability_panel(above, bins[(bins[EXPERIMENT_KEYS] == list(setting)).all(axis=1)])
        _sparsification_panel(below, curve[(curve[EXPERIMENT_KEYS] == list(setting)).all(axis=1)])
        above.set_title(f"{setting[0]}, {setting[1]}")
    grid[0, 0].set_ylabel("share that is right")
    grid[1, 0].set_ylabel("wrong pixels left")
    grid[1, 0].set_ylim(bottom=0)  # of all: they share it
    grid[1, 0].legend(frameon=False)
    readme_table(figure, "Are refined labels as sure as they say?")
    return figure


def _reliability_panel(axes, bins: pd.DataFrame) -> None:
    found = bins.groupby("bin")[["n", "confident", "right"]].sum().query("n > 0")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    sizes = 60 * found["n"] / found["n"].max() + 3
    axes.scatter(found["confident"] / found["n"], found["right"] / found["n"], s=sizes, color=BLUE)
    axes.text(0.05, 0.9, f"ECE {calibration_error(bins):.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence")


def _sparsification_panel(axes, curve: pd.DataFrame) -> None:
    mean = curve.groupby("removed")[["error", "oracle"]].mean()
    axes.plot(mean.index, mean["error"], color=BLUE, label="most unsure first")
    axes.plot(mean.index, mean["oracle"], color=GREY, linestyle="--", label="wrong ones first")
    axes.set(xlim=(0, 1), xlabel="share of pixels taken away")


@styled
def guidance_scatter(known: pd.DataFrame) -> Figure:
    """Show for each label-free score how it goes with the true Dice, a point a run and way, a colour a pair.

    Parameters
    ----------
    known : DataFrame
        From `recommend.with_true_dice`.
    """
    scores = [name for name in SCORES if name in known]
    require_columns(known, ["pair", "dice", *scores], "the table of guidance")
    rows = -(-len(scores) // 4)
    figure = new_figure(PAGE, 0.6 + 1.8 * rows)
    grid = figure.subplots(rows, 4, squeeze=False, sharey=True)
    for axes, score in zip(grid.flat, scores, strict=False):
        for colour, (pair, of) in zip((BLUE, VERMILLION, GREY), known.groupby("pair"), strict=False):
            axes.scatter(of[score], of["dice"], s=6, color=colour, label=pair)
        axes.set(xlabel=score, ylim=(0, 1))
    blank(grid.flat[len(scores) :])
    for axes in grid[:, 0]:
        axes.set_ylabel("true Dice")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    readme_table(figure, "What tells good labels from bad without a mask?")
    return figure


@styled
def ladder_lines(rows: pd.DataFrame) -> Figure:
    """Show the mean Dice of every strategy from rung to rung, a panel a modality; hollow where the sign was inverted.

    Parameters
    ----------
    rows : DataFrame
        Of `ladder.climb`, of one modality or several.
    """
    require_columns(rows, ["modality", "step", "sign", "strategy", "dice"], "the table of the ladder")
    names = rows["modality"].unique()
    figure = new_figure(min(PAGE, 1.3 + 1.9 * len(names)), 2.4)
    for axes, name in zip(figure.subplots(1, len(names), sharey=True, squeeze=False)[0], names, strict=True):
        means = rows[rows["modality"] == name].groupby(["strategy", "step"])[["dice", "sign"]].mean()
        for colour, strategy in zip((GREY, BLUE, VERMILLION), ("pretrained", "adaptation", "tutorship"), strict=True):
            line = means.loc[strategy]
            axes.plot(line.index, line["dice"], color=colour, label=strategy)
            faces = [colour if sign > 0 else "white" for sign in line["sign"]]
            axes.scatter(line.index, line["dice"], facecolors=faces, edgecolors=colour, s=18, zorder=3)
        axes.set(title=f"TEM to {name}", xlabel="step (hollow: inverted)", ylim=(0, 1))
    figure.axes[0].set_ylabel("Dice, mean of both classes")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, columnspacing=1)
    readme_table(figure, "How far does each strategy carry?")
    return figure


@styled
def ablation_bars(table: pd.DataFrame) -> Figure:
    """Show the Dice of `refined` whole, and with one piece taken away at a time, mean ± SD over folds.

    Parameters
    ----------
    table : DataFrame
        From `tables.ablation_table`.
    """
    require_columns(table, [*EXPERIMENT_KEYS, "recipe", "class", "mean", "sd"], "the table of the ablation")
    pairs, recipes = table["pair"].unique(), table["recipe"].unique()
    figure = new_figure(min(PAGE, 1.8 + 1.9 * len(pairs)), 1.1 + 0.25 * len(recipes))
    grid = figure.subplots(1, len(pairs), squeeze=False, sharey=True)[0]
    for axes, pair in zip(grid, pairs, strict=True):
        for shift, (name, colour) in zip((0.15, -0.15), CLASS_COLOURS.items(), strict=True):
            of = table[(table["pair"] == pair) & (table["class"] == name)]
            rows = [list(recipes).index(recipe) + shift for recipe in of["recipe"]]
            axes.errorbar(of["mean"], rows, xerr=of["sd"], fmt="o", color=colour, markersize=4, label=name)
        axes.set(title=pair, xlabel="Dice, mean ± SD")
    grid[0].set_yticks(range(len(recipes)), recipes)
    grid[0].invert_yaxis()
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    readme_table(figure, "What each piece of `refined` is worth")
    return figure
