"""Scan a folder of images: which can be used, at which pixel size, and what may be wrong with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from histobridge.errors import UserError, check_pixel_size
from histobridge.io.limits import printable
from histobridge.io.progress import Report, counted
from histobridge.io.zarr_image import is_zarr
from histobridge.items import Account
from histobridge_label.find_images import find_images, unique_names
from histobridge_label.image_file import ImageFile, inspect_image
from histobridge_label.pixel_size import Sidecars
from histobridge_label.section import inspect_section

MOST_SHOWN = 48
"""Images on a contact sheet."""


@dataclass(frozen=True)
class FolderScan:
    """The images of a folder.

    Attributes
    ----------
    folder : Path
    inspected : list of ImageFile
        Those that could be used when they were looked at.
    account : Account
        What became of every file below the folder, to the end of the command.
    warnings : list of str
        Sentences about single images, and the images as a set.
    shown : list of ImageFile
        `MOST_SHOWN` of `inspected` at most, evenly chosen; these alone have their thumbnails.
    """

    folder: Path
    inspected: list[ImageFile]
    account: Account
    warnings: list[str]
    shown: list[ImageFile]

    @property
    def images(self) -> list[ImageFile]:
        """The images that can still be used.

        Raises
        ------
        UserError
            If there is none.
        """
        images = [image for image in self.inspected if image.path not in self.account.skipped]
        if not images:
            raise nothing_left(self.folder, self.account, [image.path for image in self.inspected])
        return images

    @property
    def table(self) -> pd.DataFrame:
        """One row per image, and one per skipped file with the reason in the column `remark`."""
        skipped = self.account.skipped
        rows = [
            {
                "image": image.name,
                "file": self._relative(image.path),
                "subject": image.subject,
                "width_px": image.width,
                "height_px": image.height,
                "um_per_px": image.um_per_px,
                "pixel_size_from": image.pixel_size_source,
                "stored_as": image.stored_as,
                "remark": "; ".join(image.warnings),
            }
            for image in self.inspected
            if image.path not in skipped
        ]
        rows += [
            {"file": self._relative(path), "remark": f"skipped: {printable(why)}"} for path, why in skipped.items()
        ]
        integers = {"width_px": "Int64", "height_px": "Int64"}  # nullable: skipped files have no size
        return pd.DataFrame(rows).astype(integers)

    def _relative(self, path: Path) -> str:
        return printable(path.relative_to(self.folder).as_posix())


def scan_folder(
    folder: Path,
    um_per_px: float | None = None,
    *,
    level: int = 0,
    exclude: Path | None = None,
    report: Report | None = None,
) -> FolderScan:
    """Inspect all images of a folder and its sub-folders (see `find_images`); skip those that cannot be used.

    Parameters
    ----------
    folder : Path
        May be a BIDS dataset, or one OME-Zarr image.
    um_per_px : float, optional
        Pixel size of all images, µm/px; by default that of sidecars and of OME or ImageJ metadata.
    level : int
        The pyramid level of OME-Zarr images.
    exclude : Path, optional
        A folder that is left out, because results may lie among the images.
    report : callable, optional
        Called with a progress line for each image; prints one every ten seconds by default.

    Raises
    ------
    UserError
        If there is no folder, no image, or none that can be used; or no pixel size is known.
    """
    folder = Path(folder).resolve()
    paths, account = find_images(folder, exclude)
    if not paths:
        raise nothing_left(folder, account, [])
    if um_per_px is not None:
        check_pixel_size(um_per_px, folder)
    folder = folder.parent if paths == [folder] else folder
    images, shown, sidecars = [], EvenlyKept(MOST_SHOWN), Sidecars(folder)
    names = unique_names([path.relative_to(folder) for path in paths])
    found = list(zip(paths, names, strict=True))
    for path, name in counted(found, lambda one: f"looking at {one[1]},", report):
        with account.item(path):
            if is_zarr(path):
                image = inspect_section(path, name, sidecars, um_per_px, level=level)
            else:
                image = inspect_image(path, name, sidecars, um_per_px)
            images.append(replace(image, thumbnail=None))
            shown.add(image)
    if not images:
        raise nothing_left(folder, account, paths)
    return FolderScan(folder, images, account, _warnings(images), shown.kept)


class EvenlyKept:
    """Keeps at most `most` of the items that it is given one by one, evenly spaced, however many these will be.

    >>> few = EvenlyKept(3)
    >>> for number in range(8):
    ...     few.add(number)
    >>> few.kept
    [0, 4]
    """

    def __init__(self, most: int):
        self.kept, self._most, self._step, self._given = [], most, 1, 0

    def add(self, item: object) -> None:
        """Keep an item if its turn has come; of too many, every second one goes."""
        if self._given % self._step == 0:
            self.kept.append(item)
        self._given += 1
        if len(self.kept) > self._most:
            self.kept, self._step = self.kept[::2], 2 * self._step


def nothing_left(folder: Path, account: Account, paths: list[Path]) -> UserError:
    """Return the error that nothing below a folder can be used; it names the first of the images, or what is there."""
    skipped = [path for path in paths if path in account.skipped] or list(account.skipped)
    if not skipped:
        return UserError(f"{folder} holds no images: put some there as PNG, TIFF, JPEG or OME-Zarr.")
    path, what = skipped[0], "images" if paths else "files"
    why = account.skipped[path]
    return UserError(f"None of the {len(skipped)} {what} in {folder} can be used. The first, {path.name}: {why}")


def _warnings(images: list[ImageFile]) -> list[str]:
    warnings = [f"{image.name}: {warning}" for image in images for warning in image.warnings]
    if len(images) == 1:
        warnings.append("There is one image: what is learned of this microscope rests on it alone. More would help.")
    warnings += _differences("stored differently", (image.stored_as for image in images))
    warnings += _differences("of different pixel sizes (µm/px)", (f"{image.um_per_px:g}" for image in images))
    small, large = (extreme(images, key=lambda image: image.width * image.height) for extreme in (min, max))
    if large.width * large.height > 4 * small.width * small.height:
        warnings.append(
            f"Sizes differ, from {small.width} × {small.height} px ({small.name}) to {large.width} × {large.height} px "
            f"({large.name}): that is no fault, if the pixel size is right for all."
        )
    return warnings + _duplicates(images)


def _differences(description: str, values: Iterable[str]) -> list[str]:
    """Warn, with counts, of a property that differs between images."""
    counts = Counter(values).most_common()
    if len(counts) == 1:
        return []
    return [f"The images are {description}: " + ", ".join(f"{n} × {value}" for value, n in counts) + "."]


def _duplicates(images: list[ImageFile]) -> list[str]:
    same_content = defaultdict(list)
    for image in images:
        same_content[image.sha256].append(image.name)
    return [
        f"{' and '.join(names)} are the same file: one of them teaches nothing."
        for names in same_content.values()
        if len(names) > 1
    ]
