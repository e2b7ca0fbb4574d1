"""The first look at a folder, before anything is computed: what is there, what is missing, what to type next.

Names and headers are read, and no pixels, so that it takes seconds for thousands of images.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from histobridge.data.manifest import Dataset
from histobridge.errors import UserError
from histobridge.io.limits import printable
from histobridge.io.pixels import header_of
from histobridge.io.progress import counted
from histobridge.io.zarr_image import is_zarr, open_zarr
from histobridge.items import Account
from histobridge_label.find_images import find_images
from histobridge_label.inspect_folder import nothing_left
from histobridge_label.pixel_size import Sidecars, pixel_size

EXAMPLE_UM_PER_PX = 0.1


@dataclass(frozen=True)
class SeenImage:
    """What the header of an image declares; `um_per_px` (µm/px) is None if unknown, and `remark` may say why."""

    path: Path
    format: str
    height: int
    width: int
    um_per_px: float | None
    remark: str = ""


@dataclass(frozen=True)
class FirstLook:
    """What was found in a folder.

    Attributes
    ----------
    folder : Path
    images : list of SeenImage
    account : Account
        What became of every file below the folder.
    sources : list of str
        Names of the labelled datasets.
    to_fetch : list of int
        Sizes, in bytes, of the files of the labelled datasets that are not here yet.
    """

    folder: Path
    images: list[SeenImage]
    account: Account
    sources: list[str]
    to_fetch: list[int]

    @property
    def without_size(self) -> list[SeenImage]:
        """The images whose pixel size is not known."""
        return [image for image in self.images if image.um_per_px is None]

    def command(self, typed: Sequence[str]) -> str:
        """Return the command to type next: what was typed, and what is missing, with an example of a pixel size."""
        size = ["--um-per-px", f"{EXAMPLE_UM_PER_PX:g}"] if self.without_size else []
        out = self.folder.with_name(f"{self.folder.name.removesuffix('.zarr').removesuffix('.ome')}-labels")
        return shlex.join([*typed, *size, "--out", str(out)])

    def lines(self, typed: Sequence[str]) -> list[str]:
        """Return five lines: what was found, what cannot be used, pixel sizes, the labelled source, what to type."""
        return [
            f"Images    {self._found()}",
            f"Skipped   {self._skipped()}",
            f"Pixels    {self._pixels()}",
            f"Source    {self._source()}",
            f"Type next {self.command(typed)}",
        ]

    def record(self, typed: Sequence[str]) -> dict:
        """Return the same as plain values, for JSON."""
        fields = ("format", "width", "height", "um_per_px", "remark")
        return {
            "folder": printable(self.folder),
            "images": [
                {"file": self._relative(image.path)} | {name: getattr(image, name) for name in fields}
                for image in self.images
            ],
            "skipped": [{"file": self._relative(path), "why": why} for path, why in self.account.skipped.items()],
            "of_no_concern": len(self.account.harmless),
            "missing": ["pixel size"] if self.without_size else [],
            "sources": self.sources,
            "to_fetch": {"files": len(self.to_fetch), "bytes": sum(self.to_fetch)},
            "next": self.command(typed),
        }

    def _relative(self, path: Path) -> str:
        return printable(path.relative_to(self.folder).as_posix())

    def _found(self) -> str:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(image.format for image in self.images).most_common())
        small, large = (extreme(self.images, key=lambda image: image.width * image.height) for extreme in (min, max))
        sizes = dict.fromkeys(f"{image.width} × {image.height}" for image in (small, large))
        return f"{len(self.images)} ({kinds}), {' to '.join(sizes)} px, in {printable(self.folder)}"

    def _skipped(self) -> str:
        others = f"of no concern: {len(self.account.harmless)}"
        if not self.account.skipped:
            return f"0; {others}"
        path, why = next(iter(self.account.skipped.items()))
        told = printable(why).removeprefix(f"{path}").strip(" :")
        return f"{len(self.account.skipped)}, the first {self._relative(path)}: {told}; {others}"

    def _pixels(self) -> str:
        known = Counter(f"{image.um_per_px:g}" for image in self.images if image.um_per_px is not None)
        sizes = ", ".join(f"{size} µm/px in {n} of {len(self.images)}" for size, n in known.most_common(3))
        if not self.without_size:
            return f"{sizes}, from sidecars or metadata, or as stated"
        missing = (
            f"MISSING in {len(self.without_size)}: below, put yours (µm/px, for all) in place of {EXAMPLE_UM_PER_PX:g}"
        )
        return f"{sizes}; {missing}" if sizes else missing

    def _source(self) -> str:
        names = ", ".join(self.sources)
        if not self.to_fetch:
            return f"labelled images of {names} to learn from are here"
        size = sum(self.to_fetch) / 1e6
        return f"{len(self.to_fetch)} files of {names}, to learn from, will be fetched first ({size:.0f} MB)"


def first_look(
    folder: Path, sources: Sequence[Dataset], data: Path, *, um_per_px: float | None = None, level: int = 0
) -> FirstLook:
    """Look at the names and headers of all files below a folder.

    Parameters
    ----------
    folder : Path
        Of images, or one OME-Zarr image.
    sources : sequence of Dataset
        The labelled datasets.
    data : Path
        The folder of the datasets.
    um_per_px : float, optional
        Pixel size of all images, as stated, µm/px.
    level : int
        The pyramid level of OME-Zarr images.

    Raises
    ------
    UserError
        If there is no folder, or no image in it that can be used.
    """
    folder = Path(folder).resolve()
    paths, account = find_images(folder)
    images, sidecars = [], Sidecars(folder.parent if paths == [folder] else folder)
    for path in counted(paths, lambda path: f"looking at {printable(path.name)},"):
        with account.item(path):
            images.append(_seen(path, sidecars, um_per_px, level))
    if not images:
        raise nothing_left(folder, account, paths)
    needed = [(source, file) for source in sources for file in source.files() if file.split == "development"]
    missing = [file.bytes for source, file in needed if not source.local(data, file.path).exists()]
    return FirstLook(folder, images, account, [source.name for source in sources], missing)


def _seen(path: Path, sidecars: Sidecars, stated: float | None, level: int) -> SeenImage:
    header = open_zarr(path, level) if is_zarr(path) else header_of(path)
    try:
        declared, remark = pixel_size(path, header, sidecars), ""
    except UserError as error:
        declared, remark = None, str(error)
    known = stated if stated is not None else declared and declared.um_per_px
    return SeenImage(path, header.format, *header.shape, known, remark)
