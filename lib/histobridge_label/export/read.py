"""Read a hand-off, and find the files that were edited since it was written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import pandas as pd

from histobridge.errors import BrokenError, UserError
from histobridge.io.files import read_json, read_table, sha256_of
from histobridge_label.export import names
from histobridge_label.export.bids import FILES, GENERATOR, MISSING

TEXT = dict.fromkeys(["image", "folder", "participant_id", "sample_id", "name", "subject", "source"], str)
CHECKSUMS = "files_sha256"
SIDECAR = ".json"
WRITE_AGAIN = "run the command that wrote the hand-off again: it sets aside what is broken, and writes that anew"


@dataclass(frozen=True)
class Handoff:
    """A complete hand-off.

    Attributes
    ----------
    folder : Path
    images : DataFrame
        Of `images.tsv`; see `write_handoff`.
    provenance : dict
        Of `provenance.json`.
    """

    folder: Path
    images: pd.DataFrame
    provenance: dict

    def file(self, image: str, ending: str) -> Path:
        """Return the path of one file of an image; `ending` is for example `names.COMBINED`."""
        return self.folder / self.name_of(image, ending)

    def name_of(self, image: str, ending: str) -> str:
        """Return the path of one file of an image relative to the hand-off, as `provenance.json` lists it."""
        return f"{self._rows[image].folder}/{image}{ending}"

    def um_per_px(self, image: str) -> float:
        """Return the pixel size of an image, µm/px."""
        return float(self._rows[image].um_per_px)

    @cached_property
    def _rows(self) -> dict[str, tuple]:  # by image: a search of the table for each of ten thousand takes minutes
        return {row.image: row for row in self.images.itertuples()}


def read_handoff(folder: Path) -> Handoff:
    """Read a hand-off.

    Raises
    ------
    UserError
        If the folder holds none, or an incomplete one; a `BrokenError` if its tables are not as they were written.
    """
    folder = Path(folder)
    if not is_handoff(folder):
        raise UserError(
            f"{folder} holds no labels handed off by histobridge: name the folder that they were written to."
        )
    if not all((folder / name).exists() for name in (names.PROVENANCE, names.IMAGES)):
        raise UserError(f"The hand-off in {folder} was broken off: write it again.")
    provenance = read_provenance(folder)
    path = folder / names.IMAGES
    if provenance[CHECKSUMS].get(names.IMAGES) != sha256_of(path):
        raise BrokenError(f"{path} is not as it was written: {WRITE_AGAIN}.")
    images = read_table(path, separator="\t", dtype=TEXT, na_filter=False)
    return Handoff(folder, images.replace({"source": {MISSING: ""}}), provenance)


def read_provenance(folder: Path) -> dict:
    """Read how the labels of a hand-off were made, with the checksum of each of its files.

    Raises
    ------
    BrokenError
        If the file is missing, not whole, or lists files outside the hand-off.
    """
    path = Path(folder) / names.PROVENANCE
    try:
        provenance = read_json(path, fields=(CHECKSUMS,))
    except BrokenError as error:
        raise BrokenError(f"{error} {WRITE_AGAIN[0].upper()}{WRITE_AGAIN[1:]}.") from error
    listed = provenance[CHECKSUMS]
    if not isinstance(listed, dict) or not all(isinstance(sha, str) and _inside(name) for name, sha in listed.items()):
        raise BrokenError(f"{path} lists no files of this hand-off: {WRITE_AGAIN}.")
    return provenance


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def is_handoff(folder: Path) -> bool:
    """Return whether the dataset in a folder was written by histobridge; it may be incomplete."""
    try:
        generators = json.loads((folder / names.DESCRIPTION).read_text(encoding="utf-8"))["GeneratedBy"]
        return any(generator.get("Name") == GENERATOR for generator in generators)
    except (KeyError, TypeError, AttributeError):  # whole, and of another program
        return False
    except (OSError, ValueError, RecursionError):  # missing or broken: the other record tells
        return _has_provenance(folder)


def _has_provenance(folder: Path) -> bool:
    try:
        return names.DESCRIPTION in read_provenance(folder)[CHECKSUMS]
    except BrokenError:
        return False


def edited_files(handoff: Handoff) -> list[str]:
    """Return the files of a hand-off, relative to it, that were edited since; deleted files are not listed."""
    return changed_files(handoff.folder, handoff.provenance[CHECKSUMS])


def changed_files(folder: Path, sha256: dict[str, str]) -> list[str]:
    """Return the files that exist and do not have the given checksum."""
    existing = {name: folder / name for name in sha256 if (folder / name).exists()}
    return [name for name, path in existing.items() if not path.is_file() or sha256_of(path) != sha256[name]]


def is_own_table(name: str) -> bool:
    """Return whether a file of a hand-off is a table of the program's own, which nobody is asked to edit."""
    return name in (*FILES, names.REVIEW_ORDER, names.PROVENANCE) or name.endswith(SIDECAR)
