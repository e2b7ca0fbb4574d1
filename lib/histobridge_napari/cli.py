"""The command that opens a hand-off in napari."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from histobridge.cli import app


@app.command(rich_help_panel="Your own images")
def review(
    labels: Annotated[Path, typer.Argument(help="What `histobridge label` or `apply` wrote, or the hand-off in it.")],
) -> None:
    """Correct labels in napari, the most doubtful places first; needs a display, and the extra `napari`.

    Corrections are saved beside the hand-off, in the folder `corrected`, for `histobridge import`.
    """
    from histobridge_napari.display import check_display
    from histobridge_napari.reader import open_handoff

    handoff = open_handoff(labels)
    check_display()

    import napari

    from histobridge_napari.dock import ReviewDock

    viewer = napari.Viewer(title=f"histobridge: {labels}")
    dock = ReviewDock(viewer)
    viewer.window.add_dock_widget(dock, name="Review and correct labels")
    dock.review.handoff.value = handoff.folder
    dock.review.open()
    napari.run()
