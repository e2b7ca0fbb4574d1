"""Notebook 09: drawn images and a small model, to see what other tools read of them; and how often masks differ."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.cache import Cache
from histobridge.config import SegmenterSettings
from histobridge.errors import UserError
from histobridge.io.images import write_image
from histobridge.io.zarr_pyramid import create_image, mean_of_four
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge.strategies import Labeller
from histobridge.strategies.cached import fit_segmenter
from histobridge_label.model import Model
from histobridge_label.scale import typical_axon_px

UM_PER_PX = 0.1
"""Pixel size of all that is drawn here, µm/px."""
IMAGE_PX, SECTION_PX = (320, 320), (640, 640)
LEARNED, LEARNED_PX = 6, (160, 160)
"""Number and size of the drawn images that the model learns from."""
FIRST_LEARNED = 1000
"""Their tissues are numbered from here on: none of them is labelled."""


def draw_images(folder: Path) -> None:
    """Write `image.png` and `section.ome.zarr`, two drawn SEM images, into a folder; an earlier section is replaced."""
    write_image(folder / "image.png", phantom("sem", 1, IMAGE_PX)[0])
    shutil.rmtree(folder / "section.ome.zarr", ignore_errors=True)
    section = create_image(folder / "section.ome.zarr", SECTION_PX, UM_PER_PX, "section")
    section.finest[:] = np.rint(255 * phantom("sem", 2, SECTION_PX)[0]).astype(np.uint8)
    section.finish(mean_of_four)


def drawn_model(settings: SegmenterSettings, folder: Path, *, seed: int = 0) -> Model:
    """Train a model on drawn SEM images and their exact masks, or recall it from `folder`/cache, and save it.

    Parameters
    ----------
    settings : SegmenterSettings
    folder : Path
        Of the model, as `histobridge label` would write it.
    seed : int
        Of the weights.
    """
    drawn = [phantom("sem", FIRST_LEARNED + number, LEARNED_PX) for number in range(LEARNED)]
    trained = fit_segmenter(Cache(folder / "cache"), Segmenter(settings, seed=seed), drawn, name="segmenter")
    facts = {
        "source": {"dataset": "drawn SEM", "um_per_px": UM_PER_PX},
        "strategy": "segmenter",
        "provenance": {"profile": "drawn", "seed": seed},
    }
    model = Model(Labeller((trained,)), UM_PER_PX, typical_axon_px(mask for _, mask in drawn), facts=facts)
    model.save(folder / "model")
    return model


def count_differences(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Count the pixels in which two masks differ.

    Parameters
    ----------
    pairs : mapping of str to (ndarray, ndarray)
        Two class masks [H, W], by the name of the export that one of them was read from.

    Returns
    -------
    DataFrame
        `export`, `pixels` of a mask, those that `differ`, and their `share` 0..1.

    Raises
    ------
    UserError
        If two masks have different shapes.
    """
    for name, (one, other) in pairs.items():
        if one.shape != other.shape:
            raise UserError(f"The masks of {name} have the shapes {one.shape} and {other.shape}: compare equal ones.")
    rows = [(name, one.size, int((one != other).sum())) for name, (one, other) in pairs.items()]
    table = pd.DataFrame(rows, columns=["export", "pixels", "differ"])
    return table.assign(share=table["differ"] / table["pixels"])
