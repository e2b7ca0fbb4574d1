"""Read corrected labels: masks or polygons that somebody has edited in copies of a hand-off."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.errors import UserError
from histobridge.io.images import normalise, read_image
from histobridge.io.masks import read_mask
from histobridge.io.resample import resample, resample_mask
from histobridge_label.export import Handoff, edited_files, names, read_handoff
from histobridge_label.export.geojson import read_geojson

ENDINGS = (names.COMBINED, names.AXON, names.MYELIN, names.FIBRES)


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
    """

    image: str
    image_file: Path
    before: np.ndarray
    after: np.ndarray
    um_per_px: float

    @property
    def changed(self) -> bool:
        """Whether any pixel was edited. An unedited label need not have been checked, in a copy of a whole hand-off."""
        return bool((self.before != self.after).any())


class Unmatched(NamedTuple):
    """A corrected file that belongs to no image of the hand-off, and the images with the most similar names."""

    file: Path
    similar: tuple[str, ...]

    def __str__(self) -> str:
        question = f"; did you mean {' or '.join(self.similar)}?" if self.similar else "."
        return f"{self.file} belongs to no image of the hand-off{question}"


class Corrections(NamedTuple):
    """Corrections, in the order of the hand-off, and the files that belong to none of its images."""

    matched: list[Correction]
    unmatched: list[Unmatched]


def read_corrections(handoff_folder: Path, corrected_folder: Path) -> Corrections:
    """Read corrected masks from a folder and its sub-folders, and find the images that they belong to.

    The name of a file decides: that of the image in the hand-off, or of the user's file if only one image had it,
    followed by the ending of a combined mask, of the two single masks, or of polygons. If an image has several of
    these, unedited ones do not count. Where single masks or polygons overlap, axon is on top. Files with other endings
    are ignored.

    Parameters
    ----------
    handoff_folder, corrected_folder : Path
        Two folders; the corrected one may be an edited copy of the other.

    Raises
    ------
    UserError
        If there is no such hand-off, or its own files were edited; there is no corrected file, or none that belongs to
        an image; a mask has another size than its image, or unknown values; one of two single masks is missing; an
        image was corrected twice in different ways.
    """
    handoff, folder = read_handoff(handoff_folder), Path(corrected_folder)
    _refuse_edited(handoff, folder)
    files = _files_by_name(folder)
    image_of = _images_by_name(handoff)
    unmatched = [
        Unmatched(path, tuple(difflib.get_close_matches(name, image_of, n=3)))
        for name, by_ending in files.items()
        if name not in image_of
        for path in by_ending.values()
    ]
    files_of_image: dict[str, dict[str, Path]] = {}
    for name, by_ending in files.items():
        if name in image_of:
            _add_files(files_of_image.setdefault(image_of[name], {}), by_ending)
    if not files_of_image:
        raise UserError(f"Nothing in {folder} belongs to the hand-off in {handoff.folder}: {unmatched[0]}")
    images = [image for image in handoff.images["image"] if image in files_of_image]
    return Corrections([_correction(handoff, image, files_of_image[image]) for image in images], unmatched)


def training_examples(corrections: Iterable[Correction], um_per_px: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return corrected images and masks at the pixel size of a segmenter, µm/px.

    Images are read from the hand-off and normalised in the same way as before they were labelled.

    Returns
    -------
    list of (image, mask)
        float32 `[h, w]` in 0..1 and uint8 `[h, w]`.

    Raises
    ------
    UserError
        If a pixel size is missing or not a positive number, or an image of the hand-off cannot be read or is constant.
    """
    examples = []
    for correction in corrections:
        image = normalise(read_image(correction.image_file), name=correction.image_file)
        image = np.clip(resample(image, correction.um_per_px, um_per_px), 0, 1)
        examples.append((image, resample_mask(correction.after, correction.um_per_px, um_per_px)))
    return examples


# --- Which file belongs to which image ------------------------------------------------------------------


def _refuse_edited(handoff: Handoff, folder: Path) -> None:
    """Raise a `UserError` if the labels of the hand-off itself were edited: the label before must be known."""
    if folder.resolve() == handoff.folder.resolve():
        raise UserError(
            f"{folder} is the hand-off itself: put the masks that you corrected into a folder of their own."
        )
    edited = [name for name in edited_files(handoff) if name.endswith(ENDINGS)]
    if edited:
        raise UserError(
            f"{handoff.folder / edited[0]} was edited, so that the label before is lost: move it to {folder} and "
            "write the hand-off again."
        )


def _files_by_name(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the corrected files of a folder by the part of the name before the ending, and by ending."""
    files: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.rglob("*")):
        for ending in ENDINGS:
            if path.name.endswith(ending) and path.is_file():
                _add_files(files.setdefault(path.name.removesuffix(ending), {}), {ending: path})
    if not files:
        expected = ", ".join(f"*{ending}" for ending in ENDINGS)
        raise UserError(f"{folder} holds no corrected masks: keep the names they were handed off with ({expected}).")
    return files


def _add_files(by_ending: dict[str, Path], more: dict[str, Path]) -> None:
    """Add files of one image; refuse a second file with the same ending."""
    for ending, path in more.items():
        if ending in by_ending:
            raise UserError(f"{by_ending[ending]} and {path} are corrections of one image: keep one of them.")
        by_ending[ending] = path


def _images_by_name(handoff: Handoff) -> dict[str, str]:
    """Return the image for each accepted name: of the image itself, or of the user's file if it is unique."""
    unique = handoff.images.drop_duplicates("name", keep=False)
    by_file_name = dict(zip(unique["name"], unique["image"], strict=True))
    return by_file_name | {image: image for image in handoff.images["image"]}


# --- Reading the masks of one image ---------------------------------------------------------------------


def _correction(handoff: Handoff, image: str, files: dict[str, Path]) -> Correction:
    before = read_mask(handoff.file(image, names.COMBINED))[0]
    after = _edited_mask(before, dict(_masks(files, before.shape)))
    um_per_px = float(handoff.images.set_index("image").at[image, "um_per_px"])
    return Correction(image, handoff.file(image, ".png"), before, after, um_per_px)


def _masks(files: dict[str, Path], shape: tuple[int, int]) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield each mask in the files of one image, with the file that an error message should name."""
    if names.COMBINED in files:
        yield files[names.COMBINED], _read_mask(files[names.COMBINED], shape)
    if names.FIBRES in files:
        yield files[names.FIBRES], read_geojson(files[names.FIBRES], shape)
    single = [files[ending] for ending in (names.MYELIN, names.AXON) if ending in files]
    if len(single) == 2:
        myelin, axon = (_read_mask(path, shape) > 0 for path in single)
        yield single[1], np.where(axon, AXON, np.where(myelin, MYELIN, BACKGROUND)).astype(np.uint8)
    if len(single) == 1:  # an error, because an edit could be lost
        raise UserError(f"{single[0]} is the mask of one class: put that of the other one beside it.")


def _read_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    mask = read_mask(path)[0]
    if mask.shape != shape:
        sizes = [f"{width} × {height} px" for height, width in (mask.shape, shape)]
        raise UserError(f"{path} is {sizes[0]}, its image {sizes[1]}: save the mask at the size of the image.")
    return mask


def _edited_mask(before: np.ndarray, masks: dict[Path, np.ndarray]) -> np.ndarray:
    """Return the mask that was edited, or `before` if none was; refuse two different edits."""
    edited = {path: mask for path, mask in masks.items() if (mask != before).any()}
    if not edited:
        return before
    first, *others = edited
    for other in others:
        if (edited[other] != edited[first]).any():
            raise UserError(f"{first} and {other} were both corrected, but differently: keep the one that is right.")
    return edited[first]
