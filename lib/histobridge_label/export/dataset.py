"""The hand-off as a whole: a BIDS derivative dataset that annotation tools open as it is."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge import __version__
from histobridge.classes import AXON, MYELIN
from histobridge.errors import UserError, one_of
from histobridge.io.files import sha256_of, write_json, write_table, write_text
from histobridge.io.images import write_image
from histobridge.io.masks import check_same_size, write_mask
from histobridge.io.resample import check_pixel_size
from histobridge.metrics.calibration import review_order
from histobridge_label.export import names
from histobridge_label.export.geojson import write_geojson
from histobridge_label.export.instances import fibre_labels, write_instances

BIDS_VERSION = "1.10.0"
GENERATOR = "histobridge"
DESCRIPTION, PROVENANCE, IMAGES, ORDER = "dataset_description.json", "provenance.json", "images.tsv", "review_order.csv"
TOP = [DESCRIPTION, "README", ".bidsignore", "participants.tsv", "participants.json", "samples.tsv", IMAGES, ORDER]
TEXT = dict.fromkeys(["image", "folder", "participant_id", "sample_id", "name", "subject", "source"], str)
NOTHING = "n/a"  # in tables of BIDS

README = """\
Labels of axons and myelin, made by histobridge
===============================================

Every image of sub-*/micr has beside it:

  _seg-axonmyelin.png   background 0, myelin 127, axon 255 (AxonDeepSeg)
  _seg-axon.png         axon 255
  _seg-myelin.png       myelin 255
  _instances.tif        each fibre, axon and myelin, with a number of its own (napari, Cellpose, Fiji)
  _fibres.geojson       polygons of the classes Axon and Myelin (QuPath: open the image, drop the file on it)
  _uncertainty.png      how unsure the label is, 0 (black) to 1 (white)
  .json                 pixel size

review_order.csv says where to look first, images.tsv which file each image comes from, provenance.json how the
labels were made, with the sha256 of every file.

To give corrections back, correct a COPY of _seg-axonmyelin.png (or of _fibres.geojson, or of the two single masks),
keep its name, and collect the copies in a folder of their own. Labels are no ground truth until somebody has looked.
"""


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
        float32 `[H, W]` in 0..1, of `uncertainty.uncertainty`.
    um_per_px : float
        Pixel size, µm/px.
    source : Path, optional
        The user's file; None if there is none.
    modality : str, optional
        One of `names.MODALITIES`, such as TEM, SEM or BF. BIDS wants it in the name of an image.
    """

    name: str
    subject: str
    image: np.ndarray
    mask: np.ndarray
    uncertainty: np.ndarray
    um_per_px: float
    source: Path | None = None
    modality: str | None = None


class Handoff(NamedTuple):
    """A hand-off that is there and whole.

    Attributes
    ----------
    folder : Path
    images : DataFrame
        Of `images.tsv`; see `write_handoff`.
    provenance : dict
    """

    folder: Path
    images: pd.DataFrame
    provenance: dict

    def file(self, image: str, ending: str) -> Path:
        """Return the path of one file of an image, such as that of `names.COMBINED`."""
        folder = self.images.set_index("image").at[image, "folder"]
        return self.folder / folder / f"{image}{ending}"


def write_handoff(folder: Path, labelled: Iterable[Labelled], provenance: dict) -> Handoff:
    """Write images and their labels as a BIDS derivative dataset, one image after another.

    For every image: itself (8 bits), the combined and the single masks as AxonDeepSeg names them, an instance map,
    polygons for QuPath, the uncertainty and the pixel size. At the top: `review_order.csv`, `images.tsv` (which file
    became what), `provenance.json` and what BIDS wants. Each file is written whole or not at all, `provenance.json`
    last: where it is, all is. A hand-off in the same folder is written anew, unless somebody has edited its files.

    Parameters
    ----------
    folder : Path
        New, empty, or an earlier hand-off.
    labelled : iterable of Labelled
        May be a generator: only one is held at a time.
    provenance : dict
        Plain values: settings and whatever else tells how the labels were made. Files and checksums are added.

    Returns
    -------
    Handoff
        `images` has a row an image: `image` (its name here), `folder`, `participant_id`, `sample_id`, `name` and
        `subject` (as they were), `source`, `width_px`, `height_px`, `um_per_px` and `n_fibres`: all that
        have a number, axons without myelin too.

    Raises
    ------
    UserError
        If there is no image, shapes or a pixel size or modality are wrong, the folder cannot be written, or holds
        another dataset or edited files.
    """
    folder = Path(folder)
    before = _replaceable(folder)
    given, rows, orders, sources = names.Names(), [], [], {}
    for item in labelled:
        _check(item)
        before = _withdraw(folder, before)  # not until something has taken its place
        place = given.place(item.name, item.subject, item.modality)
        rows.append(_row(place, item, n_fibres=_write_image_files(folder, place, item)))
        orders.append(review_order({place.image: item.uncertainty}))
        sources[place.image] = sha256_of(item.source) if item.source and Path(item.source).is_file() else None
    if not rows:
        raise UserError("There is no image to hand off: label some first.")
    images, order = pd.DataFrame(rows), pd.concat(orders).sort_values("uncertainty", ascending=False, kind="stable")
    write_table(folder / ORDER, order.round(5))
    _write_bids(folder, images)
    _write_provenance(folder, provenance, images, sources)
    return read_handoff(folder)


def read_handoff(folder: Path) -> Handoff:
    """Read what a hand-off holds.

    Raises
    ------
    UserError
        If there is none, or its writing was broken off.
    """
    folder = Path(folder)
    if not _is_ours(folder):
        raise UserError(
            f"{folder} holds no labels handed off by histobridge: name the folder that they were written to."
        )
    if not all((folder / name).exists() for name in (PROVENANCE, IMAGES)):
        raise UserError(f"The hand-off in {folder} was broken off: write it again.")
    images = pd.read_csv(folder / IMAGES, sep="\t", dtype=TEXT, keep_default_na=False)
    return Handoff(folder, images.replace({"source": {NOTHING: ""}}), json.loads((folder / PROVENANCE).read_text()))


def edited(handoff: Handoff) -> list[str]:
    """Return the files of a hand-off, relative to it, that are no longer as they were written; missing ones are not."""
    return _edited(handoff.folder, handoff.provenance["files_sha256"])


def _edited(folder: Path, written: dict[str, str]) -> list[str]:
    there = {name: folder / name for name in written if (folder / name).exists()}
    return [name for name, path in there.items() if sha256_of(path) != written[name]]


def _replaceable(folder: Path) -> list[str]:
    """Return the files of an earlier hand-off, relative to it; raise a `UserError` if writing would cost work."""
    if (folder / DESCRIPTION).exists() and not _is_ours(folder):
        raise UserError(f"{folder} holds another dataset: hand the labels off to a folder of their own.")
    if not (folder / PROVENANCE).exists():
        return []
    written = json.loads((folder / PROVENANCE).read_text())["files_sha256"]
    if changed := _edited(folder, written):
        raise UserError(
            f"{folder / changed[0]} was edited since it was written ({len(changed)} such files): move your corrections "
            "to a folder of their own, or choose another one for the new labels."
        )
    return list(written)


def _withdraw(folder: Path, files: list[str]) -> list[str]:
    """Remove an earlier hand-off, lest files of images or names that are gone stay for good; return what is left: none.

    The table of images goes first, without which none is read; the provenance, which knows the files, last. That it is
    ours stays said.
    """
    gone = [IMAGES, *(name for name in files if name != DESCRIPTION), PROVENANCE] if files else []
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    for place in sorted({place for name in gone for place in Path(name).parents}, reverse=True):
        with contextlib.suppress(OSError):  # it holds something else
            (folder / place).rmdir()
    return []


def _is_ours(folder: Path) -> bool:
    try:
        generated = json.loads((folder / DESCRIPTION).read_text())["GeneratedBy"]
        return any(one.get("Name") == GENERATOR for one in generated)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _check(item: Labelled) -> None:
    name = item.source or item.name
    check_pixel_size(item.um_per_px, name)
    check_same_size(item.image, item.mask, name)
    if item.uncertainty.shape != item.image.shape:
        raise UserError(f"The uncertainty of {name} has the shape {item.uncertainty.shape}, not that of its image.")
    if item.modality is not None:
        one_of("modality of BIDS", item.modality, names.MODALITIES)


def _write_image_files(folder: Path, place: names.Place, item: Labelled) -> int:
    """Write the files of one image; return how many fibres it has."""
    fibres = fibre_labels(item.mask, item.um_per_px)
    stem = str(folder / place.folder / place.image)
    write_image(f"{stem}.png", item.image)
    write_json(f"{stem}.json", {"PixelSize": [float(item.um_per_px)] * 2, "PixelSizeUnits": "um"})
    write_mask(stem + names.COMBINED, item.mask)
    for ending, value in ((names.AXON, AXON), (names.MYELIN, MYELIN)):
        write_image(stem + ending, (item.mask == value).astype(np.float32))
    write_image(stem + names.UNCERTAINTY, item.uncertainty)
    write_instances(stem + names.INSTANCES, fibres, item.um_per_px)
    write_geojson(stem + names.FIBRES, item.mask, fibres)
    return int(fibres.max(initial=0))


def _row(place: names.Place, item: Labelled, *, n_fibres: int) -> dict:
    return {
        "image": place.image,
        "folder": place.folder,
        "participant_id": place.participant,
        "sample_id": place.sample,
        "name": item.name,
        "subject": item.subject,
        "source": str(item.source or ""),
        "width_px": item.mask.shape[1],
        "height_px": item.mask.shape[0],
        "um_per_px": float(item.um_per_px),
        "n_fibres": n_fibres,
    }


def _write_bids(folder: Path, images: pd.DataFrame) -> None:
    """Write what BIDS wants at the top of a derivative dataset of microscopy, and the table of images."""
    about = "Labels of axons and myelin by unpaired modality translation, with instances, polygons and uncertainty"
    description = {
        "Name": "Axons and myelin labelled by histobridge",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": GENERATOR, "Version": __version__, "Description": about}],
    }
    samples = images[["sample_id", "participant_id"]].drop_duplicates().assign(sample_type="tissue")
    write_json(folder / DESCRIPTION, description)
    write_text(folder / "README", README)
    write_text(folder / ".bidsignore", "".join(f"{line}\n" for line in _unknown_to_bids(images)))
    write_json(folder / "participants.json", {"subject": {"Description": "Name of the subject as it was given"}})
    _write_tsv(folder / "participants.tsv", images[["participant_id", "subject"]].drop_duplicates("participant_id"))
    _write_tsv(folder / "samples.tsv", samples)
    _write_tsv(folder / IMAGES, images)


def _unknown_to_bids(images: pd.DataFrame) -> list[str]:
    """Return patterns of the files whose names BIDS does not know: those of an image too, for want of a modality."""
    nameless = [f"{name}.*" for name in images["image"] if not names.BIDS_IMAGE.fullmatch(name)]
    return [*(f"*{ending}" for ending in names.ENDINGS), IMAGES, ORDER, PROVENANCE, *nameless]


def _write_tsv(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.replace("", NOTHING).to_csv(index=False, sep="\t"))


def _write_provenance(folder: Path, provenance: dict, images: pd.DataFrame, sources: dict[str, str | None]) -> None:
    """Write how labels were made and the checksum of every file; it comes last."""
    endings = [".png", ".json", *names.ENDINGS]
    files = TOP + [f"{row.folder}/{row.image}{end}" for row in images.itertuples() for end in endings]
    added = {
        "histobridge": __version__,
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sources_sha256": sources,
        "files_sha256": {name: sha256_of(folder / name) for name in files},
    }
    write_json(folder / PROVENANCE, {**provenance, **added})
