"""The files of the project agree with each other: pins, packages, notebooks, published numbers."""

import ast
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import histobridge
from histobridge_study.report.prose import unmarked_numbers
from histobridge_study.report.publish import recompute

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def _names(lines) -> set[str]:
    return {re.split(r"[=<>\[ ;]", line.strip())[0].lower().replace("_", "-") for line in lines}


def _pins() -> list[str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def test_every_dependency_is_pinned_exactly():
    """requirements.lock pins all that pyproject.toml asks for, each to one version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [package for packages in project["optional-dependencies"].values() for package in packages]
    asked = _names(project["dependencies"] + extras)
    assert asked - {"histobridge"} <= _names(_pins())
    assert all("==" in pin for pin in _pins())


def test_every_package_is_installed():
    """pyproject.toml lists every package of `lib`, and maps the others to folders that exist."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    mapped = {name: ROOT / folder for name, folder in setuptools["package-dir"].items() if name}
    in_lib = {".".join(p.parent.relative_to(ROOT / "lib").parts) for p in (ROOT / "lib").rglob("__init__.py")}
    assert sorted(setuptools["packages"]) == sorted(in_lib | mapped.keys())
    assert all(folder.is_dir() for folder in mapped.values())


def test_conda_users_get_the_same_pins():
    """environment.yml installs the lock file itself, on a Python that the project supports."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert "-r requirements.lock" in pip
    assert "python=3.11" in environment["dependencies"]


def test_the_version_stands_in_two_places_and_is_the_same():
    """Results are named by the version of the library; the package has the one of pyproject.toml."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == histobridge.__version__


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_hold_short_cells_and_no_outputs(path):
    """There are no outputs and no functions; a cell has at most eight lines, that of the parameters twelve.

    Cells that only import do not count.
    """
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    parameters = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    assert len(parameters) == 1
    literals = {}
    exec("".join(parameters[0]["source"]), {"__builtins__": {}}, literals)
    assert literals
    for cell in cells:
        source = "".join(cell["source"])
        kinds = {type(node) for node in ast.parse(source).body}
        assert not kinds & {ast.FunctionDef, ast.ClassDef}
        assert kinds <= {ast.Import, ast.ImportFrom} or len(source.splitlines()) <= (12 if cell in parameters else 8)


def test_the_published_rows_recompute_to_every_published_table(tmp_path):
    """`histobridge publish --recompute` leaves the tables of reports/ and all numbers in texts as they are."""
    reports, readme = tmp_path / "reports", tmp_path / "front.md"
    for folder in ("reports", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "README.md", readme)
    files = [readme, *(path for path in reports.iterdir() if path.suffix in (".csv", ".md", ".json"))]
    files += (tmp_path / "notebooks").glob("*.ipynb")
    before = {path: path.read_text() for path in files}
    recompute(reports, readme)
    assert {path: path.read_text() for path in files} == before
    assert {"table1.csv", "table2.csv", "differences.csv", "claims.csv", "costs.csv"} <= {path.name for path in files}
    assert all("| tutorship with compact SynDiff |" in before[page] for page in (readme, reports / "README.md"))


SETTINGS = {
    "3.11": "the version of Python",
    "95 %": "the confidence of intervals and limits of agreement",
    "0.01": "the loss of Dice that a recommendation may have",
    "2.77": "a logit that the tour computes by hand",
    "80 %": "a share that the tour computes, or a setting of a stage",
}
"""Numbers in texts that are no results, and what they are."""
PAGES = [ROOT / "README.md", ROOT / "reports" / "README.md", *NOTEBOOKS]


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_every_number_in_a_text_names_the_table_it_comes_from(path):
    """Decimals and percentages in prose are marked, so that they recompute, or are settings."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert [number for number in unmarked_numbers(text) if number not in SETTINGS] == []


def test_the_front_page_is_short():
    """README.md has at most 150 lines: details belong in reports/README.md, notebooks and docstrings."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_help_fits_on_a_screen():
    """It prints at most eight lines, one a target."""
    printed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert 1 < len(printed.splitlines()) <= 8


def test_no_machine_path_and_no_address_of_a_registry_is_committed():
    """Text files name no folder of the machine on which they were written."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    words = ("/wo" + "rk/", "/ro" + "ot/", "/opt/" + "wheels", "pypi." + "org", "files.python" + "hosted")
    for name in listed:
        text = (ROOT / name).read_text(errors="ignore") if (ROOT / name).is_file() else ""
        assert not any(word in text for word in words), name
