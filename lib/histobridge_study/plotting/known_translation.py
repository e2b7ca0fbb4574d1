"""The figure of notebook 08: how near translations are to the known truth."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from histobridge.display.drawing import PAGE, new_figure, styled

TITLES = {"l1": "L1 (less is nearer)", "psnr": "PSNR, dB", "ssim": "SSIM"}


COLOURS = {"L->U": "C0", "U->L": "C1"}


@styled
def distance_dots(rows: pd.DataFrame) -> Figure:
    """Show the distance of translations to the truth: a small dot a tissue, a large one the mean over tissues.

    Parameters
    ----------
    rows : DataFrame
        From `analysis.known_translation.compare_variants`. A modality has a row of panels, a direction a colour.
    """
    labels = rows["translator"].where(rows["variant"] == "control", rows["translator"] + ", " + rows["variant"])
    groups = list(rows.assign(label=labels).groupby("modality", sort=False))
    most = max(of["label"].nunique() for _, of in groups)
    figure = new_figure(PAGE, 0.7 + len(groups) * (0.4 + 0.2 * most))
    grid = figure.subplots(len(groups), len(TITLES), sharey="row", squeeze=False)
    for panels, (modality, of_modality) in zip(grid, groups, strict=True):
        names = list(of_modality["label"].drop_duplicates())
        for axes, measure in zip(panels, TITLES, strict=True):
            _draw(axes, of_modality, measure, names)
        panels[0].set(ylabel=modality, yticks=range(len(names)), yticklabels=names)
        panels[0].invert_yaxis()
    for axes, title in zip(grid[0], TITLES.values(), strict=True):
        axes.set_title(title)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, measure: str, names: list[str]) -> None:
    for shift, (direction, colour) in zip((-0.15, 0.15), COLOURS.items(), strict=True):
        of_direction = rows[rows["direction"] == direction]
        axes.plot(of_direction[measure], of_direction["label"].map(names.index) + shift, ".", color=colour, alpha=0.35)
        mean = of_direction.groupby("label")[measure].mean()
        where = [names.index(name) + shift for name in mean.index]
        axes.plot(mean, where, "o", color=colour, markersize=4, label=direction.replace("->", " to "))
    axes.grid(axis="x", alpha=0.3)
