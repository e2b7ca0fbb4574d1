"""A first look at a folder of images: which can be used, at which pixel size, and what is odd about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import numpy as np
import pandas as pd
from skimage.transform import resize

from histobridge.data.bids import stem
from histobridge.errors import UserError
from histobridge.io.files import sha256_of
from histobridge.io.images import normalise, read_described
from histobridge.io.progress import Report, ThrottledProgress
from histobridge.io.resample import check_pixel_size
from histobridge_label.export import names
from histobridge_label.pixel_size import PixelSize, pixel_size

READABLE = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
FOREIGN = (".czi", ".nd2", ".lif", ".dm3", ".dm4", ".mrc", ".svs", ".ndpi", ".vsi", ".oib", ".oif", ".bmp", ".gif")
"""Formats of microscopes and others that hold images and cannot be read: they must not be passed over in silence."""
DERIVED = "derivatives"  # of a BIDS dataset: masks, not images
TABLE, LOCK = "images.csv", ".lock"
"""What every run writes into its folder first: by both it is known."""
THUMB = 192  # px
CLIPPED = 0.02  # the share of pixels at an end of the scale from which on an image is said to be clipped
BAR = 0.04, 0.6  # the lowest part of an image, and the share of it that is one grey where a bar is burnt in


@dataclass(frozen=True)
class Found:
    """An image that can be used.

    Attributes
    ----------
    path : Path
        The user's file.
    name, subject : str
        The name is unique in the folder.
    um_per_px : float
    said_by : str
        Who stated the pixel size.
    height, width : int
        In px.
    kind : str
        How it is stored, such as `16-bit grey`.
    sha256 : str
        Of the file.
    thumbnail : ndarray
        float32 `[h, w]` in 0..1.
    odd : tuple of str
        What is odd about this image.
    """

    path: Path
    name: str
    subject: str
    um_per_px: float
    said_by: str
    height: int
    width: int
    kind: str
    sha256: str
    thumbnail: np.ndarray = field(repr=False)
    odd: tuple[str, ...] = ()

    def read(self) -> np.ndarray:
        """Return the image, float32 [H, W], its contrast stretched to 0..1."""
        return normalise(read_described(self.path)[0], name=self.path)


@dataclass(frozen=True)
class FolderScan:
    """What a folder holds: images, files that look like images and cannot be used (with the reason), what is odd."""

    folder: Path
    images: list[Found]
    skipped: dict[Path, str]
    remarks: list[str]

    @property
    def table(self) -> pd.DataFrame:
        """One row an image, and one a skipped file, which has its reason as the remark."""
        rows = [
            {
                "image": one.name,
                "file": self._relative(one.path),
                "subject": one.subject,
                "width_px": one.width,
                "height_px": one.height,
                "um_per_px": one.um_per_px,
                "pixel_size_from": one.said_by,
                "stored_as": one.kind,
                "remark": "; ".join(one.odd),
            }
            for one in self.images
        ]
        rows += [{"file": self._relative(path), "remark": f"skipped: {why}"} for path, why in self.skipped.items()]
        whole = {"width_px": "Int64", "height_px": "Int64"}  # integers, although skipped files have none
        return pd.DataFrame(rows).astype(whole)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def look(
    folder: Path, um_per_px: float | None = None, *, without: Path | None = None, report: Report | None = None
) -> FolderScan:
    """Look at all images of a folder, sub-folders included; one that cannot be used does not stop the others.

    Passed over are hidden files, the `derivatives` of a BIDS dataset, masks and maps of an earlier hand-off, and
    folders that earlier runs have written.

    Parameters
    ----------
    folder : Path
        Also that of a BIDS dataset.
    um_per_px : float, optional
        Pixel size of all images; by default what sidecars and OME metadata say.
    without : Path, optional
        A folder that is passed over: results may lie among the images.
    report : callable, optional
        Called with a progress line an image; prints one every ten seconds by default.

    Raises
    ------
    UserError
        If there is no folder, no image, or none that can be used; or a pixel size is stated nowhere.
    """
    folder, report = Path(folder).resolve(), report or ThrottledProgress()
    files = _image_files(folder, without)
    if um_per_px is not None:
        check_pixel_size(um_per_px, folder)
    images, skipped, called = [], {}, unique_names([path.relative_to(folder) for path in files])
    for number, (path, name) in enumerate(zip(files, called, strict=True), 1):
        report(f"looking at {path.name}, {number} of {len(files)}")
        try:
            images.append(_look_at(path, name, folder, um_per_px))
        except UserError as error:
            skipped[path] = str(error)
    if not images:
        path, why = next(iter(skipped.items()))
        raise UserError(f"None of the {len(skipped)} images in {folder} can be used. The first, {path.name}: {why}")
    return FolderScan(folder, images, skipped, remarks(images, skipped))


def remarks(images: list[Found], skipped: dict[Path, str]) -> list[str]:
    """Say in sentences what is odd about images as a set, and which files were skipped."""
    told = [f"Skipped {path.name}: {why}" for path, why in skipped.items()]
    told += [f"{one.name}: {odd}" for one in images for odd in one.odd]
    if len(images) == 1:
        told.append("There is one image: what is learned of this microscope rests on it alone. More would help.")
    told += _mixed("stored differently", [one.kind for one in images])
    told += _mixed("of different pixel sizes (µm/px)", [f"{one.um_per_px:g}" for one in images])
    areas = [one.width * one.height for one in images]
    if max(areas) > 4 * min(areas):
        small, large = (images[int(pick(areas))] for pick in (np.argmin, np.argmax))
        told.append(
            f"Sizes differ, from {small.width} × {small.height} px ({small.name}) to {large.width} × {large.height} px "
            f"({large.name}): that is no fault, if the pixel size is right for all."
        )
    twice = [of for of in _by_content(images).values() if len(of) > 1]
    return told + [f"{' and '.join(of)} are the same file: one of them teaches nothing." for of in twice]


def unique_names(paths: list[Path]) -> list[str]:
    """Return a name for each file: what stands before its ending, with as much of its folder as makes it unique.

    Labels are kept by these names, so no two are alike, not even where a file system ignores case: a name that any
    other file might have too is passed over, and where all are, a number tells files apart.

    >>> unique_names([Path("a.png"), Path("x/b.png"), Path("y/b.ome.tif"), Path("y/b.png")])
    ['a', 'x-b', 'y-b-ome-tif', 'y-b-png']
    >>> unique_names([Path("c/d.png"), Path("c-d.png"), Path("C-D.png")])
    ['d', 'c-d-png', 'C-D-png-2']
    """
    possible = [_possible_names(path) for path in paths]
    times = Counter(name for names_ in possible for name in {name.casefold() for name in names_})
    taken: set[str] = set()
    return [_free_name(names_, times, taken) for names_ in possible]


def _possible_names(path: Path) -> list[str]:
    """Return the names that a file may have, the shortest first."""
    folders = path.parts[:-1]
    return [stem(path), "-".join([*folders, stem(path)]), "-".join([*folders, path.name.replace(".", "-")])]


def _free_name(possible: list[str], times: Counter[str], taken: set[str]) -> str:
    """Return the first name that no other file might have, else the longest, with a number if need be; note it."""
    file_lock = [name for name in possible if times[name.casefold()] == 1]
    numbered = (f"{possible[-1]}-{number}" for number in count(2))
    shared = chain(possible[-1:], (name for name in numbered if name.casefold() not in times))
    found = next(name for name in file_lock or shared if name.casefold() not in taken)
    taken.add(found.casefold())
    return found


def _image_files(folder: Path, without: Path | None) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: name the one that holds your images.")
    there = sorted(folder.rglob("*"))
    hidden = _results(there, folder) | ({Path(without).resolve()} if without else set())
    found = [path for path in there if _is_image(path, folder, hidden) and path.is_file()]
    if not found:
        raise UserError(f"{folder} holds no images: put some there as PNG, TIFF or JPEG ({', '.join(READABLE)}).")
    return found


def _results(there: list[Path], folder: Path) -> set[Path]:
    """Return the folders among files `there` that a run of ours has written: masks and plots in them are no images.

    Not the folder itself: who names it means what lies in it.
    """
    marked = [{path.parent for path in there if path.name == mark} for mark in (TABLE, LOCK)]
    return set.intersection(*marked) - {folder}


def _is_image(path: Path, folder: Path, hidden: set[Path]) -> bool:
    parts = path.relative_to(folder).parts
    apart = any(part.startswith(".") or part == DERIVED for part in parts) or not hidden.isdisjoint(path.parents)
    made = path.name.endswith(names.ENDINGS)
    return path.suffix.lower() in READABLE + FOREIGN and not apart and not made


def _look_at(path: Path, name: str, root: Path, um_per_px: float | None) -> Found:
    if path.suffix.lower() in FOREIGN:
        raise UserError(f"{path.suffix} cannot be read: export it as TIFF or PNG.")
    image, kind = read_described(path)
    stretched = normalise(image, name=path)
    said, differs = _pixel_size(path, root, um_per_px)
    height, width = image.shape
    return Found(
        path=path,
        name=name,
        subject=_subject(path, root),
        um_per_px=said.um_per_px,
        said_by=said.said_by,
        height=height,
        width=width,
        kind=kind,
        sha256=sha256_of(path),
        thumbnail=_thumbnail(stretched),
        odd=(*differs, *_odd(image)),
    )


def _pixel_size(path: Path, root: Path, stated: float | None) -> tuple[PixelSize, list[str]]:
    """Return the pixel size of an image: as stated for all, or as its files say; and whether the two differ."""
    try:
        said = pixel_size(path, root)
    except UserError as error:
        if stated is None:
            raise
        return PixelSize(stated, "stated"), [f"{stated:g} µm/px is used, as stated; otherwise: {error}"]
    if stated is None and said is None:
        raise UserError("no pixel size is known: state it, such as --um-per-px 0.1; none is guessed.")
    if stated is None:
        return said, []
    differs = said is not None and not np.isclose(said.um_per_px, stated, rtol=0.01)
    told = [f"{said.said_by} says {said.um_per_px:g} µm/px; {stated:g} is used, as stated"] if differs else []
    return PixelSize(stated, "stated"), told


def _subject(path: Path, root: Path) -> str:
    """Return the animal or nerve: that of a BIDS name, else the sub-folder, else the folder."""
    bids = names.BIDS_IMAGE.match(path.name.split(".")[0])
    return bids["sub"] if bids else path.relative_to(root).parts[:-1][0] if path.parent != root else root.name


def _odd(image: np.ndarray) -> list[str]:
    """Say what is odd about one image of raw grey values."""
    told = []
    for end, value in (("darkest", image.min()), ("brightest", image.max())):
        share = float((image == value).mean())
        if share > CLIPPED:
            told.append(f"{share:.0%} of its pixels have its {end} grey: nothing can be told apart there")
    part, most = BAR
    foot = image[-max(1, round(part * len(image))) :]
    values, counts = np.unique(foot, return_counts=True)
    if len(values) > 1 and counts.max() > most * foot.size:
        told.append("its lower edge is mostly of one grey: crop a burnt-in bar off")
    return told


def _thumbnail(image: np.ndarray) -> np.ndarray:
    scale = min(1.0, THUMB / max(image.shape))
    shape = [max(1, round(side * scale)) for side in image.shape]
    return resize(image, shape, order=1, anti_aliasing=True).astype(np.float32)


def _mixed(what: str, values: Iterable[str]) -> list[str]:
    """Say that a property differs between images, with counts; nothing if it does not."""
    counts = Counter(values).most_common()
    if len(counts) < 2:
        return []
    return [f"The images are {what}: " + ", ".join(f"{n} × {value}" for value, n in counts) + "."]


def _by_content(images: list[Found]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in images:
        found.setdefault(one.sha256, []).append(one.name)
    return found
