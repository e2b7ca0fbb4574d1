"""Plots of what was measured: single fibres, and how far pseudo labels and expert masks agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from histobridge.display.drawing import (
    GREY,
    PAGE,
    SMALL,
    VERMILLION,
    new_figure,
    readme_table,
    refuse_empty,
    require_columns,
    styled,
)
from histobridge_study.analysis.bland_altman import (
    DENSITY,
    EXPERT,
    IMAGE_KEYS,
    LIMITS_SD,
    MEASURES,
    bland_altman,
    format_measure,
)
from histobridge_study.analysis.tables import EXPERIMENT_KEYS

AGREEMENT = "How far measurements from pseudo labels and from expert masks agree"
MEAN = "mean of both"
FIBRE = ["axon_diameter_um", "g_ratio"]
MEDIANS = 10  # at most: groups of fibres of like diameter, of at least as many fibres each


@styled
def agreement_panels(pairs: pd.DataFrame) -> Figure:
    """Show Bland-Altman plots: a panel a measure, a point an image, lines at the bias and the 95 % limits.

    Over each panel stands bias ± 1.96 SD.

    Parameters
    ----------
    pairs : DataFrame
        From `analysis.bland_altman.best_method_pairs`: one method for each pair, protocol and split. Several get a
        column of panels each, a single one two rows.
    """
    require_columns(pairs, [*IMAGE_KEYS, "measure", "label", "expert"], "the table of measurements")
    groups = list(pairs.groupby([*EXPERIMENT_KEYS, "strategy", "translator"], sort=False))
    figure = _one_setting(*groups[0]) if len(groups) == 1 else _many_settings(groups)
    figure.supylabel("pseudo label − expert", fontsize=8)
    figure.legend(handles=_agreement_legend(), loc="outside lower center", ncols=4)
    return figure


def _one_setting(key: tuple[str, ...], pairs: pd.DataFrame) -> Figure:
    """Draw two rows of panels, the measure over each."""
    figure = new_figure(PAGE, 4.1)
    grid = figure.subplots(2, 4)
    for axes, (measure, name) in zip(grid.flat, MEASURES.items(), strict=False):
        _agreement_panel(axes, pairs[pairs["measure"] == measure], measure, f"{name}\n")
    for axes in grid.flat[len(MEASURES) :]:
        axes.set_axis_off()
    for axes in grid.flat[len(MEASURES) - 4 : len(MEASURES)]:  # those with nothing below them
        axes.set_xlabel(MEAN)
    readme_table(figure, f"{AGREEMENT}\n{', '.join(_words(key))}")
    return figure


def _many_settings(groups: list[tuple[tuple, pd.DataFrame]]) -> Figure:
    """Draw a row of panels for each measure, a column for each setting, which stands over its first panel."""
    figure = new_figure(min(PAGE, 0.7 + 2.2 * len(groups)), 1.6 + 1.1 * len(MEASURES))
    grid = figure.subplots(len(MEASURES), len(groups))
    for panels, (key, pairs) in zip(grid.T, groups, strict=True):
        heading = "\n".join([*_words(key), "", ""])
        for axes, measure in zip(panels, MEASURES, strict=True):
            _agreement_panel(axes, pairs[pairs["measure"] == measure], measure, heading)
            heading = ""
    for axes, name in zip(grid[:, 0], MEASURES.values(), strict=True):
        axes.set_ylabel(name.replace(" ", "\n", 1))
    for axes in grid[-1]:
        axes.set_xlabel(MEAN)
    figure.align_ylabels(grid[:, 0])
    readme_table(figure, f"{AGREEMENT}: the best label-free masks")
    return figure


def _agreement_panel(axes: Axes, pairs: pd.DataFrame, measure: str, heading: str) -> None:
    limits = bland_altman(pairs["expert"], pairs["label"])
    bias, spread = format_measure(limits.bias, measure), format_measure(LIMITS_SD * limits.sd, measure, sign="")
    axes.set_title(f"{heading}{bias.replace('-', '−')} ± {spread}", fontsize=SMALL)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.scatter((pairs["expert"] + pairs["label"]) / 2, pairs["label"] - pairs["expert"], s=8, color="0.2", zorder=3)
    if limits.n > 1:
        axes.axhspan(limits.lower, limits.upper, color=VERMILLION, alpha=0.08, linewidth=0)
        for limit in (limits.lower, limits.upper):
            axes.axhline(limit, color=VERMILLION, linestyle="--", linewidth=1)
    if limits.n:
        axes.axhline(limits.bias, color=VERMILLION)
    axes.margins(0.12)
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(EngFormatter(sep="") if measure == DENSITY else "{x:g}")


def _words(key: tuple[str, ...]) -> list[str]:
    """Return pair, protocol, strategy and translator of a group, and the split where it is not the usual one."""
    pair, protocol, split, *method = key
    return [pair, protocol, *([] if split == "development" else [split]), *method]


def _agreement_legend() -> list[Line2D]:
    return [
        Line2D([], [], color="0.2", marker="o", markersize=3, linestyle="", label="image"),
        Line2D([], [], color=GREY, linewidth=0.8, label="no difference"),
        Line2D([], [], color=VERMILLION, label="bias"),
        Line2D([], [], color=VERMILLION, linestyle="--", label="95 % limits of agreement"),
    ]


@styled
def g_ratio_against_diameter(fibres: pd.DataFrame, method: tuple[str, str]) -> Figure:
    """Show the g-ratio of every whole fibre against its axon's diameter: of the expert masks and of one pseudo label.

    Lines are medians of fibres of like diameter; the expert's is repeated beside the pseudo label's.

    Parameters
    ----------
    fibres : DataFrame
        Rows of `fibres.csv`: `strategy`, `translator`, `axon_diameter_um`, `g_ratio` and `image_border_touching`.
    way : (strategy, translator)
        Whose pseudo labels.
    """
    require_columns(fibres, ["strategy", "translator", *FIBRE, "image_border_touching"], "the table of fibres")
    whole = fibres[~fibres["image_border_touching"] & fibres["g_ratio"].notna()]
    refuse_empty(whole, "fibres with a sheath")
    sides = [
        whole[whole["strategy"] == EXPERT],
        whole[(whole["strategy"] == method[0]) & (whole["translator"] == method[1])],
    ]
    figure = new_figure(PAGE, 2.9)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, side, title in zip(panels, sides, ("expert masks", ", ".join(method)), strict=True):
        axes.scatter(*(side[name] for name in FIBRE), s=5, color=GREY, alpha=0.25, linewidth=0, rasterized=True)
        axes.set(title=f"{title}: {len(side)} fibres, median g-ratio {side['g_ratio'].median():.2f}")
        axes.set_xlabel("axon diameter, µm")
    lines = ((panels[0], sides[0], "black"), (panels[1], sides[0], "black"), (panels[1], sides[1], VERMILLION))
    for axes, side, colour in lines:
        axes.plot(*medians(side[FIBRE].to_numpy()), color=colour)
    panels[0].set(ylabel="g-ratio", ylim=(0, 1), xlim=(0, None))
    handles = [
        Line2D([], [], color=c, label=n) for c, n in (("black", "median, expert"), (VERMILLION, "median, pseudo label"))
    ]
    panels[1].legend(handles=handles, loc="lower right")
    readme_table(figure, "g-ratio against axon diameter, every fibre that has a sheath and is not cut by the border")
    return figure


def medians(points: np.ndarray) -> np.ndarray:
    """Return the medians [2, groups] of points [N, 2], grouped by the first of their coordinates.

    >>> medians(np.array([[1.0, 0.5], [2.0, 0.9], [3.0, 0.7]])).tolist()
    [[2.0], [0.7]]
    """
    if not len(points):
        return np.empty((2, 0))
    groups = np.array_split(
        points[np.argsort(points[:, 0], kind="stable")], np.clip(len(points) // MEDIANS, 1, MEDIANS)
    )
    return np.array([np.median(group, axis=0) for group in groups]).T
