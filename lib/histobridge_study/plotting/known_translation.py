"""The figure of notebook 08: how near translations are to the known truth."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from histobridge.display.drawing import PAGE, new_figure, styled

TITLES = {"l1": "L1 (less is nearer)", "psnr": "PSNR, dB", "ssim": "SSIM"}


@styled
def distance_dots(rows: pd.DataFrame) -> Figure:
    """Show the distance of translations to the truth: a small dot a tissue, a large one the mean over tissues.

    Parameters
    ----------
    rows : DataFrame
        From `analysis.known_translation.compare_variants`; both directions have a colour.
    """
    labels = rows["translator"].where(rows["variant"] == "control", rows["translator"] + ", " + rows["variant"])
    rows = rows.assign(label=labels)
    names, directions = list(labels.drop_duplicates()), sorted(rows["direction"].unique())
    figure = new_figure(PAGE, 0.9 + 0.22 * len(names))
    for axes, (measure, title) in zip(figure.subplots(1, len(TITLES), sharey=True), TITLES.items(), strict=True):
        for shift, (direction, colour) in enumerate(zip(directions, ("C0", "C1"), strict=False)):
            of_direction = rows[rows["direction"] == direction]
            place = of_direction["label"].map(names.index) + 0.3 * shift - 0.15
            axes.plot(of_direction[measure], place, ".", color=colour, alpha=0.35, markersize=3)
            mean = of_direction.groupby("label")[measure].mean()
            where = [names.index(name) + 0.3 * shift - 0.15 for name in mean.index]
            axes.plot(mean, where, "o", color=colour, markersize=4, label=direction.replace("->", " to "))
        axes.set(title=title, yticks=range(len(names)), yticklabels=names)
        axes.grid(axis="x", alpha=0.3)
    axes.invert_yaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
