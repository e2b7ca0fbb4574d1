"""Make reports/napari_widget.png: the dock widget on drawn tissue, in a real viewer.

`python reports/napari_widget.py` on a display; without one, `xvfb-run -s "-screen 0 1600x1100x24"` before it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from histobridge.io.files import atomic_write
from histobridge.phantom import phantom
from histobridge_label.export import Labelled, write_handoff
from histobridge_napari.dock import ReviewDock
from histobridge_napari.review_panel import NEXT, PAINT_AXON, TILE_DONE, TILE_SKIPPED

OUT = Path(__file__).with_suffix(".png")
SIZE = 1400, 860  # px of the window
PATHS = "labels", "labels/corrected", "labels", "more", "more_labels"
WALK = [TILE_DONE] * 9 + [TILE_SKIPPED] * 2 + [TILE_DONE] * 14 + [NEXT, PAINT_AXON]


def drawn_labels() -> Iterator[Labelled]:
    """Yield two drawn images with labels in which one fibre in six is missing, and most uncertain there."""
    for seed in (11, 12):
        image, mask = phantom("sem", seed, (480, 600))
        fibres, number = ndimage.label(mask > 0)
        missing = np.isin(fibres, np.arange(1, number + 1, 6))
        outlines = ndimage.gaussian_filter(ndimage.morphological_gradient(mask, 3).astype(np.float32), 2)
        uncertain = 0.15 * outlines + 0.5 * ndimage.gaussian_filter(missing.astype(np.float32), 4)
        label = np.where(missing, 0, mask).astype(np.uint8)
        yield Labelled(f"section{seed}", "mouse 1", image, label, np.clip(uncertain, 0, 1), 0.1, None, "SEM")


def screenshot() -> np.ndarray:
    """Return a picture of the window after a walk through some tiles, uint8 `[H, W, 4]`."""
    viewer = napari.Viewer(title="histobridge")
    viewer.window.resize(*SIZE)
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder, "labels")
        write_handoff(labels / "handoff", drawn_labels(), {})
        dock = ReviewDock(viewer)
        viewer.window.add_dock_widget(dock, name="Review and correct labels")
        dock.review.handoff.value = labels
        dock.review.open()
        for action in WALK:
            dock.review.do(action)
        fields = dock.review.handoff, dock.review.corrected, dock.jobs.model, dock.jobs.images, dock.jobs.out
        for field, shown in zip(fields, PATHS, strict=True):  # and not the folders of this machine
            field.line_edit.value = shown
        for _ in range(20):
            QApplication.processEvents()
        picture = viewer.screenshot(canvas_only=False, flash=False)
        viewer.close()
    return picture


if __name__ == "__main__":
    picture = Image.fromarray(screenshot()[..., :3])
    with atomic_write(OUT) as draft:
        picture.save(draft, format="PNG", optimize=True)
