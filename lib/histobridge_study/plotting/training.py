"""Plots of a training: its losses, and the evidence on polarity that precedes it."""

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
    figure_title,
    new_figure,
    require_columns,
    styled,
)
from histobridge.strategies.polarity import INVERT, KEEP, choose_sign

KINDS = {"F": BLUE, "G": VERMILLION}  # non-diffusive and diffusive generators
CHANCE = 4 * math.log(2)  # the loss of discriminators that guess: two domains, real and translated, each ln 2


@styled
def losses(history: pd.DataFrame) -> Figure:
    """Show the training of SynDiff: faint lines are single steps, strong lines their running mean.

    Parameters
    ----------
    history : DataFrame
        One row a step: `step`, `seconds`, `cycle`, `l1`, optionally `identity`, and `adversarial_`, `critic_`,
        `logit_real_` and `logit_fake_` of `F` (non-diffusive) and `G` (diffusive generators).
    """
    parts = ("adversarial", "critic", "logit_real", "logit_fake")
    needed = ["step", "seconds", "cycle", "l1", *(f"{part}_{kind}" for part in parts for kind in KINDS)]
    require_columns(history, needed, "the training history")
    figure = new_figure(PAGE, 2.5)
    generators, discriminators, logits = figure.subplots(1, 3)
    for name, colour in {"cycle": GREEN, "l1": PURPLE, "identity": ORANGE}.items():
        if name in history:
            _curve(generators, history, name, colour)
    for kind, colour in KINDS.items():
        _curve(generators, history, f"adversarial_{kind}", colour)
        _curve(discriminators, history, f"critic_{kind}", colour)
        _curve(logits, history, f"logit_real_{kind}", colour)
        _curve(logits, history, f"logit_fake_{kind}", colour, linestyle="--")
    discriminators.axhline(CHANCE, color="black", linestyle=":")
    logits.axhline(0, color="black", linestyle=":")
    generators.set(title="Losses of the generators", xlabel="step", ylabel="loss")
    discriminators.set(title="Losses of the discriminators", xlabel="step", ylabel="loss")
    logits.set(title="Output of the discriminators", xlabel="step", ylabel="mean logit")
    figure.legend(handles=_loss_handles("identity" in history), loc="outside lower center", ncols=4, columnspacing=1.2)
    figure_title(figure, f"{len(history)} steps of training took {history['seconds'].iloc[-1] / 60:.1f} minutes")
    return figure


@styled
def critic_logits(histories: dict[str, pd.DataFrame]) -> Figure:
    """Show how the critics of several trainings tell real images (line) from translations (dashed), as mean logits.

    Where both lines lie together a critic has nothing to tell apart, and its generator nothing to learn from it.

    Parameters
    ----------
    histories : dict of str to DataFrame
        One row a step, by the name of the translator: `step`, and pairs of columns that begin with `logit_real` and
        `logit_fake`; a pair has its own panel.
    """
    real = "logit_real"
    pairs = [(n, h, c.removeprefix(real)) for n, h in histories.items() for c in h if c.startswith(real)]
    figure = new_figure(PAGE, 2.3)
    for axes, (name, history, kind) in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True):
        require_columns(history, ["step", f"logit_real{kind}", f"logit_fake{kind}"], "the training history")
        colour = KINDS.get(kind.removeprefix("_"), GREEN)
        _curve(axes, history, f"logit_real{kind}", colour)
        _curve(axes, history, f"logit_fake{kind}", colour, linestyle="--")
        axes.set(title=f"{name} {kind.removeprefix('_')}".strip(), xlabel="step")
    figure.supylabel("mean logit of the critics", fontsize="medium")
    return figure


def _loss_handles(identity: bool) -> list[Line2D]:
    styles = {
        "cycle": {"color": GREEN},
        "L1": {"color": PURPLE},
        **({"identity": {"color": ORANGE}} if identity else {}),
        "non-diffusive (F)": {"color": BLUE},
        "diffusive (G)": {"color": VERMILLION},
        "real images": {"color": GREY},
        "translations": {"color": GREY, "linestyle": "--"},
        "chance": {"color": "black", "linestyle": ":"},
    }
    return [Line2D([], [], label=label, **style) for label, style in styles.items()]


def _curve(axes: Axes, history: pd.DataFrame, name: str, colour: str, **options) -> None:
    window = max(1, len(history) // 20)
    mean = history[name].rolling(window, center=True, min_periods=1).mean()
    axes.plot(history["step"], history[name], color=colour, alpha=0.2, linewidth=0.5)
    axes.plot(history["step"], mean, color=colour, **options)


@styled
def polarity(evidence: pd.DataFrame) -> Figure:
    """Show the enclosure of axons by myelin in each image and in its negative: the larger mean gives the sign.

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
    for percentages in share.to_numpy():
        axes.plot((0, 1), percentages, "o-", color=GREY, alpha=0.6, markersize=3, linewidth=0.7)
    mean = share.mean()
    axes.plot((0, 1), mean, "D-", color=VERMILLION, markersize=7, linewidth=2.2, label="mean")
    for place, value, align in zip((0, 1), mean, ("right", "left"), strict=True):
        axes.text(place, value, f"   {value:.0f} %   ", color=VERMILLION, ha=align, va="center")
    decision = "invert" if choose_sign(evidence) == INVERT else "keep"
    axes.set_title(f"Evidence from anatomy: {decision} the contrast")
    axes.set(xlim=(-0.45, 1.45), ylim=(0, 100), ylabel="myelin in a 3 px ring around axons (%)")
    axes.set_xticks((0, 1), ["image", "negative"])
    axes.legend(loc="lower center")
    return figure
