"""Axons and myelin as polygons in GeoJSON, as QuPath reads and writes them.

Coordinates are (x, y) in px from the upper left *corner* of the image, x to the right and y down, as in QuPath: the
pixel in row r and column c is the square from (c, r) to (c + 1, r + 1). A pixel belongs to the polygon that contains
its centre. Polygons are written along pixel edges, so that they can be read back without the loss of a pixel.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rasterio.features import rasterize, shapes
from skimage.measure import label

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.errors import UserError
from histobridge.io.files import atomic_write

CLASSES = {"Myelin": MYELIN, "Axon": AXON}
"""QuPath's names of the classes, in the order in which polygons are drawn: where they overlap, axon is on top."""

COLOURS = {"Myelin": [0, 114, 178], "Axon": [230, 159, 0]}  # as in all figures

Ring = np.ndarray
"""int or float [N, 2] of x, y in px; the last point repeats the first."""
Polygon = list[Ring]
"""An outline, followed by the outlines of its holes."""

FARTHEST = 1e9
"""Coordinates beyond it (px) are a mistake."""
LONGEST_SHOWN = 60
NUDGE = 1e-7, 0  # px to the left: GDAL puts a centre on a left edge outside, and one on a right edge inside


def write_geojson(path: str | os.PathLike, mask: np.ndarray, fibres: np.ndarray) -> None:
    """Write a mask as a GeoJSON FeatureCollection of QuPath annotations.

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
        for number, feature in enumerate(features(mask, fibres)):
            file.write((",\n" if number else "\n") + json.dumps(feature, separators=(",", ":")))
        file.write("\n]}\n")


def features(mask: np.ndarray, fibres: np.ndarray) -> Iterator[dict]:
    """Yield a GeoJSON feature for the axon and one for the myelin of each fibre, then one for each piece of no fibre.

    The number of a fibre is its name and a measurement. See `write_geojson` for the parameters.
    """
    count = int(fibres.max(initial=0))
    for class_name, value in CLASSES.items():
        inside = mask == value
        numbers = np.where(inside, fibres, 0).astype(np.int32)
        pieces = label(inside & (numbers == 0), connectivity=2)  # of no fibre: numbered from count + 1
        numbers = np.where(pieces > 0, count + pieces, numbers).astype(np.int32)
        for number, polygons in trace(numbers):
            yield _feature(class_name, number if number <= count else None, polygons)


def trace(labels: np.ndarray) -> list[tuple[int, list[Polygon]]]:
    """Return the polygons of each label of a map, sorted by label.

    A polygon is one 4-connected piece of a label. Pieces that touch at a corner are separate polygons, and holes that
    do are separate rings, so that all polygons are valid in the sense of the OGC. Outlines run counterclockwise and
    holes clockwise, with y taken to point up (RFC 7946).

    Parameters
    ----------
    labels : ndarray
        int32 `[H, W]`, not negative; 0 is background.

    Examples
    --------
    >>> [(number, [ring.tolist() for ring in polygons[0]]) for number, polygons in trace(np.int32([[0, 7, 7]]))]
    [(7, [[[1, 0], [3, 0], [3, 1], [1, 1], [1, 0]]])]
    """
    traced: dict[int, list[Polygon]] = {}
    for geometry, number in shapes(labels, mask=labels > 0, connectivity=4):
        rings = [np.array(ring, dtype=int)[::-1] for ring in geometry["coordinates"]]  # GDAL runs clockwise
        traced.setdefault(int(number), []).append(rings)
    return sorted(traced.items())


def _feature(class_name: str, fibre: int | None, polygons: list[Polygon]) -> dict:
    properties = {"objectType": "annotation", "classification": {"name": class_name, "color": COLOURS[class_name]}}
    if fibre is not None:  # measurements as a list: QuPath before 0.4 knows no other form
        properties |= {"name": f"fibre {fibre}", "measurements": [{"name": "fibre", "value": fibre}]}
    coordinates = [[ring.tolist() for ring in polygon] for polygon in polygons]
    single = len(coordinates) == 1
    geometry = {
        "type": "Polygon" if single else "MultiPolygon",
        "coordinates": coordinates[0] if single else coordinates,
    }
    return {"type": "Feature", "geometry": geometry, "properties": properties}


# --- Reading --------------------------------------------------------------------------------------------


def read_geojson(path: str | os.PathLike, shape: tuple[int, int]) -> np.ndarray:
    """Read polygons of axons and myelin, written by `write_geojson` or corrected in QuPath, as a mask.

    Where polygons overlap, axon is on top; myelin may therefore be drawn as a disc under its axon.

    Parameters
    ----------
    path : path-like
        A FeatureCollection, a list of features, or a single feature.
    shape : (int, int)
        Height and width of the image, px; polygons are cut off at its border.

    Returns
    -------
    ndarray
        uint8 `[H, W]` of classes 0, 1, 2.

    Raises
    ------
    UserError
        If the file is missing or is not GeoJSON, or a feature is not an area of the class Axon or Myelin.
    """
    drawn: dict[str, list[Polygon]] = {class_name: [] for class_name in CLASSES}
    for feature in _read_features(Path(path)):
        drawn[_class_of(feature, path)] += polygons_of(feature, path)
    return fill([(polygon, value) for class_name, value in CLASSES.items() for polygon in drawn[class_name]], shape)


def fill(polygons: list[tuple[Polygon, int]], shape: tuple[int, int]) -> np.ndarray:
    """Draw polygons with their values one over another; the inverse of `trace`.

    A pixel belongs to a polygon if an odd number of its rings contains the pixel's centre. A centre exactly on an edge
    is inside if that is a left or an upper edge. The direction of rings does not matter, and they may be open.

    Parameters
    ----------
    polygons : list of (Polygon, int)
        Each with a value in 0..255.
    shape : (int, int)
        Height and width, px.

    Returns
    -------
    ndarray
        uint8 `[H, W]`, 0 outside of all polygons.

    Examples
    --------
    >>> fill([([np.array([(1, 0), (3, 0), (3, 1), (1, 1)])], 2)], (2, 4)).tolist()
    [[0, 2, 2, 0], [0, 0, 0, 0]]
    """
    geometries = []
    for polygon, value in polygons:
        rings = [np.concatenate([ring, ring[:1]]) - NUDGE for ring in polygon if len(ring) > 2]
        if rings:
            geometries.append(({"type": "Polygon", "coordinates": [ring.tolist() for ring in rings]}, value))
    if not geometries:  # rasterize refuses an empty list
        return np.full(shape, BACKGROUND, np.uint8)
    return rasterize(geometries, out_shape=shape, fill=BACKGROUND, dtype="uint8")


def polygons_of(feature: dict, path: object = "The label") -> list[Polygon]:
    """Return the polygons of a feature; raise a `UserError` about `path` if it is not an area."""
    geometry = feature.get("geometry")
    kind = geometry.get("type") if isinstance(geometry, dict) else geometry
    if kind not in ("Polygon", "MultiPolygon"):
        raise UserError(f"{path} holds an object of the shape {_shown(kind)}: draw areas, no lines and no points.")
    try:
        polygons = [geometry["coordinates"]] if kind == "Polygon" else geometry["coordinates"]
        return [[_ring(points) for points in rings] for rings in polygons if len(rings)]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(
            f"{path} holds a {kind} whose coordinates are no list of points ({error}): export it again."
        ) from error


def _ring(points: list) -> Ring:
    """Return the x and y of points, [N, 2]; a third coordinate is dropped. Raises errors of Python."""
    if not isinstance(points, list) or len(points) < 3:
        raise ValueError("an outline has fewer than three points")
    xy = [(point[0], point[1]) for point in points]
    if not all(type(value) in (int, float) and abs(value) < FARTHEST for pair in xy for value in pair):
        raise ValueError("a coordinate is no number of pixels")  # NaN is not less either
    return np.array(xy, dtype=float)


def _read_features(path: Path) -> list[dict]:
    try:
        content = json.loads(path.read_bytes())  # of any UTF, with or without a mark of byte order
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as GeoJSON ({error}): is the file there and whole?") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply for GeoJSON: export it again.") from error
    found = content.get("features", [content]) if isinstance(content, dict) else content
    if not isinstance(found, list) or not all(isinstance(feature, dict) and "geometry" in feature for feature in found):
        raise UserError(f"{path} is no GeoJSON of features: export it from QuPath as a FeatureCollection.")
    return found


def _class_of(feature: dict, path: object) -> str:
    """Return the class of a feature: QuPath writes it as text, or as an object with `name` or `names`."""
    properties = feature.get("properties")
    given = properties.get("classification") if isinstance(properties, dict) else None
    if isinstance(given, dict):
        given = given.get("name", given.get("names"))
    named = given if isinstance(given, list) else [given]
    known = {class_name.casefold(): class_name for class_name in CLASSES}
    classes = {known.get(name.strip().casefold()) if isinstance(name, str) else None for name in named}
    if len(classes) == 1 and (found := classes.pop()):
        return found
    raise UserError(f"{path} holds an object of the class {_shown(given)}: class every object as Axon or Myelin.")


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
