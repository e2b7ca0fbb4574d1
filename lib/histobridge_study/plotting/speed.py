"""Plots of speed: how near to the machine's peak each stage comes, where a step's time goes, how cost grows."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from histobridge.display.drawing import (
    BLUE,
    GREY,
    ORANGE,
    PAGE,
    new_figure,
    readme_table,
    refuse_empty,
    require_columns,
    styled,
)

GROWTH = {"image_side": "side of an image, px", "images": "images of a domain", "jobs": "finished runs"}
GROWN = {"image_side": "translate and segment", "images": "draw the crops of a step", "jobs": "collect their tables"}


@styled
def speed(table: pd.DataFrame, grown: pd.DataFrame) -> Figure:
    """Show the share of the peak by stage, the parts of a training step, and time and memory against size.

    Parameters
    ----------
    table, grown : DataFrame
        bench.csv and bench_growth.csv, from `histobridge_study.bench.benchmark`.
    """
    require_columns(table, ["stage", "part", "seconds", "share_of_peak", "times_plain"], "the benchmark")
    require_columns(grown, ["what", "size", "seconds", "peak_memory_gib"], "the benchmark of growth")
    counted = table[table["share_of_peak"].notna() & table["times_plain"].notna()].drop_duplicates("stage")
    refuse_empty(counted, "stages whose arithmetic is counted in the benchmark")
    figure = new_figure(PAGE, 5.2)
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1))
    peak, parts = above.subplots(1, 2)
    _peaks(peak, counted)
    _parts(parts, table)
    for axes, (what, part) in zip(below.subplots(1, 3), grown.groupby("what", sort=False), strict=False):
        _growth(axes, what, part)
    readme_table(figure, "Speed: against this machine's own convolution, and against size")
    return figure


def _peaks(axes: Axes, counted: pd.DataFrame) -> None:
    axes.barh(counted["stage"], counted["share_of_peak"], color=BLUE)
    for row, (share, times) in enumerate(zip(counted["share_of_peak"], counted["times_plain"], strict=True)):
        axes.text(share + 0.01, row, f"{share:.0%}, {times:.1f} × plain float32", va="center", fontsize=7)
    axes.set(xlim=(0, 1.25), xlabel="share of the peak of a convolution")
    axes.invert_yaxis()


def _parts(axes: Axes, table: pd.DataFrame) -> None:
    of_step = table[(table["stage"] == "translator, training") & (table["part"] != "step")]
    axes.barh(of_step["part"], 1000 * of_step["seconds"], color=ORANGE)
    axes.set(xlabel="a step of the translator, ms")
    axes.invert_yaxis()


def _growth(axes: Axes, what: str, part: pd.DataFrame) -> None:
    axes.loglog(part["size"], part["seconds"], marker="o", color=BLUE)
    axes.set(xlabel=GROWTH[what], ylabel="seconds", title=GROWN[what])
    axes.set_xticks(part["size"], [f"{size:,}" for size in part["size"]], rotation=60, minor=False)
    axes.xaxis.set_minor_locator(NullLocator())
    memory = axes.twinx()
    memory.plot(part["size"], part["peak_memory_gib"], marker="s", markersize=3, linestyle=":", color=GREY)
    memory.set(ylim=(0, 1.2 * part["peak_memory_gib"].max()), ylabel="peak memory, GiB (dotted)")
