"""The lesson, as a student meets it: run unattended, run in JupyterLab in a browser, and its exercises answered."""

import json
import re
import shutil

import numpy as np
import papermill
import pytest

from histobridge.errors import UserError
from histobridge_study import lesson
from histobridge_study.execute import NOTEBOOKS
from histobridge_study.lesson.exercises import EXERCISES, PRAISE
from lab import errors, jupyterlab, pictures, run_all, show_cell, with_parameters

TOUR = NOTEBOOKS / "00_tour.ipynb"
QUICK = {"images": 3, "side": 96, "segmenter_steps": 20, "translator_steps": 3, "student_steps": 5}
SLIDERS = ("scales", "noise", "swipe")
WIDGET = "application/vnd.jupyter.widget-view+json"


def tour_cells() -> list[dict]:
    """The cells of the notebook as they stand in git."""
    return json.loads(TOUR.read_text())["cells"]


def solutions() -> dict[str, str]:
    """The hidden solutions by the name in the cell's id, such as `last-step`."""
    hidden = {c["id"]: "".join(c["source"]) for c in tour_cells() if c["id"].startswith("solution-")}
    found = {
        name: re.search(r"<details>.*```python\n(.*?)\n```.*</details>", text, re.S) for name, text in hidden.items()
    }
    return {name.removeprefix("solution-"): match[1] for name, match in found.items()}


def with_solutions(path):
    """Add to a copy of the notebook, behind each cell that waits for an answer, the same with the solution."""
    content, answered = json.loads(path.read_text()), []
    for cell in content["cells"]:
        answered.append(cell)
        if cell["id"].startswith("answer-"):
            solution = solutions()[cell["id"].removeprefix("answer-")]
            source = re.sub(r"^answer = .*$", lambda _, text=solution: text, "".join(cell["source"]), flags=re.M)
            answered.append(cell | {"id": cell["id"].replace("answer", "solved"), "source": source})
    path.write_text(json.dumps(content | {"cells": answered}))
    return path


def executed(path, folder) -> dict[str, dict]:
    """Run a notebook by papermill; return its executed cells by id."""
    papermill.execute_notebook(path, folder / "executed.ipynb", progress_bar=False, kernel_name="python3")
    content = json.loads((folder / "executed.ipynb").read_text())
    assert "widgets" not in content["metadata"]
    return {cell["id"]: cell for cell in content["cells"]}


def said(cell) -> str:
    """What an exercise says below its cell."""
    return "".join(cell["outputs"][0]["data"]["text/plain"])


def test_unattended_run_shows_still_pictures_and_every_hidden_solution_is_right(tmp_path):
    """With few steps: no error, no widget, a picture for every slider; `...` fails nothing, solutions are right."""
    cells = executed(with_solutions(with_parameters(TOUR, tmp_path, **QUICK)), tmp_path)
    assert errors(list(cells.values())) == []
    assert len(pictures(list(cells.values()))) >= 15
    for name in SLIDERS:
        assert pictures([cells[name]])
        assert WIDGET not in cells[name]["outputs"][0]["data"]
    for name in solutions():
        assert said(cells[f"answer-{name}"]).startswith("Not answered yet")
        assert said(cells[f"solved-{name}"]).startswith("✓ Right"), name


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Kernels inherit it: tests share the machine, and threads that wait for one another take minutes."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.slow
def test_the_lesson_tells_what_its_prose_claims(tmp_path):
    """With the defaults, minutes: Dice falls, the negative mends it, losses are blind to polarity, anatomy is not."""
    cells = executed(with_parameters(TOUR, tmp_path), tmp_path)
    assert errors(list(cells.values())) == []
    table = {name: rows(cells[name]) for name in ("fall", "controls", "compare-losses", "compare-labels", "ways")}
    assert min(table["fall"]["L, another animal"]) > 0.85
    assert max(table["fall"]["U"]) < 0.2
    assert min(table["controls"]["invert"]) > 0.7
    for right, flipped in zip(table["compare-losses"]["inverts"], table["compare-losses"]["keeps"], strict=True):
        assert abs(right - flipped) < 0.15  # dice differ by more than 0.6
    right, flipped = table["compare-labels"]["inverts"], table["compare-labels"]["keeps"]
    assert min(right[:2]) > 0.7
    assert max(flipped[:2]) < 0.2
    assert right[2] > flipped[2]
    assert min(table["ways"]["tutorship, SynDiff"]) > 0.6


def rows(cell) -> dict[str, list[float]]:
    """The numbers of a table in an output, by the name of their row."""
    html = "".join(cell["outputs"][0]["data"]["text/html"])
    found = re.findall(r"<tr>\s*<th>(.+?)</th>(.*?)</tr>", html, re.S)
    return {name: [float(n) for n in re.findall(r"<td>(.+?)</td>", numbers)] for name, numbers in found}


def test_a_mistyped_parameter_stops_the_lesson_at_once():
    """Unknown names, wrong types and sizes that cannot be are refused, with the known ones."""
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
    """Open, run all, no error; each of the three widgets answers to the keyboard, and a picture stays in the file."""
    with_parameters(TOUR, tmp_path, **QUICK)
    with jupyterlab(tmp_path) as address:
        cells = run_all(page, address.format(TOUR.name))
        assert errors(cells) == []
        for number, cell in enumerate(cells):
            if cell["id"] in SLIDERS:
                assert pictures([cell])
                assert moves_its_picture(show_cell(page, number)), cell["id"]


def moves_its_picture(cell) -> bool:
    """Press an arrow key on the slider of a cell: does its picture become another?"""
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
    """By hand, from top to bottom, over a finished study of the smallest profile."""
    shutil.copytree(finished[0], tmp_path / "runs")
    places = {"profile": "tiny", "out": str(tmp_path / "runs")}
    with_parameters(NOTEBOOKS / f"{stage}.ipynb", tmp_path, **places)
    with jupyterlab(tmp_path, HISTOBRIDGE_STUDY=str(tiny_study)) as address:
        cells = run_all(page, address.format(f"{stage}.ipynb"))
    assert errors(cells) == []
    assert pictures(cells)


GIVEN = {
    "pixels": {"um": 2.3, "um_per_px": 0.1},
    "cycle": {"names": ["nothing", "shift", "blur", "four greys"], "losses": [0.0, 0.0, 0.02, 0.07]},
    "level": {"alpha_bar": [1.0, 0.52, 0.08, 0.003, 0.0]},
    "review": {"found": [0.2, 0.4, 0.6, 1.0]},
}
ANSWERS = {  # right, and wrong ones with a word of the hint
    "pixels": (23, {0.23: "smaller than a pixel", 2.3: "times"}),
    "contrast": (" Keep", {"invert": "rings", "both": "Answer"}),
    "level": (2, {1: "later", 3: "earlier"}),
    "last step": (0.0, {1: "variance"}),
    "cycle": ({"blur", "four greys"}, {("blur",): "One more", ("shift",): "undone", "mosaic": "There is no"}),
    "trap": ("enclosure", {"Dice axon": "nobody has", "cycle L1": "bet"}),
    "new images": ("tutorship", {"adaptation": "every new image", "none": "Answer"}),
    "review": (3, {2: "Nearly", 4: "first reach"}),
}


@pytest.mark.parametrize("exercise", ANSWERS)
def test_exercises_know_right_from_wrong_and_hint(exercise):
    """The right answer is praised, each wrong one gets its own hint, and nonsense is no exception."""
    right, wrong = ANSWERS[exercise]
    given = GIVEN.get(exercise, {})
    assert repr(lesson.check(exercise, right, **given)) == f"✓ Right. {PRAISE[exercise]}"
    for answer, word in wrong.items():
        verdict = lesson.check(exercise, answer, **given)
        assert verdict.right is False
        assert word in verdict.words
    assert lesson.check(exercise, object(), **given).right is False
    assert lesson.check(exercise, ..., **given).right is lesson.check(exercise, None, **given).right is None


def test_the_exercise_on_dice_recognises_intersection_over_union():
    """Dice 2/3 is right; IoU 1/2, the overlap over one mask and a sum above 1 have hints of their own."""
    given = {"true": np.array([[True, True, False]]), "predicted": np.array([[False, True, False]])}
    assert lesson.check("dice", 2 / 3, **given).right
    hints = [lesson.check("dice", answer, **given).words for answer in (0.5, 0.9, 3)]
    assert [next(w for w in ("union", "each of the two", "above 1") if w in hint) for hint in hints]
    assert len(set(hints)) == 3


def test_every_exercise_is_in_the_notebook_with_its_hidden_solution():
    """One cell that waits, one solution and one praise for each."""
    asked = {c["id"].removeprefix("answer-") for c in tour_cells() if c["id"].startswith("answer-")}
    assert {name.replace(" ", "-") for name in EXERCISES} == asked == solutions().keys()
    assert EXERCISES.keys() == PRAISE.keys()


def test_an_unknown_exercise_names_the_known_ones():
    """A typing error in a name is the teacher's mistake, and loud."""
    with pytest.raises(UserError, match="review"):
        lesson.check("reviews", 3)


def test_a_verdict_in_html_shows_no_markup_of_its_words():
    """Answers come from a student; names are escaped."""
    verdict = lesson.check("cycle", ["<b>"], **GIVEN["cycle"])
    assert "&lt;b&gt;" in verdict._repr_html_()
