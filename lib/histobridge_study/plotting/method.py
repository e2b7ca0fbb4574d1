"""The method on one page, drawn by code: what is learnt, from what, and the two ways to a pseudo label.

Every picture is drawn tissue. One tissue seen by two instruments stands for an image and its translation, which
no microscope can take; noised pictures come from the noise schedule that the translator uses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from histobridge.display.drawing import (
    BLUE,
    CLASS_COLOURS,
    GREEN,
    GREY,
    PURPLE,
    SMALL,
    VERMILLION,
    arrow,
    axes_at,
    overlay,
    panel,
    sheet,
    styled,
    word_box,
)
from histobridge.phantom import draw_geometry, render
from histobridge.translators.diffusion import posterior, vp_schedule

SIDE = 0.66  # inches: of every picture
GAPS = (0.52, 0.85)  # inches: between the pictures of a strategy, each with a network in it
STRATEGIES = 5.4  # inches: where they begin, from the top
UM_PER_PX, PIXELS = 0.08, 144
DOMAIN_COLOURS = {"L": GREEN, "U": PURPLE}
CYCLE, DIFFUSION, SEGMENTER = BLUE, VERMILLION, "#333333"


class Tissue(NamedTuple):
    """One drawn tissue as both domains would show it, float32 [H, W] in 0..1, and its mask."""

    L: np.ndarray
    U: np.ndarray
    mask: np.ndarray


@styled
def method_overview(*, labelled: str = "tem", unlabelled: str = "sem", seed: int = 0) -> Figure:
    """Draw the method (Boschet et al., arXiv 2412.02858, figure 1) for a reader who has never heard of it.

    (a) two sets of images without pairs; (b) two generators, made to undo one another, supply the partner that
    is missing; (c) two diffusive generators walk from noise to an image in four steps, led by that partner
    (SynDiff, Özbey et al., arXiv 2207.08208); (d, e) tutorship and adaptation.

    Parameters
    ----------
    labelled, unlabelled : str
        Modalities of `histobridge.phantom.render.RENDERERS` that stand for the two domains.
    seed : int
        Draws the tissue.
    """
    tissues = [_tissue(labelled, unlabelled, 1000 * seed + number) for number in range(4)]
    figure, ground = sheet(7.1)
    of_l, of_u = tissues[:2], tissues[2:]
    _two_sets(ground, of_l, of_u)
    _cycles(ground, of_l[0], of_u[0])
    _walks(ground, of_l[0], of_u[0])
    _tutorship(ground, of_l[0], of_u[0])
    _adaptation(ground, of_l[0], of_u[0])
    return figure


def _tissue(labelled: str, unlabelled: str, seed: int) -> Tissue:
    geometry = draw_geometry(seed, (PIXELS, PIXELS), UM_PER_PX)
    return Tissue(render(geometry, labelled, seed), render(geometry, unlabelled, seed), geometry.mask)


def _walk_from_noise(image: np.ndarray, *, seed: int) -> list[np.ndarray]:
    """Return x_4 (noise) to x_0 (`image`), as a generator that predicts x_0 without fault would walk them."""
    schedule, rng = vp_schedule(), torch.Generator().manual_seed(seed)
    x_0 = torch.from_numpy(2 * image - 1)[None, None]
    walk = [torch.randn(x_0.shape, generator=rng)]
    for level in reversed(range(schedule.steps)):
        noise = torch.randn(x_0.shape, generator=rng)
        walk.append(posterior(schedule, x_0, walk[-1], torch.tensor([level]), noise))
    return [np.clip((x[0, 0].numpy() + 1) / 2, 0, 1) for x in walk]


# --- The parts, from the top --------------------------------------------------------------------------------


def _two_sets(ground: Axes, of_l: list[Tissue], of_u: list[Tissue]) -> None:
    _heading(ground, 0.1, 0.08, "a", "Two sets of images, no pairs")
    _words(ground, 0.1, 0.32, "L: images with masks")
    _stack(ground, 0.1, 0.47, [tissue.L for tissue in of_l], "L", scale=True)
    _stack(ground, 1.12, 0.47, [overlay(tissue.L, tissue.mask) for tissue in of_l], "L")
    for left, (name, colour) in zip((1.12, 1.7), CLASS_COLOURS.items(), strict=True):
        ground.fill_between((left, left + 0.1), 1.32, 1.42, color=colour, linewidth=0)
        _words(ground, left + 0.14, 1.31, name)
    _words(ground, 0.1, 1.55, "U: images without masks")
    _stack(ground, 0.1, 1.7, [tissue.U for tissue in of_u], "U", scale=True)


def _cycles(ground: Axes, of_l: Tissue, of_u: Tissue) -> None:
    """Draw both cycles: there by one generator, back by the other."""
    _heading(ground, 2.35, 0.08, "b", "Two generators F, each undoing the other, supply the missing partner")
    _words(
        ground, 2.51, 0.25, "All generators must deceive critics that know real images. No mask is used.", colour=GREY
    )
    gap = (7.0 - 2.35 - 3 * SIDE) / 2
    for top, tissue, here, there in ((0.55, of_l, "L", "U"), (1.75, of_u, "U", "L")):
        start, partner = getattr(tissue, here), getattr(tissue, there)
        left, middle = 2.35, top + SIDE / 2
        _picture(ground, left, top, start, here, caption=f"image of {here}")
        _network(ground, (left + SIDE, middle), f"F\nto {there}", CYCLE, length=gap)
        _picture(ground, left + SIDE + gap, top, partner, there, caption=f"its partner in {there}")
        _network(ground, (left + 2 * SIDE + gap, middle), f"F\nto {here}", CYCLE, length=gap)
        _picture(ground, left + 2 * (SIDE + gap), top, start, here, caption="the same again")


def _walks(ground: Axes, of_l: Tissue, of_u: Tissue) -> None:
    """Draw both walks from noise, each led by the partner from above."""
    title = "Two diffusive generators G walk from noise to an image in four steps; the partner leads every step"
    _heading(ground, 0.1, 2.72, "c", title)
    note = "While training, the partner comes from F; afterwards it is the real image that is to be translated."
    _words(ground, 0.26, 2.89, note, colour=GREY)
    for top, tissue, here, there in ((3.12, of_u, "U", "L"), (4.15, of_l, "L", "U")):
        _walk(ground, top, getattr(tissue, there), _walk_from_noise(getattr(tissue, here), seed=0), here, there)


def _walk(ground: Axes, top: float, partner: np.ndarray, walk: list[np.ndarray], here: str, there: str) -> None:
    middle, below = top + SIDE / 2, top + SIDE + 0.19
    _picture(ground, 0.1, top, partner, there, caption=f"partner in {there}")
    step = (7.0 - 1.05 - SIDE) / 4
    captions = ("noise", "step 3", "step 2", "step 1", f"image of {here}")
    for number, (picture, caption) in enumerate(zip(walk, captions, strict=True)):
        left = 1.05 + number * step
        _picture(ground, left, top, picture, here if number == 4 else None, caption=caption)
        if number < 4:
            _network(ground, (left + SIDE, middle), f"G\nto {here}", DIFFUSION, length=step - SIDE)
            centre = left + (SIDE + step) / 2
            arrow(
                ground,
                (0.1 + SIDE + 0.02, middle),
                (0.92, middle),
                (0.92, below),
                (centre, below),
                (centre, middle + 0.2),
            )


def _tutorship(ground: Axes, of_l: Tissue, of_u: Tissue) -> None:
    left = 0.1
    _heading(ground, left, 5.16, "d", "Tutorship: translate L, keep its masks")
    steps = (
        (of_l.L, "L", "image of L"),
        (overlay(of_l.U, of_l.mask), "U", "mask of L kept"),
        (overlay(of_u.U, of_u.mask), "U", "pseudo label"),
    )
    _strategy(ground, left, steps, "U", "student")
    _feed(
        ground,
        left,
        of_u.U,
        "U",
        "The student learns from images\nin the look of U with masks of L,\nthen labels real images of U.",
    )


def _adaptation(ground: Axes, of_l: Tissue, of_u: Tissue) -> None:
    left = 7.0 - 3 * SIDE - sum(GAPS)
    _heading(ground, left, 5.16, "e", "Adaptation: translate U, keep the segmenter of L")
    steps = (
        (of_u.U, "U", "image of U"),
        (of_u.L, "L", "in the look of L"),
        (overlay(of_u.U, of_u.mask), "U", "pseudo label"),
    )
    _strategy(ground, left, steps, "L", "segmenter\nof L")
    _feed(
        ground,
        left,
        overlay(of_l.L, of_l.mask),
        "L",
        "The segmenter has learned from\nreal images of L with their masks,\nand labels images in that look.",
    )


def _strategy(ground: Axes, left: float, steps: tuple, to: str, segmenter: str) -> None:
    """Draw three pictures in a row: what is translated, what it becomes, and the pseudo label."""
    networks = ((f"G\nto {to}", DIFFUSION, 0.32), (segmenter, SEGMENTER, 0.68), None)
    for (picture, domain, caption), network, gap in zip(steps, networks, (*GAPS, 0), strict=True):
        _picture(ground, left, STRATEGIES, picture, domain, caption=caption)
        left += SIDE
        if network:
            words, colour, width = network
            _network(ground, (left, STRATEGIES + SIDE / 2), words, colour, length=gap, width=width)
        left += gap


def _feed(ground: Axes, left: float, picture: np.ndarray, domain: str, sentence: str) -> None:
    """Draw what else the segmenter of a strategy is given, below it, and say why."""
    centre, top = left + 2 * SIDE + GAPS[0] + GAPS[1] / 2, STRATEGIES + SIDE + 0.28
    _picture(ground, centre - SIDE / 2, top, picture, domain)
    arrow(ground, (centre, top - 0.02), (centre, STRATEGIES + SIDE / 2 + 0.2))
    _words(ground, left, top + 0.1, sentence)


# --- What they are made of ----------------------------------------------------------------------------------


def _heading(ground: Axes, x: float, y: float, letter: str, sentence: str) -> None:
    ground.text(x, y, letter, fontsize=9, fontweight="bold", va="top")
    ground.text(x + 0.16, y, sentence, fontsize=8, va="top")


def _words(ground: Axes, x: float, y: float, words: str, *, colour: str = "black", **options) -> None:
    ground.text(x, y, words, fontsize=SMALL, color=colour, va="top", **options)


def _picture(
    ground: Axes, left: float, top: float, picture: np.ndarray, domain: str | None, *, caption="", scale=False
) -> None:
    """Show a picture, framed in the colour of its domain, with a caption below."""
    axes = axes_at(ground, left, top, SIDE, SIDE)
    panel(axes, picture, um_per_px=UM_PER_PX if scale else None)
    axes.spines[:].set(visible=True, color=DOMAIN_COLOURS.get(domain, GREY), linewidth=1.5)
    _words(ground, left + SIDE / 2, top + SIDE + 0.04, caption, ha="center")


def _stack(ground: Axes, left: float, top: float, pictures: list[np.ndarray], domain: str, *, scale=False) -> None:
    """Show pictures as a pile, the first on top."""
    for depth, picture in reversed(list(enumerate(pictures))):
        shift = 0.13 * (len(pictures) - 1 - depth)
        _picture(ground, left + 0.13 - shift, top + 0.13 - shift, picture, domain, scale=scale and depth == 0)


def _network(ground: Axes, start: tuple[float, float], words: str, colour: str, *, length: float, width=0.36) -> None:
    """Draw an arrow of `length` to the right, and on it the network that does the step."""
    x, y = start
    arrow(ground, (x + 0.03, y), (x + length - 0.03, y))
    word_box(ground, (x + length / 2 - 0.03, y), (width, 0.36), words, colour)
