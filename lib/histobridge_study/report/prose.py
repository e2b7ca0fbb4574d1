"""Numbers in prose: results are marked with the cell of a published table that they come from, and rewritten from it.

A mark is a pair of comments, which no page shows, around the number:
`<!-- =dice_table pair=tem-sem strategy=refined translator=syndiff class=axon: mean -->0.832<!-- / -->`. It names a file
of `reports/` without its ending, the rows (the usual protocol and split need not be named, names with spaces are
quoted), a column, and if wanted a format, as in `mean .0%` or `difference +.3f`. The number is the mean over the rows.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd

from histobridge.errors import UserError
from histobridge.io.files import read_table

MARK = re.compile(r"(<!-- =(?P<source>[^\n]*?) -->)[^\n]*?(<!-- / -->)")
USUAL = {"protocol": "transductive", "split": "development"}
FORM = ".3f"

NO_PROSE = (
    MARK,
    re.compile(r"^```.*?^```", re.S | re.M),  # blocks of code
    re.compile(r"^\|.*$", re.M),  # tables, which are written as a whole
    re.compile(r"<!--.*?-->", re.S),
    re.compile(r"`[^`\n]*`"),
    re.compile(r"\]\([^)\n]*\)|https?://\S+|(?:doi|arXiv):? ?[\d./]+", re.I),  # addresses
)
RESULT = re.compile(r"(?<![\w.,])[+\-−]?(?:\d+\.\d{2,}\b|\d+(?:\.\d+)? ?%)")
"""What looks like a result: two decimals or more, or a percentage."""


def with_values(text: str, reports: Path) -> str:
    """Return a text whose marked numbers are those of the tables in `reports`.

    Raises
    ------
    UserError
        If a mark names a table, row or column that is not there.
    """
    return MARK.sub(lambda mark: f"{mark[1]}{published_value(mark['source'], reports)}{mark[3]}", text)


def published_value(source: str, reports: Path) -> str:
    """Return the number that a mark names, such as `dice_table pair=tem-sem class=axon: mean .2f`, as text.

    Raises
    ------
    UserError
        If it is not there.
    """
    rows, _, column = source.partition(": ")
    name, *conditions = shlex.split(rows)
    column, _, form = column.partition(" ")
    path = reports / f"{name}.csv"
    if not path.exists():
        raise UserError(f"A text asks for '{source}', but there is no {path}.")
    table = read_table(path)
    asked = {key: value for key, value in USUAL.items() if key in table} | dict(c.split("=", 1) for c in conditions)
    if lacking := sorted({*asked, column} - set(table)):
        raise UserError(f"A text asks for '{source}', but {path} has no column {', '.join(lacking)}.")
    for key, value in asked.items():
        table = table.loc[[_same(cell, value) for cell in table[key]]]
    value = pd.to_numeric(table[column]).mean()
    if pd.isna(value):
        raise UserError(f"A text asks for '{source}', of which {path} has no row with a number.")
    return f"{value:{form or FORM}}"


def unmarked_numbers(text: str) -> list[str]:
    """Return what looks like a result in prose and has no mark: decimals and percentages, in order.

    >>> unmarked_numbers("It has 0.83, twice <!-- =a: b -->0.41<!-- / -->, see `0.5`, and 97 % of 5 rats.")
    ['0.83', '97 %']
    """
    for other in NO_PROSE:
        text = other.sub(" ", text)
    return RESULT.findall(text)


def _same(cell: object, asked: str) -> bool:
    """Tell whether a cell is what a text asks for; numbers compare as numbers."""
    try:
        return float(str(cell)) == float(asked)
    except ValueError:
        return str(cell) == asked
