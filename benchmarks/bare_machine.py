"""Import this first on a machine that lacks imagecodecs, a package of 26 MB: Pillow then reads and writes its PNGs."""

import importlib.util
import io
import sys
import types

import numpy as np
from PIL import Image


def _decode(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def _encode(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", compress_level=1)
    return file.getvalue()


if importlib.util.find_spec("imagecodecs") is None:
    sys.modules["imagecodecs"] = types.ModuleType("imagecodecs")
    sys.modules["imagecodecs"].png_decode, sys.modules["imagecodecs"].png_encode = _decode, _encode
