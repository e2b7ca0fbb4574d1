"""Executed notebooks as pages of the site, and which of their cells makes which figure, table or file."""

from __future__ import annotations

import ast
import base64
import hashlib
import html
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbconvert.filters import Highlight2HTML, ansi2html, markdown2html

from histobridge_study.site import api
from histobridge_study.site.pictures import save_png_as_webp

PICTURES = Path("notebooks", "pictures")  # shared: many runs begin with the same picture
KINDS = {"image/png": "figure", "text/html": "table"}
FILE = re.compile(r"^[\w.-]+\.(csv|json|png|svg)$")
UNWANTED = re.compile(r"<(script|style)\b.*?</\1>|<a class=\"anchor-link\".*?</a>", re.S)  # widgets, pandas, pilcrows


class Output(NamedTuple):
    """One output of a cell, as HTML, and what it is: `figure`, `table`, `text` or `error`."""

    kind: str
    html: str


class Needed(NamedTuple):
    """A name that a cell takes from another: the name, and that cell's place and anchor."""

    name: str
    number: int
    cell: str


class NotebookCell(NamedTuple):
    """A cell of an executed notebook.

    Attributes
    ----------
    id, number : str, int
        Its anchor on the page, and its place in the notebook from 1.
    heading : str
        The heading it stands under.
    source : str
        As it was written.
    html : str
        Text, or highlighted code.
    is_code : bool
    calls : list of str
        Dotted names of the library's functions that it uses.
    files : list of str
        That its code names.
    needs : list of Needed
        What it takes from cells before it.
    outputs : list of Output
    """

    id: str
    number: int
    heading: str
    source: str
    html: str
    is_code: bool
    calls: list[str]
    files: list[str]
    needs: list[Needed]
    outputs: list[Output]

    @property
    def makes(self) -> list[str]:
        """What stands below the cell, apart from text: `2 figures`, `table`."""
        kinds = [output.kind for output in self.outputs]
        counts = {kind: kinds.count(kind) for kind in ("figure", "table", "error") if kind in kinds}
        return [kind if n == 1 else f"{n} {kind}s" for kind, n in counts.items()]


class Notebook(NamedTuple):
    """An executed notebook: its stage, title and cells."""

    stage: str
    title: str
    cells: list[NotebookCell]


def read(path: Path, site: Path) -> Notebook:
    """Read an executed notebook; its pictures are written to the site."""
    notebook = nbformat.reads(_without_place(path.read_text(encoding="utf-8")), as_version=4)
    imports = _imports(notebook)
    cells, heading, made = [], "", {}
    for number, raw in enumerate(notebook.cells, 1):
        if raw.cell_type == "markdown" and (found := re.findall(r"^#+ +(.*)$", raw.source, re.M)):
            heading = found[-1]
        cells.append(_cell(raw, number, heading, imports, made, site))
    title = next((cell.heading for cell in cells if cell.heading), path.stem)
    return Notebook(path.stem, title, cells)


def _cell(raw, number: int, heading: str, imports: dict[str, str], made: dict[str, Needed], site: Path) -> NotebookCell:
    """Read a cell; `made` holds what the cells before it have named, and is given what this one names."""
    is_code, id = raw.cell_type == "code", f"cell-{raw.get('id', number)}"
    code = raw.source if is_code else ""
    calls, files, needs = called(code, imports), _files(code), _needs(code, made)
    made |= {name: Needed(name, number, id) for name in _assigned(code)}
    alt = " ".join([f"{heading}.", *(api.summaries()[name] for name in calls if ".figures." in name)])
    outputs = [o for shown in (_joined(raw.outputs) if is_code else []) for o in _output(shown, alt, site)]
    shown = Highlight2HTML(pygments_lexer="python3")(raw.source) if is_code else markdown2html(raw.source)
    shown = UNWANTED.sub("", shown)
    return NotebookCell(id, number, heading, raw.source, shown, is_code, calls, files, needs, outputs)


def _without_place(text: str) -> str:
    """Return a notebook's text in which paths count from the folder that held `runs`: a page may be given away."""
    place = re.search(r'"out = \\"(/.+)/[^/"]+\\"', text)  # of the parameters that papermill has put in
    return text.replace(f"{place[1]}/", "") if place else text


# --- What code does -----------------------------------------------------------------------------------------


def called(source: str, imports: dict[str, str]) -> list[str]:
    """Return the dotted names of the library's functions and classes that a cell uses, in order.

    >>> called("figures.save(x)", {"figures": "histobridge_study.plotting"})
    ['histobridge_study.plotting.save']
    """
    nodes = [node for node in ast.walk(_parsed(source)) if isinstance(node, ast.Name | ast.Attribute)]
    used = dict.fromkeys(_resolved(node, imports) for node in nodes)
    return [name for name in used if name and api.anchor(name)]


@cache
def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError:  # a line of IPython
        return ast.Module([], [])


def _resolved(node: ast.expr, imports: dict[str, str]) -> str | None:
    """Return the dotted name in full: `figures.save` is `histobridge_study.plotting.save`."""
    first, *others = ast.unparse(node).split(".")
    return ".".join([imports[first], *others]) if first in imports else None


def _imports(notebook) -> dict[str, str]:
    trees = [_parsed(cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {a.asname or a.name: f"{node.module}.{a.name}" for node in nodes for a in node.names}


def _names(tree: ast.AST, context: type[ast.expr_context]) -> list[str]:
    """Return the names that code stores or loads, each once."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, context)]
    return list(dict.fromkeys(node.id for node in nodes))


def _assigned(source: str) -> list[str]:
    """Return the names that a cell gives to others: those of its assignments, not of its loops."""
    assignments = [node for node in ast.walk(_parsed(source)) if isinstance(node, ast.Assign)]
    return [name for node in assignments for target in node.targets for name in _names(target, ast.Store)]


def _needs(source: str, made: dict[str, Needed]) -> list[Needed]:
    """Return what a cell takes from those before it."""
    own = _names(_parsed(source), ast.Store)
    return [made[name] for name in _names(_parsed(source), ast.Load) if name in made and name not in own]


def _files(source: str) -> list[str]:
    texts = [node.value for node in ast.walk(_parsed(source)) if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and FILE.match(text)]


# --- Outputs ------------------------------------------------------------------------------------------------


def _joined(outputs: list) -> list:
    """Return outputs in which what was printed bit by bit is one."""
    joined: list = []
    for made in outputs:
        if made.output_type == "stream" and joined and joined[-1].output_type == "stream":
            joined[-1] = nbformat.from_dict({**joined[-1], "text": joined[-1].text + made.text})
        else:
            joined.append(made)
    return joined


def _output(made, alt: str, site: Path) -> Iterator[Output]:
    if made.output_type == "stream":
        yield Output("text", f"<pre>{ansi2html(made.text)}</pre>")
        return
    if made.output_type == "error":
        yield Output("error", f"<pre>{ansi2html(chr(10).join(made.traceback))}</pre>")
        return
    kind = next((kind for kind in (*KINDS, "text/plain") if kind in made.data), None)
    if kind == "image/png":
        yield Output("figure", _figure(made.data[kind], alt, site))
    elif kind == "text/html":
        yield Output("table", f'<div class="scroll" tabindex="0">{UNWANTED.sub("", made.data[kind])}</div>')
    elif kind:
        yield Output("text", f"<pre>{html.escape(made.data[kind])}</pre>")


def _figure(png: str, alt: str, site: Path) -> str:
    content = base64.b64decode(png)
    path = PICTURES / f"{hashlib.sha256(content).hexdigest()[:16]}.webp"
    width, height = save_png_as_webp(content, site / path)
    address = f"pictures/{path.name}"
    picture = f'<img src="{address}" alt="{html.escape(alt)}" width="{width}" height="{height}" loading="lazy">'
    return f'<a class="zoom paper" href="{address}">{picture}</a>'


# --- Which cell makes what ----------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A cell that makes a figure, a table or a file, and the pages where it was run: label and address."""

    stage: str
    cell: NotebookCell
    pages: dict[str, str]


def inventory(pages: dict[str, tuple[str, Notebook]]) -> list[Entry]:
    """Return the cells that make something, of all executed notebooks, in the order of the story.

    Parameters
    ----------
    pages : dict
        Label of a run and its notebook, by the address of the page.
    """
    found: dict[tuple[str, str], Entry] = {}
    for address, (label, notebook) in pages.items():
        for cell in notebook.cells:
            if cell.makes or cell.files:
                entry = found.setdefault((notebook.stage, cell.id), Entry(notebook.stage, cell, {}))
                entry.pages[label] = f"{address}#{cell.id}"
    return sorted(found.values(), key=lambda entry: (entry.stage, entry.cell.number))


def maker(entries: list[Entry], code: str) -> str:
    """Return the address of the last cell whose code holds some text: notebook 04, if it does. Or nothing."""
    return next((next(iter(e.pages.values())) for e in reversed(entries) if code in e.cell.source), "")
