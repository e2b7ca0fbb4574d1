"""Corrected masks of a hand-off, in the folder that `histobridge import HANDOFF CORRECTED` is given.

A correction is a file with the name and the grey levels that the mask has in the hand-off. The hand-off itself is never
changed, because edits are measured against it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from histobridge.classes import AXON
from histobridge.errors import UserError
from histobridge.io.masks import check_same_size, read_mask, write_mask
from histobridge_label.export import Handoff, names

CORRECTED = "corrected"


def corrected_folder(handoff: Handoff) -> Path:
    """Return the usual folder of corrections: beside the hand-off."""
    return handoff.folder.resolve().parent / CORRECTED


def check_folder(handoff: Handoff, folder: Path) -> None:
    """Raise a `UserError` if corrections would be written into the hand-off."""
    if folder.resolve().is_relative_to(handoff.folder.resolve()):
        raise UserError(f"{folder} lies in the hand-off, which must stay as it is: choose another folder.")


def read_label(handoff: Handoff, folder: Path, image: str) -> np.ndarray:
    """Return the label of an image: as it was corrected last, or else as it was handed off.

    Parameters
    ----------
    handoff : Handoff
    folder : Path
        Of the corrections.
    image : str
        Its name in the hand-off.

    Returns
    -------
    ndarray
        uint8 `[H, W]`: 0 background, 1 myelin, 2 axon.

    Raises
    ------
    UserError
        If the mask cannot be read, or has another size than its image.
    """
    before = read_mask(handoff.file(image, names.COMBINED))[0]
    path = correction_file(folder, image)
    if not path.exists():
        return before
    corrected = read_mask(path)[0]
    check_same_size(before.shape, corrected.shape, path)
    return corrected


def write_correction(folder: Path, image: str, mask: np.ndarray) -> Path:
    """Write the corrected label of an image, whole or not at all; return its path.

    Parameters
    ----------
    folder : Path
        Of the corrections; made if it is missing.
    image : str
        Its name in the hand-off.
    mask : ndarray
        Integers `[H, W]` in 0..2.

    Raises
    ------
    UserError
        If the mask holds other labels, or the file cannot be written.
    """
    path = correction_file(folder, image)
    write_mask(path, checked_classes(mask, image))
    return path


def correction_file(folder: Path, image: str) -> Path:
    """Return the path of the correction of an image."""
    return Path(folder) / f"{image}{names.COMBINED}"


def checked_classes(mask: np.ndarray, name: object) -> np.ndarray:
    """Return a mask as uint8; raise a `UserError` about `name` if it holds other labels than the classes."""
    others = mask[(mask < 0) | (mask > AXON)]
    if others.size:
        raise UserError(
            f"{name} has {others.size} pixels of the label {others[0]}, which is no class: paint them with 1 (myelin) "
            "or 2 (axon), or erase them."
        )
    return mask.astype(np.uint8)
