"""The upper part of the dock widget: which hand-off, which tile, what to say of it, and how much is reviewed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import NamedTuple

import napari
from magicgui.widgets import FileEdit
from napari.utils.notifications import show_error
from qtpy.QtCore import Signal
from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.errors import UserError
from histobridge_napari.corrections import corrected_folder
from histobridge_napari.layers import ORIGIN
from histobridge_napari.reader import open_handoff
from histobridge_napari.review import DONE, SKIPPED
from histobridge_napari.session import Session

NOTHING_OPEN = "Choose what <code>histobridge label</code> wrote, and open it."


class Action(NamedTuple):
    """A button, its key in the viewer, and what it is for."""

    text: str
    key: str
    hint: str


PREVIOUS = Action("Previous", "Shift-N", "Show the tile before this one")
NEXT = Action("Next", "N", "Show the tile after this one")
TILE_DONE = Action("Done", "D", "This tile is right now: show the next open one")
TILE_SKIPPED = Action("Skip", "S", "Nobody can tell, or not now: show the next open one")
PAINT_AXON = Action("Axon", "A", "Paint axons")
PAINT_MYELIN = Action("Myelin", "Y", "Paint myelin")
ERASE = Action("Erase", "G", "Paint background")
ROWS = (PREVIOUS, NEXT), (TILE_DONE, TILE_SKIPPED), (PAINT_AXON, PAINT_MYELIN, ERASE)
"""Of the buttons. napari has other uses for most single letters while classes are painted; these are free."""


def told(method: Callable) -> Callable:
    """Decorate a method of a widget: a mistake of the user becomes a message in napari, and is no error."""

    @wraps(method)
    def telling(*arguments, **options):
        try:
            return method(*arguments, **options)
        except UserError as error:
            show_error(str(error))

    return telling


def chosen(field: FileEdit, what: str) -> Path:
    """Return the path in a field; raise a `UserError` that asks for `what` if it is empty."""
    if not field.line_edit.value.strip():
        raise UserError(f"Name {what}.")
    return Path(field.value)


def folder_field() -> FileEdit:
    """Return a field for the path of a folder, with a button that opens a dialog."""
    field = FileEdit(mode="d")
    field.choose_btn.text = "..."
    return field


class ReviewPanel(QWidget):
    """Open a hand-off and walk through its tiles.

    Signals
    -------
    opened : Session
        When a hand-off was opened.
    """

    opened = Signal(object)

    def __init__(self, viewer: napari.Viewer):
        super().__init__()
        self.viewer, self.session = viewer, None
        self.handoff, self.corrected = folder_field(), folder_field()
        self.corrected.tooltip = "Where corrections are saved; `histobridge import` reads them from there"
        self.status, self.bar = QLabel(NOTHING_OPEN, wordWrap=True), QProgressBar()
        self.open_button = QPushButton("Open")
        self.open_button.clicked.connect(lambda: self.open())
        self.handoff.changed.connect(self._suggest_corrected)
        self.actions = {
            PREVIOUS: lambda: self.session.move(-1),
            NEXT: lambda: self.session.move(1),
            TILE_DONE: lambda: self.session.say(DONE),
            TILE_SKIPPED: lambda: self.session.say(SKIPPED),
            PAINT_AXON: lambda: self.session.paint_with(AXON),
            PAINT_MYELIN: lambda: self.session.paint_with(MYELIN),
            ERASE: lambda: self.session.paint_with(BACKGROUND),
        }
        self.buttons = {action: self._button(action) for action in self.actions}
        self._lay_out()
        self._show_progress()
        self._open_what_is_shown()

    @told
    def open(self) -> None:
        """Open the hand-off that is named, in place of the one that is shown."""
        handoff = open_handoff(chosen(self.handoff, "a hand-off: the folder that `histobridge label` wrote"))
        folder = chosen(self.corrected, "a folder for corrections")
        if self.session is not None:
            self.session.close()
            self.session = None
        try:
            self.session = Session(self.viewer, handoff, folder)
            self.opened.emit(self.session)
        finally:
            self._show_progress()

    @told
    def do(self, action: Action) -> None:
        """Do what the button of an action is for."""
        if self.session is None:
            raise UserError("No hand-off is open: choose one and press Open.")
        self.actions[action]()
        self._show_progress()

    def save(self) -> bool:
        """Save what was painted; return False, and tell it, if that cannot be done."""
        try:
            if self.session is not None:
                self.session.save()
        except UserError as error:
            show_error(str(error))
            return False
        return True

    def bind_keys(self) -> None:
        """Bind the key of each action in the viewer."""
        for action in self.actions:
            self.viewer.bind_key(action.key, lambda _, action=action: self.do(action), overwrite=True)

    def unbind_keys(self) -> None:
        """Give the keys back."""
        for action in self.actions:
            self.viewer.bind_key(action.key, None)

    def hideEvent(self, event: QHideEvent) -> None:
        """Save when the widget or the window is closed."""
        self.save()
        super().hideEvent(event)

    # --- What it looks like -----------------------------------------------------------------------------

    def _button(self, action: Action) -> QPushButton:
        button = QPushButton(f"{action.text} ({action.key})")
        button.setToolTip(action.hint)
        button.clicked.connect(partial(self.do, action))
        return button

    def _lay_out(self) -> None:
        files, everything = QFormLayout(), QVBoxLayout(self)
        files.addRow("Hand-off", self.handoff.native)
        files.addRow("Corrections", self.corrected.native)
        everything.addLayout(files)
        for widget in (self.open_button, self.status, self.bar):
            everything.addWidget(widget)
        for actions in ROWS:
            row = QHBoxLayout()
            for action in actions:
                row.addWidget(self.buttons[action])
            everything.addLayout(row)

    def _show_progress(self) -> None:
        for button in self.buttons.values():
            button.setEnabled(self.session is not None)
        self.bar.setVisible(self.session is not None)
        if self.session is None:
            self.status.setText(NOTHING_OPEN)
            return
        review = self.session.review
        tile, done, skipped = review.current, review.count(DONE), review.count(SKIPPED)
        self.bar.setRange(0, len(review.tiles))
        self.bar.setValue(done + skipped)
        self.bar.setFormat(f"{done} done, {skipped} skipped of {len(review.tiles)} (%p %)")
        here = review.count(DONE, tile.image) + review.count(SKIPPED, tile.image)
        self.status.setText(
            f"<b>Tile {review.position + 1} of {len(review.tiles)}</b>, {review.state(tile)}; uncertainty "
            f"{tile.uncertainty:.3f}<br>{tile.image}<br>{here} of {review.number_of_tiles(tile.image)} tiles of this "
            "image are reviewed"
        )

    # --- Which hand-off ---------------------------------------------------------------------------------

    def _open_what_is_shown(self) -> None:
        """Open the hand-off of which a reader has opened layers, if there are any."""
        for layer in self.viewer.layers:
            if ORIGIN in layer.metadata:
                self.handoff.value = layer.metadata[ORIGIN]["handoff"]
                self.open()
                return

    def _suggest_corrected(self) -> None:
        """Name the usual folder of corrections of the hand-off."""
        try:
            self.corrected.value = corrected_folder(open_handoff(Path(self.handoff.value)))
        except UserError:  # opening tells it
            self.corrected.line_edit.value = ""
