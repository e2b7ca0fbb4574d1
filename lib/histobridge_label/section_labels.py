"""The label of a section: tiles in the cache at the pixel size of the model, read on any grid part by part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from histobridge.cache import Cache
from histobridge.io.masks import CLASS_OF_LEVEL
from histobridge.io.pixels import read_plane
from histobridge.io.progress import Report, counted
from histobridge.io.resample import resize_part, shape_at
from histobridge.tiles import Place, blocks, inside, widened
from histobridge_label.labelling import CachedLabel, folder_of_label, label_array
from histobridge_label.model import Model
from histobridge_label.native_grid import class_of_largest_share
from histobridge_label.section import BLOCK_PX, HALO_PX, Section


@dataclass(frozen=True)
class SectionLabel:
    """The label of a section.

    Attributes
    ----------
    section : Section
        The whole image.
    folder : Path
        In the cache, with a folder for each tile of `BLOCK_PX`.
    um_per_px : float
        Pixel size of the model, µm/px.
    """

    section: Section
    folder: Path
    um_per_px: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width at the pixel size of the model, px."""
        return shape_at(self.native_shape, self.section.um_per_px, self.um_per_px)

    @property
    def native_shape(self) -> tuple[int, int]:
        """Height and width on the grid of the user's image, px."""
        return self.section.height, self.section.width

    def tiles(self) -> list[tuple[Place, CachedLabel]]:
        """Return where each tile lies, and its label."""
        return [(where, CachedLabel(self.section, self._folder(where))) for where in blocks(self.shape, BLOCK_PX)]

    def mask(self, where: Place) -> np.ndarray:
        """Return rows and columns of the mask uint8 [h, w] on the grid of the user's image, as `resize_mask` does."""
        if self.shape == self.native_shape:
            return self._working("mask.png", where)

        def share(value: int) -> np.ndarray:
            return self._resized(lambda place: self._working("mask.png", place) == value, where)

        return class_of_largest_share(share, tuple(side.stop - side.start for side in where))

    def uncertainty(self, where: Place) -> np.ndarray:
        """Return rows and columns of the uncertainty float32 [h, w] on the grid of the user's image."""
        return self._resized(partial(self._working, "uncertainty.png"), where) / 255

    def _resized(self, read, where: Place) -> np.ndarray:
        return resize_part(read, self.shape, self.native_shape, where)

    def _working(self, file: str, where: Place) -> np.ndarray:
        """Return classes, or uncertainty times 255, at the pixel size of the model, put together from tiles."""
        result = np.empty([side.stop - side.start for side in where], np.uint8)
        rows, columns = (range(side.start // BLOCK_PX * BLOCK_PX, side.stop, BLOCK_PX) for side in where)
        for tile in ((slice(top, top + BLOCK_PX), slice(left, left + BLOCK_PX)) for top in rows for left in columns):
            common = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(where, tile, strict=True))
            result[inside(common, where)] = _read(self._folder(tile) / file)[inside(common, tile)]
        return result

    def _folder(self, where: Place) -> Path:
        return self.folder / f"y{where[0].start}-x{where[1].start}"


def label_section(model: Model, section: Section, cache: Cache, *, report: Report | None = None) -> SectionLabel:
    """Label a section tile by tile, unless the cache holds intact labels.

    Each tile is labelled with `HALO_PX` around it, so that tiles fit together, but for structures that are larger.

    Raises
    ------
    UserError
        If a part of the image cannot be read.
    """
    label = SectionLabel(section, folder_of_label(cache, model, section), model.um_per_px)
    waiting = [tile for tile in label.tiles() if not tile[1].is_kept]
    for where, tile in counted(waiting, lambda tile: f"labelling {section.name}, tile", report):
        tile.keep(partial(_label_tile, model, section, where, label.shape))
    return label


def _label_tile(model: Model, section: Section, where: Place, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    around = widened(where, (HALO_PX, HALO_PX), shape)
    mask, uncertain = label_array(model, partial(section.at_scale, model.um_per_px, around))
    return mask[inside(where, around)], uncertain[inside(where, around)]


@lru_cache(maxsize=32)
def _read(file: Path) -> np.ndarray:
    """Return the content of a file of a tile, uint8 [h, w]; those that were read last stay in memory (4 MiB each)."""
    values = read_plane(file).values
    return CLASS_OF_LEVEL[values] if file.name == "mask.png" else values
