"""Read a hand-off, and find the files that were edited since it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from histobridge.errors import UserError
from histobridge.io.files import sha256_of
from histobridge_label.export import names
from histobridge_label.export.bids import GENERATOR, MISSING

TEXT = dict.fromkeys(["image", "folder", "participant_id", "sample_id", "name", "subject", "source"], str)


class Handoff(NamedTuple):
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
        folder = self.images.set_index("image").at[image, "folder"]
        return self.folder / folder / f"{image}{ending}"


def read_handoff(folder: Path) -> Handoff:
    """Read a hand-off.

    Raises
    ------
    UserError
        If the folder holds none, or an incomplete one.
    """
    folder = Path(folder)
    if not is_handoff(folder):
        raise UserError(
            f"{folder} holds no labels handed off by histobridge: name the folder that they were written to."
        )
    if not all((folder / name).exists() for name in (names.PROVENANCE, names.IMAGES)):
        raise UserError(f"The hand-off in {folder} was broken off: write it again.")
    images = pd.read_csv(folder / names.IMAGES, sep="\t", dtype=TEXT, keep_default_na=False)
    provenance = json.loads((folder / names.PROVENANCE).read_text())
    return Handoff(folder, images.replace({"source": {MISSING: ""}}), provenance)


def is_handoff(folder: Path) -> bool:
    """Return whether the dataset in a folder was written by histobridge; it may be incomplete."""
    try:
        generators = json.loads((folder / names.DESCRIPTION).read_text())["GeneratedBy"]
        return any(generator.get("Name") == GENERATOR for generator in generators)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def edited_files(handoff: Handoff) -> list[str]:
    """Return the files of a hand-off, relative to it, that were edited since; deleted files are not listed."""
    return changed_files(handoff.folder, handoff.provenance["files_sha256"])


def changed_files(folder: Path, sha256: dict[str, str]) -> list[str]:
    """Return the files that exist and do not have the given checksum."""
    existing = {name: folder / name for name in sha256 if (folder / name).exists()}
    return [name for name, path in existing.items() if sha256_of(path) != sha256[name]]
