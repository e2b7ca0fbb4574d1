"""Write a hand-off: a BIDS derivative dataset that annotation tools open without conversion."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge import __version__
from histobridge.classes import AXON, MYELIN
from histobridge.errors import UserError, one_of
from histobridge.io.files import sha256_of, write_json, write_table
from histobridge.io.images import write_image
from histobridge.io.masks import check_same_size, write_mask
from histobridge.io.resample import check_pixel_size
from histobridge.metrics import review_order
from histobridge_label.export import bids, names
from histobridge_label.export.geojson import write_geojson
from histobridge_label.export.instances import fibre_labels, write_instances
from histobridge_label.export.read import Handoff, changed_files, is_handoff, read_handoff


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


def write_handoff(folder: Path, labelled: Iterable[Labelled], provenance: dict) -> Handoff:
    """Write images and their labels as a BIDS derivative dataset, one image after another.

    For every image: the image itself (8 bits), the combined and the single masks as AxonDeepSeg names them, an instance
    map, polygons for QuPath, the uncertainty and the pixel size. At the top: `review_order.csv`, `images.tsv`,
    `provenance.json` and the files of BIDS. Each file is written atomically, `provenance.json` last: its presence marks
    a complete hand-off. An earlier hand-off in the folder is replaced, unless one of its files was edited.

    Parameters
    ----------
    folder : Path
        New, empty, or an earlier hand-off.
    labelled : iterable of Labelled
        May be a generator; one image is in memory at a time.
    provenance : dict
        How the labels were made (settings and the like), as plain values. Files and checksums are added.

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
    earlier = _replaceable_files(folder)
    image_names, rows, orders, sources = names.Names(), [], [], {}
    for item in labelled:
        _check(item)
        if not rows:  # an earlier hand-off stays until there is a valid image to replace it
            _remove(folder, earlier)
        name = image_names.add(item.name, item.subject, item.modality)
        rows.append(_row(name, item, n_fibres=_write_image_files(folder, name, item)))
        orders.append(review_order({name.image: item.uncertainty}))
        sources[name.image] = sha256_of(item.source) if item.source and Path(item.source).is_file() else None
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


def _write_image_files(folder: Path, name: names.ImageName, item: Labelled) -> int:
    """Write the files of one image; return the number of its fibres."""
    fibres = fibre_labels(item.mask, item.um_per_px)
    stem = str(folder / name.folder / name.image)
    write_image(f"{stem}.png", item.image)
    write_json(f"{stem}.json", {"PixelSize": [float(item.um_per_px)] * 2, "PixelSizeUnits": "um"})
    write_mask(stem + names.COMBINED, item.mask)
    for ending, value in ((names.AXON, AXON), (names.MYELIN, MYELIN)):
        write_image(stem + ending, (item.mask == value).astype(np.float32))
    write_image(stem + names.UNCERTAINTY, item.uncertainty)
    write_instances(stem + names.INSTANCES, fibres, item.um_per_px)
    write_geojson(stem + names.FIBRES, item.mask, fibres)
    return int(fibres.max(initial=0))


def _row(name: names.ImageName, item: Labelled, *, n_fibres: int) -> dict:
    return {
        "image": name.image,
        "folder": name.folder,
        "participant_id": name.participant,
        "sample_id": name.sample,
        "name": item.name,
        "subject": item.subject,
        "source": str(item.source or ""),
        "width_px": item.mask.shape[1],
        "height_px": item.mask.shape[0],
        "um_per_px": float(item.um_per_px),
        "n_fibres": n_fibres,
    }


def _write_provenance(folder: Path, provenance: dict, images: pd.DataFrame, sources: dict[str, str | None]) -> None:
    """Write how the labels were made, with the checksum of every other file."""
    endings = [".png", ".json", *names.ENDINGS]
    files = [*bids.FILES, names.REVIEW_ORDER]
    files += [f"{row.folder}/{row.image}{ending}" for row in images.itertuples() for ending in endings]
    added = {
        "histobridge": __version__,
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sources_sha256": sources,
        "files_sha256": {name: sha256_of(folder / name) for name in files},
    }
    write_json(folder / names.PROVENANCE, {**provenance, **added})


# --- Replacing an earlier hand-off ----------------------------------------------------------------------


def _replaceable_files(folder: Path) -> list[str]:
    """Return the files of an earlier hand-off, relative to it; raise a `UserError` if somebody's work would be lost."""
    if (folder / names.DESCRIPTION).exists() and not is_handoff(folder):
        raise UserError(f"{folder} holds another dataset: hand the labels off to a folder of their own.")
    if not (folder / names.PROVENANCE).exists():
        return []
    written = json.loads((folder / names.PROVENANCE).read_text())["files_sha256"]
    if changed := changed_files(folder, written):
        raise UserError(
            f"{folder / changed[0]} was edited since it was written ({len(changed)} such files): move your corrections "
            "to a folder of their own, or choose another one for the new labels."
        )
    return list(written)


def _remove(folder: Path, files: list[str]) -> None:
    """Remove the files of an earlier hand-off, so that none of an image that no longer exists stays behind.

    The table of images goes first, because without it a hand-off counts as incomplete. The provenance goes last,
    because it lists the files, so that an interrupted removal can be continued. The dataset description stays, because
    it marks the folder as a hand-off.
    """
    if not files:
        return
    removed = [names.IMAGES, *(name for name in files if name != names.DESCRIPTION), names.PROVENANCE]
    for name in removed:
        (folder / name).unlink(missing_ok=True)
    for parent in sorted({parent for name in removed for parent in Path(name).parents}, reverse=True):
        with contextlib.suppress(OSError):  # the folder is not empty
            (folder / parent).rmdir()
