"""The site: pages for a browser without server and network that lead from each number to what it was made from."""

import json
import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import nbformat
import numpy as np
import pandas as pd
import pytest

from histobridge.errors import UserError
from histobridge_study.analysis.planned import missing_cells, planned_cells
from histobridge_study.analysis.tables import dice_overview
from histobridge_study.config import load_study
from histobridge_study.report.site import MARK, sources, write_site
from histobridge_study.report.site.contents import Arrays, Contents, Fold, Section, methods_of
from histobridge_study.report.site.pages import Pages

PAIR, PAGE = "phantom-sem", "pair-phantom-sem.html"
FOLD0 = "transductive-development-fold0"
IMAGES = {"sem-a1": "sem-a", "sem-a2": "sem-a", "sem-b1": "sem-b", "sem-b2": "sem-b"}
METHODS = {("pretrained", "none"): 0.1, ("adaptation", "syndiff"): 0.6, ("tutorship", "syndiff"): 0.7}
METHODS |= {("supervised", "none"): 0.95}
REFINED = {("refined", "syndiff"): 0.8}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="  # one pixel
PRIVATE = "/home/somebody/project"


def dice_rows(fold, methods) -> pd.DataFrame:
    """Rows of Dice that differ from image to image."""
    key = {"pair": PAIR, "protocol": "transductive", "split": "development", "fold": fold}
    key |= {"translator_seed": fold, "masks": 0}
    rows = [
        {**key, "strategy": s, "translator": t, "image": name, "subject": of, "class": c, "dice": mean + n / 100}
        for (s, t), mean in methods.items()
        for n, (name, of) in enumerate(IMAGES.items())
        for c in ("axon", "myelin")
    ]
    return pd.DataFrame(rows).assign(f1_50=lambda t: t["dice"] / 2, n_true=4, n_merged=1)


def executed_notebook(path) -> Path:
    """An executed notebook with a figure, a table and injected parameters that name a private folder."""
    new = nbformat.v4
    figure = new.new_output("display_data", {"image/png": PIXEL})
    shown = new.new_output("display_data", {"text/html": "<table><td>0.731</td></table>"})
    cells = [
        new.new_markdown_cell(f"# {path.stem}"),
        new.new_code_cell(f'out = "{PRIVATE}/runs"'),
        new.new_code_cell("draw()", outputs=[figure, shown]),
    ]
    parameters = {"papermill": {"parameters": {"out": f"{PRIVATE}/runs"}}}
    nbformat.write(new.new_notebook(cells=cells, metadata=parameters), path)
    return path


@pytest.fixture(scope="module")
def contents(drawn, tmp_path_factory) -> Contents:
    """Two folds of one pair with drawn images; only the first has `refined`, uncertainty and notebooks."""
    place, (image, mask) = tmp_path_factory.mktemp("notebooks"), drawn["sem"][0]
    every = {name: np.roll(image, 8 * n, axis=1) for n, name in enumerate(IMAGES)}
    truth = {name: np.roll(mask, 8 * n, axis=1) for n, name in enumerate(IMAGES)}
    labels = {name: np.roll(mask, 2, axis=0) for name, mask in truth.items()}
    unsure = {"refined-syndiff": {name: np.full(image.shape, 0.7, np.float32) for name in IMAGES}}
    rows = [pd.concat([dice_rows(0, METHODS), dice_rows(0, REFINED)]), dice_rows(1, METHODS)]
    tiles = [
        {"image": "sem-a1", "top_px": top, "left_px": 0, "side_px": 64, "uncertainty": 0.5} for top in (192, 0, 64)
    ]
    stages = ("02_translate", "03_label", "04_refine")
    notebooks = {stage: executed_notebook(place / f"{stage}.ipynb") for stage in stages}

    def fold(number: int, **more) -> Fold:
        scored, uncertainty = rows[number], {} if number else unsure
        by_method = dict.fromkeys(methods_of(scored), labels)
        arrays = Arrays(every, truth, {"syndiff": every}, by_method, uncertainty)
        return Fold(PAIR, "transductive", "development", number, scored, lambda: arrays, "smoke", **more)

    dice = pd.concat(rows)
    strategies = ("pretrained", "adaptation", "tutorship", "refined", "supervised")
    planned = planned_cells([(PAIR, "transductive", 0)], ["none", "invert", "syndiff"], strategies=strategies)
    return Contents(
        profile="smoke",
        facts={"pairs": "1"},
        pairs={PAIR: load_study().pairs[PAIR]},
        folds=[fold(0, notebooks=notebooks, review_order=pd.DataFrame(tiles)), fold(1)],
        dice=dice_overview(dice, profile="smoke", bold=True, missing=missing_cells(dice, planned)),
        claims=pd.DataFrame([{"claim": "A claim.", "evidence": "0.7", "verdict": "does not hold", "why": "Because."}]),
        sections=[Section("Trust", "Calibration of `refined`.", pd.DataFrame([{"pair": PAIR, "error": 0.123}]))],
        provenance=[Section("Stages", "Every stage.", pd.DataFrame([{"stage": "03_label", "commit": "abc"}]))],
        notes=["Nothing is measured: `histobridge measure`."],
        commands=["git checkout abc"],
        report=executed_notebook(place / "05_report.ipynb"),
    )


@pytest.fixture(scope="module")
def site(contents, tmp_path_factory) -> Path:
    """The folder of the site."""
    return write_site(contents, tmp_path_factory.mktemp("place") / "site").parent


@pytest.fixture(scope="module")
def open_page(chromium, site):
    """Open a page of the site; it may neither log a message nor ask for a foreign address."""

    @contextmanager
    def opened(path, *, width=1280, scheme="light"):
        page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        messages = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("requestfailed", lambda r: None if "ABORTED" in r.failure else messages.append(r.url))
        page.on("request", lambda r: messages.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
        page.goto(f"{site.as_uri()}/{path}")
        yield page
        page.close()
        assert messages == []

    return opened


def pages_of(site) -> list[str]:
    """The pages of the site, from its root."""
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


def data_of(site) -> dict:
    """The data of the comparison on the page of the pair."""
    return json.loads(re.search(r'id="swipe-data">(.*?)</script>', (site / PAGE).read_text())[1])


# --- All pages --------------------------------------------------------------------------------------------


def test_pages_are_quiet_and_fit_a_phone(site, open_page):
    """The study, each pair and each executed notebook have one; at 360 px none scrolls sideways, all pictures load."""
    stages = [f"notebooks/{PAIR}-{FOLD0}-{stage}.html" for stage in ("02_translate", "03_label", "04_refine")]
    assert pages_of(site) == ["index.html", "notebooks/05_report.html", *stages, PAGE, "provenance.html"]
    for path in pages_of(site):
        with open_page(path, width=360) as page:
            page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth)")
            assert page.evaluate("[...document.images].every(i => i.hasAttribute('alt'))")
            assert page.evaluate("document.querySelectorAll('h1').length") == 1
            assert page.evaluate("document.documentElement.scrollWidth") == 360, path


def test_every_link_leads_somewhere(site):
    """To a file of the site; a link to the comparison names a run, method and image that it has."""
    texts, data = {path: (site / path).read_text() for path in pages_of(site)}, data_of(site)
    links = {(path, link) for path, text in texts.items() for link in re.findall(r'(?:href|src)="([^"]*)"', text)}
    links = {(path, link) for path, link in links if not link.startswith("data:")}
    assert len(links) > 50
    for path, link in links:
        file, _, fragment = link.partition("#")
        assert not file or ((site / path).parent / unquote(file)).is_file(), (path, link)
        if fragment.startswith("see="):
            run, method, image, *layers = map(unquote, fragment[4:].split("/"))
            assert method in data["runs"][run]["methods"] and image in data["runs"][run]["images"], link
            assert set(layers) <= set(data["layers"])
        elif fragment:
            assert f'id="{fragment}"' in texts[path], (path, link)


def test_dark_mode_is_dark(open_page):
    """Background and text follow the colour scheme of the reader's system."""
    brightness = "k => getComputedStyle(document.body)[k].match(/\\d+/g).reduce((a, b) => a + Number(b), 0) / 3"
    with open_page("index.html") as page:
        assert page.evaluate(brightness, "backgroundColor") > 200 > 100 > page.evaluate(brightness, "color")
    with open_page("index.html", scheme="dark") as page:
        assert page.evaluate(brightness, "backgroundColor") < 60 < 180 < page.evaluate(brightness, "color")


def test_the_keyboard_reaches_the_content_first(open_page):
    """The first stop is a link that skips the navigation."""
    with open_page("index.html") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


def test_a_notebook_page_shows_code_figures_and_tables_but_no_private_folder(site):
    """Paths below the folder of the runs are relative."""
    text = (site / f"notebooks/{PAIR}-{FOLD0}-03_label.html").read_text()
    assert "data:image/webp" in text and "0.731" in text and '"runs"' in text
    assert PRIVATE not in text and "<script src" not in text


# --- The comparison ---------------------------------------------------------------------------------------


def clip(page) -> float:
    """The share of the right layer that the divider hides, percent."""
    return float(re.search(r"([\d.]+)%\)", page.locator(".side.right").evaluate("e => e.style.clipPath"))[1])


def test_the_divider_moves_by_keyboard_and_mouse(open_page):
    """Arrow keys on the slider and on the picture, and a drag on the picture, move it."""
    with open_page(PAGE) as page:
        assert clip(page) == 50
        page.locator(".handle").focus()
        page.keyboard.press("ArrowRight")
        assert clip(page) == 51
        page.locator(".stage").focus()
        page.keyboard.press("ArrowLeft")
        assert clip(page) == 49
        box = page.locator(".stage").bounding_box()
        y = box["y"] + 100
        page.mouse.move(box["x"] + box["width"] / 2, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 4, y, steps=4)
        page.mouse.up()
        page.mouse.move(box["x"] + 10, y)
        assert clip(page) == pytest.approx(25, abs=1)  # released, it stays


def test_the_picture_is_enlarged_at_the_pointer_and_moved(open_page):
    """Keys, buttons and the wheel zoom; a drag away from the divider then moves the picture."""
    with open_page(PAGE) as page:
        canvas, stage = page.locator(".side.left .canvas"), page.locator(".stage")

        def matrix(name):
            return canvas.evaluate(f"e => new DOMMatrix(getComputedStyle(e).transform).{name}")

        stage.focus()
        page.keyboard.press("+")
        page.locator("[name=in]").click()
        assert matrix("a") == pytest.approx(2.25)
        stage.evaluate("e => e.scrollIntoView()")
        before, box = matrix("e"), stage.bounding_box()
        page.mouse.move(box["x"] + 60, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 90, box["y"] + 60, steps=3)
        page.mouse.up()
        assert matrix("e") == pytest.approx(before + 30, abs=2)
        assert clip(page) == 50
        page.locator("[name=reset]").click()
        stage.focus()
        stage.hover(position={"x": 90, "y": 60})
        page.mouse.wheel(0, -200)
        page.wait_for_function("!document.querySelector('.canvas').style.transform.endsWith('scale(1)')")
        assert matrix("e") == pytest.approx(
            -90 * (matrix("a") - 1), abs=1
        )  # the point below the pointer keeps its place


def test_method_image_and_layers_are_chosen(open_page):
    """The choice is shown and stands in the address; a layer that a method lacks is disabled."""
    with open_page(PAGE) as page:
        right = page.locator(".side.right img")
        assert page.locator("[name=method]").input_value() == "refined-syndiff"
        shown = [re.sub(r"-\w{8}\.", ".", right.nth(n).get_attribute("src")) for n in range(2)]
        assert shown == [f"pictures/{PAIR}/sem-a2-image.webp", f"pictures/{PAIR}/sem-a2-label-refined-syndiff.png"]
        page.select_option("[name=right]", "uncertainty")
        assert "sem-a2-uncertainty-refined-syndiff" in right.get_attribute("src")
        page.select_option("[name=method]", "pretrained-none")
        disabled = page.locator("[name=right] option[disabled]").evaluate_all("o => o.map(i => i.value)")
        assert disabled == ["translation", "uncertainty"]
        page.locator("[name=next]").click()
        assert page.evaluate("location.hash").split("/")[1:3] == ["pretrained-none", "sem-b1"]
        assert "Dice: axon 0.120, myelin 0.120" in page.locator(".status").inner_text()
        page.select_option("[name=run]", FOLD0.replace("fold0", "fold1"))
        assert page.locator(".status a").count() == 0  # that fold has no notebook


def test_a_number_opens_its_pictures_and_its_notebook(open_page):
    """From the table of images and from the overview; the last column opens the executed notebook."""
    with open_page(PAGE) as page:
        row = page.locator("#table-images tbody tr", has_text="sem-b2").filter(has_text="adaptation").first
        row.locator("td a").first.click()
        page.wait_for_function("document.activeElement.className === 'stage'")
        assert page.locator("[name=image]").input_value() == "sem-b2"
        assert page.locator("[name=method]").input_value() == "adaptation-syndiff"
        row.locator("a", has_text="03_label").click()
        assert page.locator("h1").inner_text() == "03_label"
    with open_page("index.html") as page:
        page.locator("#table-dice tbody tr", has_text="tutorship with").locator("td.bar a").first.click()
        page.wait_for_selector(".stage img")
        assert page.locator("[name=method]").input_value() == "tutorship-syndiff"


def test_missing_pictures_are_named(contents, tmp_path):
    """Without the data the pages stand, and say which pictures are missing and why."""
    fold = contents.folds[0]
    without = replace(fold, load=lambda: replace(fold.load(), images={}, truth={}, note="The images are gone."))
    text = (write_site(replace(contents, folds=[without]), tmp_path / "site").parent / PAGE).read_text()
    assert "Image: missing for 4 of 4 images." in text and "The images are gone." in text
    assert "sem-a1-label-pretrained-none" in text


# --- Tables -----------------------------------------------------------------------------------------------


def column(page, table, name) -> list[str]:
    """The text of a column, without rows that are filtered away."""
    heads = page.locator(f"#table-{table} thead th").evaluate_all("h => h.map(e => e.innerText.trim())")
    place = next(n for n, head in enumerate(heads) if head.startswith(name))
    cells = f"#table-{table} tbody tr:not([hidden]) > :nth-child({place + 1})"
    return page.locator(cells).evaluate_all("c => c.map(e => e.textContent.trim())")


def test_tables_sort_by_number_and_filter(open_page):
    """192 comes after 64, by keyboard too, and text last in both directions; a filter keeps rows with every word."""
    with open_page(PAGE) as page:
        head = page.locator("#table-review thead th", has_text="top px")
        head.locator("button").focus()
        for key, order, rows in (
            ("Enter", "ascending", ["0", "64", "192"]),
            ("Space", "descending", ["192", "64", "0"]),
        ):
            page.keyboard.press(key)
            assert column(page, "review", "top px") == rows
            assert head.get_attribute("aria-sort") == order
        page.locator("#table-images input").fill("sem-a1 TUTORSHIP with")
        assert column(page, "images", "image") == ["sem-a1"] * 2
        assert page.locator("#table-images output").inner_text() == "2 of 36 rows"
    with open_page("index.html") as page:
        for reverse in (False, True):
            page.locator("#table-dice thead th", has_text="axon").locator("button").click()
            texts = column(page, "dice", "axon")
            assert texts[:5] == sorted(texts[:5], reverse=reverse)
            assert texts[5:] == ["not run"] * 2


def test_pages_show_the_results(site):
    """The best Dice in bold, claims, a section on the overview and on its pair, notes, and provenance."""
    index, pair, origin = ((site / name).read_text() for name in ("index.html", PAGE, "provenance.html"))
    assert "<strong>0.815</strong>" in index  # refined: 0.8 to 0.83
    assert 'class="verdict does-not-hold"' in index and "<code>histobridge measure</code>" in index
    assert 'id="table-trust"' in index and 'id="table-trust"' in pair and "0.123" in pair
    assert "git checkout abc" in origin


# --- Where it is built ------------------------------------------------------------------------------------


def full():
    """Fail as a full disk does."""
    raise OSError("no space")


def test_other_files_are_not_replaced(contents, tmp_path, monkeypatch):
    """A folder with other files is refused; a failure leaves the previous site; a success replaces it as a whole."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not a site"):
        write_site(contents, tmp_path)
    to = tmp_path / "site"
    to.mkdir()
    (to / MARK).touch()
    (to / "old.html").touch()
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(Pages, "write", lambda _: 1 / 0)
        write_site(contents, to)
    assert (to / "old.html").exists()
    rename = Path.rename
    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(Pages, "write", lambda pages: None)
        patch.setattr(Path, "rename", lambda path, to: full() if "site-" in path.name else rename(path, to))
        write_site(contents, to)
    assert (to / "old.html").exists()
    write_site(contents, to)
    assert (to / "index.html").exists() and not (to / "old.html").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", "site"]


def test_a_folder_without_runs_is_refused(histobridge, tmp_path):
    """One sentence that says what to do, and exit code 2."""
    code, _, err = histobridge("report", tmp_path / "smoke")
    assert code == 2 and "no finished runs below" in " ".join(err.split())


def test_real_images_stay_below_the_runs(tmp_path):
    """A site with real images is refused elsewhere: it might be committed."""
    target = SimpleNamespace(procedural=None)
    run = SimpleNamespace(data=SimpleNamespace(target=target), parameters=SimpleNamespace(pair=PAIR))
    runs = tmp_path / "runs" / "smoke"
    sources._refuse_real_elsewhere([run], runs, runs / "site")
    with pytest.raises(UserError, match=f"{PAIR}, which are never committed"):
        sources._refuse_real_elsewhere([run], runs, tmp_path / "site")


def test_the_command_writes_the_site_of_a_whole_study(finished, tiny_study, histobridge):
    """After `histobridge study`: both folds, the notebooks of all stages, and a small site.

    The folder above the profile and a fold that does not exist are refused.
    """
    folder = finished[0] / "tiny"

    def report(*arguments):
        return histobridge("report", *arguments, "--data", finished[0] / "data", "--study", tiny_study)

    code, out, err = report(folder)
    site = folder / "site"
    assert code == 0, err
    told = out.splitlines()
    assert told[-2].endswith("site/index.html") and told[-1].startswith("2 runs: 2 used, 0 skipped")
    assert len(list(site.glob("notebooks/*.html"))) == 7  # the data, the translation, two of each fold, the report
    runs = data_of(site)["runs"]
    assert [run[-5:] for run in runs] == ["fold0", "fold1"]
    seen = next(iter(runs[FOLD0]["images"].values()))
    assert all(seen[layer] for layer in ("image", "truth", "translation", "label", "uncertainty", "dice"))
    assert sum(path.stat().st_size for path in site.rglob("*.*")) < 25e6
    for arguments, message in (((finished[0],), "name one"), ((folder, "--fold", 7), "these have: 0, 1.")):
        code, _, err = report(*arguments)
        assert code == 2 and message in " ".join(err.split())
