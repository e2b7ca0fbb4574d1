"""Axons and outer borders of fibres as ROIs for Fiji: a zip that the ROI Manager opens and saves.

Coordinates are those of `geojson`: px from the upper left corner of the image, along the edges of pixels, as ImageJ
traces an area. Two ROIs stand for a fibre: `fibre 12 axon`, and `fibre 12 outer`, which is axon and myelin together. An
area in several pieces or with holes is a composite ROI. So a mask can be read back without the loss of a pixel; ROIs
that were drawn in Fiji are read to within the rasterisation of one pixel at their border.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi
from skimage.measure import label

from histobridge.classes import AXON, MYELIN
from histobridge.errors import UserError
from histobridge.io.files import atomic_write
from histobridge.io.limits import check_memory
from histobridge_label.export.geojson import COLOURS, FARTHEST, Polygon, fill, trace

AREAS = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED, ROI_TYPE.RECT, ROI_TYPE.OVAL)
CLASS_WORDS = {"axon": AXON, "outer": MYELIN, "myelin": MYELIN}
"""What the name of a ROI holds, and the class that its area is drawn with; axons are drawn last, so they are on top."""
DATE = 1980, 1, 1, 0, 0, 0
"""Of each entry of a zip, so that equal ROIs give equal files."""
MOVE, LINE, CLOSE = 0, 1, 4
"""Steps of the outline of a composite ROI."""


def write_rois(path: str | os.PathLike, mask: np.ndarray, fibres: np.ndarray) -> None:
    """Write a mask as a zip of ROIs: the outer border and the axon of each fibre, then pieces of no fibre.

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
    with atomic_write(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for roi in rois(mask, fibres):
            archive.writestr(zipfile.ZipInfo(f"{roi.name}.roi", DATE), roi.tobytes(), zipfile.ZIP_DEFLATED)


def rois(mask: np.ndarray, fibres: np.ndarray) -> Iterator[ImagejRoi]:
    """Yield the ROIs of a mask; see `write_rois` for the parameters."""
    axon, foreground = mask == AXON, mask > 0
    numbers = fibres.astype(np.int32)
    yield from _named(np.where(foreground, numbers, 0), "fibre {} outer")
    yield from _named(np.where(axon, numbers, 0), "fibre {} axon")
    for value, words in ((MYELIN, "piece {} myelin"), (AXON, "piece {} axon")):
        yield from _named(label((mask == value) & (numbers == 0), connectivity=2), words)


def _named(numbers: np.ndarray, words: str) -> Iterator[ImagejRoi]:
    colour = bytes([255, *COLOURS["Axon" if words.endswith("axon") else "Myelin"]])
    for number, polygons in trace(numbers.astype(np.int32)):
        roi = _roi(polygons)
        roi.name, roi.stroke_color = words.format(number), colour
        yield roi


def _roi(polygons: list[Polygon]) -> ImagejRoi:
    """Return an area as a traced ROI, or as a composite one if it has several outlines."""
    rings = [ring[:-1] for polygon in polygons for ring in polygon]
    roi = ImagejRoi.frompoints(np.concatenate(rings))
    roi.options &= ROI_OPTIONS.SUB_PIXEL_RESOLUTION  # of images too wide for 16 bits
    if len(rings) == 1:
        roi.roitype = ROI_TYPE.TRACED
        return roi
    roi.roitype = ROI_TYPE.RECT
    roi.right, roi.bottom = roi.right - 1, roi.bottom - 1  # of the outline; points have a size of 1
    roi.integer_coordinates = roi.subpixel_coordinates = None
    roi.n_coordinates = 0
    roi.multi_coordinates = np.concatenate([_steps(ring) for ring in rings]).astype(np.float32)
    roi.shape_roi_size = len(roi.multi_coordinates)
    return roi


def _steps(ring: np.ndarray) -> np.ndarray:
    """Return the outline of a composite ROI along a ring: MOVE x y, LINE x y, ..., CLOSE."""
    kinds = np.full((len(ring), 1), LINE)
    kinds[0] = MOVE
    return np.append(np.hstack([kinds, ring]).ravel(), CLOSE)


# --- Reading --------------------------------------------------------------------------------------------


def read_rois(path: str | os.PathLike, shape: tuple[int, int]) -> np.ndarray:
    """Read ROIs of axons and outer borders, written by `write_rois` or corrected in Fiji, as a mask.

    The name of a ROI says what it is: it holds the word `axon`, or `outer` or `myelin`. Axons are on top.

    Parameters
    ----------
    path : path-like
        A zip of the ROI Manager, or a single `.roi`.
    shape : (int, int)
        Height and width of the image, px; areas are cut off at its border.

    Returns
    -------
    ndarray
        uint8 `[H, W]` of classes 0, 1, 2.

    Raises
    ------
    UserError
        If the file is missing or holds no ROIs, or a ROI is no area or has another name.
    """
    drawn: dict[int, list[Polygon]] = {MYELIN: [], AXON: []}
    for name, content in _entries(Path(path)):
        roi = _decoded(content, name, path)
        drawn[_class_of(roi.name or name, path)].append(_rings(roi, path))
    return fill([(polygon, value) for value, polygons in drawn.items() for polygon in polygons], shape)


def _entries(path: Path) -> list[tuple[str, bytes]]:
    """Return the name and the content of each ROI in a file."""
    try:
        if not zipfile.is_zipfile(path):
            return [(path.stem, path.read_bytes())]
        with zipfile.ZipFile(path) as archive:
            found = [entry for entry in archive.infolist() if entry.filename.lower().endswith(".roi")]
            check_memory(2 * sum(entry.file_size for entry in found), path)  # no more than that comes out
            rois = [(Path(entry.filename).stem, archive.read(entry)) for entry in found]
            is_empty = not archive.namelist()  # as Fiji and `write_rois` write no ROI at all
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} cannot be read as ROIs ({error}): save it again in the ROI Manager of Fiji."
        ) from error
    if not rois and not is_empty:
        raise UserError(f"{path} holds files, but no ROIs: save it in the ROI Manager of Fiji.")
    return rois


def _decoded(content: bytes, name: str, path: object) -> ImagejRoi:
    try:
        return ImagejRoi.frombytes(content)
    except Exception as error:  # of a library that trusts its files
        raise UserError(
            f"{path} holds '{name}', which is no ROI of ImageJ: save it again in the ROI Manager."
        ) from error


def _class_of(name: str, path: object) -> int:
    words = set(re.findall(r"[a-z]+", name.casefold()))
    classes = {value for word, value in CLASS_WORDS.items() if word in words}
    if len(classes) != 1:
        raise UserError(f"{path} holds a ROI called '{name}': name each ROI as an axon or an outer, as in 'new axon'.")
    return classes.pop()


def _rings(roi: ImagejRoi, path: object) -> Polygon:
    """Return the outlines of a ROI; raise a `UserError` about `path` if it is not an area."""
    if roi.roitype not in AREAS:
        kind = roi.roitype.name.lower()
        raise UserError(f"{path} holds the ROI '{roi.name}', which is a {kind}: draw areas, no lines and no points.")
    try:
        rings = [np.asarray(ring, dtype=float) for ring in roi.coordinates(multi=True)]
    except Exception as error:  # curves, or outlines that are none
        raise UserError(f"{path} holds the ROI '{roi.name}', whose outline cannot be read ({error}).") from error
    if not all(ring.ndim == 2 and np.isfinite(ring).all() and (abs(ring) < FARTHEST).all() for ring in rings):
        raise UserError(f"{path} holds the ROI '{roi.name}', whose outline is no list of points: draw it again.")
    return rings
