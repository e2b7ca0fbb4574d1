"""Plots of fibre measurements: agreement between pseudo labels and expert masks, and the g-ratio."""

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
    figure_title,
    new_figure,
    refuse_empty,
    require_columns,
    styled,
)
from histobridge_study.analysis.bland_altman import (
    DENSITY,
    EXPERT,
    LIMITS_SD,
    MEASURES,
    SUBJECT_KEYS,
    bland_altman,
    format_measure,
)
from histobridge_study.analysis.tables import EXPERIMENT_KEYS

FIBRE = ["axon_diameter_um", "g_ratio"]
GROUP = 10  # fibres of similar diameter in one median, at least; and at most so many medians


@styled
def bland_altman_panels(pairs: pd.DataFrame) -> Figure:
    """Show Bland-Altman plots: one panel a measure, one point a subject, lines at the bias and the 95 % limits.

    The title of a panel is bias ± 1.96 SD. Below five subjects there are no limits, and it tells their number.

    Parameters
    ----------
    pairs : DataFrame
        From `histobridge_study.analysis.bland_altman.best_method_pairs`: one method for each pair, protocol and split.
        Each of these has a column of panels; a single one is drawn in two rows.
    """
    require_columns(pairs, [*SUBJECT_KEYS, "measure", "label", "expert"], "the table of measurements")
    groups = list(pairs.groupby([*EXPERIMENT_KEYS, "strategy", "translator"], sort=False))
    figure = _one_setting(*groups[0]) if len(groups) == 1 else _many_settings(groups)
    figure.supylabel("pseudo label − expert", fontsize=8)
    figure.legend(handles=_agreement_handles(), loc="outside lower center", ncols=4)
    return figure


def _one_setting(key: tuple[str, ...], pairs: pd.DataFrame) -> Figure:
    figure = new_figure(PAGE, 4.3)
    panels = figure.subplots(2, 4).ravel()
    for axes, (measure, name) in zip(panels, MEASURES.items(), strict=False):
        _agreement_panel(axes, pairs[pairs["measure"] == measure], measure, f"{name}\n")
        axes.set_xlabel("mean of both")
    for axes in panels[len(MEASURES) :]:
        axes.set_axis_off()
    figure_title(figure, f"Agreement of pseudo labels and expert masks: {', '.join(_setting_words(key))}")
    return figure


def _many_settings(groups: list[tuple[tuple, pd.DataFrame]]) -> Figure:
    """Draw a row of panels for each measure and a column for each setting, whose name is over its first panel."""
    figure = new_figure(min(PAGE, 0.7 + 2.2 * len(groups)), 1.6 + 1.1 * len(MEASURES))
    grid = figure.subplots(len(MEASURES), len(groups))
    for panels, (key, pairs) in zip(grid.T, groups, strict=True):
        heading = "\n".join([*_setting_words(key), "", ""])
        for axes, measure in zip(panels, MEASURES, strict=True):
            _agreement_panel(axes, pairs[pairs["measure"] == measure], measure, heading)
            heading = ""
    for axes, name in zip(grid[:, 0], MEASURES.values(), strict=True):
        axes.set_ylabel(name.replace(" ", "\n", 1))
    for axes in grid[-1]:
        axes.set_xlabel("mean of both")
    figure.align_ylabels(grid[:, 0])
    figure_title(figure, "Agreement of pseudo labels and expert masks: the best label-free method of each setting")
    return figure


def _agreement_panel(axes: Axes, pairs: pd.DataFrame, measure: str, heading: str) -> None:
    limits = bland_altman(pairs["expert"], pairs["label"])
    reach = format_measure(LIMITS_SD * limits.sd, measure, sign="")
    spread = f"({limits.subjects} subjects)" if np.isnan(limits.lower) else f"± {reach}"
    bias = format_measure(limits.bias, measure).replace("-", "−")
    axes.set_title(f"{heading}{bias} {spread}", fontsize=SMALL)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.scatter((pairs["expert"] + pairs["label"]) / 2, pairs["label"] - pairs["expert"], s=8, color="0.2", zorder=3)
    if not np.isnan(limits.lower):
        axes.axhspan(limits.lower, limits.upper, color=VERMILLION, alpha=0.08, linewidth=0)
        for limit in (limits.lower, limits.upper):
            axes.axhline(limit, color=VERMILLION, linestyle="--", linewidth=1)
    if limits.subjects:
        axes.axhline(limits.bias, color=VERMILLION)
    axes.margins(0.12)
    axes.xaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(EngFormatter(sep="") if measure == DENSITY else "{x:g}")


def _setting_words(key: tuple[str, ...]) -> list[str]:
    """Return pair, protocol, strategy and translator of a group, and the split unless it is the usual one."""
    pair, protocol, split, *method = key
    return [pair, protocol, *([] if split == "development" else [split]), *method]


def _agreement_handles() -> list[Line2D]:
    return [
        Line2D([], [], color="0.2", marker="o", markersize=3, linestyle="", label="subject"),
        Line2D([], [], color=GREY, linewidth=0.8, label="no difference"),
        Line2D([], [], color=VERMILLION, label="bias"),
        Line2D([], [], color=VERMILLION, linestyle="--", label="95 % limits of agreement"),
    ]


@styled
def g_ratio_against_diameter(fibres: pd.DataFrame, method: tuple[str, str]) -> Figure:
    """Show the g-ratio of every complete fibre against the diameter of its axon, for expert masks and one pseudo label.

    Lines are medians of fibres of similar diameter. The expert's line is repeated beside the pseudo label's.

    Parameters
    ----------
    fibres : DataFrame
        Rows of `fibres.csv`: `strategy`, `translator`, `axon_diameter_um`, `g_ratio` and `image_border_touching`.
    method : (strategy, translator)
        The pseudo label.
    """
    require_columns(fibres, ["strategy", "translator", *FIBRE, "image_border_touching"], "the table of fibres")
    complete = fibres[~fibres["image_border_touching"] & fibres["g_ratio"].notna()]
    refuse_empty(complete, "fibres with a sheath")
    expert = complete[complete["strategy"] == EXPERT]
    label = complete[(complete["strategy"] == method[0]) & (complete["translator"] == method[1])]
    figure = new_figure(PAGE, 2.9)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, side, title in zip(panels, (expert, label), ("expert masks", ", ".join(method)), strict=True):
        axes.scatter(*(side[name] for name in FIBRE), s=5, color=GREY, alpha=0.25, linewidth=0, rasterized=True)
        axes.plot(*medians(expert[FIBRE].to_numpy()), color="black", label="median, expert")
        axes.set(title=f"{title}: {len(side)} fibres, median g-ratio {side['g_ratio'].median():.2f}")
        axes.set_xlabel("axon diameter, µm")
    panels[1].plot(*medians(label[FIBRE].to_numpy()), color=VERMILLION, label="median, pseudo label")
    panels[0].set(ylabel="g-ratio", ylim=(0, 1), xlim=(0, None))
    panels[1].legend(loc="lower right")
    figure_title(figure, "g-ratio against axon diameter of complete fibres with a sheath")
    return figure


def medians(points: np.ndarray) -> np.ndarray:
    """Return the medians [2, groups] of points [N, 2], grouped by their first coordinate.

    >>> medians(np.array([[1.0, 0.5], [2.0, 0.9], [3.0, 0.7]])).tolist()
    [[2.0], [0.7]]
    """
    if not len(points):
        return np.empty((2, 0))
    ordered = points[np.argsort(points[:, 0], kind="stable")]
    groups = np.array_split(ordered, np.clip(len(points) // GROUP, 1, GROUP))
    return np.array([np.median(group, axis=0) for group in groups]).T
