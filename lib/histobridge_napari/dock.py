"""The dock widget that the manifest offers."""

from __future__ import annotations

import napari
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from histobridge_napari.jobs_panel import JobsPanel
from histobridge_napari.review_panel import ReviewPanel


class ReviewDock(QWidget):
    """Review and correct labels, and let the model learn from what was corrected.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        napari gives it by this name. The keys of the buttons work in it as long as the widget is shown.
    """

    def __init__(self, napari_viewer: napari.Viewer):
        super().__init__()
        self.review = ReviewPanel(napari_viewer)
        self.jobs = JobsPanel(self.review)
        layout = QVBoxLayout(self)
        layout.addWidget(self.review)
        layout.addWidget(self.jobs)
        if self.review.session is not None:  # opened before anybody could be told
            self.review.opened.emit(self.review.session)

    def showEvent(self, event: QShowEvent) -> None:
        """Bind the keys."""
        self.review.bind_keys()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        """Give the keys back."""
        self.review.unbind_keys()
        super().hideEvent(event)
