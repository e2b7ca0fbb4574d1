"""The pages of the site: the overview, one for each pair, executed notebooks, provenance."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import nbformat
import pandas as pd
from nbconvert import HTMLExporter

from histobridge.display.page import Table, environment, figure_webp, see, swipe_data, table
from histobridge.io.files import write_text
from histobridge_study.analysis.claims import PAIRS
from histobridge_study.analysis.tables import CLASSES, SHOWN, in_story_order, with_fibres
from histobridge_study.report.site.contents import Contents, Fold, Section, method_name, stage_of
from histobridge_study.report.site.pictures import swipe_run

REPORT = "notebooks/05_report.html"
DICE = "Dice, and F1 of fibres: mean ± SD over folds; below it the 95 % interval of the mean over images. Best in bold."
IMAGES = "Dice of every image, and F1 of its fibres. A number opens its pictures."
REVIEWED = 10  # tiles a fold


class Heading(NamedTuple):
    """A table with its heading, for the macro `sections`."""

    id: str
    title: str
    table: Table


class Pages:
    """The pages of a site in the making.

    Attributes
    ----------
    contents : Contents
    to : Path
        An empty folder.
    notebooks : dict
        Address of the page of each executed notebook by its path.
    """

    def __init__(self, contents: Contents, to: Path):
        self.contents, self.to = contents, to
        self.jinja = environment(Path(__file__).with_name("templates"))
        self.notebooks = notebook_pages(contents)

    def write(self) -> None:
        """Write every page, those of the pairs with their pictures."""
        c = self.contents
        cards = [self._pair(pair, [fold for fold in c.folds if fold.pair == pair]) for pair in c.pairs]
        self._page(
            "index.html",
            "index.html",
            contents=c,
            cards=cards,
            dice=self._dice_table(c.dice),
            tables=headings(c.sections),
            claims=c.claims.to_dict("records"),
            claims_undecided=not set(c.pairs) & set(PAIRS),
            report=self.notebooks.get(c.report, ""),
        )
        self._page("provenance.html", "provenance.html", tables=headings(c.provenance), commands=c.commands)
        for path, address in self.notebooks.items():
            self._page(address, "notebook.html", title=Path(address).stem, notebook=notebook_html(path))

    def _page(self, address: str, template: str, **context) -> None:
        """Render a template into a page; addresses in the navigation count from the root of the site."""
        c = self.contents
        navigation = {"index.html": "Overview"} | {pair_page(pair): pair for pair in c.pairs}
        navigation |= ({REPORT: "Report"} if c.report else {}) | {"provenance.html": "Provenance"}
        shared = {"root": "../" * address.count("/"), "here": address, "navigation": navigation, "profile": c.profile}
        page = self.jinja.get_template(template).render(shared, **context, command="histobridge report")
        write_text(self.to / address, page)

    def _pair(self, pair: str, folds: list[Fold]) -> dict:
        """Write the page of a pair; return its card for the overview."""
        c, first = self.contents, folds[0]
        made = {fold.key: swipe_run(fold, self.to, self._scored_in(fold)) for fold in folds}
        start = (first.key, first.first_method, first.typical(first.first_method))
        of_pair = [Section(s.title, s.caption, _of(s.table, pair)) for s in c.sections if "pair" in s.table]
        self._page(
            pair_page(pair),
            "pair.html",
            pair=pair,
            settings=c.pairs[pair],
            swipe=swipe_data({key: run for key, (run, _) in made.items()}, start),
            missing=list(dict.fromkeys(note for _, notes in made.values() for note in notes)),
            dice=self._dice_table(_of(c.dice, pair)),
            images=self._image_table(folds),
            review=review_table(folds),
            tables=headings(of_pair),
            notebooks={f.label: {stage: self.notebooks[path] for stage, path in f.notebooks.items()} for f in folds},
        )
        seen = made[first.key][0].images[start[2]]
        thumb = {"image": seen["image"], "label": seen["label"].get(first.first_method)}
        return thumb | {"pair": pair, "href": pair_page(pair), "best": best(_of(c.dice, pair))}

    # --- Tables whose numbers lead somewhere ----------------------------------------------------------------

    def _dice_table(self, overview: pd.DataFrame) -> Table:
        """Return the Dice of methods; a number opens a typical image."""

        def fold_of(row: dict) -> Fold | None:
            setting = (row["pair"], row["protocol"], row["split"])
            folds = (f for f in self.contents.folds if (f.pair, f.protocol, f.split) == setting)
            return next((fold for fold in folds if _method(row) in fold.methods), None)

        def address(fold: Fold, method: str, row: dict) -> str:
            return pair_page(fold.pair) + see(fold.key, method, fold.typical(method))

        return self._linked(overview, "dice", DICE, fold_of, address)

    def _image_table(self, folds: list[Fold]) -> Table:
        """Return the Dice of every image and method; a number opens its picture."""
        by_label = {fold.label: fold for fold in folds}

        def address(fold: Fold, method: str, row: dict) -> str:
            return see(fold.key, method, row["image"])

        rows = pd.concat(map(dice_by_image, folds), ignore_index=True)
        return self._linked(rows, "images", IMAGES, lambda row: by_label[row["run"]], address)

    def _linked(
        self,
        frame: pd.DataFrame,
        id: str,
        caption: str,
        fold_of: Callable[[dict], Fold | None],
        address: Callable[[Fold, str, dict], str],
    ) -> Table:
        """Return a table whose scores lead to an address, and whose last column leads to the executed notebook."""

        def picture(row: dict) -> tuple[str, str]:
            fold, method = fold_of(row), _method(row)
            return (address(fold, method, row), f"Show {method_name(method)}") if fold else ("", "")

        def notebook(row: dict) -> tuple[str, str]:
            fold = fold_of(row)
            return (self._scored_in(fold).get(_method(row), "") if fold else ""), "The executed notebook"

        frame = frame.assign(notebook=frame["strategy"].map(stage_of))
        links = dict.fromkeys(SHOWN, picture) | {"notebook": notebook}
        return table(frame, id, caption, links=links, bars=SHOWN, optional=("pair", "protocol", "split", "run"))

    def _scored_in(self, fold: Fold) -> dict[str, str]:
        """Return the address of the notebook that scored each method of a fold."""
        stages = {method: stage_of(method) for method in fold.methods}
        return {m: self.notebooks[fold.notebooks[stage]] for m, stage in stages.items() if stage in fold.notebooks}


def review_table(folds: list[Fold]) -> Table | None:
    """Return the most uncertain tiles of each fold; the name of an image opens its label beside the uncertainty."""
    by_label = {fold.label: fold for fold in folds if len(fold.review_order)}
    if not by_label:
        return None

    def picture(row: dict) -> tuple[str, str]:
        fold = by_label[row["run"]]
        return see(fold.key, fold.first_method, row["image"], "label", "uncertainty"), "Show label and uncertainty"

    tiles = pd.concat([fold.review_order.head(REVIEWED).assign(run=label) for label, fold in by_label.items()])
    caption = f"The {REVIEWED} most uncertain tiles of each fold, in the order in which to review them."
    return table(tiles, "review", caption, links={"image": picture}, optional=("run", "side_px"))


def headings(sections: Iterable[Section]) -> list[Heading]:
    """Return the sections that have rows, as tables."""
    named = [(s.title.lower().replace(" ", "-"), s) for s in sections if len(s.table)]
    return [Heading(id, s.title, table(s.table, id, s.caption)) for id, s in named]


def dice_by_image(fold: Fold) -> pd.DataFrame:
    """Return a row for each image and method of a fold, with a column for each class and the F1 of fibres."""
    keys = ["image", "subject", "strategy", "translator"]
    wide = with_fibres(fold.rows).set_index([*keys, "class"])["dice"].unstack("class").reset_index()
    wide = in_story_order(wide.rename_axis(columns=None)).sort_values("image", kind="stable")
    return wide[[*keys, *(name for name in SHOWN if name in wide)]].assign(run=fold.label)


def best(overview: pd.DataFrame) -> dict[str, str]:
    """Return the best label-free Dice and its method by class: the bold entries of the Dice table."""
    found = {}
    for class_ in (name for name in CLASSES if name in overview):
        for row in overview[overview[class_].str.startswith("**")].head(1).to_dict("records"):
            found[class_] = f"{row[class_].strip('*').split()[0]} by {method_name(_method(row))}"
    return found


def _of(frame: pd.DataFrame, pair: str) -> pd.DataFrame:
    return frame[frame["pair"] == pair]


def _method(row: dict) -> str:
    return f"{row['strategy']}-{row['translator']}"


# --- Addresses and notebooks --------------------------------------------------------------------------------


def pair_page(pair: str) -> str:
    """Return the address of the page of a pair."""
    return f"pair-{quote(pair, safe='')}.html"


def notebook_pages(contents: Contents) -> dict[Path, str]:
    """Return the address of the page of each executed notebook by its path; folds may share one."""
    pages = {contents.report: REPORT} if contents.report else {}
    for fold in contents.folds:
        for stage, path in fold.notebooks.items():
            pages.setdefault(path, f"notebooks/{quote(fold.pair, safe='')}-{fold.key}-{stage}.html")
    return pages


def notebook_html(path: Path) -> str:
    """Return an executed notebook as the body of a page that loads nothing from a network.

    Its PNG figures become WebP, which is smaller. The folder that held the runs is removed from its paths, because the
    site may be given away.
    """
    notebook = nbformat.read(path, as_version=4)
    hidden = {"exclude_anchor_links": True, "exclude_input_prompt": True, "exclude_output_prompt": True}
    body, _ = HTMLExporter(template_name="basic", embed_images=True, **hidden).from_notebook_node(notebook)
    body = re.sub(r"data:image/png;base64,([^\"]+)", lambda found: figure_webp(base64.b64decode(found[1])).uri, body)
    out = Path(notebook.metadata.get("papermill", {}).get("parameters", {}).get("out", ""))
    return body.replace(f"{out.parent}/", "") if out.is_absolute() else body
