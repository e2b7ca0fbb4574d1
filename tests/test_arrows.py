"""Who may import whom, read from the source; CONTRIBUTING.md explains it."""

import ast
from functools import cache
from pathlib import Path

LIB = Path(__file__).resolve().parents[1] / "lib"
FILES = {".".join(p.relative_to(LIB).with_suffix("").parts).removesuffix(".__init__"): p for p in LIB.rglob("*.py")}
LONGEST = 10


def imports(module: str, *, at_import: bool = False) -> set[str]:
    """Return the modules of this project that a module imports: anywhere, or only those that importing it needs."""
    tree = ast.parse(FILES[module].read_text())
    nodes = tree.body if at_import else list(ast.walk(tree))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in (node for node in nodes if isinstance(node, ast.ImportFrom)):
        names = {f"{node.module}.{alias.name}" for alias in node.names}
        found |= {name if name in FILES else node.module for name in names}
    return found & FILES.keys() - {module}


def breaches(of: str, *refused: str, but: tuple = ()) -> list[str]:
    """Return the imports from the package `of` into refused packages, as `module -> module`."""

    def inside(name, packages):
        return any(f"{name}.".startswith(f"{package}.") for package in packages)

    pairs = [(module, name) for module in sorted(FILES) if inside(module, [of]) for name in imports(module)]
    return [f"{module} -> {name}" for module, name in pairs if inside(name, refused) and not inside(name, but)]


def test_the_core_knows_neither_label_tool_nor_study_and_the_label_tool_no_study():
    """Imports inside functions count too."""
    assert breaches("histobridge", "histobridge_label", "histobridge_study") == []
    assert breaches("histobridge_label", "histobridge_study") == []


def test_the_plugin_of_napari_knows_core_and_label_tool_and_nobody_knows_it():
    """So napari is needed by nobody who does not open it."""
    assert breaches("histobridge_napari", "histobridge_study") == []
    for package in ("histobridge", "histobridge_label", "histobridge_study"):
        assert breaches(package, "histobridge_napari") == []


def test_inside_the_core_arrows_point_one_way():
    """Metrics are formulas on arrays; data and training know no model, and models no strategy."""
    allowed = tuple(f"histobridge.{name}" for name in ("metrics", "classes", "tiles", "errors"))
    assert breaches("histobridge.metrics", "histobridge", but=allowed) == []
    above = tuple(f"histobridge.{name}" for name in ("strategies", "segmenter", "translators"))
    for package in ("io", "data", "cache", "training"):
        assert breaches(f"histobridge.{package}", *above) == []
    for model in ("segmenter", "translators"):
        assert breaches(f"histobridge.{model}", "histobridge.strategies") == []


def test_nobody_imports_a_notebook():
    """No module of a notebook is named in an import."""
    names = {path.stem for path in (LIB.parent / "notebooks").glob("*.ipynb")}
    assert not any(name.rsplit(".", 1)[-1] in names for module in FILES for name in imports(module))


def test_no_import_chain_inside_a_package_is_long():
    """A reader who follows imports arrives soon at a module that needs no other; a circle would have no end."""

    @cache
    def chain(module: str) -> tuple[str, ...]:
        package = module.split(".")[0]
        inside = {name for name in imports(module, at_import=True) if name.split(".")[0] == package}
        return (module, *max(map(chain, inside), key=len, default=()))

    longest = max(map(chain, FILES), key=len)
    assert len(longest) <= LONGEST, " -> ".join(longest)
