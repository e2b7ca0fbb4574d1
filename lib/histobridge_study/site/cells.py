"""A table as a page shows it: cells of text, some of which lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import pandas as pd

DECIMALS = 3
NUMBER = re.compile(r"^[<+−-]?\s?\d[\d.]*(?!\w)")
REMARK = re.compile(r"^(.*?)( (?:\[|\(\d+ of).*)$")  # an interval, or how many folds there are
HEADINGS = {"p_holm": "p (Holm)", "um_per_px": "µm/px", "f1_50": "F1@50", "ause": "AUSE", "l1": "L1", "ssim": "SSIM"}
HEADINGS |= {"psnr": "PSNR, dB", "offset_px": "offset, px", "median_difference": "median difference", "ece": "ECE"}
HEADINGS |= {"peak_memory_gib": "memory, GiB", "memory_gib": "memory, GiB", "memory_gib_most": "most memory, GiB"}


class Cell(NamedTuple):
    """What one cell shows: text, a remark below it in small type, and where it leads."""

    text: str
    remark: str = ""
    href: str = ""
    title: str = ""
    strong: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it begins with a number."""
        return bool(NUMBER.match(self.text))

    @property
    def share(self) -> float | None:
        """A number in 0..1, for a bar behind it; None for anything else."""
        try:
            value = float(self.text.split(" ")[0])
        except ValueError:
            return None
        return value if 0 <= value <= 1 else None


class TableOf(NamedTuple):
    """A table for the template `_table.html`; `bars` are the columns with a bar behind each number."""

    id: str
    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    bars: frozenset[int] = frozenset()

    def is_numeric(self, column: int) -> bool:
        """Tell whether all that a column says are numbers, to stand at the right."""
        said = [row[column] for row in self.rows if row[column].text != "–"]
        return bool(said) and all(cell.is_number for cell in said)


Link = Callable[[dict], tuple[str, str]]
"""From a row to an address and what is there, for the cell's title."""


def table(
    frame: pd.DataFrame,
    id: str,
    caption: str,
    *,
    links: Mapping[str, Link] | None = None,
    bars: Iterable[str] = (),
    hidden: tuple[str, ...] = ("pair", "protocol", "split"),
) -> TableOf:
    """Return a data frame as cells; numbers get three decimals, and what is NaN a dash.

    Parameters
    ----------
    frame : DataFrame
    id, caption : str
    links : mapping, optional
        By column; the function is given the row as a dict.
    bars : iterable of str
        Columns of numbers in 0..1.
    hidden : tuple of str
        Columns to leave out where they say the same in every row.
    """
    kept = [name for name in frame if name not in hidden or frame[name].nunique() > 1]
    rows = [[_cell(row, name, (links or {}).get(name)) for name in kept] for row in frame.to_dict("records")]
    places = frozenset(kept.index(name) for name in bars if name in kept)
    return TableOf(id, caption, [HEADINGS.get(name, name.replace("_", " ")) for name in kept], rows, places)


def _cell(row: dict, name: str, link: Link | None) -> Cell:
    told, remark = _text(row[name]), ""
    text = told.strip("*")  # Markdown's bold, of the best in a table
    if split := REMARK.match(text) if NUMBER.match(text) else None:
        text, remark = split[1], split[2].strip()
    href, title = link(row) if link and text != "–" else ("", "")
    return Cell(text, remark, href, title, strong=told.startswith("**"))


def _text(value) -> str:
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return "–"
    return f"{value:.{DECIMALS}f}" if isinstance(value, float) else str(value)
