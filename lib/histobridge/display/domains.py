"""The two image domains side by side: crops at one scale on the page, and their intensities."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from histobridge.display.drawing import (
    BLUE,
    PAGE,
    PANEL,
    VERMILLION,
    Images,
    common_side,
    new_figure,
    panel,
    refuse_empty,
    shorten,
    styled,
)
from histobridge.io.images import middle

CROPS = 4  # of each domain


@styled
def domains(
    source: Images, target: Images, *, um_per_px: tuple[float, float], names: tuple[str, str], side: int = 256
) -> Figure:
    """Show crops of both domains as the translator sees them, above the histograms of their intensities.

    Parameters
    ----------
    source, target : mapping of str to ndarray
        Images [H, W] by name. The first four of each are shown; the histograms count all of them.
    um_per_px : (float, float)
        Pixel sizes of source and target.
    names : (str, str)
        Names of the two domains.
    side : int
        Side of the central crops in px. All crops are as large as the smallest image allows.

    Raises
    ------
    UserError
        If a domain has no images or a pixel size is not positive.
    """
    for name, images in zip(names, (source, target), strict=True):
        refuse_empty(images, f"images of '{name}'")
    shown = [dict(list(images.items())[:CROPS]) for images in (source, target)]
    side = common_side([image for images in shown for image in images.values()], side)
    columns = max(map(len, shown))
    inches = min(PANEL, PAGE / columns)
    figure = new_figure(max(columns * inches, 4.6), 2 * inches + 2)
    above, below = figure.subfigures(2, 1, height_ratios=(2 * inches + 0.3, 1.7))
    grid = above.subplots(2, columns, squeeze=False)
    for row, name, images, size in zip(grid, names, shown, um_per_px, strict=True):
        row[0].set_ylabel(f"{name}\n{size:.4g} µm/px")
        for axes, (title, image) in zip(row, images.items(), strict=False):
            crop_size = size if axes is row[0] else None
            panel(axes, middle(image, side), title=shorten(title, 22), um_per_px=crop_size)
        for axes in row[len(images) :]:
            axes.set_axis_off()
    _histograms(below.subplots(), names, (source, target))
    return figure


def _histograms(axes: Axes, names: tuple[str, str], domains: tuple[Images, Images]) -> None:
    """Draw the mean histogram of each domain over the faint histograms of its images."""
    edges = np.linspace(0, 1, 65)
    medians = []
    for name, images, colour in zip(names, domains, (BLUE, VERMILLION), strict=True):
        shares = [100 * np.histogram(image, edges)[0] / image.size for image in images.values()]
        for share in shares:
            axes.stairs(share, edges, color=colour, alpha=0.25, linewidth=0.5)
        axes.stairs(np.mean(shares, axis=0), edges, color=colour, linewidth=1.8, label=f"{name}, mean")
        medians.append(np.median([np.median(image) for image in images.values()]))
    axes.set(xlim=(0, 1), xlabel="intensity (0 black, 1 white)", ylabel="pixels (%)")
    text = " and ".join(f"{median:.2f} in {name}" for median, name in zip(medians, names, strict=True))
    axes.set_title(f"Median intensity: {text}")
    axes.legend()
