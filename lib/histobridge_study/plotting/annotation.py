"""Plot of what annotation costs: scores and edits against the number of corrected images."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from histobridge.display.drawing import BLUE, PAGE, VERMILLION, figure_title, new_figure, require_columns, styled
from histobridge_study.analysis.tables import EXPERIMENT_KEYS

START_COLOURS = {"refined": VERMILLION, "nothing": BLUE}
PANELS = {
    "dice": "Dice, mean of\nboth classes",
    "f1_50": "F1 of fibres",
    "fibres_to_correct": "fibres to correct,\nper image",
}


@styled
def annotation_curves(table: pd.DataFrame) -> Figure:
    """Show Dice, F1 and fibres to correct after some corrected images: a thin line a subject, a thick one their mean.

    Parameters
    ----------
    table : DataFrame
        From `histobridge_study.analysis.annotation_cost.cost_by_subject`. Each pair, protocol and split has a column of
        panels.
    """
    require_columns(
        table, [*EXPERIMENT_KEYS, "start", "corrected", "subject", *PANELS], "the table of annotation costs"
    )
    experiments = list(table.groupby(EXPERIMENT_KEYS, sort=False))
    figure = new_figure(min(PAGE, 1.2 + 2 * len(experiments)), 4.9)
    grid = figure.subplots(len(PANELS), len(experiments), sharex=True, sharey="row", squeeze=False)
    for column, (experiment, rows) in zip(grid.T, experiments, strict=True):
        column[0].set_title("\n".join(experiment))
        for axes, measure in zip(column, PANELS, strict=True):
            _curves(axes, rows, measure)
        column[-1].set(xlabel="corrected images", xticks=sorted(table["corrected"].unique()))
    for axes, (measure, name) in zip(grid[:, 0], PANELS.items(), strict=True):
        axes.set(ylabel=name, ylim=(0, 1 if measure != "fibres_to_correct" else None))
    handles = [Line2D([], [], color=c, linewidth=2.5, label=f"from {n}") for n, c in START_COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    figure_title(figure, "What annotation costs: subjects (thin) and their mean (thick)")
    return figure


def _curves(axes: Axes, rows: pd.DataFrame, measure: str) -> None:
    for start, colour in START_COLOURS.items():
        of_subjects = rows[rows["start"] == start].pivot(index="corrected", columns="subject", values=measure)
        axes.plot(of_subjects.index, of_subjects, color=colour, linewidth=0.6, alpha=0.6)
        axes.plot(of_subjects.mean(axis=1), color=colour, linewidth=2.5, marker="o", markersize=4)
