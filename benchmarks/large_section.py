"""Memory and time that a large section takes: a drawn OME-Zarr is labelled by a tiny model, in a process of its own.

`python benchmarks/large_section.py FOLDER` draws 20,000 x 20,000 px into FOLDER and prints a JSON record. The memory is
that of any model whose windows are as large: it grows with the block, and not with the section.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from measuring import alone

from histobridge.config import SegmenterSettings
from histobridge.io.zarr_pyramid import create_image, mean_of_four
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge.strategies import Labeller
from histobridge.strategies.tta import SMALL_AXON_ZOOM, View
from histobridge.tiles import blocks
from histobridge_label.model import MODEL, Model
from histobridge_label.pipeline import apply_model
from histobridge_label.scale import typical_axon_px

DRAWN_PX = 2000
"""Side of the drawn tissue that is repeated."""
VIEWS = (View(SMALL_AXON_ZOOM, 1),)
"""The largest zoom of test-time augmentation, which takes most memory."""


def draw_section(folder: Path, side: int, um_per_px: float) -> None:
    """Write a section of drawn tissue as an OME-Zarr with a pyramid."""
    tissue = phantom("sem", 80, (DRAWN_PX, DRAWN_PX), um_per_px)[0]
    drawn = create_image(folder / "section.ome.zarr", (side, side), um_per_px, "section")
    for where in blocks((side, side), DRAWN_PX):
        rows, columns = (part.stop - part.start for part in where)
        drawn.finest[where] = np.rint(255 * tissue[:rows, :columns])
    drawn.finish(mean_of_four)


def train_tiny_model(folder: Path, um_per_px: float) -> None:
    """Write a model that has learned a little from drawn tissue."""
    images, masks = zip(*(phantom("sem", seed, (256, 256), um_per_px) for seed in (1, 2)), strict=True)
    settings = SegmenterSettings(steps=60, save_every=60, crop=64, batch=4, widths=(8, 8, 16, 16, 32, 8))
    segmenter = Segmenter(settings)
    segmenter.fit(list(images), list(masks))
    facts = {"source": {"dataset": "phantom-sem", "um_per_px": um_per_px}, "provenance": {"profile": "tiny"}}
    labeller = Labeller((segmenter,), VIEWS)
    Model(labeller, um_per_px, typical_axon_px(masks), facts=facts | {"strategy": "supervised"}).save(folder)


def label(model: Path, images: Path, out: Path) -> dict:
    """Label the section; return the minutes and what was found."""
    begun = time.monotonic()
    done = apply_model(model, images, out)
    found = done.measures.iloc[0]
    return {
        "minutes": (time.monotonic() - begun) / 60,
        "fibres": int(found["n_fibres"]),
        "g_ratio": found["g_ratio_mean"],
    }


def main() -> None:
    """Draw, train, label, and print the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=20_000, help="of the section, px")
    parser.add_argument("--um-per-px", type=float, default=0.05, help="of the section")
    parser.add_argument("--work-at", type=float, default=0.1, help="µm/px of the model")
    given = parser.parse_args()
    images, out = given.folder / "images", given.folder / "out"
    if not images.exists():
        draw_section(images, given.side, given.um_per_px)
    if not (out / MODEL).exists():
        train_tiny_model(out / MODEL, given.work_at)
    print(json.dumps(vars(given) | alone(label, out, images, given.folder / "labels"), default=str, indent=1))


if __name__ == "__main__":
    main()
