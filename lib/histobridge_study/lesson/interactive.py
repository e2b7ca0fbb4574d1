"""Pictures with a slider where a front end can move it, and still pictures everywhere else.

Every output holds a still picture (PNG) that shows all positions of the slider side by side. A widget is added only if
the kernel belongs to a front end (Jupyter sets JPY_SESSION_NAME, VS Code a variable in the notebook). Papermill gets no
widget: an exported page would show a slider that cannot move, and load its code from the internet.
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
from histobridge_study import plotting

SCALES = (0.04, 0.08, 0.16, 0.32)  # µm/px
SWIPE_POSITIONS = 21


def has_front_end() -> bool:
    """Return whether this kernel was started for a notebook that is open in a front end."""
    shell = get_ipython()
    return "JPY_SESSION_NAME" in os.environ or (shell is not None and "__vsc_ipynb_file__" in shell.user_ns)


class Interactive:
    """One output: a still picture of all positions and, in a front end, a slider with one picture per position.

    `frame` draws the figure of a position, counted from 0; `labels` are the texts of the slider, `name` its name.
    """

    def __init__(
        self, still: Figure, frame: Callable[[int], Figure], labels: Sequence[str], name: str, *, start: int = 0
    ):
        self.still, self.labels, self.name, self.start = still, tuple(labels), name, start
        self.frame = cache(lambda position: png(frame(position), dpi=200))

    def widget(self):
        """Return the slider and its picture as an ipywidgets box."""
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
        text = f"<{self.name}: {', '.join(self.labels)}>"
        bundle = {"text/plain": text, "image/png": base64.b64encode(png(self.still)).decode()}
        return self.widget()._repr_mimebundle_() | bundle if has_front_end() else bundle


def png(figure: Figure, *, dpi: int = 130) -> bytes:
    """Return a figure as the content of a PNG file, on white so that dark themes do not shine through."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return buffer.getvalue()


def noise_slider(image: np.ndarray, *, steps: int = 4, seed: int = 0) -> Interactive:
    """Show an image [H, W] in 0..1 at every level of one forward walk, from level 0 (clean) to level T (noise)."""
    schedule, rng = vp_schedule(steps), torch.Generator().manual_seed(seed)
    walk = [torch.from_numpy(2 * np.asarray(image) - 1)[None, None]]
    for level in range(steps):
        noise = torch.randn(walk[-1].shape, generator=rng)
        walk.append(diffuse_one_step(schedule, walk[-1], torch.tensor([level]), noise))
    shares = schedule.alpha_bar.tolist()
    levels = [(f"t = {t}, ᾱ = {shares[t]:.2g}", x[0, 0].numpy()) for t, x in enumerate(walk)]
    return Interactive(
        plotting.noise_levels(levels),
        lambda t: plotting.noise_levels(levels[t : t + 1]),
        [f"t = {t}" for t in range(steps + 1)],
        "noise level",
    )


def scale_slider(images: Mapping[str, np.ndarray], um_per_px: float, *, side: int = 64) -> Interactive:
    """Show the central `side` px of images float32 [H, W] at each pixel size of `SCALES`.

    Raises
    ------
    UserError
        If an image is too small for the coarsest scale.
    """
    scaled = {name: [resample(image, um_per_px, scale) for scale in SCALES] for name, image in images.items()}
    if min(min(image.shape) for row in scaled.values() for image in row) < side:
        raise UserError(f"At {max(SCALES)} µm/px an image is smaller than {side} px: give a larger one.")
    labels = [f"{scale:g} µm/px" for scale in SCALES]

    def frame(position: int) -> Figure:
        row = {name: pictures[position] for name, pictures in scaled.items()}
        return plotting.translations([(labels[position], row)], um_per_px=SCALES[position], side=side)

    return Interactive(plotting.scales(scaled, SCALES, side=side), frame, labels, "pixel size", start=1)


def swipe(before: np.ndarray, after: np.ndarray, *, names: tuple[str, str] = ("before", "after")) -> Interactive:
    """Show two pictures [H, W] of one place, cut by a vertical edge: `before` on its left, `after` on its right."""
    shares = np.linspace(0, 1, SWIPE_POSITIONS)
    return Interactive(
        plotting.swiped(before, after, [1, 0.5, 0], names=names),
        lambda position: plotting.swiped(before, after, [shares[position]], names=names),
        [f"{share:.0%} {names[0]}" for share in shares],
        "swipe",
        start=SWIPE_POSITIONS // 2,
    )
