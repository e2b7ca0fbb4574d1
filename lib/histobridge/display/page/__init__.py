"""Pages that a browser opens from a file: sortable tables, small pictures and the comparison with a divider.

The site of the study and the report of the label tool are made of these parts. A page needs no server and no network.
"""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from histobridge.display.page.cells import Cell, Table, table
from histobridge.display.page.pictures import Picture, figure_webp, grey_webp, heat_webp, mask_png
from histobridge.display.page.swipe import LAYERS, SwipeRun, see, swipe_data

HERE = Path(__file__).parent

__all__ = [
    "LAYERS", "Cell", "Picture", "SwipeRun", "Table", "environment", "figure_webp", "grey_webp", "heat_webp",
    "mask_png", "see", "swipe_data", "table",
]  # fmt: skip


def environment(templates: Path) -> jinja2.Environment:
    """Return a jinja environment that knows `base.html` and the macros of `parts.html`.

    Text is escaped, and an unknown name is an error. Style and script are written into each page.

    Parameters
    ----------
    templates : Path
        Folder of the caller's own templates.
    """
    loader = jinja2.FileSystemLoader([templates, HERE / "templates"])
    strict = {"autoescape": True, "undefined": jinja2.StrictUndefined}
    made = jinja2.Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, **strict)
    made.filters["code"] = _code
    made.globals |= {name: Markup((HERE / f"site.{name}").read_text(encoding="utf-8")) for name in ("css", "js")}
    return made


def _code(text: str) -> Markup:
    """Return text in which whatever stands between backticks is marked as code.

    >>> _code("use `a < b`")
    Markup('use <code>a &lt; b</code>')
    """
    return Markup(re.sub(r"`+([^`]+)`+", r"<code>\1</code>", str(escape(text))))
