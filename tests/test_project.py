"""The project's own files keep their promises: pins in step, notebooks clean, numbers recomputable."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

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
    asked = _names(project["dependencies"] + project["optional-dependencies"]["test"])
    assert asked <= _names(_pins())
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_carry_a_story_and_nothing_else(path):
    """No outputs, no functions, cells of at most ten lines, and one parameters cell of plain literals."""
    cells = json.loads(path.read_text())["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    assert not any(c.get("outputs") for c in cells)
    assert not any(line.startswith(("def ", "class ")) for source in code for line in source.splitlines())
    assert max(len(source.splitlines()) for source in code) <= 10
    tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1
    literals = {}
    exec("".join(tagged[0]["source"]), {"__builtins__": {}}, literals)
    assert literals


def test_the_published_rows_recompute_to_every_published_table(tmp_path):
    """`histobridge publish --recompute` leaves the tables of reports/ and of both READMEs as they are."""
    reports, readme = tmp_path / "reports", tmp_path / "front.md"
    shutil.copytree(ROOT / "reports", reports)
    shutil.copy(ROOT / "README.md", readme)
    files = [readme, *(path for path in reports.iterdir() if path.suffix in (".csv", ".md", ".json"))]
    before = {path: path.read_text() for path in files}
    recompute(reports, readme)
    assert {path: path.read_text() for path in files} == before
    assert {"table1.csv", "table2.csv", "tests.csv", "claims.csv", "costs.csv"} <= {path.name for path in files}
    assert all("| syndiff | tutorship |" in before[page] for page in (readme, reports / "README.md"))


def test_the_front_page_is_short():
    """What is longer belongs into reports/README.md, the notebooks and the docstrings."""
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


def test_no_machine_path_and_no_address_of_a_registry_is_committed():
    """Text files name no folder of the machine they were written on."""
    import subprocess

    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    words = ("/wo" + "rk/", "/ro" + "ot/", "/opt/" + "wheels", "pypi." + "org", "files.python" + "hosted")
    for name in listed:
        text = (ROOT / name).read_text(errors="ignore") if (ROOT / name).is_file() else ""
        assert not any(word in text for word in words), name
