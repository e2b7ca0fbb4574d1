"""Plots of confidence: uncertainty maps, calibration, and label-free scores against the true Dice."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from histobridge.display.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    PURPLE,
    VERMILLION,
    error_map,
    figure_title,
    new_figure,
    overlay,
    panel,
    panel_grid,
    refuse_empty,
    refuse_other_shapes,
    require_columns,
    styled,
)
from histobridge.metrics import calibration_error
from histobridge.strategies.recommend import SCORES
from histobridge_study.analysis.recommend import correlations
from histobridge_study.analysis.tables import EXPERIMENT_KEYS

PAIR_STYLES = tuple(zip((BLUE, VERMILLION, GREY, GREEN, PURPLE, ORANGE), "osD^vP", strict=True))
COLUMNS = 4  # of the scatter plots


@styled
def uncertainty_panels(
    image: np.ndarray,
    mask: np.ndarray,
    uncertainty: np.ndarray,
    tiles: pd.DataFrame,
    *,
    truth: np.ndarray | None = None,
    um_per_px: float | None = None,
    label: str = "refined label",
) -> Figure:
    """Show an image, its label, the uncertainty of the label and, if the expert's mask is given, its errors.

    Parameters
    ----------
    image, mask, uncertainty : ndarray [H, W]
        Image, class mask and uncertainty 0..1.
    tiles : DataFrame
        Tiles of this image in the order of review, from `histobridge.metrics.review_order`. The first
        tenth of them is framed.
    label : str
        Title of the label.
    """
    refuse_empty(tiles, "tiles")
    refuse_other_shapes(image, {"mask": mask, "uncertainty": uncertainty} | ({} if truth is None else {"truth": truth}))
    pictures = {"image": image, label: overlay(image, mask), "uncertainty (0 to 1)": uncertainty}
    pictures |= {} if truth is None else {"errors": error_map(truth, mask)}
    figure, grid = panel_grid(1, len(pictures))
    for axes, (title, picture) in zip(grid[0], pictures.items(), strict=True):
        panel(axes, picture, title=title, um_per_px=um_per_px if title == "image" else None)
    for tile in tiles.head(int(np.ceil(len(tiles) / 10))).itertuples():
        for axes in grid[0, 1:]:
            corner = tile.left_px, tile.top_px
            axes.add_patch(Rectangle(corner, tile.side_px, tile.side_px, fill=False, ec=VERMILLION, lw=0.8))
    return figure


@styled
def calibration_curves(bins: pd.DataFrame, curve: pd.DataFrame) -> Figure:
    """Show a reliability diagram and a sparsification curve of the refined labels of each pair.

    Parameters
    ----------
    bins, curve : DataFrame
        Rows of `reliability.csv` and `sparsification.csv`. Folds are taken together.
    """
    require_columns(bins, [*EXPERIMENT_KEYS, "bin", "n", "confident", "right"], "the table of reliability")
    require_columns(curve, [*EXPERIMENT_KEYS, "removed", "error", "oracle"], "the table of sparsification")
    settings = list(bins.groupby(EXPERIMENT_KEYS, sort=False).groups)
    figure = new_figure(min(PAGE, 0.8 + 2.1 * len(settings)), 4.4)
    grid = figure.subplots(2, len(settings), squeeze=False, sharey="row")
    for (above, below), setting in zip(grid.T, settings, strict=True):
        _reliability_panel(above, bins[(bins[EXPERIMENT_KEYS] == list(setting)).all(axis=1)])
        _sparsification_panel(below, curve[(curve[EXPERIMENT_KEYS] == list(setting)).all(axis=1)])
        above.set_title(f"{setting[0]}, {setting[1]}")
    grid[0, 0].set_ylabel("share of correct pixels")
    grid[1, 0].set_ylabel("error of the remaining pixels")
    grid[1, 0].set_ylim(bottom=0)
    figure.legend(*grid[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure_title(figure, "Calibration of the refined labels")
    return figure


def _reliability_panel(axes: Axes, bins: pd.DataFrame) -> None:
    """Draw the accuracy against the confidence of each bin; the area of a dot grows with its number of pixels."""
    found = bins.groupby("bin")[["n", "confident", "right"]].sum().query("n > 0")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    sizes = 40 * found["n"] / found["n"].max() + 3
    axes.scatter(found["confident"] / found["n"], found["right"] / found["n"], s=sizes, color=BLUE, clip_on=False)
    axes.text(0.05, 0.9, f"ECE {calibration_error(bins):.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", xticks=(0, 0.5, 1))


def _sparsification_panel(axes: Axes, curve: pd.DataFrame) -> None:
    mean = curve.groupby("removed")[["error", "oracle"]].mean()
    axes.plot(mean.index, mean["error"], color=BLUE, label="least certain pixels removed first")
    axes.plot(mean.index, mean["oracle"], color=GREY, linestyle="--", label="wrong pixels removed first (oracle)")
    axes.set(xlim=(0, 1), xlabel="share of removed pixels", xticks=(0, 0.5, 1))


@styled
def label_free_score_scatter(known: pd.DataFrame) -> Figure:
    """Show each label-free score against the true Dice: one point a run and method, one colour a pair.

    The title of a panel gives the rank correlation over all methods, over plausible ones (true Dice above 0.5), and
    over plausible ones without `refined`.

    Parameters
    ----------
    known : DataFrame
        From `histobridge_study.analysis.recommend.with_true_dice`.
    """
    scores = [name for name in SCORES if name in known]
    require_columns(known, [*EXPERIMENT_KEYS, "strategy", "translator", "dice", *scores], "the label-free scores")
    rows = -(-len(scores) // COLUMNS)
    figure = new_figure(PAGE, 0.9 + 1.8 * rows)
    grid = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    for axes, score in zip(grid.flat, scores, strict=False):
        for (colour, marker), (pair, of) in zip(cycle(PAIR_STYLES), known.groupby("pair"), strict=False):
            axes.scatter(of[score], of["dice"], s=8, color=colour, marker=marker, alpha=0.7, linewidth=0, label=pair)
        found = [f"{interval.value:.2f}" for interval in correlations(known, score).values()]
        axes.set(xlabel=score.replace("_", " "), ylim=(0, 1), title=" / ".join(found).replace("nan", "–"))
    for axes in grid.flat[len(scores) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("true Dice")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    order = "all methods / true Dice above 0.5 / those without refined"
    figure_title(figure, f"Label-free scores against the true Dice\nRank correlation: {order}")
    return figure
