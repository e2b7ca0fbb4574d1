"""One image file of the user: read, described, and checked for common faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import numpy as np
from skimage.transform import resize

from histobridge.errors import UserError
from histobridge.io.images import image_of, normalise
from histobridge.io.limits import printable
from histobridge.io.pixels import read_plane
from histobridge.io.plane import Plane
from histobridge.io.resample import resample
from histobridge.io.zarr_image import ZarrLevel
from histobridge_label.export import names
from histobridge_label.pixel_size import PixelSize, Sidecars, pixel_size

THUMBNAIL = 192  # longer side, px
MAX_CLIPPED = 0.02  # share of pixels at one end of the grey scale; above it, the image is reported as clipped
FEWEST_GREYS = 8
"""An image of fewer grey values is taken for a mask, which has two to five, and a few more where a drawing tool left
traces. A camera of three bits would have eight."""
ROWS = 256  # of an image that are counted at a time
BAR_HEIGHT, BAR_SHARE = 0.04, 0.6  # lowest part of an image, and the share of one grey in it that suggests a data bar


@dataclass(frozen=True)
class ImageFile:
    """A usable image.

    Attributes
    ----------
    path : Path
        The user's file.
    name, subject : str
        The name is unique in the folder; the subject is the animal or nerve.
    um_per_px : float
        Pixel size, µm/px.
    pixel_size_source : str
        Where the pixel size comes from: the name of a sidecar, "OME metadata", "ImageJ metadata" or "stated".
    height, width : int
        In px.
    stored_as : str
        Such as `16-bit grey`.
    sha256 : str
        Of the file.
    thumbnail : ndarray, optional
        uint8 `[h, w]`; a scan of many images keeps few (see `FolderScan`).
    warnings : tuple of str
        Possible faults of the image.
    """

    path: Path
    name: str
    subject: str
    um_per_px: float
    pixel_size_source: str
    height: int
    width: int
    stored_as: str
    sha256: str
    thumbnail: np.ndarray | None = field(repr=False, default=None)
    warnings: tuple[str, ...] = ()

    def read(self) -> np.ndarray:
        """Return the image, float32 [H, W], its contrast stretched to 0..1.

        Raises
        ------
        UserError
            If the file is not what was looked at, or cannot be read any more.
        """
        plane = read_plane(self.path)
        if plane.sha256 != self.sha256:
            raise UserError(f"{self.path} has changed since it was looked at: run the same command again.")
        return normalise(image_of(plane, self.path), name=self.path)

    def at_scale(self, um_per_px: float) -> np.ndarray:
        """Return the image as a model of this pixel size (µm/px) sees it, float32 [h, w] in 0..1; raises as `read`."""
        return np.clip(resample(self.read(), self.um_per_px, um_per_px, name=self.path), 0, 1)

    @property
    def most_at_once_px(self) -> float:
        """Pixels that are in memory at a time while the image is labelled or measured: all of it."""
        return inf

    def middle(self) -> ImageFile:
        """Return what stands for the image where one picture of it is wanted: all of it."""
        return self

    def parts_to_learn_from(self, um_per_px: float) -> list[ImageFile]:
        """Return the parts that models learn from at a pixel size (µm/px): all of it, as one part."""
        return [self]


def inspect_image(path: Path, name: str, sidecars: Sidecars, um_per_px: float | None = None) -> ImageFile:
    """Read and describe an image file.

    Parameters
    ----------
    path : Path
    name : str
        Unique in the folder.
    sidecars : Sidecars
        Of the folder of the dataset.
    um_per_px : float, optional
        Pixel size; by default that of sidecars or metadata.

    Raises
    ------
    UserError
        If the image cannot be used, or its pixel size is unknown.
    """
    plane = read_plane(path)
    image = image_of(plane, path)
    check_is_no_mask(image, path)
    size = known_pixel_size(path, plane, sidecars, um_per_px)
    facts = described(path, image, plane, size, sidecars.root)
    return ImageFile(name=name, height=image.shape[0], width=image.shape[1], sha256=plane.sha256, **facts)


def check_is_no_mask(image: np.ndarray, path: Path) -> None:
    """Raise a `UserError` if an image [H, W] has so few grey values that it must be a mask."""
    if 1 < (levels := grey_levels(image, FEWEST_GREYS)) < FEWEST_GREYS:
        raise UserError(f"{path} holds {levels} grey values only: a mask? Give the image that it was drawn on.")


def described(
    path: Path, image: np.ndarray, declared: Plane | ZarrLevel, size: tuple[PixelSize, list[str]], root: Path
) -> dict:
    """Return the fields of an `ImageFile` that follow from its grey values and from what the file declares."""
    known, size_warnings = size
    return {
        "path": path,
        "subject": _subject(path, root),
        "um_per_px": known.um_per_px,
        "pixel_size_source": known.source,
        "stored_as": declared.stored_as,
        "thumbnail": _thumbnail(normalise(image, name=path)),
        "warnings": (*declared.remarks, *size_warnings, *_grey_value_warnings(image)),
    }


def known_pixel_size(
    path: Path, plane: Plane | ZarrLevel, sidecars: Sidecars, stated: float | None
) -> tuple[PixelSize, list[str]]:
    """Return the pixel size of an image, as stated or else as recorded, and a warning if the two differ.

    Raises a `UserError` if it is not known.
    """
    try:
        recorded = pixel_size(path, plane, sidecars)
    except UserError as error:
        if stated is None:
            raise
        return PixelSize(stated, "stated"), [f"{stated:g} µm/px is used, as stated; otherwise: {error}"]
    if stated is None and recorded is None:
        raise UserError("no pixel size is known: state it, such as --um-per-px 0.1; none is guessed.")
    if stated is None:
        return recorded, []
    warnings = []
    if recorded is not None and not np.isclose(recorded.um_per_px, stated, rtol=0.01):
        warnings = [f"{recorded.source} says {recorded.um_per_px:g} µm/px; {stated:g} is used, as stated"]
    return PixelSize(stated, "stated"), warnings


def _subject(path: Path, folder: Path) -> str:
    """Return the animal or nerve: from a BIDS name, else the sub-folder, else the folder."""
    if bids := names.BIDS_IMAGE.match(path.name.split(".")[0]):
        return bids["sub"]
    return printable(path.relative_to(folder).parts[0] if path.parent != folder else folder.name)


def _grey_value_warnings(image: np.ndarray) -> list[str]:
    """Warn of clipped raw grey values, and of a data bar at the lower edge."""
    warnings = []
    for end, value in (("darkest", image.min()), ("brightest", image.max())):
        share = np.count_nonzero(image == value) / image.size
        if share > MAX_CLIPPED:
            warnings.append(f"{share:.0%} of its pixels have its {end} grey: nothing can be told apart there")
    bottom = image[-max(1, round(BAR_HEIGHT * len(image))) :]
    commonest = np.median(bottom)  # if any value has more than half of the pixels
    if bottom.min() < bottom.max() and np.count_nonzero(bottom == commonest) > BAR_SHARE * bottom.size:
        warnings.append("its lower edge is mostly of one grey: crop a burnt-in bar off")
    return warnings


def grey_levels(image: np.ndarray, most: int) -> int:
    """Return how many grey values an image [H, W] holds, counted up to `most`; it is neither sorted nor copied.

    >>> grey_levels(np.array([[0, 5, 5], [0, 7, 7]]), 8), grey_levels(np.arange(99).reshape(9, 11), 8)
    (3, 8)
    """
    found: list[float] = []
    for row in range(0, len(image), ROWS):
        rest = image[row : row + ROWS].ravel()
        for value in found:
            rest = rest[rest != value]
        while rest.size and len(found) < most:
            found.append(rest[0])
            rest = rest[rest != rest[0]]
        if len(found) == most:
            break
    return len(found)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    step = max(
        1, max(image.shape) // (4 * THUMBNAIL)
    )  # means of squares first: a Gaussian of a huge image takes minutes
    rows, columns = (max(1, side // step) for side in image.shape)
    if step > 1 and min(image.shape) >= step:
        image = image[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3))
    scale = min(1.0, THUMBNAIL / max(image.shape))
    shape = [max(1, round(side * scale)) for side in image.shape]
    return np.rint(255 * resize(image, shape, order=1, anti_aliasing=True)).astype(np.uint8)
