"""napari's reader: a hand-off, or the folder around it, and single masks of axons and myelin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from histobridge.io.masks import read_mask
from histobridge_label.export import Handoff, is_handoff, names, read_handoff
from histobridge_napari.corrections import corrected_folder, read_label
from histobridge_napari.layers import LayerData, class_layer_options, layers_of
from histobridge_napari.review import Review


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the function that reads a path; None if it is neither a hand-off nor a mask, for another reader to try."""
    if isinstance(path, list):
        return None
    place = Path(path)
    if place.is_dir():
        return read_folder if any(is_handoff(folder) for folder in (place, place / names.HANDOFF)) else None
    return read_mask_file if place.name.endswith(names.COMBINED) else None


def read_folder(path: str) -> list[LayerData]:
    """Return the layers of the image of a hand-off that is to be reviewed first; raises a `UserError`."""
    handoff = open_handoff(Path(path))
    folder = corrected_folder(handoff)
    image = Review(handoff, folder).current.image
    return list(layers_of(handoff, image, read_label(handoff, folder, image)))


def read_mask_file(path: str) -> list[LayerData]:
    """Return a mask file as one layer of classes, 1 myelin and 2 axon; raises a `UserError`."""
    return [(read_mask(path)[0], {"name": Path(path).stem, **class_layer_options()}, "labels")]


def open_handoff(folder: Path) -> Handoff:
    """Read the hand-off in a folder, or in what `histobridge label` wrote.

    Raises
    ------
    UserError
        If there is none, or it cannot be read.
    """
    inside = Path(folder) / names.HANDOFF
    return read_handoff(inside if is_handoff(inside) else Path(folder))
