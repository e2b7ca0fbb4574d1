"""The package: light by default, quick to start, and clear about what an extra would bring."""

import ast
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from histobridge.errors import UserError
from histobridge.extras import EXTRAS, missing_extra
from test_project import _names

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRA_MODULES = {module for modules in EXTRAS.values() for module in modules}
WITHOUT = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {EXTRA_MODULES!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""
"""Makes a process one of an environment without any extra."""
MAIN = "import histobridge_label.cli, histobridge_study.cli; from histobridge.cli import main; main()"


def in_python(code: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run code in a process of its own."""
    line = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_help_imports_nothing_that_calculates():
    """So that it takes less than a second where starting Python is not slow itself."""
    ended = in_python(f"import sys\ntry:\n    {MAIN}\nfinally:\n    print(sorted(sys.modules))", "--help")
    modules = ast.literal_eval(ended.stdout.splitlines()[-1])
    assert "label" in ended.stdout and not {"numpy", "pandas", "scipy", "skimage", *EXTRA_MODULES} & set(modules)


@pytest.mark.parametrize("name", ["metrics", "measure", "io.images", "phantom", "data.manifest"])
def test_a_part_of_the_core_is_imported_without_any_module_of_an_extra(name):
    """Those are the slow ones."""
    ended = in_python(f"{WITHOUT}\nimport histobridge.{name}")
    assert ended.returncode == 0, ended.stderr


def test_without_extras_masks_are_measured_and_the_rest_says_what_to_install(tmp_path):
    """One sentence with the command, and no traceback."""
    draw = "from histobridge.phantom import phantom; from histobridge.io.masks import write_mask; "
    draw += "import sys; write_mask(sys.argv[1], phantom('sem', 0, (128, 128))[1])"
    mask = tmp_path / "mask.png"
    ended = in_python(f"{WITHOUT}\n{draw}", mask)
    assert ended.returncode == 0, ended.stderr
    to = tmp_path / "measured"
    ended = in_python(f"{WITHOUT}\n{MAIN}", "measure", mask, "--um-per-px", 0.1, "--to", to)
    assert ended.returncode == 0 and (to / "fibres.csv").exists(), ended.stderr
    ended = in_python(f"{WITHOUT}\n{MAIN}", "export", tmp_path)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert 'which is not installed: pip install "histobridge[label]"' in ended.stderr


def test_a_missing_module_names_its_extra_unless_it_is_a_fault_of_the_program():
    """A submodule counts as its package."""
    assert isinstance(missing_extra(ModuleNotFoundError(name="onnx.helper")), UserError)
    assert "histobridge[export]" in str(missing_extra(ModuleNotFoundError(name="onnx.helper")))
    assert missing_extra(ModuleNotFoundError(name="histobridge.nothing")) is None


def test_every_module_that_is_imported_comes_by_default_or_by_an_extra():
    """So that no user sees a traceback for want of a package."""
    default = _names(PROJECT["dependencies"])
    imported = {name for path in (ROOT / "lib").rglob("*.py") for name in _top_modules(path)}
    unknown = {
        module
        for module in imported - sys.stdlib_module_names - EXTRA_MODULES
        if not module.startswith("histobridge") and not _names(distributions().get(module, [module])) & default
    }
    assert unknown == set()


@cache
def distributions() -> dict[str, list[str]]:
    """Return the installed packages that bring each module."""
    return packages_distributions()


def _top_modules(path: Path) -> set[str]:
    """Return the first part of every module that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() & PROJECT["optional-dependencies"].keys()))
def test_the_table_of_extras_is_that_of_the_package(extra):
    """Each package of an extra brings a module that the table names."""
    wanted = _names(PROJECT["optional-dependencies"][extra]) - _names(PROJECT["dependencies"]) - {"histobridge"}
    brought = {name for module in EXTRAS[extra] for name in _names(distributions().get(module, []))}
    installed = {name for names in distributions().values() for name in _names(names)}
    assert wanted & installed <= brought
