"""A viewer that shows the tiles of a hand-off one after another, and keeps what is corrected in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer, Shapes

from histobridge_label.export import Handoff
from histobridge_napari.corrections import check_folder, read_label, write_correction
from histobridge_napari.layers import INSTANCES, LABEL, ORIGIN, LayerData, layers_of
from histobridge_napari.review import Review, Tile

FRAME = "tile"
FRAME_WIDTH = 0.008  # of the side of a tile
MARGIN = 0.35  # of the canvas around the first tile: its surroundings help to judge it


class Session:
    """The review of one hand-off in one viewer.

    Layers of the same hand-off that the viewer shows already are taken over, with what was painted in them.

    Parameters
    ----------
    viewer : napari.Viewer
    handoff : Handoff
    folder : Path
        Of the corrections.

    Attributes
    ----------
    review : Review
    label : Labels
        The layer of classes of the image that is shown. It is saved even after somebody has removed it.

    Raises
    ------
    UserError
        If the folder lies in the hand-off, or a file cannot be read.
    """

    def __init__(self, viewer: ViewerModel, handoff: Handoff, folder: Path):
        check_folder(handoff, folder)
        self.viewer, self.handoff, self.folder = viewer, handoff, Path(folder)
        self.review = Review(handoff, self.folder)
        self._home = str(handoff.folder.resolve())
        self.label: Labels | None = None
        self._image: str | None = None
        self._on_disk: np.ndarray | None = None
        self._take_over()
        self._show(self.review.current)
        self.viewer.reset_view(layers=[self._own_layers()[FRAME]], margin=MARGIN)
        self.viewer.canvas.overlays.scale_bar.visible = True

    def move(self, by: int) -> Tile:
        """Save, and show a tile further forwards or backwards; return it. Raises a `UserError` as `save` does."""
        self.save()
        return self._show(self.review.move(by))

    def say(self, state: str) -> Tile:
        """Save, keep what is said of the current tile, and show the next open one; return it.

        Raises
        ------
        UserError
            As `save` does.
        """
        self.save()
        return self._show(self.review.say(state))

    def save(self) -> bool:
        """Write the label of the image if it is not what is on the disk; return whether it was written.

        Raises
        ------
        UserError
            If other labels than the classes were painted, or the file cannot be written.
        """
        painted = np.asarray(self.label.data)
        if np.array_equal(painted, self._on_disk):
            return False
        write_correction(self.folder, self._image, painted)
        self._on_disk = painted.astype(np.uint8)  # a copy
        return True

    def paint_with(self, value: int) -> None:
        """Let the brush paint a class; 0 erases."""
        self.label.selected_label = value
        self.label.mode = "paint"
        self.viewer.layers.selection.active = self.label

    def close(self) -> None:
        """Save, and remove the layers of this hand-off from the viewer. Raises a `UserError` as `save` does."""
        self.save()
        for layer in self._own_layers().values():
            self.viewer.layers.remove(layer)

    # --- What the viewer shows --------------------------------------------------------------------------

    def _own_layers(self) -> dict[str, Layer]:
        """Return the layers of this hand-off, by what they show."""
        layers = [layer for layer in self.viewer.layers if layer.metadata.get(ORIGIN, {}).get("handoff") == self._home]
        return {layer.metadata[ORIGIN]["part"]: layer for layer in layers}

    def _take_over(self) -> None:
        """Go on with layers of this hand-off that a reader has opened, and save what was painted; hide others."""
        own = self._own_layers()
        for layer in self.viewer.layers:
            if ORIGIN in layer.metadata and layer not in own.values():
                layer.visible = False
        if LABEL in own:
            self.label = own[LABEL]
            self._image = own[LABEL].metadata[ORIGIN]["image"]
            self._on_disk = read_label(self.handoff, self.folder, self._image)
            self.save()

    def _show(self, tile: Tile) -> Tile:
        if tile.image != self._image or LABEL not in self._own_layers():
            label = read_label(self.handoff, self.folder, tile.image)
            for layer in list(layers_of(self.handoff, tile.image, label)):  # all are read before one is replaced
                self._replace(layer)
            self.label = self._own_layers()[LABEL]
            self._image, self._on_disk = tile.image, label.copy()
        self._show_frame(tile)
        self.viewer.layers.selection.active = self.label
        return tile

    def _replace(self, new: LayerData) -> None:
        """Show other data in the layer of the same part, which keeps how it is shown; add a layer if it is missing."""
        data, options, kind = new
        part = options["metadata"][ORIGIN]["part"]
        layer = self._own_layers().get(part)
        if layer is None:
            layer = self.viewer.add_layer(Layer.create(data, options, kind))
        elif isinstance(layer, Labels):
            mode = layer.mode
            layer.editable = False  # forgets what can be undone: it belongs to another image
            layer.data = data
            layer.editable = True
            layer.mode = mode
        else:
            layer.data = data
        layer.scale, layer.metadata = options["scale"], options["metadata"]
        if part == INSTANCES:
            layer.editable = False  # nobody reads it back

    def _show_frame(self, tile: Tile) -> None:
        height, width = self.label.data.shape
        top, left = tile.top - 0.5, tile.left - 0.5  # napari's coordinates begin in the centre of the first pixel
        bottom, right = min(top + tile.side, height - 0.5), min(left + tile.side, width - 0.5)
        corners = np.array([(top, left), (top, right), (bottom, right), (bottom, left)])
        frame = self._own_layers().get(FRAME)
        if frame is None:
            frame = self.viewer.add_layer(_frame(corners, self.label, FRAME_WIDTH * tile.side))
        frame.data, frame.scale = [corners], self.label.scale
        self.viewer.scene.camera.center = tuple(corners.mean(0) * self.label.scale)


def _frame(corners: np.ndarray, label: Labels, width: float) -> Shapes:
    origin = {**label.metadata[ORIGIN], "part": FRAME}
    shared = {"scale": label.scale, "units": label.units, "metadata": {ORIGIN: origin}}
    drawn = {"face_color": "transparent", "edge_color": "yellow", "edge_width": width}
    return Shapes([corners], shape_type="rectangle", name=FRAME, **drawn, **shared)
