"""What a file in a folder of images is, by its name: an image, a mask of one, or of no concern.

What is of no concern is a closed list (`HARMLESS`). All else that is not an image is told to the user, whatever it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from histobridge.data.bids import stem
from histobridge.io.pixels import format_of

READABLE = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
UNREADABLE = (
    ".bmp", ".gif", ".webp", ".heic", ".heif", ".avif", ".jp2", ".jpx", ".j2k", ".jxl", ".jxr", ".psd", ".svg", ".eps",
    ".czi", ".nd2", ".lif", ".lsm", ".zvi", ".dm3", ".dm4", ".mrc", ".ser", ".emd", ".oib", ".oif", ".oir", ".vsi",
    ".ets", ".svs", ".ndpi", ".scn", ".mrxs", ".bif", ".qptiff", ".btf", ".tf2", ".tf8", ".ims", ".dv", ".r3d", ".stk",
    ".flex", ".lei", ".xdce", ".dcm", ".nii", ".nrrd", ".mha", ".mhd", ".fits", ".raw", ".cr2", ".nef", ".dng", ".h5",
    ".hdf5", ".npy", ".npz", ".mat", ".avi", ".mp4", ".mov",
)  # fmt: skip
"""Formats that cannot be read; the list only decides what the user is told of them."""

FOLDER_FORMATS = (".zarr", ".n5")
"""Endings of folders that are one image of many files; a Zarr folder is known by its content (`zarr_image.is_zarr`)."""

HARMLESS = {
    "text": (".txt", ".md", ".rst", ".pdf", ".rtf", ".log", ".html", ".htm", ".tex", ".bib"),
    "table or sidecar": (".json", ".tsv", ".csv", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg"),
    "office file": (".doc", ".docx", ".xls", ".xlsx", ".xlsm", ".ppt", ".pptx", ".odt", ".ods", ".odp"),
    "script": (".py", ".ipynb", ".m", ".r", ".ijm", ".groovy", ".sh", ".bat", ".cmd", ".ps1", ".js", ".macro"),
}
"""Endings of files of which nobody expects a label, by what the account calls them."""

HARMLESS_ENDINGS = {ending: kind for kind, endings in HARMLESS.items() for ending in endings}
TEXTS = re.compile(r"readme|licen[cs]e|copying|changes|changelog|notice|authors|citation|contributors|makefile", re.I)
"""Text files that have no ending."""
SYSTEM = ("thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r")

MASK = re.compile(
    r"(cp[-_])?(masks?|outlines?|flows)|segs?|segmentations?|segmented|labels?|gt|ground[-_ ]?truths?|instances?"
    r"|annotations?|annotated|instance[-_]map|uncertainty|overlay|seg-\w+|(u?axon|myelin|axonmyelin)([-_]\w+)?",
    re.I,
)
"""What a name says of a mask, beside the name of its image: also the endings of Cellpose and AxonDeepSeg."""
COUNTED = re.compile(r"[-_ ]?\(?\d*\)?$")
SEPARATOR = re.compile(r"[-_. ]+")


def harmless_kind(name: str) -> str | None:
    """Return what a file of no concern is; None for every other file.

    >>> harmless_kind("a.json"), harmless_kind(".DS_Store"), harmless_kind("LICENSE"), harmless_kind("a.czi")
    ('table or sidecar', 'hidden', 'text', None)
    """
    if name.startswith("."):
        return "hidden"
    if name.casefold() in SYSTEM:
        return "file of the system"
    if TEXTS.fullmatch(name):
        return "text"
    return HARMLESS_ENDINGS.get(PurePath(name).suffix.lower())


def same(name: str) -> str:
    """Return one text for all names that some file system takes for the same one: case and Unicode forms differ."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def looks_like(path: Path) -> str | None:
    """Return the format, PNG, TIFF or JPEG, that the first bytes of a file declare; None for other content."""
    try:
        with path.open("rb") as file:
            return format_of(file.read(8))
    except OSError:
        return None


class MaskNames:
    """Finds the image that a mask belongs to, by name, among the files of a folder.

    Parameters
    ----------
    root : Path
    files : iterable of Path
        Below the root.
    """

    def __init__(self, root: Path, files: Iterable[Path]):
        self._root = root
        self._images: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)  # of each folder, by stem
        self._beside: dict[tuple, list[tuple[str, ...]]] = defaultdict(list)  # folders that differ in one name alone
        self._elsewhere: dict[tuple[str, ...], dict[str, str]] = {}
        for path in files:
            folder = path.relative_to(root).parts[:-1]
            if path.suffix.lower() in (*READABLE, *UNREADABLE, ".zarr"):
                self._images[folder].setdefault(same(stem(path)), path.name)
        for folder in sorted(self._images):
            for depth, name in enumerate(folder):
                if not _is_of_masks(name):
                    self._beside[folder[:depth], folder[depth + 1 :]].append(folder)

    def image_of(self, path: Path) -> str | None:
        """Return the name of the image that a file is a mask of, by the names of both; None if it is an image.

        A mask has the image's name with a word such as `_mask` at its beginning or end, or the image's name in a folder
        such as `masks` beside the image or beside the folder of the image.
        """
        folder = path.relative_to(self._root).parts[:-1]
        name, elsewhere = stem(path), self._images_elsewhere(folder)
        parts = [same(part) for part in _without_mask_word(name)]
        found = [elsewhere[part] for part in (same(name), *parts) if part in elsewhere]
        found += [self._images[folder][part] for part in parts if part in self._images.get(folder, ())]
        return found[0] if found else None

    def _images_elsewhere(self, folder: tuple[str, ...]) -> dict[str, str]:
        """Return, by stem, the images that a folder of masks may belong to; none for another folder."""
        if folder not in self._elsewhere:
            found: dict[str, str] = {}
            for depth in (depth for depth, name in enumerate(folder) if _is_of_masks(name)):
                above, below = folder[:depth], folder[depth + 1 :]
                for other in ((*above, *below), *self._beside.get((above, below), ())):
                    for name, image in self._images.get(other, {}).items():
                        found.setdefault(name, image)
            self._elsewhere[folder] = found
        return self._elsewhere[folder]


def _is_of_masks(folder: str) -> bool:
    return bool(MASK.fullmatch(folder)) or not {"mask", "masks"}.isdisjoint(SEPARATOR.split(folder.casefold()))


def _without_mask_word(name: str) -> Iterator[str]:
    """Yield what remains of a name without a word such as `_mask` at its end or beginning, the shortest first.

    >>> [list(_without_mask_word(name)) for name in ("img_0_cp_masks", "a.png-labels2", "gt_a", "a_b")]
    [['img_0', 'img_0_cp'], ['a.png', 'a'], ['a'], []]
    """
    for found in SEPARATOR.finditer(name):
        before, after = name[: found.start()], name[found.end() :]
        if before and MASK.fullmatch(COUNTED.sub("", after)):
            yield from dict.fromkeys((before, stem(before) if before.lower().endswith(READABLE) else before))
        if after and MASK.fullmatch(before):
            yield after
