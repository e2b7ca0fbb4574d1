"""Arrays as pictures for a browser: WebP for images, PNG with a palette for masks, at most `LONGEST` px a side.

They serve to look at. Measurements need the files that they were made from.
"""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from histobridge.classes import AXON, MYELIN
from histobridge.display.drawing import CLASS_COLOURS

LONGEST = 1024  # px of the longer side
QUALITY = 82  # of WebP: noise and lettering show no artefacts
HEAT = "magma"


class Picture(NamedTuple):
    """A picture as a file's content: `kind` is its ending, width and height are in px."""

    content: bytes
    kind: str
    width: int
    height: int

    @property
    def uri(self) -> str:
        """The address of a picture that is part of the page itself."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.content).decode()}"


def grey_webp(image: np.ndarray) -> Picture:
    """Return an image, float [H, W] in 0..1, as WebP."""
    grey = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return _webp(Image.fromarray(grey).convert("RGB"))


def heat_webp(uncertainty: np.ndarray) -> Picture:
    """Return an uncertainty map, float [H, W] in 0..1, as WebP: from black over red to white."""
    colours = matplotlib.colormaps[HEAT](np.clip(uncertainty, 0, 1), bytes=True)[..., :3]
    return _webp(Image.fromarray(colours))


def mask_png(mask: np.ndarray) -> Picture:
    """Return a mask, uint8 [H, W] with 0 background, 1 myelin and 2 axon, as PNG with a transparent background."""
    picture = _reduced(Image.fromarray(mask, mode="P"), LONGEST, Image.Resampling.NEAREST)
    palette = np.zeros((3, 3), np.uint8)
    for class_, name in ((MYELIN, "myelin"), (AXON, "axon")):
        palette[class_] = np.rint(np.multiply(to_rgb(CLASS_COLOURS[name]), 255))
    picture.putpalette(palette.ravel().tolist())
    return _encoded(picture, "png", transparency=0, bits=2, optimize=True)


def figure_webp(png: bytes) -> Picture:
    """Return a figure, given as the content of a PNG file, as WebP on white and in its full size."""
    with Image.open(io.BytesIO(png)) as opened:
        figure = opened.convert("RGBA")
    white = Image.new("RGBA", figure.size, "white")
    return _webp(Image.alpha_composite(white, figure).convert("RGB"), longest=max(figure.size))


def _webp(picture: Image.Image, longest: int = LONGEST) -> Picture:
    return _encoded(_reduced(picture, longest, Image.Resampling.LANCZOS), "webp", quality=QUALITY, method=4)


def _reduced(picture: Image.Image, longest: int, method: Image.Resampling) -> Image.Image:
    scale = longest / max(picture.size)
    return picture if scale >= 1 else picture.resize([max(1, round(side * scale)) for side in picture.size], method)


def _encoded(picture: Image.Image, kind: str, **options) -> Picture:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return Picture(buffer.getvalue(), kind, *picture.size)
