"""A section: an OME-Zarr image, which may be larger than the memory and is read part by part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from histobridge.errors import UserError
from histobridge.io.images import check_finite, stretch_limits, stretched
from histobridge.io.resample import resize_part, shape_at
from histobridge.io.zarr_image import ZarrLevel, open_zarr
from histobridge.tiles import Place, blocks
from histobridge_label.image_file import ImageFile, check_is_no_mask, described, known_pixel_size
from histobridge_label.pixel_size import Sidecars

BLOCK_PX = 2048
"""Side of the blocks in which a section is read."""
HALO_PX = 256
"""What a model sees around a block, at the working scale."""
FIBRE_HALO_PX, MOST_HALO_PX = 128, 1024
"""What is seen around a block while its fibres are measured: at the working scale, where a typical axon has 40 px; and
at most, on the grid of the image, which bounds the memory."""
MOST_SAMPLED = 2**24
"""Pixels, evenly spaced, of which grey values are taken: all of an image of 4096 px a side."""
SAMPLE_PX = 4096
"""Side of the middle part that stands for a section where one picture of it is wanted."""
LEARNED_PX, LEARNED_SIDE = 1024, 3
"""Side of the parts, at the working scale, that models learn from, and how many there are along each side."""


@dataclass(frozen=True)
class Section(ImageFile):
    """A part of an OME-Zarr image, or all of it; see `ImageFile`. Height and width are those of the part.

    Attributes
    ----------
    level : int
        Of the pyramid.
    limits : tuple of float
        The grey values, of the whole image, that become 0 and 1.
    where : tuple of slice
        Rows and columns of the part in the image.
    """

    level: int = 0
    limits: tuple[float, float] = (0.0, 1.0)
    where: Place = (slice(0, 0), slice(0, 0))

    @cached_property
    def _level(self) -> ZarrLevel:
        return open_zarr(self.path, self.level)

    @property
    def most_at_once_px(self) -> float:
        """Pixels that are in memory at a time while the section is labelled or measured."""
        return (BLOCK_PX + 2 * MOST_HALO_PX) ** 2

    def blocks(self) -> Iterator[tuple[Place, np.ndarray]]:
        """Yield places of the whole image and what `read` makes of them.

        Raises a `UserError` after the last one, if the image has changed since it was looked at.
        """
        checksum = Checksum(self._level)
        for where in blocks(self._level.shape, BLOCK_PX):
            values = self._level.read(where)
            checksum.add(values)
            yield where, stretched(values, self.limits)
        if checksum.text != self.sha256:
            raise UserError(f"{self.path} has changed since it was looked at: run the same command again.")

    def read(self) -> np.ndarray:
        """Return the part, float32 [H, W], in the contrast that is stretched to 0..1 over the whole image."""
        return self.read_at((slice(0, self.height), slice(0, self.width)))

    def read_at(self, where: Place) -> np.ndarray:
        """Return rows and columns of the part as `read` does; raise a `UserError` if they cannot be read any more."""
        place = tuple(slice(a.start + b.start, a.stop + b.start) for a, b in zip(where, self.where, strict=True))
        return stretched(self._level.read(place), self.limits)

    def part(self, where: Place, name: str) -> Section:
        """Return rows and columns of this part as a part of its own."""
        place = tuple(slice(a.start + b.start, a.stop + b.start) for a, b in zip(where, self.where, strict=True))
        height, width = (side.stop - side.start for side in where)
        return replace(self, name=name, height=height, width=width, where=place, thumbnail=None)

    def middle(self, side: int = SAMPLE_PX) -> Section:
        """Return the central square of `side` px, or all of a shorter side."""
        return self.part(tuple(_central(length, side) for length in (self.height, self.width)), self.name)

    def parts_to_learn_from(self, um_per_px: float) -> list[ImageFile]:
        """Return the middles of `LEARNED_SIDE` by `LEARNED_SIDE` equal fields: `LEARNED_PX` a side at a pixel size.

        A section that is not larger than one field is one part.
        """
        side = round(LEARNED_PX * um_per_px / self.um_per_px)
        counts = [max(1, min(LEARNED_SIDE, length // side)) for length in (self.height, self.width)]
        rows, columns = (
            [_central(length // n, side, number * (length // n)) for number in range(n)]
            for length, n in zip((self.height, self.width), counts, strict=True)
        )
        return [self.part((r, c), f"{self.name}-y{r.start}-x{c.start}") for r in rows for c in columns]

    def at_scale(self, um_per_px: float, where: Place | None = None) -> np.ndarray:
        """Return a place (all, by default) of the part resampled to a pixel size, float32 [h, w] in 0..1."""
        shape = shape_at((self.height, self.width), self.um_per_px, um_per_px, self.path)
        where = where or (slice(0, shape[0]), slice(0, shape[1]))
        return np.clip(resize_part(self.read_at, (self.height, self.width), shape, where), 0, 1)


def split_sections(images: Iterable[ImageFile]) -> tuple[list[Section], list[ImageFile]]:
    """Return the sections among images, and the others.

    >>> split_sections([])
    ([], [])
    """
    images = list(images)
    return [i for i in images if isinstance(i, Section)], [i for i in images if not isinstance(i, Section)]


def _central(length: int, side: int, begin: int = 0) -> slice:
    start = begin + max(0, (length - side) // 2)
    return slice(start, start + min(length, side))


def inspect_section(
    path: Path, name: str, sidecars: Sidecars, um_per_px: float | None = None, *, level: int = 0
) -> Section:
    """Read all of an OME-Zarr image once, block by block, and describe it.

    Parameters and errors are those of `image_file.inspect_image`; `level` is that of the pyramid, and the pixel size
    is that of this level.
    """
    opened = open_zarr(path, level)
    size = known_pixel_size(path, opened, sidecars, um_per_px)
    sampled, sha256 = survey(opened)
    check_is_no_mask(sampled, path)
    height, width = opened.shape
    where = slice(0, height), slice(0, width)
    limits = tuple(float(limit) for limit in stretch_limits(sampled, path))
    facts = described(path, sampled, opened, size, sidecars.root)
    mine = {"name": name, "height": height, "width": width, "sha256": sha256}
    return Section(**mine, level=level, limits=limits, where=where, **facts)


class Checksum:
    """A checksum of an image that is read block by block, in the order of `blocks`; it is that of the pixels."""

    def __init__(self, level: ZarrLevel):
        self._sha = hashlib.sha256(f"{level.dtype.str}{level.shape}".encode())

    def add(self, values: np.ndarray) -> None:
        """Add the next block."""
        self._sha.update(np.ascontiguousarray(values))

    @property
    def text(self) -> str:
        """The checksum."""
        return self._sha.hexdigest()


def survey(level: ZarrLevel) -> tuple[np.ndarray, str]:
    """Read all of an image once: return evenly spaced pixels of it, float32 [h, w], and its checksum.

    Raises
    ------
    UserError
        If a chunk is damaged, or a pixel is NaN or infinite.
    """
    step = int(np.ceil(np.sqrt(max(1, level.shape[0] * level.shape[1] / MOST_SAMPLED))))
    sampled = np.empty([-(-side // step) for side in level.shape], np.float32)
    checksum = Checksum(level)
    for where in blocks(level.shape, BLOCK_PX):
        values = level.read(where)
        if values.dtype.kind == "f":
            check_finite(values, level.path)
        checksum.add(values)
        first = [-side.start % step for side in where]
        some = values[first[0] :: step, first[1] :: step]
        top, left = (-(-side.start // step) for side in where)
        sampled[top : top + some.shape[0], left : left + some.shape[1]] = some
    return sampled, checksum.text
