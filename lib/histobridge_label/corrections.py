"""Read corrected labels: masks, polygons, ROIs or fibres that somebody has edited in copies of a hand-off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.errors import UserError
from histobridge.io.images import read_image
from histobridge.io.masks import read_mask
from histobridge.io.pixels import read_plane
from histobridge.io.resample import resample, resample_mask
from histobridge.items import Account
from histobridge_label.corrected_files import UNCHANGED, Corrected, corrected_files, is_unchanged
from histobridge_label.export import Handoff, edited_files, names, read_handoff
from histobridge_label.export.geojson import read_geojson
from histobridge_label.export.instances import fibre_labels
from histobridge_label.export.rois import read_rois

IMAGE = ".png"
CLASS_OF = {names.MYELIN: MYELIN, names.AXON: AXON}
DIFFER = "{} and {} were both corrected, but differently: keep the one that is right."
RENUMBERED = "of no concern to classes: only numbers of fibres were changed"


@dataclass(frozen=True)
class Correction:
    """An image whose label was returned.

    Attributes
    ----------
    image : str
        Its name in the hand-off.
    image_file : Path
        The image in the hand-off.
    before, after : ndarray
        uint8 `[H, W]`, the label as handed off and as corrected; equal if nothing was edited.
    um_per_px : float
        Pixel size, µm/px.
    file : Path, optional
        The corrected file; None if nothing was edited.
    remarks : tuple of str
        What was read otherwise than it stands in the file.
    """

    image: str
    image_file: Path
    before: np.ndarray
    after: np.ndarray
    um_per_px: float
    file: Path | None = None
    remarks: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any pixel was edited. An unedited label need not have been checked, in a copy of a whole hand-off."""
        return bool((self.before != self.after).any())


class Corrections(NamedTuple):
    """Corrections, in the order of the hand-off, and what became of every file."""

    matched: list[Correction]
    account: Account


class ReadMask(NamedTuple):
    """The mask in one file, or in two of one class each, and what is to be told of it."""

    file: Path
    mask: np.ndarray
    remarks: tuple[str, ...] = ()


def read_corrections(handoff_folder: Path, corrected_folder: Path) -> Corrections:
    """Read corrected masks from a folder and its sub-folders, and find the images that they belong to.

    The name of a file decides: that of the image in the hand-off, or of the user's file if only one image had it,
    followed by an ending (see `corrected_files`). If an image has several files, unedited ones do not count. Where
    single masks, polygons or ROIs overlap, axon is on top. A fault of an image or a file costs that one alone.

    Parameters
    ----------
    handoff_folder, corrected_folder : Path
        Two folders; the corrected one may be an edited copy of the other.

    Raises
    ------
    UserError
        If there is no such hand-off, no corrected file, or none that can be used.
    """
    handoff, folder, account = read_handoff(handoff_folder), Path(corrected_folder), Account()
    if folder.resolve() == handoff.folder.resolve():
        raise UserError(
            f"{folder} is the hand-off itself: put the masks that you corrected into a folder of their own."
        )
    files = corrected_files(handoff, folder, account)
    edited = set(_edited_labels(handoff, folder, account))
    matched = [
        correction
        for image in handoff.images["image"]
        if image in files and (correction := _read(handoff, files[image], edited, account)) is not None
    ]
    if not matched:
        told = [*account.lines, account.summary]
        raise UserError(f"Nothing in {folder} can be used for the hand-off in {handoff.folder}:\n" + "\n".join(told))
    return Corrections(matched, account)


def training_examples(corrections: Iterable[Correction], um_per_px: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return corrected images and masks at the pixel size of a segmenter, µm/px.

    Images are read from the hand-off, where they have the grey values with which they were labelled.

    Returns
    -------
    list of (image, mask)
        float32 `[h, w]` in 0..1 and uint8 `[h, w]`.

    Raises
    ------
    UserError
        If a pixel size is missing or not a positive number, or an image of the hand-off cannot be read.
    """
    return [training_example(c.image_file, c.after, c.um_per_px, um_per_px) for c in corrections]


def training_example(
    image_file: Path, mask: np.ndarray, um_per_px: float, wanted: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and its mask at another pixel size; see `training_examples`."""
    return np.clip(resample(read_image(image_file), um_per_px, wanted), 0, 1), resample_mask(mask, um_per_px, wanted)


def _edited_labels(handoff: Handoff, folder: Path, account: Account) -> list[str]:
    """Return the labels of the hand-off itself that were edited; skip them, because nothing there is read."""
    edited = [name for name in edited_files(handoff) if name.endswith((*names.ENDINGS, IMAGE))]
    for name in edited:
        reason = f"was edited in the hand-off itself: move it to {folder} and write the hand-off again."
        account.skip(handoff.folder / name, f"it {reason}")
    return edited


# --- The files of one image -----------------------------------------------------------------------------


def _read(handoff: Handoff, files: list[Corrected], edited: set[str], account: Account) -> Correction | None:
    """Return the correction of one image; None if its files cannot be used, which `account` then says."""
    image = files[0].image
    try:
        if lost := edited & {handoff.name_of(image, ending) for ending in (names.COMBINED, IMAGE)}:
            raise UserError(f"{sorted(lost)[0]} of the hand-off was edited, so that what was there before is lost.")
        before = read_mask(handoff.file(image, names.COMBINED))[0]
        um_per_px = handoff.um_per_px(image)
        edits = [one for one in _read_files(handoff, files, before, um_per_px, account) if (one.mask != before).any()]
        for other in edits[1:]:
            if (other.mask != edits[0].mask).any():
                raise UserError(DIFFER.format(edits[0].file, other.file))
    except UserError as error:
        for file in files:
            if file.path not in account.harmless:
                account.skip(file.path, str(error))
        return None
    about = image, handoff.file(image, IMAGE), before
    if edits:
        return Correction(*about, edits[0].mask, um_per_px, edits[0].file, edits[0].remarks)
    if any(file.path in account.skipped for file in files):  # they may hold edits that could not be read
        return None
    return Correction(*about, before, um_per_px)


def _read_files(
    handoff: Handoff, files: list[Corrected], before: np.ndarray, um_per_px: float, account: Account
) -> list[ReadMask]:
    """Return every mask in the files of one image that is not that of the hand-off."""
    found, single = [], {ending: [] for ending in CLASS_OF}
    for file in files:
        with account.item(file.path):
            same_file = unchanged = is_unchanged(handoff, file)
            if file.ending in single:
                mask, told = _read_mask(file.path, before.shape)
                unchanged = not ((mask > 0) != (before == CLASS_OF[file.ending])).any()
                single[file.ending].append((file, mask, told, unchanged))
            elif not unchanged:
                one = _read_file(file, before, um_per_px)
                found.append(one)
                unchanged = not (one.mask != before).any()
        if file.path in account.used and unchanged:
            account.withdraw(file.path)
            account.harmless[file.path] = RENUMBERED if file.ending == names.INSTANCES and not same_file else UNCHANGED
    return found + _both_classes(single, account)


def _read_file(file: Corrected, before: np.ndarray, um_per_px: float) -> ReadMask:
    if file.ending == names.FIBRES:
        return ReadMask(file.path, read_geojson(file.path, before.shape))
    if file.ending == names.ROIS:
        return ReadMask(file.path, read_rois(file.path, before.shape))
    if file.ending == names.INSTANCES:
        return ReadMask(file.path, _without_removed_fibres(file.path, before, um_per_px))
    return ReadMask(file.path, *_read_mask(file.path, before.shape))


def _both_classes(single: dict[str, list[tuple]], account: Account) -> list[ReadMask]:
    """Return the masks of one class each, axon on top; one alone is skipped, because an edit could be lost."""
    chosen = [_one_of_a_class(masks) for masks in single.values()]
    if all(chosen):
        (_, myelin, told, _), (file, axon, more, _) = chosen
        mask = np.where(axon > 0, AXON, np.where(myelin > 0, MYELIN, BACKGROUND)).astype(np.uint8)
        return [ReadMask(file.path, mask, (*told, *more))]
    for file, *_, unchanged in filter(None, chosen):
        if not unchanged:
            account.skip(file.path, "it is the mask of one class: put that of the other one beside it.")
    return []


def _one_of_a_class(masks: list[tuple]) -> tuple | None:
    """Return the edited one of several masks of one class, or an unedited one; refuse two that were edited."""
    edited = [one for one in masks if not one[-1]]
    for other in edited[1:]:
        if ((other[1] > 0) != (edited[0][1] > 0)).any():
            raise UserError(DIFFER.format(edited[0][0].path, other[0].path))
    return (edited or masks or [None])[0]


# --- One file -------------------------------------------------------------------------------------------


def _read_mask(path: Path, shape: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    mask, told = read_mask(path)
    _check_size(path, mask, shape)
    return mask, told


def _check_size(path: Path, found: np.ndarray, shape: tuple[int, int]) -> None:
    if found.shape != shape:
        sizes = [f"{size[1]} × {size[0]} px" for size in (found.shape, shape)]
        raise UserError(f"{path} is {sizes[0]}, its image {sizes[1]}: save the mask at the size of the image.")


def _without_removed_fibres(path: Path, before: np.ndarray, um_per_px: float) -> np.ndarray:
    """Return the label without the fibres that were removed from their map; other numbers change no class."""
    numbers, handed_off = _read_numbers(path), fibre_labels(before, um_per_px)
    _check_size(path, numbers, before.shape)
    if numbers.dtype == np.uint8 and handed_off.max(initial=0) > np.iinfo(np.uint8).max:
        raise UserError(f"{path} has 8 bits, which cannot number {handed_off.max()} fibres: save it with 16.")
    if ((numbers > 0) & (before == BACKGROUND)).any():
        raise UserError(
            f"{path} numbers pixels that were background, and does not say which of them are axon or myelin: draw new "
            f"fibres in the combined mask (*{names.COMBINED}) instead."
        )
    return np.where((handed_off > 0) & (numbers == 0), BACKGROUND, before).astype(np.uint8)


def _read_numbers(path: Path) -> np.ndarray:
    """Return a map of numbers, integers `[H, W]`."""
    plane = read_plane(path)
    numbers = plane.values
    if plane.alpha is not None and numbers.ndim == 2:  # erased to transparent
        numbers = np.where(plane.alpha < plane.full_scale / 2, 0, numbers)
    if numbers.ndim != 2 or numbers.dtype.kind not in "uif" or (numbers < 0).any() or (numbers % 1 != 0).any():
        raise UserError(f"{path} is no map of whole numbers, one for each fibre: save it as 16-bit grey.")
    return numbers
