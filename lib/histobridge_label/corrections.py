"""Corrected masks come back: whose they are, and what was edited.

The other end of `handoff`: somebody has corrected some of the labels, as masks or as polygons, and collected them in a
folder. `finetuning` learns from them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.errors import UserError
from histobridge.io.images import normalise, read_image
from histobridge.io.masks import read_mask
from histobridge.io.resample import check_pixel_size, resample, resample_mask
from histobridge.metrics.instances import axon_instances, instance_f1
from histobridge.metrics.morphometrics import min_axon_px
from histobridge.metrics.overlap import dice
from histobridge_label.export import Handoff, edited, names, read_handoff
from histobridge_label.export.geojson import read_geojson

ENDINGS = (names.COMBINED, names.AXON, names.MYELIN, names.FIBRES)
SAME_FIBRE = 0.5  # IoU of two axons, from which on they are one that was reshaped


@dataclass(frozen=True)
class Correction:
    """One image whose label came back.

    Attributes
    ----------
    image : str
        Its name in the hand-off.
    image_file : Path
        The image itself, in the hand-off.
    before, after : ndarray
        uint8 `[H, W]`, the label as handed off and as corrected; equal if somebody looked and agreed.
    um_per_px : float
        Pixel size, µm/px.
    """

    image: str
    image_file: Path
    before: np.ndarray
    after: np.ndarray
    um_per_px: float

    @property
    def changed(self) -> bool:
        """Whether a pixel of the label was edited; in a copy of a whole hand-off most were not even looked at."""
        return bool((self.before != self.after).any())


class Stray(NamedTuple):
    """A corrected file that belongs to no image of the hand-off, and the images with the nearest names."""

    file: Path
    near: tuple[str, ...]

    def __str__(self) -> str:
        meant = f"; did you mean {' or '.join(self.near)}?" if self.near else "."
        return f"{self.file} belongs to no image of the hand-off{meant}"


class Corrections(NamedTuple):
    """What came back: corrections, in the order of the hand-off, and files that belong to nothing in it."""

    found: list[Correction]
    strays: list[Stray]


# --- Reading --------------------------------------------------------------------------------------------


def read_corrections(handoff_folder: Path, corrected_folder: Path) -> Corrections:
    """Read corrected masks from a folder, sub-folders included, and find the images that they belong to.

    A file belongs to an image by its name: that of the image in the hand-off, or of the user's file if only one image
    had it, with the ending of a combined mask, of the two single masks, or of polygons. If there are several of these
    for an image, those that are as they were handed off do not count. Where single masks or polygons overlap, axon is
    on top. Other files are passed over, as are those that belong to no image, which are returned too: say so.

    Parameters
    ----------
    handoff_folder, corrected_folder : Path
        Two folders; the corrected one may be a copy of the other.

    Returns
    -------
    Corrections

    Raises
    ------
    UserError
        If there is no such hand-off, or it was itself edited; no corrected file or none that belongs to an image; a
        mask has another size than its image or foreign values; one of two single masks is missing; an image was
        corrected twice in different ways.
    """
    handoff, folder = read_handoff(handoff_folder), Path(corrected_folder)
    _refuse_edited(handoff, folder)
    files = _files_by_image(folder)
    aliases = _aliases(handoff)
    strays = [
        _stray(path, name, aliases) for name, kinds in files.items() if name not in aliases for path in kinds.values()
    ]
    whose: dict[str, dict[str, Path]] = {}
    for name, kinds in files.items():
        if name in aliases:
            _merge(whose.setdefault(aliases[name], {}), kinds)
    if not whose:
        raise UserError(f"Nothing in {folder} belongs to the hand-off in {handoff.folder}: {strays[0]}")
    return Corrections(
        [_correction(handoff, name, whose[name]) for name in handoff.images["image"] if name in whose], strays
    )


def _refuse_edited(handoff: Handoff, folder: Path) -> None:
    """Raise a `UserError` unless the labels are as they were handed off: what came before must be known."""
    if folder.resolve() == handoff.folder.resolve():
        raise UserError(
            f"{folder} is the hand-off itself: put the masks that you corrected into a folder of their own."
        )
    changed = [name for name in edited(handoff) if name.endswith(ENDINGS)]
    if changed:
        raise UserError(
            f"{handoff.folder / changed[0]} was edited, so that the label before is lost: move it to {folder} and "
            "write the hand-off again."
        )


def _files_by_image(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the corrected files of a folder: by the name before the ending, and by ending."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.rglob("*")):
        for ending in ENDINGS:
            if path.name.endswith(ending) and path.is_file():
                _merge(found.setdefault(path.name.removesuffix(ending), {}), {ending: path})
    if not found:
        wanted = ", ".join(f"*{ending}" for ending in ENDINGS)
        raise UserError(f"{folder} holds no corrected masks: keep the names they were handed off with ({wanted}).")
    return found


def _merge(kinds: dict[str, Path], more: dict[str, Path]) -> None:
    """Add files of one image to those that are known, by ending."""
    for ending, path in more.items():
        if ending in kinds:
            raise UserError(f"{kinds[ending]} and {path} are corrections of one image: keep one of them.")
        kinds[ending] = path


def _aliases(handoff: Handoff) -> dict[str, str]:
    """Return the image for each name that a corrected file may have: of the image, or of the only file so called."""
    originals = handoff.images.drop_duplicates("name", keep=False)
    return dict(zip(originals["name"], originals["image"], strict=True)) | {
        name: name for name in handoff.images["image"]
    }


def _stray(path: Path, name: str, aliases: dict[str, str]) -> Stray:
    return Stray(path, tuple(difflib.get_close_matches(name, aliases, n=3)))


def _correction(handoff: Handoff, image: str, files: dict[str, Path]) -> Correction:
    about = handoff.images.set_index("image").loc[image]
    before = read_mask(handoff.file(image, names.COMBINED))[0]
    after = _agreed(before, dict(_masks(files, before.shape)))
    return Correction(image, handoff.file(image, ".png"), before, after, float(about["um_per_px"]))


def _masks(files: dict[str, Path], shape: tuple[int, int]) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield the masks that the files of one image hold, each with the file to name."""
    if names.COMBINED in files:
        yield files[names.COMBINED], _read(files[names.COMBINED], shape)
    if names.FIBRES in files:
        yield files[names.FIBRES], read_geojson(files[names.FIBRES], shape)
    single = [files[ending] for ending in (names.MYELIN, names.AXON) if ending in files]
    if len(single) == 2:
        myelin, axon = (_read(path, shape) > 0 for path in single)
        yield single[1], np.where(axon, AXON, np.where(myelin, MYELIN, BACKGROUND)).astype(np.uint8)
    if len(single) == 1:  # not passed over: an edit might be lost
        raise UserError(f"{single[0]} is the mask of one class: put that of the other one beside it.")


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read a mask that must have the shape of its image."""
    mask = read_mask(path)[0]
    if mask.shape != shape:
        sizes = [f"{width} × {height} px" for height, width in (mask.shape, shape)]
        raise UserError(f"{path} is {sizes[0]}, its image {sizes[1]}: save the mask at the size of the image.")
    return mask


def _agreed(before: np.ndarray, masks: dict[Path, np.ndarray]) -> np.ndarray:
    """Return the one mask that was edited, or the label as it was if none was."""
    changed = {path: mask for path, mask in masks.items() if (mask != before).any()}
    first = next(iter(changed), None)
    for path, mask in changed.items():
        if (mask != changed[first]).any():
            raise UserError(f"{first} and {path} were both corrected, but differently: keep the one that is right.")
    return before if first is None else changed[first]


# --- Measuring ------------------------------------------------------------------------------------------


def edits(before: np.ndarray, after: np.ndarray, um_per_px: float) -> dict[str, float]:
    """Measure what a correction changed in a label.

    Parameters
    ----------
    before, after : ndarray
        uint8 `[H, W]` of classes 0, 1, 2.
    um_per_px : float
        Pixel size, µm/px, by which specks are told from axons.

    Returns
    -------
    dict
        `pixels_changed` and their `share_changed` of the image, 0..1; `area_changed_um2`; `fibres_before` and
        `fibres_after`; `added`, `removed` and `reshaped` fibres: axons are the same one if they overlap with an IoU of
        at least 0.5, and reshaped if they do but differ; `dice_axon` and `dice_myelin` of the label against its
        correction, 0..1, NaN for a class in neither.

    Raises
    ------
    UserError
        If the pixel size is missing or not a positive number.
    ValueError
        If shapes differ or a mask holds other values than the classes.

    Examples
    --------
    >>> before = np.zeros((8, 20), dtype=np.uint8)
    >>> before[2:6, 2:6] = 2
    >>> after = before.copy()
    >>> after[2:6, 12:16], after[2, 2] = 2, 0
    >>> found = edits(before, after, 0.1)
    >>> [found[name] for name in ("pixels_changed", "added", "removed", "reshaped", "dice_axon")]
    [17, 1, 0, 1, 0.6382978723404256]
    """
    check_pixel_size(um_per_px, "The mask")
    axons = [axon_instances(mask, min_px=min_axon_px(um_per_px)) for mask in (before, after)]
    matched, untouched = (instance_f1(*axons, threshold=threshold) for threshold in (SAME_FIBRE, 1))
    changed = int(np.count_nonzero(before != after))
    return {
        "pixels_changed": changed,
        "share_changed": changed / before.size,
        "area_changed_um2": changed * um_per_px**2,
        "fibres_before": matched.tp + matched.fn,
        "fibres_after": matched.tp + matched.fp,
        "added": matched.fp,
        "removed": matched.fn,
        "reshaped": matched.tp - untouched.tp,
        **{
            f"dice_{name}": dice(before == value, after == value)
            for name, value in (("axon", AXON), ("myelin", MYELIN))
        },
    }


def edit_table(corrections: Iterable[Correction]) -> pd.DataFrame:
    """Return the `edits` of every correction, one row an image, named in the column `image`."""
    return pd.DataFrame([{"image": one.image, **edits(one.before, one.after, one.um_per_px)} for one in corrections])


def examples(corrections: Iterable[Correction], um_per_px: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return corrected images and masks at the pixel size of a segmenter, µm/px.

    Images are read from the hand-off and normalised as they were before they were labelled.

    Raises
    ------
    UserError
        If a pixel size is missing or not a positive number, or an image of the hand-off cannot be read or is constant.
    """
    return [
        (
            np.clip(resample(normalise(read_image(c.image_file), name=c.image_file), c.um_per_px, um_per_px), 0, 1),
            resample_mask(c.after, c.um_per_px, um_per_px),
        )
        for c in corrections
    ]
