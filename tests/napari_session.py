"""A session in napari by script: correct a label, let the model learn from it, label further images.

The tests of the dock widget use the functions. As a script, `napari_session.py LABELS MORE`, it does all of it with
what `histobridge label` made of `phantom("sem", N, SHAPE)`, each in a file named sectionN, on a display that nobody
sees.
"""

import re
import sys
import time
from pathlib import Path

import numpy as np

from histobridge.phantom import phantom
from virtual_display import settle, virtual_display

SHAPE, UM_PER_PX = (256, 256), 0.1
PATIENCE_S = 900  # a busy machine takes minutes to import torch in a new process


def press(viewer, key: str) -> None:
    """Press a key while the picture has the focus."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    modifier = Qt.KeyboardModifier.ShiftModifier if key.startswith("Shift-") else Qt.KeyboardModifier.NoModifier
    QTest.keyClick(viewer.window._qt_viewer.canvas.native, getattr(Qt.Key, f"Key_{key[-1]}"), modifier)
    settle()


def wait_for_end(job) -> None:
    """Wait until a command has ended, as Qt tells it."""
    deadline = time.monotonic() + PATIENCE_S
    while job.running and time.monotonic() < deadline:
        settle(0.5)
    settle()
    assert not job.running


def correct_learn_and_label(
    viewer, dock, labels: Path, truth: dict[str, np.ndarray], more: Path, out: Path, *, um_per_px: float
) -> None:
    """Correct the most doubtful image of `labels` by its truth, learn from it, and label the images `more` into `out`.

    Parameters
    ----------
    viewer : napari.Viewer
    dock : ReviewDock
        In the viewer.
    labels : Path
        What `histobridge label` wrote.
    truth : dict
        Masks uint8 [H, W] by the name of the image file.
    more, out : Path
    um_per_px : float
        Of the images `more`.
    """
    panel, jobs = dock.review, dock.jobs
    panel.handoff.value = labels
    panel.open_button.click()
    image = panel.session.review.current.image
    panel.session.label.data = truth[re.search(r"section\d+", image)[0]]
    press(viewer, "D")
    assert jobs.model.value == labels
    jobs.learn_button.click()
    wait_for_end(jobs.job)
    assert jobs.told.text() == "The model has learned.", jobs.log.toPlainText()
    jobs.images.value, jobs.out.value = more, out
    jobs.um_per_px.setValue(um_per_px)
    jobs.apply_button.click()
    wait_for_end(jobs.job)
    assert jobs.told.text().startswith("The images are labelled"), jobs.log.toPlainText()


def main(labels: Path, more: Path) -> None:
    """Do the session with a viewer of its own; the labels of the further images are written beside them."""
    with virtual_display(1500, 1000):
        import napari

        from histobridge_napari.dock import ReviewDock

        viewer = napari.Viewer()
        dock = ReviewDock(viewer)
        viewer.window.add_dock_widget(dock)
        truth = {f"section{seed}": phantom("sem", seed, SHAPE)[1] for seed in range(8)}
        out = more.with_name(f"{more.name}_labels")
        correct_learn_and_label(viewer, dock, labels, truth, more, out, um_per_px=UM_PER_PX)
        viewer.close()
    print(f"One image was corrected in napari; the model learned from it and labelled {more}.")


if __name__ == "__main__":
    main(*(Path(folder).resolve() for folder in sys.argv[1:]))
