"""Pictures with a slider where somebody can move it, and the still picture everywhere else.

The rule. Every piece is *one* output that always holds a still picture (PNG) with all that the slider can show side by
side. A widget is added to that output only where the kernel belongs to a session of a front end: Jupyter's server
says so in JPY_SESSION_NAME, VS Code by a variable in the notebook. A front end prefers the widget; whatever reads the
saved file later (GitHub, an exported page, a notebook that is not trusted) finds the picture. Run by papermill there is
no widget at all: its state, stored in the executed copy, would make nbconvert show a widget whose code
must come from the internet, and which, without a kernel, moves nothing.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import torch
from IPython import get_ipython
from matplotlib.figure import Figure

from histobridge.errors import UserError
from histobridge.io.resample import resample
from histobridge.translators.diffusion import diffuse_one_step, vp_schedule
from histobridge_study import plotting as figures

SCALES = (0.04, 0.08, 0.16, 0.32)  # µm/px
SWIPES = 20  # positions
FRAME_DPI = 200  # one picture at a time may be larger than many side by side


def has_front_end() -> bool:
    """Tell whether somebody may be looking: this kernel was started for a notebook that is open in a front end."""
    shell = get_ipython()
    return "JPY_SESSION_NAME" in os.environ or (shell is not None and "__vsc_ipynb_file__" in shell.user_ns)


class Interactive:
    """One output: a still picture, and a slider with its picture where there is a front end.

    Parameters
    ----------
    still : Figure
        All there is to see, side by side.
    frame : callable
        Draws the figure of one position of the slider, 0 to one less than their number.
    labels : sequence of str
        What the slider says at each position.
    name : str
        What the slider is called.
    start : int
        The position to begin at.
    """

    def __init__(
        self, still: Figure, frame: Callable[[int], Figure], labels: Sequence[str], name: str, *, start: int = 0
    ):
        self.still, self.labels, self.name, self.start = still, tuple(labels), name, start
        self.frame = cache(lambda position: png(frame(position), dpi=FRAME_DPI))

    def widget(self):
        """Return slider and picture as an ipywidgets box; moving the slider changes the picture."""
        import ipywidgets as widgets

        picture = widgets.Image(value=self.frame(self.start), format="png", layout={"max_width": "100%"})
        slider = widgets.SelectionSlider(
            options=[(label, position) for position, label in enumerate(self.labels)],
            value=self.start,
            description=self.name,
            style={"description_width": "initial"},
            layout={"width": "480px"},
        )
        slider.observe(lambda change: setattr(picture, "value", self.frame(change["new"])), "value")
        return widgets.VBox([slider, picture], layout={"align_items": "flex-start"})  # else pictures are stretched

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        words = f"<{self.name}: {', '.join(self.labels)}>"
        bundle = {"text/plain": words, "image/png": base64.b64encode(png(self.still)).decode()}
        return self.widget()._repr_mimebundle_() | bundle if has_front_end() else bundle


def png(figure: Figure, *, dpi: int = 130) -> bytes:
    """Return a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")  # dark themes do not shine through
    return buffer.getvalue()


def noise_slider(image: np.ndarray, *, steps: int = 4, seed: int = 0) -> Interactive:
    """Show an image [H, W] in 0..1 at every level of the forward walk from level 0, clean, to level T, noise.

    One walk is drawn: each level comes from the one before by q(x_{t+1} | x_t).
    """
    schedule, rng = vp_schedule(steps), torch.Generator().manual_seed(seed)
    walk = [torch.from_numpy(2 * np.asarray(image) - 1)[None, None]]
    for level in range(steps):
        noise = torch.randn(walk[-1].shape, generator=rng)
        walk.append(diffuse_one_step(schedule, walk[-1], torch.tensor([level]), noise))
    titles = [f"t = {t}, ᾱ = {share:.2g}" for t, share in enumerate(schedule.alpha_bar.tolist())]
    levels = [(title, x[0, 0].numpy()) for title, x in zip(titles, walk, strict=True)]
    labels = [f"t = {t}" for t in range(steps + 1)]
    return Interactive(
        figures.noise_levels(levels), lambda t: figures.noise_levels(levels[t : t + 1]), labels, "noise level"
    )


def scale_slider(
    images: Mapping[str, np.ndarray], um_per_px: float, *, scales: Sequence[float] = SCALES, side: int = 64
) -> Interactive:
    """Show what a network sees of each domain in a crop of `side` px, at several pixel sizes.

    Parameters
    ----------
    images : mapping of str to ndarray
        By domain: float32 [H, W] in 0..1, at `um_per_px`, large enough for a crop at the coarsest scale.

    Raises
    ------
    UserError
        If an image is too small for that.
    """
    seen = {name: [resample(image, um_per_px, scale) for scale in scales] for name, image in images.items()}
    if min(min(image.shape) for row in seen.values() for image in row) < side:
        raise UserError(f"At {max(scales)} µm/px an image is smaller than {side} px: give a larger one.")
    labels = [f"{scale:g} µm/px" for scale in scales]

    def frame(place: int) -> Figure:
        row = {name: pictures[place] for name, pictures in seen.items()}
        return figures.translations([(labels[place], row)], um_per_px=scales[place], side=side)

    return Interactive(figures.scales(seen, scales, side=side), frame, labels, "pixel size", start=1)


def swipe(before: np.ndarray, after: np.ndarray, *, names: tuple[str, str] = ("before", "after")) -> Interactive:
    """Draw an edge over two pictures [H, W] of one place: `before` on its left, `after` on its right."""
    shares = [place / SWIPES for place in range(SWIPES + 1)]
    labels = [f"{share:.0%} {names[0]}" for share in shares]
    return Interactive(
        figures.swiped(before, after, [1, 0.5, 0], names=names),
        lambda place: figures.swiped(before, after, [shares[place]], names=names),
        labels,
        "swipe",
        start=SWIPES // 2,
    )
