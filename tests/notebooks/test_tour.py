"""The tour as a student meets it: run unattended by papermill, and run in JupyterLab in a browser."""

import json
import re
import shutil

import papermill
import pytest

from histobridge.errors import UserError
from histobridge_study import lesson
from histobridge_study.execute import notebook_folder
from lab import errors, jupyterlab, pictures, run_all, show_cell, with_parameters

TOUR = notebook_folder() / "00_tour.ipynb"
QUICK = {"images": 3, "side": 96, "segmenter_steps": 20, "translator_steps": 3, "student_steps": 5}
SLIDERS = ("scales", "noise", "swipe")
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Kernels inherit it: tests share the machine, and threads that wait for one another take minutes."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def executed(path, folder) -> dict[str, dict]:
    """Run a notebook by papermill; return its executed cells by id."""
    papermill.execute_notebook(path, folder / "executed.ipynb", progress_bar=False, kernel_name="python3")
    content = json.loads((folder / "executed.ipynb").read_text())
    assert "widgets" not in content["metadata"]
    return {cell["id"]: cell for cell in content["cells"]}


def test_an_unattended_run_shows_still_pictures(tmp_path):
    """With few steps there is no error and no widget, and every slider leaves a picture."""
    cells = executed(with_parameters(TOUR, tmp_path, **QUICK), tmp_path)
    assert errors(list(cells.values())) == []
    assert len(pictures(list(cells.values()))) >= 15
    for name in SLIDERS:
        assert pictures([cells[name]])
        assert WIDGET not in cells[name]["outputs"][0]["data"]


def test_every_exercise_has_an_answer():
    """The answer is folded below the question, or it is one of the next two cells."""
    cells = [(cell["id"], "".join(cell["source"])) for cell in json.loads(TOUR.read_text())["cells"]]
    asked = [number for number, (_, text) in enumerate(cells) if "**Exercise" in text]
    assert len(asked) == 9
    for number in asked:
        following = [identity for identity, _ in cells[number + 1 : number + 3]]
        assert "<details>" in cells[number][1] or any(identity.startswith("answer-") for identity in following)


@pytest.mark.slow
def test_the_tour_finds_what_its_text_claims(tmp_path):
    """With the defaults, in minutes: the negative repairs the Dice, and anatomy sees the polarity that no loss sees."""
    cells = executed(with_parameters(TOUR, tmp_path), tmp_path)
    assert errors(list(cells.values())) == []
    names = ("fall", "controls-labels", "compare-losses", "compare-labels", "methods")
    table = {name: rows(cells[name]) for name in names}
    assert min(table["fall"]["L, another animal"]) > 0.85
    assert max(table["fall"]["U"]) < 0.2
    assert min(table["controls-labels"]["invert"]) > 0.7
    for right, flipped in zip(table["compare-losses"]["inverts"], table["compare-losses"]["keeps"], strict=True):
        assert abs(right - flipped) < 0.15  # dice differ by more than 0.6
    right, flipped = table["compare-labels"]["inverts"], table["compare-labels"]["keeps"]
    assert min(right[:2]) > 0.7
    assert max(flipped[:2]) < 0.2
    assert right[2] > flipped[2]
    assert min(table["methods"]["tutorship, SynDiff"]) > 0.6


def rows(cell) -> dict[str, list[float]]:
    """The numbers of a table in an output, by the name of their row."""
    html = "".join(cell["outputs"][0]["data"]["text/html"])
    found = re.findall(r"<tr>\s*<th>(.+?)</th>(.*?)</tr>", html, re.S)
    return {name: [float(n) for n in re.findall(r"<td>(.+?)</td>", numbers)] for name, numbers in found}


def test_a_mistyped_parameter_is_refused():
    """Unknown names and wrong types are errors that list the known names."""
    with pytest.raises(UserError, match=r"steps.*Known names.*translator_steps"):
        lesson.open_tour({"steps": 3})
    with pytest.raises(UserError, match="images"):
        lesson.open_tour({"images": "6"})


@pytest.fixture(scope="module")
def page(chromium):
    """A page of the browser, as large as a screen."""
    page = chromium.new_page(viewport={"width": 1300, "height": 1000})
    yield page
    page.close()


def test_in_jupyterlab_all_cells_run_and_sliders_move_their_pictures(page, tmp_path):
    """There is no error, each of the three widgets answers to the keyboard, and a picture stays in the file."""
    with_parameters(TOUR, tmp_path, **QUICK)
    with jupyterlab(tmp_path) as address:
        cells = run_all(page, address.format(TOUR.name))
        assert errors(cells) == []
        for number, cell in enumerate(cells):
            if cell["id"] in SLIDERS:
                assert pictures([cell])
                assert moves_its_picture(show_cell(page, number)), cell["id"]


def moves_its_picture(cell) -> bool:
    """Press an arrow key on the slider of a cell, and return whether its picture changes."""
    picture, handle = cell.locator(".widget-image"), cell.locator(".noUi-handle")
    picture.wait_for(timeout=20_000)
    before, address = picture.screenshot(), picture.get_attribute("src")
    handle.focus()
    handle.press("ArrowRight")
    cell.page.wait_for_function(
        "([image, before]) => image.src !== before && image.complete",
        arg=[picture.element_handle(), address],
        timeout=20_000,
    )
    return picture.screenshot() != before


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["01_data", "02_translate", "03_label", "04_refine", "05_report"])
def test_the_other_notebooks_run_in_jupyterlab(stage, page, finished, tiny_study, tmp_path):
    """They run by hand, from top to bottom, over a finished study of the smallest profile."""
    shutil.copytree(finished[0], tmp_path / "runs")
    places = {"profile": "tiny", "out": str(tmp_path / "runs"), "study": str(tiny_study)}
    with_parameters(notebook_folder() / f"{stage}.ipynb", tmp_path, **places)
    with jupyterlab(tmp_path) as address:
        cells = run_all(page, address.format(f"{stage}.ipynb"))
    assert errors(cells) == []
    assert pictures(cells)
