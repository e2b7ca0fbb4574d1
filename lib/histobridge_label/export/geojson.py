"""Axons and myelin as polygons in GeoJSON, as QuPath reads and writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from skimage.measure import label

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.errors import UserError
from histobridge.io.files import atomic_write
from histobridge_label.export.polygons import Polygon, Ring, rasterised, traced

CLASSES = {"Myelin": MYELIN, "Axon": AXON}
"""Names of classes in QuPath. In this order they are drawn, so that where polygons overlap axon is on top."""

COLOURS = {"Myelin": [0, 114, 178], "Axon": [230, 159, 0]}  # as in all figures


def write_geojson(path: str | os.PathLike, mask: np.ndarray, fibres: np.ndarray) -> None:
    """Write a mask as a GeoJSON FeatureCollection of annotations for QuPath, whole or not at all.

    One feature for the axon of each fibre and one for its myelin, named after the fibre's number, which is a
    measurement too; then what belongs to no fibre, piece by piece. Polygons run along pixel edges (see `polygons.py`),
    holes included: `read_geojson` gives exactly the mask back.

    Parameters
    ----------
    path : path-like
    mask : ndarray
        uint8 `[H, W]` of classes 0, 1, 2.
    fibres : ndarray
        int `[H, W]` of `instances.fibre_labels`.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    with atomic_write(path) as draft, draft.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for number, feature in enumerate(features(mask, fibres)):  # one at a time: an image may hold many
            file.write((",\n" if number else "\n") + json.dumps(feature, separators=(",", ":")))
        file.write("\n]}\n")


def features(mask: np.ndarray, fibres: np.ndarray) -> Iterator[dict]:
    """Yield the features of a mask, as `write_geojson` (which see) writes them."""
    count = int(fibres.max(initial=0))
    for name, value in CLASSES.items():
        for number, polygons in traced(_numbered(mask == value, fibres, count)):
            yield _feature(name, number if number <= count else None, polygons)


def read_geojson(path: str | os.PathLike, shape: tuple[int, int]) -> np.ndarray:
    """Read polygons of axons and myelin, drawn by `write_geojson` or corrected in QuPath, as a mask.

    A pixel belongs to a polygon if its centre does. Where polygons overlap, axon is on top, so that myelin may be drawn
    as a disc under its axon.

    Parameters
    ----------
    path : path-like
        A FeatureCollection, a list of features, or one.
    shape : (int, int)
        Height and width of the image, px; what lies outside is cut off.

    Returns
    -------
    ndarray
        uint8 `[H, W]` of classes 0, 1, 2.

    Raises
    ------
    UserError
        If the file is missing or no GeoJSON, or a feature is no area or neither Axon nor Myelin.
    """
    drawn: dict[str, list[list[Ring]]] = {name: [] for name in CLASSES}
    for feature in _read_features(Path(path)):
        drawn[_class_of(feature, path)] += areas(feature, path)
    mask = np.full(shape, BACKGROUND, np.uint8)
    for name, value in CLASSES.items():
        for rings in drawn[name]:
            _paint(mask, rings, value)
    return mask


def _numbered(inside: np.ndarray, fibres: np.ndarray, count: int) -> np.ndarray:
    """Return int labels [H, W] of one class: the numbers of fibres, and beyond `count` the pieces that are of none."""
    labels = np.where(inside, fibres, 0).astype(np.int32)
    rest = label(inside & (labels == 0), connectivity=2)
    return np.where(rest > 0, count + rest, labels)


def _feature(name: str, fibre: int | None, polygons: list[Polygon]) -> dict:
    properties = {"objectType": "annotation", "classification": {"name": name, "color": COLOURS[name]}}
    if fibre is not None:  # measurements as a list: QuPath before 0.4 knows no other form
        properties |= {"name": f"fibre {fibre}", "measurements": [{"name": "fibre", "value": fibre}]}
    coordinates = [[ring.tolist() for ring in polygon] for polygon in polygons]
    one = len(coordinates) == 1
    geometry = {"type": "Polygon" if one else "MultiPolygon", "coordinates": coordinates[0] if one else coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _read_features(path: Path) -> list[dict]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as GeoJSON ({error}): is the file there and whole?") from error
    found = content.get("features", [content]) if isinstance(content, dict) else content
    if not isinstance(found, list) or not all(isinstance(one, dict) and "geometry" in one for one in found):
        raise UserError(f"{path} is no GeoJSON of features: export it from QuPath as a FeatureCollection.")
    return found


def _class_of(feature: dict, path: object) -> str:
    given = ((feature.get("properties") or {}).get("classification") or {}).get("name")
    for name in CLASSES:
        if isinstance(given, str) and given.strip().casefold() == name.casefold():
            return name
    raise UserError(f"{path} holds an object of the class '{given}': class every object as Axon or Myelin.")


def areas(feature: dict, path: object = "The label") -> list[list[Ring]]:
    """Return the rings of each polygon of a feature; a `UserError` about `path` says what is no area."""
    geometry = feature["geometry"] or {}
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        raise UserError(f"{path} holds an object of the shape '{kind}': draw areas, no lines and no points.")
    try:
        polygons = [coordinates] if kind == "Polygon" else coordinates
        return [[np.array(ring, dtype=float).reshape(len(ring), -1)[:, :2] for ring in rings] for rings in polygons]
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} holds a {kind} whose coordinates are no list of points: export it again.") from error


def _paint(mask: np.ndarray, rings: Iterable[Ring], value: int) -> None:
    """Draw a polygon into a mask, touching no more of it than the polygon's bounding box."""
    rings = [ring for ring in rings if len(ring)]
    if not rings:
        return
    points = np.concatenate(rings)
    low = np.maximum(np.floor(points.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0)), mask.shape[::-1]).astype(int)
    if (low < high).all():
        box = mask[low[1] : high[1], low[0] : high[0]]
        box[rasterised([ring - low for ring in rings], box.shape)] = value
