"""The pages of the site: the overview, one for each pair, executed notebooks, provenance."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import nbformat
import pandas as pd

from histobridge.display.page import Table, environment, figure_webp, see, swipe_data, table
from histobridge.io.files import write_text
from histobridge_study.analysis.claims import PAIRS
from histobridge_study.analysis.methods import method_words
from histobridge_study.analysis.tables import (
    CLASSES,
    EXPERIMENT_KEYS,
    SCORE_COLUMNS,
    in_display_order,
    with_fibre_scores,
)
from histobridge_study.notebook_page import notebook_html
from histobridge_study.report.site.contents import Contents, Fold, Section, method_name, stage_of
from histobridge_study.report.site.pictures import swipe_run

REPORT = "notebooks/05_report.html"
DICE = (
    "Dice, and F1 of fibres: mean over subjects, the best in bold; below it the 95 % interval over subjects, or their "
)
DICE += (
    "number where they are fewer than five. Beside it how much trainings differ, of axon / myelin / F1: SD over folds "
)
DICE += "of one translator, and over its seeds; none where folds score different subjects."
IMAGES = "Dice of every image, and F1 of its fibres. A number opens its pictures."
REVIEWED = 10  # tiles a fold
CONSTANT = (*EXPERIMENT_KEYS, "fold")  # columns that a table shows only where they differ


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
            self._page(address, "notebook.html", title=Path(address).stem, notebook=notebook_body(path))

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

    # --- Tables whose cells lead somewhere ------------------------------------------------------------------

    def _dice_table(self, overview: pd.DataFrame) -> Table:
        """Return the Dice of methods; a number opens a typical image."""
        rows = pd.DataFrame([row | self._example(row) for row in overview.to_dict("records")])
        return self._scored(rows, "dice", DICE, hidden=("run", "image", "strategy", "translator"))

    def _example(self, row: dict) -> dict[str, str]:
        """Return the fold and the image that a row of the Dice table leads to, empty if it has none."""
        setting, method = (row["pair"], row["protocol"], row["split"]), _method(row)
        for fold in self.contents.folds:
            if (fold.pair, fold.protocol, fold.split) == setting and method in fold.methods:
                return {"run": fold.key, "image": fold.typical(method)}
        return {"run": "", "image": ""}

    def _image_table(self, folds: list[Fold]) -> Table:
        """Return the Dice of every image and method; a number opens its picture."""
        rows = pd.concat(map(dice_by_image, folds))
        return self._scored(rows, "images", IMAGES, hidden=("run", "strategy", "translator"))

    def _scored(self, rows: pd.DataFrame, id: str, caption: str, hidden: tuple[str, ...]) -> Table:
        """Return a table whose scores open pictures, and whose last column opens the executed notebook.

        Each row names its `pair`, `run` (the key of a fold, or nothing), `image`, `strategy` and `translator`.
        """
        scored_in = {(fold.pair, fold.key): self._scored_in(fold) for fold in self.contents.folds}

        def picture(row: dict) -> tuple[str, str]:
            address = pair_page(row["pair"]) + see(row["run"], _method(row), row["image"])
            return (address, f"Show {method_name(_method(row))} on {row['image']}") if row["run"] else ("", "")

        def notebook(row: dict) -> tuple[str, str]:
            return scored_in.get((row["pair"], row["run"]), {}).get(_method(row), ""), "The executed notebook"

        links = dict.fromkeys(SCORE_COLUMNS, picture) | {"notebook": notebook}
        rows = rows.assign(notebook=rows["strategy"].map(stage_of))
        return table(rows, id, caption, links=links, bars=SCORE_COLUMNS, hidden=hidden, optional=CONSTANT)

    def _scored_in(self, fold: Fold) -> dict[str, str]:
        """Return the address of the notebook that scored each method of a fold."""
        stages = {method: stage_of(method) for method in fold.methods}
        return {m: self.notebooks[fold.notebooks[stage]] for m, stage in stages.items() if stage in fold.notebooks}


def review_table(folds: list[Fold]) -> Table | None:
    """Return the most uncertain tiles of each fold; the name of an image opens its label beside the uncertainty."""
    methods = {fold.key: fold.first_method for fold in folds}
    tiles = [f.review_order.head(REVIEWED).assign(fold=f.fold, run=f.key) for f in folds if len(f.review_order)]
    if not tiles:
        return None

    def picture(row: dict) -> tuple[str, str]:
        address = see(row["run"], methods[row["run"]], row["image"], "label", "uncertainty")
        return address, "Show label and uncertainty"

    caption = f"The {REVIEWED} most uncertain tiles of each fold, in the order in which to review them."
    shown = pd.concat(tiles)
    return table(shown, "review", caption, links={"image": picture}, hidden=("run", "side_px"), optional=CONSTANT)


def headings(sections: Iterable[Section]) -> list[tuple[str, Table]]:
    """Return the sections that have rows: each title with its table."""
    ids = {s.title: s.title.lower().replace(" ", "-") for s in sections}
    return [(s.title, table(s.table, ids[s.title], s.caption, optional=CONSTANT)) for s in sections if len(s.table)]


def dice_by_image(fold: Fold) -> pd.DataFrame:
    """Return a row for each image and method of a fold, with a column for each class and the F1 of fibres."""
    keys = ["image", "subject", "strategy", "translator"]
    wide = with_fibre_scores(fold.rows).set_index([*keys, "class"])["dice"].unstack("class").reset_index()
    wide = in_display_order(wide.rename_axis(columns=None)).sort_values("image", kind="stable")
    wide = wide[[*keys, *(name for name in SCORE_COLUMNS if name in wide)]]
    words = [
        method_words(*method, profile=fold.profile) for method in zip(wide["strategy"], wide["translator"], strict=True)
    ]
    wide.insert(2, "method", words)
    return wide.assign(pair=fold.pair, protocol=fold.protocol, split=fold.split, fold=fold.fold, run=fold.key)


def best(overview: pd.DataFrame) -> dict[str, str]:
    """Return the best label-free Dice and its method by class: the bold entries of the Dice table."""
    found = {}
    for class_ in (name for name in CLASSES if name in overview):
        for row in overview[overview[class_].str.startswith("**")].head(1).to_dict("records"):
            found[class_] = f"{row[class_].strip('*').split()[0]} by {row['method']}"
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


def notebook_body(path: Path) -> str:
    """Return an executed notebook as the body of a page that loads nothing from a network.

    Its PNG figures become WebP, which is smaller. The folder that held the runs is removed from its paths, because the
    site may be given away.
    """
    notebook = nbformat.read(path, as_version=4)
    hidden = {"exclude_anchor_links": True, "exclude_input_prompt": True, "exclude_output_prompt": True}
    body = notebook_html(notebook, template_name="basic", **hidden)
    body = re.sub(r"data:image/png;base64,([^\"]+)", lambda found: figure_webp(base64.b64decode(found[1])).uri, body)
    out = Path(notebook.metadata.get("papermill", {}).get("parameters", {}).get("out", ""))
    return body.replace(f"{out.parent}/", "") if out.is_absolute() else body
