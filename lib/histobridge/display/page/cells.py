"""A data frame as cells of a page: text, the number to sort by, and the address that a cell leads to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import pandas as pd

DECIMALS = 3
NUMBER = re.compile(r"^<?\s*([+−-]?(?:\d+(?:\.\d+)?|∞))(?!\.?\w|-)")
REMARK = re.compile(r"^(.*?) ((?:\[|\(\d+ ).*)$")  # an interval, or the number of subjects or folds
MISSING = "–"


class Cell(NamedTuple):
    """One cell: its text, a remark in small type, the address it leads to with a title, and whether it is bold."""

    text: str
    remark: str = ""
    href: str = ""
    title: str = ""
    strong: bool = False

    @property
    def value(self) -> float | None:
        """The number that the text begins with, to sort by; None for other text.

        >>> [Cell(text).value for text in ("0.5 ± 0.1", "<0.001", "−2", "∞", "sem-1", "3.11.7", "8-bit", "–")]
        [0.5, 0.001, -2.0, inf, None, None, None, None]
        """
        found = NUMBER.match(self.text)
        return float(found[1].replace("−", "-").replace("∞", "inf")) if found else None


class Table(NamedTuple):
    """A table for the macro `show` of parts.html.

    Columns in `numeric` hold numbers alone and are aligned to the right; those in `bars` get a bar behind each number.
    """

    id: str
    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    numeric: frozenset[int]
    bars: frozenset[int]


Link = Callable[[dict], tuple[str, str]]
"""From a row, as a dict, to the address that its cell leads to and a title; both empty for no link."""


def table(
    frame: pd.DataFrame,
    id: str,
    caption: str,
    *,
    links: Mapping[str, Link] | None = None,
    bars: Iterable[str] = (),
    hidden: Iterable[str] = (),
    optional: Iterable[str] = (),
) -> Table:
    """Return a data frame as a table. Numbers get three decimals, and NaN becomes a dash.

    Text between `**` is bold, and an interval in brackets becomes the remark of its cell.

    Parameters
    ----------
    frame : DataFrame
    id, caption : str
    links : mapping, optional
        By column.
    bars : iterable of str
        Columns of numbers in 0..1, to draw a bar behind each.
    hidden : iterable of str
        Columns that serve the links alone.
    optional : iterable of str
        Columns that are left out where every row has the same value.
    """
    constant = [name for name in optional if name in frame and frame[name].nunique() == 1]
    names = [name for name in frame if name not in (*hidden, *constant)]
    links = links or {}
    rows = [[_cell(row, name, links.get(name)) for name in names] for row in frame.to_dict("records")]
    numeric = frozenset(n for n, column in enumerate(zip(*rows, strict=True)) if _is_numeric(column))
    with_bars = frozenset(names.index(name) for name in bars if name in names)
    return Table(id, caption, [name.replace("_", " ") for name in names], rows, numeric, with_bars)


def _is_numeric(column: Iterable[Cell]) -> bool:
    cells = [cell for cell in column if cell.text != MISSING]
    return bool(cells) and all(cell.value is not None for cell in cells)


def _cell(row: dict, name: str, link: Link | None) -> Cell:
    marked, remark = _text(row[name]), ""
    text = marked.strip("*")
    if NUMBER.match(text) and (parts := REMARK.match(text)):
        text, remark = parts.groups()
    href, title = link(row) if link and text != MISSING else ("", "")
    return Cell(text, remark, href, title, strong=marked.startswith("**"))


def _text(value) -> str:
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return MISSING
    return f"{value:.{DECIMALS}f}" if isinstance(value, float) else str(value)
