"""The figures of the tour (notebook 00); each shows one idea."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from histobridge.display.drawing import (
    BLUE,
    CLASS_COLOURS,
    GREY,
    PAGE,
    VERMILLION,
    colour_handles,
    new_figure,
    overlay,
    panel,
    panel_grid,
    refuse_empty,
    styled,
)
from histobridge.io.images import middle

TILE = 1.75  # inches: the largest side of a picture


@styled
def tissue_and_mask(images: Mapping[str, tuple[np.ndarray, np.ndarray]], *, um_per_px: float) -> Figure:
    """Show an image [H, W] of each domain and, beside it, the same image with its mask in colour."""
    refuse_empty(images, "images")
    figure = new_figure(PAGE, PAGE / (2 * len(images)) + 0.55)
    grid = figure.subplots(1, 2 * len(images), squeeze=False)[0]
    for place, (name, (image, mask)) in enumerate(images.items()):
        panel(grid[2 * place], image, title=name, um_per_px=um_per_px)
        panel(grid[2 * place + 1], overlay(image, mask))
    figure.legend(handles=colour_handles(CLASS_COLOURS), loc="outside lower center", ncols=2, handlelength=1)
    return figure


@styled
def noise_levels(levels: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Show an image at several levels of noise, above the histogram of its grey values and the standard normal curve.

    Parameters
    ----------
    levels : sequence of (str, ndarray)
        Title and picture [H, W]; a clean image lies in -1..1.
    """
    refuse_empty(levels, "levels of noise")
    width = min(TILE, (PAGE - 0.3) / len(levels)) if len(levels) > 1 else 2.0
    figure = new_figure(0.3 + width * len(levels), 0.75 + 1.55 * width)
    grid = figure.subplots(2, len(levels), squeeze=False, height_ratios=(1, 0.55), sharey="row")
    for (above, below), (title, picture) in zip(grid.T, levels, strict=True):
        panel(above, (picture + 1) / 2, title=title)
        _grey_histogram(below, picture)
    grid[1, 0].set_ylabel("density")
    return figure


def _grey_histogram(axes: Axes, picture: np.ndarray) -> None:
    grey = np.linspace(-3.2, 3.2, 200)
    axes.hist(picture.ravel(), np.linspace(-3.2, 3.2, 65), density=True, color=BLUE, alpha=0.5)
    axes.plot(grey, norm.pdf(grey), color=GREY, linestyle="--", linewidth=1)
    axes.set(xlim=(-3.2, 3.2), ylim=(0, 1.6), xticks=(-2, 0, 2), xlabel="grey value")


@styled
def scales(rows: Mapping[str, Sequence[np.ndarray]], um_per_px: Sequence[float], *, side: int = 64) -> Figure:
    """Show the central `side` px of each domain (row) at each pixel size (column), with scale bars."""
    refuse_empty(rows, "domains")
    figure, grid = panel_grid(len(rows), len(um_per_px))
    for axes, (name, pictures) in zip(grid, rows.items(), strict=True):
        axes[0].set_ylabel(name)
        for place, picture, size in zip(axes, pictures, um_per_px, strict=True):
            panel(place, middle(picture, side), um_per_px=size)
    for place, size in zip(grid[0], um_per_px, strict=True):
        place.set_title(f"{side} px at {size:g} µm/px")
    return figure


@styled
def swiped(before: np.ndarray, after: np.ndarray, shares: Sequence[float], *, names: tuple[str, str]) -> Figure:
    """Show two pictures [H, W] of one place, `before` left of a cut at each of `shares` (0..1) of the width."""
    figure, grid = panel_grid(1, len(shares))
    for axes, share in zip(grid[0], shares, strict=True):
        cut = round(share * before.shape[1])
        panel(axes, np.concatenate([before[:, :cut], after[:, cut:]], axis=1))
        if 0 < cut < before.shape[1]:
            axes.axvline(cut - 0.5, color=VERMILLION, linewidth=1.2)
        axes.set_title(" | ".join(name for name, width in zip(names, (share, 1 - share), strict=True) if width))
    return figure


@styled
def step_back_panels(samples: Sequence) -> Figure:
    """Show the distribution of x_t given x_{t+1}, beside the normal curve of the same mean and SD.

    Parameters
    ----------
    samples : sequence of StepBack
        From `lesson.step_back_panels`.
    """
    refuse_empty(samples, "steps")
    figure = new_figure(PAGE, 2.1)
    for axes, sample in zip(figure.subplots(1, len(samples)), samples, strict=True):
        mean, sd = sample.before.mean(), sample.before.std()
        grey = np.linspace(mean - 3.5 * sd, mean + 3.5 * sd, 60)
        axes.hist(sample.before, grey, density=True, color=BLUE, alpha=0.5, label="pixels")
        axes.plot(grey, norm.pdf(grey, mean, sd), color=VERMILLION, label="normal curve")
        axes.set(title=f"one of {sample.steps} steps", xlabel="grey value one step earlier", yticks=[])
    figure.axes[0].legend(fontsize=7, handlelength=1)
    return figure


@styled
def round_trip_panels(trips: Sequence) -> Figure:
    """Show translations with their cycle loss and the Dice of their labels.

    Parameters
    ----------
    trips : sequence of RoundTrip
        From `lesson.round_trip_panels`.
    """
    refuse_empty(trips, "round trips")
    figure, grid = panel_grid(1, len(trips), gap=0.35)
    for axes, trip in zip(grid[0], trips, strict=True):
        panel(axes, trip.translation, title=trip.name)
        axes.set_xlabel(f"cycle loss {trip.cycle_l1:.3f}\nDice of labels {trip.dice:.2f}", loc="left")
    return figure


@styled
def guided_walk(condition: np.ndarray, steps: Sequence) -> Figure:
    """Show a walk from noise to an image: the noisy image of each level above the predicted clean image.

    Parameters
    ----------
    condition : ndarray
        The image [H, W] on which the walk is conditioned.
    steps : sequence of Step
        From `lesson.walk`.
    """
    refuse_empty(steps, "steps of a walk")
    figure, grid = panel_grid(2, len(steps))
    for (above, below), step in zip(grid.T, steps, strict=True):
        panel(above, step.noisy, title=f"t = {step.level}")
        if step.guess is not None:
            panel(below, step.guess)
    panel(grid[1, -1], condition, title="condition")
    grid[0, 0].set_ylabel("noisy image")
    grid[1, 0].set_ylabel("predicted\nclean image")
    return figure
