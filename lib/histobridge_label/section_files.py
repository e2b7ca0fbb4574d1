"""What is written of a labelled section: OME-Zarr, tables, and the doubtful parts that are handed off for correction.

`OUT/sections/NAME` holds `NAME.ome.zarr` (the image, 8 bits, with the labels `axon-myelin` and `fibres`),
`uncertainty.ome.zarr`, `fibres.csv`, `summary.csv` and `review_order.csv`; `section.json` comes last.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.cache import Cache
from histobridge.errors import BrokenError, OutputError
from histobridge.io.files import DRAFT, read_json, read_table, write_json, write_table
from histobridge.io.kept import fits_seal, seal, set_aside
from histobridge.io.progress import counted
from histobridge.io.resample import resample_mask
from histobridge.io.zarr_pyramid import Pyramid, create_image, create_label, first_of_four, mean_of_four
from histobridge.items import Account
from histobridge.measure import DECIMALS
from histobridge.metrics import review_order
from histobridge.metrics.morphometrics import fibres_with_map, summary_of_counts
from histobridge.tiles import Place, blocks, inside, widened
from histobridge_label.export.geojson import CLASSES, COLOURS
from histobridge_label.model import Model
from histobridge_label.section import BLOCK_PX, FIBRE_HALO_PX, MOST_HALO_PX, Section
from histobridge_label.section_labels import SectionLabel, label_section

SECTIONS, CARD = "sections", "section.json"
TABLES = ("fibres", "summary", "review_order")
CLASS_LABEL, FIBRE_LABEL = "axon-myelin", "fibres"
PART_PX, PARTS = 1024, 6
"""Side and number of the most uncertain parts that are handed off."""


@dataclass(frozen=True)
class SectionFiles:
    """What was written of a section.

    Attributes
    ----------
    label : SectionLabel
    folder : Path
    fibres, summary, review_order : DataFrame
        A row for each fibre, one for the section, and one for each tile, the most uncertain first.
    """

    label: SectionLabel
    folder: Path
    fibres: pd.DataFrame
    summary: pd.DataFrame
    review_order: pd.DataFrame

    @property
    def zarr(self) -> Path:
        """The image with its labels."""
        return self.folder / f"{self.label.section.name}.ome.zarr"

    def doubtful_parts(self) -> list[PartLabel]:
        """Return the labels of the `PARTS` most uncertain parts; of a small section, the label of all of it."""
        section = self.label.section
        if max(section.height, section.width) <= 2 * PART_PX:
            return [PartLabel(section, self)]
        tiles, side = self.review_order, PART_PX
        places = [tiles["top_px"] // side * side, tiles["left_px"] // side * side]
        chosen = tiles.groupby(places)["uncertainty"].mean().nlargest(PARTS).index
        return [PartLabel(self._part(top, left), self) for top, left in chosen]

    def _part(self, top: int, left: int) -> Section:
        section = self.label.section
        lengths = section.height, section.width
        starts = [max(0, min(start, length - PART_PX)) for start, length in zip((top, left), lengths, strict=True)]
        where = tuple(slice(a, min(a + PART_PX, length)) for a, length in zip(starts, lengths, strict=True))
        return section.part(where, f"{section.name}-y{where[0].start}-x{where[1].start}")


@dataclass(frozen=True)
class PartLabel:
    """The label of a part of a section, which is handed off like that of an image (`labelling.CachedLabel`)."""

    image: Section
    files: SectionFiles

    @property
    def folder(self) -> Path:
        """Where pictures of the part may be kept."""
        return self.files.label.folder / self.image.name

    def at_native_grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mask uint8 [H, W] and uncertainty float32 [H, W] of the part."""
        return self.files.label.mask(self.image.where), self.files.label.uncertainty(self.image.where)

    def working_mask(self) -> np.ndarray:
        """Return the mask uint8 [h, w] at the pixel size of the model."""
        return resample_mask(self.at_native_grid()[0], self.image.um_per_px, self.files.label.um_per_px)


def label_sections(
    model: Model, sections: Iterable[Section], out: Path, cache: Cache, account: Account
) -> list[SectionFiles]:
    """Label sections block by block and write their files; those with a fault are skipped in the account."""
    written = []
    for section in sections:
        with account.item(section.path):
            label = label_section(model, section, cache)
            written.append(write_section(label, out))
    return written


def write_section(label: SectionLabel, out: Path) -> SectionFiles:
    """Write all files of a labelled section, unless they are there; labels that somebody has edited are set aside.

    Parameters
    ----------
    label : SectionLabel
    out : Path
        The folder of all results.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    UserError
        If the image cannot be read, or has changed since it was looked at.
    """
    section = label.section
    folder, made_from = out / SECTIONS / section.name, label.folder.name  # which holds a hash of what decides it
    if (there := _read_card(folder)).get("made_from") != made_from:
        with _new_folder(folder) as draft:
            _write(label, draft)
            for name in TABLES:
                seal(draft / f"{name}.csv")
            write_json(draft / CARD, {"made_from": made_from, "labels": _checksum(draft, section.name)})
            _make_room(folder, section.name, there)
    tables = {name: read_table(folder / f"{name}.csv") for name in TABLES}
    return SectionFiles(label, folder, **tables)


def _read_card(folder: Path) -> dict:
    """Return what is known of the files of an earlier run; nothing, if a table is missing or not as it was written."""
    try:
        card = read_json(folder / CARD, fields=("made_from", "labels"))
    except BrokenError:
        return {}
    return card if all(fits_seal(folder / f"{name}.csv") for name in TABLES) else card | {"made_from": None}


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Yield a draft that gets its name once it is complete; a fault of the disk is one of the place of results."""
    draft = folder.parent / f"{DRAFT}{secrets.token_hex(8)}" / folder.name  # seals hold the name of the folder
    try:
        draft.mkdir(parents=True)
        yield draft
        os.replace(draft, folder)
    except OSError as error:
        raise OutputError(f"Could not write {folder} ({error.strerror or error}): free some space.") from error
    finally:
        shutil.rmtree(draft.parent, ignore_errors=True)


def _make_room(folder: Path, name: str, card: dict) -> None:
    """Remove the files of an earlier run; set them aside if labels were edited or anything was added."""
    if not folder.exists():
        return
    if card and _checksum(folder, name) == card["labels"]:
        shutil.rmtree(folder)
    else:
        set_aside(folder, "was edited", "new labels are written")


def _checksum(folder: Path, name: str) -> str:
    """Return a checksum of the labels in the folder of a section, and of what lies there; empty if it is not whole."""
    import zarr

    labels = folder / f"{name}.ome.zarr" / "labels"
    try:
        lying_there = sorted({CARD} | {path.name for place in (folder, labels) for path in place.iterdir()})
        sha = hashlib.sha256("/".join(lying_there).encode())
        for array in (zarr.open_group(labels, mode="r")[f"{label}/0"] for label in (CLASS_LABEL, FIBRE_LABEL)):
            for where in blocks(array.shape, BLOCK_PX):
                sha.update(np.ascontiguousarray(array[where]))
    except Exception:  # whatever is wrong with it, it is not what was written
        return ""
    return sha.hexdigest()


# --- Block by block -------------------------------------------------------------------------------------


def _write(label: SectionLabel, draft: Path) -> None:
    """Write images, labels and tables of a section."""
    section, um = label.section, label.section.um_per_px
    image = create_image(draft / f"{section.name}.ome.zarr", label.native_shape, um, section.name)
    colours = {name: (value, COLOURS[name]) for name, value in CLASSES.items()}
    classes = create_label(image, CLASS_LABEL, np.uint8, um, colours)
    instances = create_label(image, FIBRE_LABEL, np.uint32, um)
    uncertain = create_image(draft / "uncertainty.ome.zarr", label.native_shape, um, "uncertainty")

    halo = round(min(MOST_HALO_PX, FIBRE_HALO_PX * max(1, label.um_per_px / um)))
    pixels, tables, orders = np.zeros(3, np.int64), [], []
    numbers = range(len(list(blocks(label.native_shape, BLOCK_PX))))
    progress = counted(numbers, lambda _: f"writing {section.name}, block")
    for (where, grey), _ in zip(section.blocks(), progress, strict=True):
        around = widened(where, (halo, halo), label.native_shape)
        mask, doubt = label.mask(around), label.uncertainty(where)
        core = mask[inside(where, around)]
        image.finest[where], uncertain.finest[where] = (np.rint(255 * values) for values in (grey, doubt))
        classes.finest[where] = core
        tables.append(_add_fibres(instances, mask, around, where, um, sum(map(len, tables))))
        orders.append(_tiles(section.name, doubt, where))
        pixels += np.bincount(core.ravel(), minlength=3)

    for pyramid in (image, uncertain):
        pyramid.finish(mean_of_four)
    for pyramid in (classes, instances):
        pyramid.finish(first_of_four)
    _write_tables(draft, section, tables, orders, pixels)


def _add_fibres(
    instances: Pyramid, mask: np.ndarray, around: Place, where: Place, um_per_px: float, number: int
) -> pd.DataFrame:
    """Measure the fibres whose axon's centroid lies in a block, and add them to the map, numbered from `number` + 1.

    A fibre that reaches the border of what is seen around the block counts as cut, as at the border of the image.
    """
    table, territory, in_map = fibres_with_map(mask, um_per_px)
    table[["y_px", "x_px"]] = (table[["y_px", "x_px"]] + [side.start for side in around]).round(6)
    inside_rows, inside_columns = (
        table[column].between(side.start - 0.5, side.stop - 0.5, inclusive="left")
        for column, side in zip(("y_px", "x_px"), where, strict=True)
    )
    own = inside_rows & inside_columns
    numbers = np.zeros(territory.max(initial=0) + 1, np.uint32)
    numbers[in_map[own]] = number + 1 + np.arange(own.sum())
    if own.any():
        found, there = numbers[territory], instances.finest[around]
        instances.finest[around] = np.where(there == 0, found, there)
    return table[own].assign(fibre=numbers[in_map[own]])


def _tiles(name: str, uncertain: np.ndarray, where: Place) -> pd.DataFrame:
    order = review_order({name: uncertain}).drop(columns="image_uncertainty")
    return order.assign(
        top_px=order["top_px"] + where[0].start, left_px=order["left_px"] + where[1].start, n=uncertain.size
    )


def _write_tables(draft: Path, section: Section, tables: list, orders: list, pixels: np.ndarray) -> None:
    filled = [table for table in tables if len(table)] or tables[:1]  # empty ones would change types of columns
    single = pd.concat(filled, ignore_index=True)
    summary = {"image": section.name} | summary_of_counts(pixels, single, section.um_per_px)
    single.insert(0, "image", section.name)
    order = pd.concat(orders)
    order["image_uncertainty"] = np.average(order["uncertainty"], weights=order.pop("n"))
    order = order.sort_values("uncertainty", ascending=False, kind="stable")
    for name, table in zip(TABLES, (single, pd.DataFrame([summary]), order), strict=True):
        write_table(draft / f"{name}.csv", table.round(DECIMALS))
