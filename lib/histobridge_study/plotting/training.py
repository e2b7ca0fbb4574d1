"""Plots of a training: its losses, and the evidence on polarity that it starts from."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from histobridge.display.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    PURPLE,
    VERMILLION,
    new_figure,
    readme_table,
    require_columns,
    styled,
)
from histobridge.strategies.polarity import INVERT, KEEP, choose_sign


@styled
def losses(history: pd.DataFrame) -> Figure:
    """Show the training of SynDiff: faint lines every step, strong lines their running mean.

    Parameters
    ----------
    history : DataFrame
        One row a step: `step`, `seconds`, `cycle`, `l1`, `identity` where there is one, and `adversarial_`, `critic_`,
        `logit_real_` and `logit_fake_` of `F` (non-diffusive) and `G` (diffusive generators). Each critic loss sums
        two domains and two terms, so discriminators that only guess have 4 ln 2.
    """
    kinds = {"F": BLUE, "G": VERMILLION}
    parts = ("adversarial", "critic", "logit_real", "logit_fake")
    needed = ["step", "seconds", "cycle", "l1", *(f"{part}_{kind}" for part in parts for kind in kinds)]
    require_columns(history, needed, "the training history")
    figure = new_figure(PAGE, 2.5)
    left, middle, right = figure.subplots(1, 3)
    _curve(left, history, "cycle", GREEN)
    _curve(left, history, "l1", PURPLE)
    if "identity" in history:
        _curve(left, history, "identity", ORANGE)
    for kind, colour in kinds.items():
        _curve(left, history, f"adversarial_{kind}", colour)
        _curve(middle, history, f"critic_{kind}", colour)
        _curve(right, history, f"logit_real_{kind}", colour)
        _curve(right, history, f"logit_fake_{kind}", colour, linestyle="--")
    middle.axhline(4 * math.log(2), color="black", linestyle=":")
    right.axhline(0, color="black", linestyle=":")
    left.set(title="What the generators minimise", xlabel="step", ylabel="loss")
    middle.set(title="What the discriminators minimise", xlabel="step", ylabel="loss")
    right.set(title="Can they tell real from fake?", xlabel="step", ylabel="mean logit")
    figure.legend(handles=_loss_legend(), loc="outside lower center", ncols=4, columnspacing=1.2)
    minutes = history["seconds"].iloc[-1] / 60
    readme_table(figure, f"{len(history)} steps of training took {minutes:.1f} minutes")
    return figure


def _loss_legend() -> list[Line2D]:
    lines = {
        "cycle": {"color": GREEN},
        "L1": {"color": PURPLE},
        "identity": {"color": ORANGE},
        "non-diffusive (F)": {"color": BLUE},
        "diffusive (G)": {"color": VERMILLION},
        "of real images": {"color": GREY},
        "of fakes": {"color": GREY, "linestyle": "--"},
        "chance": {"color": "black", "linestyle": ":"},
    }
    return [Line2D([], [], label=label, **look) for label, look in lines.items()]


def _curve(axes: Axes, history: pd.DataFrame, name: str, colour: str, **options) -> None:
    """Draw a strong running mean over the faint values."""
    window = max(1, len(history) // 20)
    mean = history[name].rolling(window, center=True, min_periods=1).mean()
    axes.plot(history["step"], history[name], color=colour, alpha=0.2, linewidth=0.5)
    axes.plot(history["step"], mean, color=colour, **options)


@styled
def polarity(evidence: pd.DataFrame) -> Figure:
    """Show which sign is better anatomy: enclosure of axons by myelin in each image and in its negative.

    Parameters
    ----------
    evidence : DataFrame
        From `histobridge.strategies.polarity.evidence`; an image without a predicted axon counts as not enclosed.
    """
    require_columns(evidence, ["image", "sign", "enclosure"], "the evidence on polarity")
    share = evidence.fillna({"enclosure": 0.0}).pivot(index="image", columns="sign", values="enclosure")
    share = 100 * share[[KEEP, INVERT]]
    figure = new_figure(3.4, 2.9)
    axes = figure.subplots()
    for pair in share.to_numpy():
        axes.plot((0, 1), pair, "o-", color=GREY, alpha=0.6, markersize=3, linewidth=0.7)
    mean = share.mean()
    axes.plot((0, 1), mean, "D-", color=VERMILLION, markersize=7, linewidth=2.2, label="mean")
    for place, value, align in zip((0, 1), mean, ("right", "left"), strict=True):
        axes.text(place, value, f"   {value:.0f} %   ", color=VERMILLION, ha=align, va="center")
    verdict = "invert" if choose_sign(evidence) == INVERT else "keep"
    axes.set_title(f"Anatomy says: {verdict} the contrast")
    axes.set(xlim=(-0.45, 1.45), ylim=(0, 100), ylabel="myelin in a 3 px ring around axons (%)")
    axes.set_xticks((0, 1), ["image as it is", "negative"])
    axes.legend(loc="lower center")
    return figure
