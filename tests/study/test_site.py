"""The site: pages for a browser without server and network, that lead from each number to what it was made from."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from histobridge.errors import UserError
from histobridge.io.files import write_table
from histobridge.io.images import write_image
from histobridge.io.masks import write_mask
from histobridge_study.config import ROOT
from histobridge_study.runs import forget, open_run
from histobridge_study.site import MARK, api, build
from histobridge_study.site.pictures import LONGEST, save_grey, save_mask

IMAGES = {"sem-a1": "sem-a", "sem-a2": "sem-a", "sem-b1": "sem-b", "sem-b2": "sem-b"}
WAYS = {("pretrained", "none"): 0.1, ("adaptation", "syndiff"): 0.6, ("tutorship", "syndiff"): 0.7}
BOUND, REFINED = {("supervised", "none"): 0.95}, {("refined", "syndiff"): 0.8}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="  # one pixel


def striped(modality, seed, shape, um_per_px):
    """In place of grown tissue: an image of one grey, and three stripes of a mask."""
    stripes = (np.arange(shape[1]) * 3 // shape[1]).astype(np.uint8)
    return np.full(shape, 0.5, np.float32), np.tile(stripes, (shape[0], 1))


def dice_rows(run, methods) -> pd.DataFrame:
    """Rows of Dice that differ from image to image."""
    rows = [
        {**run.key, "strategy": s, "translator": t, "image": name, "subject": of, "class": c, "dice": mean + n / 100}
        for (s, t), mean in methods.items()
        for n, (name, of) in enumerate(IMAGES.items())
        for c in ("axon", "myelin")
    ]
    return pd.DataFrame(rows).assign(f1_50=lambda t: t["dice"] / 2)


def leave_labels(run, method) -> None:
    """Leave pseudo labels that are axon all over."""
    for name in IMAGES:
        write_mask(run.results / "pseudo_labels" / method / f"{name}.png", np.full((256, 256), 2, np.uint8))


def leave_notebook(run, stage) -> None:
    """Leave an executed copy of a notebook: every cell that draws shows a pixel, every table one number."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{stage}.ipynb", as_version=4)
    given = nbformat.v4.new_code_cell(f'# Parameters\nout = "{run.parameters.out}"\ndata = "{run.parameters.data}"')
    for cell in notebook.cells:
        if cell.cell_type == "code" and "figures." in cell.source:
            cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": PIXEL})]
        if cell.cell_type == "code" and "_overview(" in cell.source:
            cell.outputs = [nbformat.v4.new_output("display_data", {"text/html": "<table><td>1</td></table>"})]
    notebook.cells.insert(3, given)
    folder = run.stage_folder(stage)
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{stage}.ipynb")


def leave_fold(run) -> None:
    """Leave what notebooks 02 and 03 do."""
    write_table(run.results / "dice.csv", dice_rows(run, WAYS | BOUND))
    trip = {"ssim": 0.9, "psnr": 20.0, "l1": 0.1, "offset_px": 0.0, "seam": 1.0, "translator": "syndiff"}
    key = run.key | {"fold": "pair"}
    rows = [{**key, **trip, "image": name, "direction": "U->L"} for name in IMAGES]
    write_table(run.shared / "translation.csv", pd.DataFrame(rows))
    for name in IMAGES:
        write_image(run.shared / "translations" / "syndiff" / "to-L" / f"{name}.png", np.full((256, 256), 0.3))
    for method in WAYS:
        leave_labels(run, "-".join(method))
    for stage in ("02_translate", "03_label"):
        run.finish(stage)


def leave_beyond(run) -> None:
    """Leave what notebook 05 and `histobridge recommend` do."""
    write_table(run.results / "refined.csv", dice_rows(run, REFINED))
    leave_labels(run, "refined-syndiff")
    for name in IMAGES:
        write_image(run.results / "uncertainty" / "refined-syndiff" / f"{name}.png", np.full((256, 256), 0.7))
    trust = {"ece": 0.1, "ause": 0.02, "held_by_first_tenth": 0.2, "most_possible": 0.3, "wrong": 0.1}
    write_table(run.results / "trust.csv", pd.DataFrame([run.key | trust]))
    tiles = [
        {"image": "sem-a1", "top_px": top, "left_px": 0, "side_px": 64, "uncertainty": 0.5} for top in (192, 0, 64)
    ]
    write_table(run.results / "review_order.csv", pd.DataFrame(tiles))
    scores = dict.fromkeys(("agreement", "anatomy", "confidence", "round_trip", "likeness", "reverse"), 0.5)
    methods = [
        {"strategy": s, "translator": t, "enclosure": mean, **scores, **run.key} for (s, t), mean in WAYS.items()
    ]
    made = {"git_commit": "abc", "settings_hash": run.settings_hash("04_refine")}
    write_table(run.results / "guidance.csv", pd.DataFrame(methods).assign(**made))
    run.finish("04_refine")


@pytest.fixture(scope="module")
def stripes():
    """Draw stripes in place of tissue; what was read before is not taken for them, nor they for tissue afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("histobridge.data.datasets.phantom", striped)
        forget()
        yield
    forget()


@pytest.fixture(scope="module")
def runs(stripes, tmp_path_factory):
    """The runs of a profile: two folds of one pair, of which only the first went beyond and kept its notebooks."""
    place = tmp_path_factory.mktemp("place")
    given = {"pair": "phantom-sem", "profile": "smoke", "out": str(place / "runs"), "data": str(place / "data")}
    first, second = (open_run(given | {"fold": fold}) for fold in (0, 1))
    leave_fold(second)
    leave_fold(first)
    leave_beyond(first)
    for stage in ("02_translate", "03_label", "04_refine"):
        leave_notebook(first, stage)
    return place / "runs" / "smoke"


@pytest.fixture(scope="module")
def site(runs):
    """The folder of its site."""
    return build(runs, data=runs.parents[1] / "data").parent


@pytest.fixture(scope="module")
def open_page(chromium, site):
    """Open a page of the site; when it is left, neither a message nor a foreign address may have been seen."""

    @contextmanager
    def opened(path, *, width=1280, scheme="light"):
        size = {"width": width, "height": 800}
        page = chromium.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")  # no gliding
        told = []
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("requestfailed", lambda r: None if "ABORTED" in r.failure else told.append(f"{r.failure}: {r.url}"))
        page.on("request", lambda r: told.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
        page.goto(f"{site.as_uri()}/{path}")
        yield page
        page.close()
        assert told == []

    return opened


PAIR = "pair-phantom-sem.html"


def pages_of(site) -> list[str]:
    """The pages of the site, from its root."""
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


# --- All pages --------------------------------------------------------------------------------------------


def test_there_is_a_page_for_everything(site):
    """Overview, pairs, provenance, reviewers, reference, and each executed notebook once."""
    assert {"index.html", PAIR, "provenance.html", "reviewer.html", "api.html"} <= set(pages_of(site))
    assert [p for p in pages_of(site) if p.startswith("notebooks/")] == [
        "notebooks/phantom-sem-transductive-development-fold0-03_label.html",
        "notebooks/phantom-sem-transductive-development-fold0-04_refine.html",
        "notebooks/phantom-sem-transductive-development-pair-02_translate.html",
    ]


def test_every_page_is_quiet_and_its_pictures_have_words(site, open_page):
    """No error, no request to elsewhere, no broken picture, each with an alternative text."""
    for path in pages_of(site):
        with open_page(path) as page:
            page.evaluate("for (const image of document.images) image.loading = 'eager'")
            page.wait_for_function("[...document.images].every(image => image.complete)")
            broken = "[...document.images].filter(i => i.currentSrc && !i.naturalWidth).map(i => i.src)"
            assert page.evaluate(broken) == []
            assert page.evaluate("[...document.images].every(i => i.hasAttribute('alt'))")
            assert page.evaluate("document.querySelectorAll('h1').length") == 1


def test_every_link_leads_somewhere(site):
    """To a file of the site and an anchor in it; a link to the comparison names a run, way and image it has."""
    texts = {path: (site / path).read_text() for path in pages_of(site)}
    anchors = {path: set(re.findall(r'\bid="([^"]+)"', text)) for path, text in texts.items()}
    data = json.loads(re.search(r'id="swipe-data">(.*?)</script>', texts[PAIR])[1])
    links = {(path, link) for path, text in texts.items() for link in re.findall(r'(?:href|src)="([^"]*)"', text)}
    assert len(links) > 100
    for path, link in links - {(path, "data:,") for path in texts}:
        file, _, fragment = link.partition("#")
        target = (site / path).parent / unquote(file) if file else site / path
        assert target.is_file(), (path, link)
        name = target.resolve().relative_to(site.resolve()).as_posix()
        if fragment.startswith("see="):
            run, method, image, *layers = map(unquote, fragment[4:].split("/"))
            assert method in data["runs"][run]["ways"] and image in data["runs"][run]["images"], link
            assert set(layers) <= set(data["layers"])
        elif fragment:
            assert unquote(fragment) in anchors[name], (path, link)


def test_a_phone_scrolls_down_only(site, open_page):
    """At 360 px no page is wider than the screen: tables and code scroll in boxes of their own."""
    for path in pages_of(site):
        with open_page(path, width=360) as page:
            assert page.evaluate("document.documentElement.scrollWidth") == 360, path


def test_dark_mode_is_dark(open_page):
    """The page's ground is light or dark as the reader's system is, and the words are the other."""
    seen = {}
    for scheme in ("light", "dark"):
        with open_page("index.html", scheme=scheme) as page:
            css = "k => getComputedStyle(document.body)[k].match(/\\d+/g).reduce((a, b) => a + Number(b), 0) / 3"
            seen[scheme] = [page.evaluate(css, name) for name in ("backgroundColor", "color")]
    assert seen["light"][0] > 200 > 100 > seen["light"][1]
    assert seen["dark"][0] < 60 < 180 < seen["dark"][1]


def test_the_keyboard_reaches_the_content_first(open_page):
    """The first stop is a link that skips the navigation."""
    with open_page("index.html") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


# --- The comparison ---------------------------------------------------------------------------------------


def clip(page) -> float:
    """How much of the right layer is cut away, percent."""
    return float(re.search(r"([\d.]+)%\)", page.locator(".side.right").evaluate("e => e.style.clipPath"))[1])


def sources_of(page, side) -> list[str]:
    """The pictures that lie upon one another on one side of the comparison."""
    found = page.locator(f".side.{side} img").evaluate_all("images => images.map(i => i.getAttribute('src'))")
    return [address.removeprefix("pictures/phantom-sem/") for address in found]


def test_the_divider_moves_by_keyboard_and_mouse(open_page):
    """Arrow keys on the slider and on the picture, and a drag on the picture, change what is cut away."""
    with open_page(PAIR) as page:
        assert clip(page) == 50
        page.locator(".handle").focus()
        page.keyboard.press("ArrowRight")
        assert clip(page) == 51
        page.locator(".stage").focus()
        page.keyboard.press("ArrowLeft")
        assert clip(page) == 49
        box = page.locator(".stage").bounding_box()
        across = box["y"] + 100
        page.mouse.move(box["x"] + box["width"] / 2, across)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 4, across, steps=4)
        page.mouse.up()
        assert clip(page) == pytest.approx(25, abs=1)
        page.mouse.move(box["x"] + 10, across)
        assert clip(page) == pytest.approx(25, abs=1)  # it was let go


def test_the_picture_is_enlarged_where_one_points_and_moved(open_page):
    """Keys, buttons and the wheel zoom; a drag away from the divider then moves the picture, not the divider."""
    where = "e => new DOMMatrix(getComputedStyle(e).transform)"
    with open_page(PAIR) as page:
        canvas, stage = page.locator(".side.left .canvas"), page.locator(".stage")

        def at(name):
            return canvas.evaluate(f"e => ({where})(e).{name}")

        stage.focus()
        page.keyboard.press("+")
        assert at("a") == pytest.approx(1.5)
        page.locator("[name=in]").click()
        assert at("a") == pytest.approx(2.25)
        stage.evaluate("e => e.scrollIntoView()")
        before, box = at("e"), stage.bounding_box()
        page.mouse.move(box["x"] + 60, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 90, box["y"] + 60, steps=3)
        page.mouse.up()
        assert at("e") == pytest.approx(before + 30, abs=2)
        assert clip(page) == 50
        page.locator("[name=reset]").click()
        stage.focus()
        stage.hover(position={"x": 90, "y": 60})
        page.mouse.wheel(0, -200)
        page.wait_for_function("!document.querySelector('.canvas').style.transform.endsWith('scale(1)')")
        assert at("e") == pytest.approx(-90 * (at("a") - 1), abs=1)  # what lies under the pointer stays there


def test_way_image_and_layers_are_chosen(open_page):
    """What is chosen is shown and stands in the address; a layer that a way lacks cannot be chosen."""
    with open_page(PAIR) as page:
        assert page.locator("[name=way]").input_value() == "refined-syndiff"
        assert sources_of(page, "right") == [
            "development/image/sem-a2.webp",
            "transductive-development-fold0/label/refined-syndiff/sem-a2.png",
        ]
        page.select_option("[name=right]", "uncertainty")
        assert sources_of(page, "right") == ["transductive-development-fold0/uncertainty/refined-syndiff/sem-a2.webp"]
        page.select_option("[name=way]", "pretrained-none")
        assert page.locator("[name=right] option[disabled]").evaluate_all("o => o.map(i => i.value)") == [
            "translation",
            "uncertainty",
        ]
        page.locator("[name=next]").click()
        assert page.evaluate("location.hash").split("/")[1:3] == ["pretrained-none", "sem-b1"]
        assert "Dice: axon 0.120, myelin 0.120" in page.locator(".told").inner_text()
        page.select_option("[name=run]", "transductive-development-fold1")
        assert page.locator(".told a").count() == 0  # that fold kept no notebook


def test_a_number_opens_its_pictures_and_its_notebook(open_page):
    """From the table of images, and from the overview; the last column leads to the cell that scored it."""
    with open_page(PAIR) as page:
        row = page.locator("#table-images tbody tr", has_text="sem-b2").filter(has_text="adaptation").first
        row.locator("td a").first.click()
        page.wait_for_function("document.activeElement.className === 'stage'")
        assert page.locator("[name=image]").input_value() == "sem-b2"
        assert page.locator("[name=way]").input_value() == "adaptation-syndiff"
        row.locator("a", has_text="03_label").click()
        assert "dice.csv" in page.locator(":target").inner_text()
    with open_page("index.html") as page:
        page.locator("#table-dice tbody tr", has_text="tutorship").locator("td.bar a").first.click()
        page.wait_for_selector(".stage img")
        assert page.locator("[name=way]").input_value() == "tutorship-syndiff"


# --- Tables and figures -----------------------------------------------------------------------------------


def column(page, table, name) -> list[str]:
    """What a column of a table says, from above, without rows that are filtered away."""
    heads = page.locator(f"#table-{table} thead th").evaluate_all("h => h.map(e => e.innerText.trim())")
    place = next(n for n, head in enumerate(heads) if head.startswith(name))
    cells = f"#table-{table} tbody tr:not([hidden]) > :nth-child({place + 1})"
    return page.locator(cells).evaluate_all("c => c.map(e => e.textContent.trim())")


def test_tables_sort_by_number_and_say_so(open_page):
    """192 comes after 64; a second press turns the order round; by keyboard too."""
    with open_page(PAIR) as page:
        page.locator("summary", has_text="uncertain tiles").click()
        assert column(page, "review", "top px") == ["192", "0", "64"]
        head = page.locator("#table-review thead th", has_text="top px")
        head.locator("button").focus()
        page.keyboard.press("Enter")
        assert column(page, "review", "top px") == ["0", "64", "192"]
        assert head.get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Space")
        assert column(page, "review", "top px") == ["192", "64", "0"]
        assert head.get_attribute("aria-sort") == "descending"


def test_what_is_no_number_is_sorted_last(open_page):
    """Cells that were not run stay below the numbers, whichever way they are sorted."""
    with open_page("index.html") as page:
        button = page.locator("#table-dice thead th", has_text="axon").locator("button")
        for turn in (1, -1):
            button.click()
            told = column(page, "dice", "axon")
            numbers = [float(text.split("[")[0].split()[0]) for text in told if text[0].isdigit()]
            assert numbers == sorted(numbers, reverse=turn < 0)
            assert not any(text[0].isdigit() for text in told[len(numbers) :])
            assert len(numbers) == 5 < len(told)


def test_tables_are_filtered(open_page):
    """A choice leaves the rows that have it, and says how many."""
    with open_page(PAIR) as page:
        page.select_option("[data-filters=images] select >> nth=1", "sem-a1")
        assert set(column(page, "images", "image")) == {"sem-a1"}
        assert page.locator("[data-filters=images] output").inner_text() == "9 of 36 rows"


def test_a_figure_is_enlarged_and_closed_by_keyboard(open_page):
    """Enter opens it, plus enlarges it, Escape leads back to where one was."""
    with open_page("index.html") as page:
        link = page.locator("a.zoom").first
        link.focus()
        page.keyboard.press("Enter")
        assert page.locator("dialog[open] img").get_attribute("alt").startswith("Dice of every way")
        page.keyboard.press("+")
        assert "scale(1.5)" in page.locator("dialog img").get_attribute("style")
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0
        assert link.evaluate("e => e === document.activeElement")


# --- What the pages say -----------------------------------------------------------------------------------


def test_numbers_are_those_of_the_tables(site):
    """The overview shows the mean over folds of the README's table, the best in bold, with what is missing."""
    text = (site / "index.html").read_text()
    assert re.search(r"<strong>0\.815</strong>", text)  # refined: 0.8 to 0.83
    assert "not run" in text
    assert "No run has an ablation yet: <code>histobridge ablate</code>." in text


def test_guidance_trust_and_provenance_are_told(site):
    """The advice of `histobridge recommend`, the trust of notebook 05, and commands that repeat the study."""
    pair, origin = ((site / name).read_text() for name in (PAIR, "provenance.html"))
    assert "Use pretrained." in pair or "Use adaptation with syndiff." in pair or "Use tutorship" in pair
    assert "0.020" in pair
    assert "histobridge study --profile smoke" in origin
    assert origin.count("as in study.yaml") == 4  # 02 once, 03 of both folds, 05 of the first


def test_reviewers_see_which_cell_makes_what(site):
    """Read from the executed notebooks: the cell of the Dice table, its file, its functions, what it needs."""
    text = (site / "reviewer.html").read_text()
    rows = [row for row in re.findall(r"<tr>.*?</tr>", text, re.S) if '#cell-03-07">' in row.split("</td>")[0]]
    assert len(rows) == 1
    assert "<td>table</td>" in rows[0]
    assert "<code>dice.csv</code>" in rows[0]
    assert 'href="api.html#histobridge_study.analysis.tables.dice_overview"' in rows[0]
    assert "#cell-03-05" in rows[0]  # `labels`
    bars = next(row for row in re.findall(r"<tr>.*?</tr>", text, re.S) if '#cell-03-08">' in row.split("</td>")[0])
    assert "<td>figure</td>" in bars
    assert 'href="api.html#histobridge_study.plotting.scores.dice_bars"' in bars
    assert "No executed copy was found of 01_data, 05_report" in text


def test_a_page_does_not_tell_where_the_runs_lay(site, runs):
    """Pages may be given away: paths of this machine are shortened to what lies in the folder of the runs."""
    place = str(runs.parents[1])
    assert not [path for path in pages_of(site) if place in (site / path).read_text()]
    page = next(site.glob("notebooks/*03_label.html")).read_text()
    assert '"runs"</span>' in page


def test_the_reference_has_every_public_name(site):
    """Functions, classes and their methods, with signature and docstring; a re-exported name leads to its home."""
    text = (site / "api.html").read_text()
    assert 'id="histobridge.metrics.overlap.dice"' in text
    assert 'id="histobridge_study.runs.Run.target_images"' in text
    assert api.anchor("histobridge_study.plotting.save") == "histobridge.display.drawing.save"
    assert api.anchor("histobridge.nothing") is None
    assert "_interval" not in re.findall(r'class="member" id="([^"]+)"', text)
    private = [name for name in re.findall(r'class="member" id="([^"]+)"', text) if "._" in name]
    assert private == []


# --- Pictures ---------------------------------------------------------------------------------------------


def test_pictures_are_small_and_masks_keep_their_classes(tmp_path):
    """A large image is made smaller; a mask's background is transparent, its classes have the figures' colours."""
    save_grey(np.full((3000, 1500), 0.5, np.float32), tmp_path / "a.webp")
    with Image.open(tmp_path / "a.webp") as picture:
        assert picture.size == (LONGEST // 2, LONGEST)
    save_mask(np.array([[0, 1, 2]], np.uint8), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as picture:
        pixels = list(picture.convert("RGBA").get_flattened_data())
    assert pixels[0][3] == 0
    assert pixels[1:] == [(0, 114, 178, 255), (230, 159, 0, 255)]


def test_images_that_are_not_here_are_named(runs, tmp_path, monkeypatch):
    """Without the data the pages stand, and say which pictures they lack."""
    monkeypatch.setattr(
        "histobridge_study.runs.Run.target_images", lambda *_: (_ for _ in ()).throw(UserError("Gone."))
    )
    text = (build(runs, tmp_path / "site").parent / PAIR).read_text()
    assert "No image of 4 of 4 images: Gone." in text
    assert "pretrained-none/sem-a1.png" in text


# --- Where it is built ------------------------------------------------------------------------------------


def test_a_wrong_folder_is_told_what_to_do(histobridge, runs, tmp_path):
    """Nothing there, no run finished, or the folder above: one sentence and exit code 2."""
    for folder, told in (
        (tmp_path / "nowhere", "no finished runs below"),
        (tmp_path, "start one with `histobridge run`"),
        (runs.parent, "name one, runs/smoke"),
    ):
        code, _, err = histobridge("report", folder)
        assert (code, "Traceback" in err) == (2, False)
        assert told in " ".join(err.split())


def test_one_fold_may_stand_for_all(runs, site, tmp_path):
    """Pictures and notebooks are of the folds that are named; numbers are of all; one that is not there is told."""
    one = build(runs, tmp_path / "one", data=runs.parents[1] / "data", shown=(0,)).parent
    runs_shown = json.loads(re.search(r'id="swipe-data">(.*?)</script>', (one / PAIR).read_text())[1])["runs"]
    assert [run[-5:] for run in runs_shown] == ["fold0"]
    assert not list(one.glob("**/*fold1*")) and list(site.glob("**/*fold1*"))
    tables = [re.search(r"<table.*?</table>", (s / "index.html").read_text(), re.S)[0] for s in (one, site)]
    assert tables[0] == tables[1]
    assert "are of fold 0 only" in (one / "index.html").read_text()
    with pytest.raises(UserError, match=r"none has finished; there are: 0, 1\."):
        build(runs, tmp_path / "other", shown=(7,))


def test_somebodys_files_are_not_replaced(runs, site, tmp_path):
    """A folder with other files is refused; an older site is replaced as a whole; a failure leaves it."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="no site of ours"):
        build(runs, tmp_path)
    assert (tmp_path / "notes.txt").exists()
    to = tmp_path / "site"
    to.mkdir()
    (to / MARK).touch()
    (to / "old.html").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("histobridge_study.site.write_reviewer", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            build(runs, to)
    assert (to / "old.html").exists()
    build(runs, to)
    assert (to / "index.html").exists() and not (to / "old.html").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", "site"]


def test_real_images_do_not_enter_the_repository(runs, monkeypatch):
    """A site with real images may lie below the runs or outside the repository, not in it."""
    monkeypatch.setattr("histobridge_study.site.sources.kind_of", lambda _: "real")
    with pytest.raises(UserError, match="phantom-sem, which are never committed"):
        build(runs, ROOT / "reports" / "site")
    assert not (ROOT / "reports" / "site").exists()


def test_templates_and_scripts_are_installed_with_the_library():
    """What is no Python file is named in pyproject.toml, so that a wheel has it."""
    import tomllib

    home = Path(api.__file__).parent
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    named = {path for pattern in patterns["histobridge_study.site"] for path in home.glob(pattern)}
    others = {path for path in home.rglob("*.*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert named == others != set()


def test_the_command_writes_the_site_of_a_whole_study(finished, tiny_study):
    """After `histobridge study`: both folds, the notebooks of all stages, the paper's figures, and little of it."""
    folder = finished[0] / "tiny"
    line = [sys.executable, "-m", "histobridge_study.cli", "report", str(folder), "--data", str(finished[0] / "data")]
    environment = os.environ | {"HISTOBRIDGE_STUDY": str(tiny_study)}
    ended = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip().endswith("site/index.html")
    site = folder / "site"
    assert len(list(site.glob("notebooks/*.html"))) == 7  # the data, the translation, two of each fold, the report
    data = json.loads(re.search(r'id="swipe-data">(.*?)</script>', (site / PAIR).read_text())[1])
    assert [run[-5:] for run in data["runs"]] == ["fold0", "fold1"]
    seen = next(iter(data["runs"]["transductive-development-fold0"]["images"].values()))
    assert set(seen) == {"size", "image", "truth", "translation", "label", "uncertainty", "dice"}
    assert "refined-syndiff" in seen["uncertainty"]
    assert list(site.glob("figures/pseudo_labels-*.webp"))
    assert sum(path.stat().st_size for path in site.rglob("*.*")) < 25e6
