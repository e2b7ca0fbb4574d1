"""Write a hand-off: a BIDS derivative dataset that annotation tools open without conversion."""

from __future__ import annotations

import contextlib
import datetime
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge import __version__
from histobridge.classes import AXON, MYELIN
from histobridge.errors import UserError, one_of
from histobridge.io.files import DRAFT, sha256_of, write_json, write_table
from histobridge.io.images import write_image
from histobridge.io.limits import printable
from histobridge.io.masks import check_same_size, write_mask
from histobridge.io.resample import check_pixel_size
from histobridge.items import Account
from histobridge.metrics import review_order
from histobridge_label.export import bids, names
from histobridge_label.export.earlier import make_room, refuse_to_lose, set_tables_aside
from histobridge_label.export.geojson import write_geojson
from histobridge_label.export.instances import fibre_labels, write_instances
from histobridge_label.export.read import (
    CHECKSUMS,
    SIDECAR,
    Handoff,
    read_handoff,
    read_provenance,
)
from histobridge_label.export.rois import write_rois

ENDINGS = (".png", SIDECAR, *names.ENDINGS)
"""Of the files of one image."""


@dataclass(frozen=True)
class Labelled:
    """One image with its label, on the pixel grid of the user's file.

    Attributes
    ----------
    name, subject : str
        Of the image (its file without ending) and of the animal or nerve; any text.
    image : ndarray
        float32 `[H, W]` in 0..1.
    mask : ndarray
        uint8 `[H, W]`: 0 background, 1 myelin, 2 axon.
    uncertainty : ndarray
        float32 `[H, W]` in 0..1, of `calibration.uncertainty`.
    um_per_px : float
        Pixel size, µm/px.
    source : Path, optional
        The user's file, if there is one.
    modality : str, optional
        One of `names.MODALITIES`, such as TEM, SEM or BF; BIDS requires it in the name of an image.
    """

    name: str
    subject: str
    image: np.ndarray
    mask: np.ndarray
    uncertainty: np.ndarray
    um_per_px: float
    source: Path | None = None
    modality: str | None = None


def write_handoff(
    folder: Path, labelled: Iterable[Labelled], provenance: dict, *, account: Account | None = None
) -> Handoff:
    """Write images and their labels as a BIDS derivative dataset, one image after another.

    For every image: the image itself (8 bits), the combined and the single masks as AxonDeepSeg names them, an instance
    map, polygons for QuPath, ROIs for Fiji, the uncertainty and the pixel size. At the top: `review_order.csv`,
    `images.tsv`, `provenance.json`, a script for QuPath and the files of BIDS. Each file is written atomically,
    `provenance.json` last: its presence marks a complete hand-off. An earlier hand-off in the folder is replaced,
    unless one of its files was edited; one without its provenance, and tables that were changed, are set aside.

    Parameters
    ----------
    folder : Path
        New, empty, or an earlier hand-off.
    labelled : iterable of Labelled
        May be a generator; one image is in memory at a time.
    provenance : dict
        How the labels were made (settings and the like), as plain values. Files and checksums are added.
    account : Account, optional
        If given, an image with a fault is skipped in it, by its source; else the fault is raised.

    Returns
    -------
    Handoff
        `images` has one row per image: `image` (its name in the hand-off), `folder`, `participant_id`, `sample_id`,
        `name` and `subject` (as given), `source`, `width_px`, `height_px`, `um_per_px` and `n_fibres`, the number of
        fibres, which includes axons without myelin.

    Raises
    ------
    UserError
        If there is no image; a shape, pixel size or modality is wrong; the folder cannot be written, or holds another
        dataset or edited files.
    """
    folder = Path(folder)
    refuse_to_lose(folder)
    image_names, rows, orders, sources, has_room = names.Names(), [], [], {}, False
    for item in labelled:
        with account.item(item.source or item.name) if account is not None else contextlib.nullcontext():
            _check(item)
            if not has_room:  # an earlier hand-off stays until there is a valid image to replace it
                make_room(folder)
                has_room = True
            name = image_names.add(item.name, item.subject, item.modality)
            with _removed_on_failure(folder, name):
                row = _row(name, item, n_fibres=_write_image_files(folder, name, item))
            order = review_order({name.image: item.uncertainty})
            sources[name.image] = sha256_of(item.source) if item.source and Path(item.source).is_file() else None
            rows.append(row)  # last: an image with a fault is not part of the hand-off
            orders.append(order)
    if not rows:
        raise UserError("There is no image to hand off: label some first.")
    order = pd.concat(orders).sort_values("uncertainty", ascending=False, kind="stable")
    write_table(folder / names.REVIEW_ORDER, order.round(5))
    images = pd.DataFrame(rows)
    bids.write_bids_files(folder, images)
    _write_provenance(folder, provenance, images, sources)
    return read_handoff(folder)


def _check(item: Labelled) -> None:
    name = item.source or item.name
    check_pixel_size(item.um_per_px, name)
    check_same_size(item.image.shape, item.mask.shape, name)
    if item.uncertainty.shape != item.image.shape:
        raise UserError(f"The uncertainty of {name} has the shape {item.uncertainty.shape}, not that of its image.")
    if item.modality is not None:
        one_of("modality of BIDS", item.modality, names.MODALITIES)


@contextlib.contextmanager
def _removed_on_failure(folder: Path, name: names.ImageName) -> Iterator[None]:
    """Remove the files of an image if they are not all written: only a table of images lists what belongs together."""
    try:
        yield
    except Exception:
        for ending in ENDINGS:
            with contextlib.suppress(OSError):
                (folder / name.folder / f"{name.image}{ending}").unlink()
        raise


def _write_image_files(folder: Path, name: names.ImageName, item: Labelled) -> int:
    """Write the files of one image; return the number of its fibres."""
    fibres = fibre_labels(item.mask, item.um_per_px)
    stem = str(folder / name.folder / name.image)
    write_image(f"{stem}.png", item.image)
    write_json(f"{stem}{SIDECAR}", {"PixelSize": [float(item.um_per_px)] * 2, "PixelSizeUnits": "um"})
    write_mask(stem + names.COMBINED, item.mask)
    for ending, value in ((names.AXON, AXON), (names.MYELIN, MYELIN)):
        write_image(stem + ending, (item.mask == value).astype(np.float32))
    write_image(stem + names.UNCERTAINTY, item.uncertainty)
    write_instances(stem + names.INSTANCES, fibres, item.um_per_px)
    write_geojson(stem + names.FIBRES, item.mask, fibres)
    write_rois(stem + names.ROIS, item.mask, fibres)
    return int(fibres.max(initial=0))


def _row(name: names.ImageName, item: Labelled, *, n_fibres: int) -> dict:
    return {
        "image": name.image,
        "folder": name.folder,
        "participant_id": name.participant,
        "sample_id": name.sample,
        "name": printable(item.name),
        "subject": printable(item.subject),
        "source": printable(item.source or ""),
        "width_px": item.mask.shape[1],
        "height_px": item.mask.shape[0],
        "um_per_px": float(item.um_per_px),
        "n_fibres": n_fibres,
    }


def _write_provenance(folder: Path, provenance: dict, images: pd.DataFrame, sources: dict[str, str | None]) -> None:
    """Write how the labels were made, with the checksum of every other file."""
    files = [*bids.FILES, names.REVIEW_ORDER]
    files += [f"{row.folder}/{row.image}{ending}" for row in images.itertuples() for ending in ENDINGS]
    added = {
        "histobridge": __version__,
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sources_sha256": sources,
        CHECKSUMS: {name: sha256_of(folder / name) for name in files},
    }
    write_json(folder / names.PROVENANCE, {**provenance, **added})


# --- An earlier hand-off --------------------------------------------------------------------------------


def complete_handoff(folder: Path, labelled: Iterable[Labelled]) -> Handoff:
    """Write the missing files of a hand-off again, from the same labels; files that somebody has edited stay.

    Tables of the program's own that were changed are set aside first. All of this is told.

    Parameters
    ----------
    folder : Path
        A hand-off with its provenance.
    labelled : iterable of Labelled
        Of the labels that it was made from. Nothing is taken from it if no file is missing.

    Raises
    ------
    UserError
        If the folder cannot be written; a `BrokenError` if there is no provenance.
    """
    folder, provenance = Path(folder), read_provenance(folder)
    set_tables_aside(folder, provenance[CHECKSUMS])
    missing = dict.fromkeys(name for name in provenance[CHECKSUMS] if not (folder / name).exists())
    if missing:
        first = next(iter(missing))
        print(f"{len(missing)} files of {folder} are missing ({first}): they are written again.", flush=True)
        with tempfile.TemporaryDirectory(prefix=DRAFT, dir=folder.parent) as draft:
            fresh = write_handoff(Path(draft) / "handoff", labelled, {})
            _move(missing, fresh, folder)
        kept = {name: sha for name, sha in provenance[CHECKSUMS].items() if name not in missing}
        again = {name: sha for name, sha in fresh.provenance[CHECKSUMS].items() if name in missing}
        write_json(folder / names.PROVENANCE, provenance | {CHECKSUMS: kept | again})
    return read_handoff(folder)


def _move(wanted: Iterable[str], fresh: Handoff, folder: Path) -> None:
    for name in wanted:
        if (fresh.folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(fresh.folder / name, folder / name)
