"""What a model has learned from people, kept beside it: a newly trained model can learn it again.

`model/lessons/NN` holds the images and the corrected masks of one lesson as they were in the hand-off, and
`lesson.json`; every file has a seal (`histobridge.io.kept`).
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from histobridge.errors import BrokenError
from histobridge.io.files import DRAFT, read_json, write_json
from histobridge.io.kept import fits_seal, seal
from histobridge.io.masks import read_mask, write_mask
from histobridge.strategies import Examples
from histobridge_label.corrections import Correction, training_example

LESSONS, CARD = "lessons", "lesson.json"
FIELDS = ("um_per_px", "steps", "seed")


@dataclass(frozen=True)
class Lesson:
    """One lesson on the disk: `um_per_px` has the pixel size (µm/px) of each image, by its name in the hand-off."""

    folder: Path
    um_per_px: dict[str, float]
    steps: int
    seed: int

    @property
    def names(self) -> list[str]:
        """The names of the images."""
        return list(self.um_per_px)

    def examples(self, um_per_px: float) -> Examples:
        """Return images and masks at the pixel size of a model, µm/px, the same as when it was learned from them."""
        masks = {name: read_mask(self.folder / f"{name}_mask.png")[0] for name in self.um_per_px}
        images = {name: (self.folder / f"{name}.png", size) for name, size in self.um_per_px.items()}
        return [training_example(path, masks[name], size, um_per_px) for name, (path, size) in images.items()]


def write_lesson(home: Path, number: int, corrections: list[Correction], *, steps: int, seed: int) -> None:
    """Write lesson `number` (from 1) of the model in the folder `home`, whole or not at all."""
    place = _folder(home, number)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=DRAFT, dir=place.parent) as around:
        draft = Path(around) / place.name
        draft.mkdir()
        for correction in corrections:
            shutil.copyfile(correction.image_file, draft / f"{correction.image}.png")
            write_mask(draft / f"{correction.image}_mask.png", correction.after)
        sizes = {correction.image: correction.um_per_px for correction in corrections}
        write_json(draft / CARD, {"um_per_px": sizes, "steps": steps, "seed": seed})
        for path in list(draft.iterdir()):
            seal(path)
        shutil.rmtree(place, ignore_errors=True)  # of an import that ended before the model had learned it
        draft.rename(place)


def read_lessons(home: Path, number: int | None = None) -> list[Lesson]:
    """Return the first `number` lessons of a model, or all that are there.

    Raises
    ------
    BrokenError
        If a file is missing, or is not as it was written.
    """
    count = len(list((home / LESSONS).glob("[0-9]*"))) if number is None else number
    return [_read(_folder(home, number + 1)) for number in range(count)]


def _read(folder: Path) -> Lesson:
    card = read_json(folder / CARD, fields=FIELDS)
    if not fits_seal(folder / CARD):
        raise BrokenError(f"{folder / CARD} is not as it was written.")
    for name in card["um_per_px"]:
        for path in (folder / f"{name}.png", folder / f"{name}_mask.png"):
            if not fits_seal(path):
                raise BrokenError(f"{path} is missing, or not as it was written.")
    return Lesson(folder, **{field: card[field] for field in FIELDS})


def _folder(home: Path, number: int) -> Path:
    return home / LESSONS / f"{number:02d}"
