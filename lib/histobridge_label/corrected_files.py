"""The files in a folder of corrections: which image each belongs to, and which kind of mask it may hold.

==============  ==========================================  =====================================================
kind            ending in the hand-off                      accepted too, in capitals or not
==============  ==========================================  =====================================================
both classes    `_seg-axonmyelin.png`                       TIFF, JPEG
one class       `_seg-axon.png`, `_seg-myelin.png`          TIFF, JPEG
polygons        `_fibres.geojson`                           `.json`
ROIs            `_rois.zip`                                 `.roi`
fibres          `_instances.tif`                            `.tiff`, `.png`
==============  ==========================================  =====================================================

What operating systems add to the name of a copy (` copy`, ` (1)`, ` - Kopie`, `Copy of `) is ignored.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from histobridge.errors import UserError
from histobridge.io.files import sha256_of
from histobridge.io.folders import AGAIN, files_below
from histobridge.items import MOST_LISTED, Account
from histobridge_label.export import names
from histobridge_label.export.read import CHECKSUMS, Handoff, is_own_table
from histobridge_label.file_kinds import SYSTEM, same

PICTURE = r"(\.ome)?\.tiff?|\.png|\.jpe?g"
KINDS = {
    names.COMBINED: rf"_seg-axonmyelin(?=COPY({PICTURE}))",
    names.AXON: rf"_seg-axon(?=COPY({PICTURE}))",
    names.MYELIN: rf"_seg-myelin(?=COPY({PICTURE}))",
    names.FIBRES: r"_fibres(?=COPY\.(geo)?json)",
    names.ROIS: r"_rois(?=COPY\.(zip|roi))",
    names.INSTANCES: r"_instances(?=COPY((\.ome)?\.tiff?|\.png))",
}
"""The name of a file after that of its image, by the ending in the hand-off."""
COPY_WORD = r"(copy|kopie|copie|copia|kopia)"
COPY = rf"(\s*[-–_]?\s*\(?(another\s+|\d+\w\w\s+)?{COPY_WORD}(\s*\d+)?\)?|\s*\(\d+\)|\s+\d+)*"
COPY_OF = re.compile(rf"^{COPY_WORD}\s+(\(\d+\)\s+)?(of|von|de|di)\s+", re.IGNORECASE)
PATTERNS = {
    ending: re.compile(rf"(?P<image>.+){pattern.replace('COPY', COPY)}(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
    for ending, pattern in KINDS.items()
}
OF_SYSTEM = (*SYSTEM, "__macosx", "$recycle.bin")
"""Files, and folders, that operating systems put among those of a user."""
WRITING = (".txt", ".md", ".log", ".csv", ".tsv", ".pdf", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".ods")
UNCHANGED = "unchanged"
EXPECTED = ", ".join(f"*{ending}" for ending in KINDS)


class Corrected(NamedTuple):
    """A file that may hold a correction: the image that it belongs to, and its ending in the hand-off."""

    path: Path
    image: str
    ending: str


def corrected_files(handoff: Handoff, folder: Path, account: Account) -> dict[str, list[Corrected]]:
    """Return the files below a folder that belong to an image of a hand-off, by image; account for all others.

    Parameters
    ----------
    handoff : Handoff
    folder : Path
    account : Account
        Other files are skipped or harmless in it.

    Raises
    ------
    UserError
        If there is no such folder, or no file in it.
    """
    images, checksums = _images_by_name(handoff), set(handoff.provenance[CHECKSUMS].values())
    found: dict[str, list[Corrected]] = {}
    for path in _files(folder, account):
        if harmless := _harmless(path.relative_to(folder)):
            account.harmless[path] = harmless
            continue
        with account.item(path):
            one = _match(path, images, suggest=len(account.skipped) < MOST_LISTED)
            if one is not None:
                found.setdefault(one.image, []).append(one)
            elif sha256_of(path) in checksums:
                account.harmless[path] = UNCHANGED
            else:
                raise UserError(f"not recognised: corrections keep the names they were handed off with ({EXPECTED}).")
        account.withdraw(path)  # until it has been read, nobody knows
    return found


def is_unchanged(handoff: Handoff, file: Corrected) -> bool:
    """Return whether the content of a file is that of the same file in the hand-off."""
    name = handoff.name_of(file.image, file.ending)
    return handoff.provenance[CHECKSUMS].get(name) == sha256_of(file.path)


def _files(folder: Path, account: Account) -> Iterator[Path]:
    """Yield the files below a folder; skip what cannot be reached."""
    paths = list(files_below(folder)) if folder.is_dir() else []
    if not paths:
        raise UserError(f"{folder} holds no corrected masks: keep the names they were handed off with ({EXPECTED}).")
    for path, problem in paths:
        if problem is None:
            yield path
        elif problem == AGAIN:
            account.harmless[path] = "link to a folder that is read"
        else:
            account.skip(path, f"it {problem}")


def _harmless(path: Path) -> str | None:
    """Return what a file is that cannot hold a correction, by its path below the folder; else None."""
    if any(part.startswith((".", "~$")) or part.casefold() in OF_SYSTEM for part in path.parts):
        return "hidden or of the system"
    if is_own_table(path.name) and not PATTERNS[names.FIBRES].fullmatch(path.name):
        return "table of a hand-off"
    return "text or table" if path.suffix.casefold() in WRITING else None


def _match(path: Path, images: dict[str, str], *, suggest: bool) -> Corrected | None:
    """Return the image and the ending of a file; None if its name is none of a correction.

    Raises a `UserError` if it is one of a correction, and of no image. To `suggest` similar names takes a comparison
    with those of all images.
    """
    for ending, pattern in PATTERNS.items():
        if found := pattern.fullmatch(path.name):
            for name in (found["image"], COPY_OF.sub("", found["image"])):
                if image := images.get(same(name)):
                    return Corrected(path, image, ending)
            similar = difflib.get_close_matches(same(found["image"]), images, n=3) if suggest else []
            similar = list(dict.fromkeys(images[name] for name in similar))
            question = f"; did you mean {' or '.join(similar)}?" if similar else "."
            raise UserError(f"{path.name} belongs to no image of the hand-off{question}")
    return None


def _images_by_name(handoff: Handoff) -> dict[str, str]:
    """Return the image for each accepted name: of the image itself, or of the user's file if it is unique."""
    folded = handoff.images.assign(folded=handoff.images["name"].map(same))
    unique = folded.drop_duplicates("folded", keep=False)
    by_file_name = dict(zip(unique["folded"], unique["image"], strict=True))
    return by_file_name | {same(image): image for image in handoff.images["image"]}
