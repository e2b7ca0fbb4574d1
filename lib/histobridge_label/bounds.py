"""What is checked before any work: sizes at the working scale, memory, lengths of names, and room on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from histobridge.io.limits import check_disk, check_memory, check_path
from histobridge.items import Account
from histobridge_label.export import names
from histobridge_label.image_file import ImageFile
from histobridge_label.scale import check_size_at_scale

FILE_BYTES_PER_PX, SCALED_BYTES_PER_PX = 40, 60
"""Memory that labelling takes for a pixel of the file (image, normalised image, one class and the uncertainty, resized)
and for a pixel at the working scale (image, probabilities of three classes, their sum over views and weights)."""
FILE_WRITTEN_PER_PX, SCALED_WRITTEN_PER_PX = 2.5, 4
"""Bytes on the disk: the image and its labels in the hand-off, labels and translations in the cache."""


def check_before_work(
    images: Iterable[ImageFile], um_per_px: float, folder: Path, modality: str | None, account: Account
) -> None:
    """Skip images that cannot be labelled at a working scale; refuse a folder without room for the others.

    Parameters
    ----------
    images : iterable of ImageFile
    um_per_px : float
        The working scale, µm/px.
    folder : Path
        Of the hand-off; the folder above it exists.
    modality : str or None
        As in the names of the hand-off.
    account : Account
        In which images are skipped.

    Raises
    ------
    OutputError
        If a path would be too long or the disk is too full.
    """
    composed, written = names.Names(), 0.0
    longest = max(names.ENDINGS, key=len)
    for image in images:
        px = image.height * image.width
        scaled_px = px * (image.um_per_px / um_per_px) ** 2
        with account.item(image.path):
            check_size_at_scale(image, um_per_px)
            check_memory(FILE_BYTES_PER_PX * px + SCALED_BYTES_PER_PX * scaled_px, image.path)
            name = composed.add(image.name, image.subject, modality)
            check_path(folder / name.folder / f"{name.image}{longest}")
            written += FILE_WRITTEN_PER_PX * px + SCALED_WRITTEN_PER_PX * scaled_px
    check_disk(written, folder.parent)
