"""The tiles of a hand-off in the order of their uncertainty, and what people have said of each.

What was said is kept in `reviewed.csv` beside the corrections. It holds for the label that was looked at: if the image
is labelled anew, its tiles are open again.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from histobridge.errors import BrokenError, UserError, one_of
from histobridge.io.files import read_table, write_table
from histobridge_label.export import Handoff, names
from histobridge_label.export.read import CHECKSUMS, WRITE_AGAIN

TABLE = "reviewed.csv"
DONE, SKIPPED, OPEN = "done", "skipped", "open"
PLACE = ["image", "top_px", "left_px"]
LABEL_DIGITS = 16
"""Of the checksum of a label: enough to tell labels of one image apart."""


class Tile(NamedTuple):
    """A square of an image: its upper left corner and its side, px, and its mean uncertainty in 0..1."""

    image: str
    top: int
    left: int
    side: int
    uncertainty: float

    @property
    def place(self) -> tuple[str, int, int]:
        """What tells it from all other tiles."""
        return self.image, self.top, self.left


class Review:
    """A walk through the tiles of a hand-off.

    Parameters
    ----------
    handoff : Handoff
    folder : Path
        Of the corrections; what was said of tiles is read from it and written to it.

    Attributes
    ----------
    tiles : list of Tile
        The most uncertain first, as in `review_order.csv`.
    position : int
        The number of the current tile, from 0; at first the first open one.

    Raises
    ------
    UserError
        If the order of the tiles or the table of what was said cannot be read.
    """

    def __init__(self, handoff: Handoff, folder: Path):
        self.handoff, self.folder = handoff, Path(folder)
        self.tiles = _read_tiles(handoff)
        self._number_of_tiles = Counter(tile.image for tile in self.tiles)
        places = {tile.place for tile in self.tiles}
        self._said = {place: state for place, state in self._read().items() if place in places}
        self.position = 0
        self._to_next_open(start=0)

    @property
    def current(self) -> Tile:
        """The tile that is looked at."""
        return self.tiles[self.position]

    def state(self, tile: Tile) -> str:
        """Return `DONE`, `SKIPPED` or `OPEN`."""
        return self._said.get(tile.place, OPEN)

    def move(self, by: int) -> Tile:
        """Go forwards or backwards by a number of tiles, as far as there are any; return the tile."""
        self.position = min(max(self.position + by, 0), len(self.tiles) - 1)
        return self.current

    def say(self, state: str) -> Tile:
        """Keep a state of the current tile, go to the next open one, and return that.

        Raises
        ------
        UserError
            If the table cannot be written; the tile is then as before.
        """
        place = self.current.place
        said = {**self._said, place: one_of("state of a tile", state, (DONE, SKIPPED))}
        self._write(said)
        self._said = said
        self._to_next_open(start=self.position + 1)
        return self.current

    def count(self, state: str, image: str | None = None) -> int:
        """Return the number of tiles of a state, of all images or of one."""
        return sum(self.state(tile) == state for tile in self.tiles if image in (None, tile.image))

    def number_of_tiles(self, image: str) -> int:
        """Return the number of tiles of an image."""
        return self._number_of_tiles[image]

    def _to_next_open(self, start: int) -> None:
        """Go to the first open tile from `start` on, or from the beginning; stay if none is open."""
        order = [*range(start, len(self.tiles)), *range(start)]
        self.position = next((at for at in order if self.state(self.tiles[at]) == OPEN), self.position)

    # --- reviewed.csv -----------------------------------------------------------------------------------

    def _read(self) -> dict[tuple[str, int, int], str]:
        path = self.folder / TABLE
        if not path.exists():
            return {}
        try:
            rows = read_table(path, dtype={"image": str, "label": str})[[*PLACE, "state", "label"]].to_dict("records")
        except (KeyError, BrokenError) as error:
            told = f"{path} is not as it was written ({error}): rename it, and the review starts anew."
            raise UserError(told) from error
        return {
            (row["image"], row["top_px"], row["left_px"]): row["state"]
            for row in rows
            if row["state"] in (DONE, SKIPPED) and row["label"] == self._label(row["image"])
        }

    def _write(self, said: dict[tuple[str, int, int], str]) -> None:
        rows = [[*place, state, self._label(place[0])] for place, state in said.items()]
        write_table(self.folder / TABLE, pd.DataFrame(rows, columns=[*PLACE, "state", "label"]))

    def _label(self, image: str) -> str | None:
        """Return the checksum of the label of an image as it was handed off."""
        if image not in self._number_of_tiles:
            return None
        return self.handoff.provenance[CHECKSUMS][self.handoff.name_of(image, names.COMBINED)][:LABEL_DIGITS]


def _read_tiles(handoff: Handoff) -> list[Tile]:
    path = handoff.folder / names.REVIEW_ORDER
    try:
        table = read_table(path)[[*PLACE, "side_px", "uncertainty"]]
        table = table.astype({"top_px": int, "left_px": int, "side_px": int})
    except (KeyError, ValueError) as error:
        raise BrokenError(f"{path} is not as it was written ({error}): {WRITE_AGAIN}.") from error
    unknown = set(table["image"]) - set(handoff.images["image"])
    if unknown or table.empty:
        told = f"names the image {min(unknown)}, which is not of this hand-off" if unknown else "names no tile"
        raise BrokenError(f"{path} {told}: {WRITE_AGAIN}.")
    return [Tile(*row) for row in table.itertuples(index=False, name=None)]
