"""The library's public names and their docstrings, read from the source: nothing is imported for it."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path
from typing import NamedTuple

LIBRARY = Path(__file__).resolve().parents[1]

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Member(NamedTuple):
    """A function, class or method: `name` is dotted and serves as its anchor, `rest` is the docstring's remainder."""

    name: str
    signature: str
    summary: str
    rest: str
    members: tuple[Member, ...] = ()


class Module(NamedTuple):
    """A module with its public members."""

    name: str
    summary: str
    rest: str
    members: tuple[Member, ...]


@cache
def modules() -> list[Module]:
    """Return the modules of the library that have a docstring, by name."""
    paths = sorted(LIBRARY.rglob("*.py"), key=_dotted)
    found = [_module(_dotted(path), ast.parse(path.read_text(encoding="utf-8"))) for path in paths]
    return [module for module in found if module.summary]


@cache
def summaries() -> dict[str, str]:
    """Return the summary of every public function and class by dotted name, re-exported names too."""
    found = {m.name: m.summary for module in modules() for m in module.members}
    return found | {alias: found[name] for alias, name in exported().items() if name in found}


@cache
def exported() -> dict[str, str]:
    """Return where a package takes the names that it passes on from.

    >>> exported()["histobridge_study.plotting.dice_bars"]
    'histobridge_study.plotting.scores.dice_bars'
    """
    found = {}
    for path in LIBRARY.rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        imports = [node for node in body if isinstance(node, ast.ImportFrom)]
        found |= {f"{_dotted(path)}.{a.name}": f"{node.module}.{a.name}" for node in imports for a in node.names}
    return found


def anchor(name: str) -> str | None:
    """Return the anchor in the reference of a dotted name of the library, None if it has no entry."""
    name = exported().get(name, name)
    return name if name in summaries() else None


def _dotted(path: Path) -> str:
    parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module(name: str, tree: ast.Module) -> Module:
    members = tuple(_member(node, name) for node in _public(tree.body))
    return Module(name, *_split(ast.get_docstring(tree)), members)


def _public(body: list[ast.stmt]) -> list[Definition]:
    """Return the definitions that are for others: without an underscore, and with a docstring."""
    found = [node for node in body if isinstance(node, Definition)]
    return [node for node in found if not node.name.startswith("_") and ast.get_docstring(node)]


def _member(node: Definition, home: str) -> Member:
    name, methods = f"{home}.{node.name}", ()
    if isinstance(node, ast.ClassDef):
        methods = tuple(_member(inner, name) for inner in _public(node.body))
    return Member(name, _signature(node), *_split(ast.get_docstring(node)), methods)


def _signature(node: Definition) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    if any(isinstance(d, ast.Name) and "property" in d.id for d in node.decorator_list):
        return node.name
    returns = f" → {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returns}"


def _split(doc: str | None) -> tuple[str, str]:
    """Return the first paragraph of a docstring as one line, and what follows it."""
    first, _, rest = inspect.cleandoc(doc or "").partition("\n\n")
    return " ".join(first.split()), rest.strip("\n")
