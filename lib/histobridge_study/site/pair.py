"""The page of a pair: the comparison of its pictures, and every table about it."""

from __future__ import annotations

import json

import pandas as pd
from markupsafe import Markup

from histobridge_study.analysis.recommend import recommend, with_true_dice
from histobridge_study.analysis.tables import SCORE_COLUMNS, in_display_order, trust_overview, with_fibre_f1
from histobridge_study.site import pictures, plates, swipe
from histobridge_study.site.cells import TableOf, table
from histobridge_study.site.pages import Site, notebook_page, pair_page, some, way_of
from histobridge_study.site.sources import STAGES, Fold
from histobridge_study.stages.refine import experience

REVIEWED_FIRST = 10  # tiles
TESTS = "SynDiff's best strategy of the paper against every other label-free row, image by image."
AGREEMENT = "Bias and 95 % limits of agreement with the expert masks, of the label-free row of the highest Dice."
TRUST = "How far the uncertainty of `refined` can be trusted; AUSE and calibration error are 0 at best."
RECONSTRUCTION = "Round trip by SSIM, PSNR and L1, one way by offset and seam: mean ± SD over images."
GUIDANCE = "Scores that see no mask, and beside them the true Dice."


def write_pair(site: Site, pair: str) -> None:
    """Write the page of a pair, and its pictures."""
    folds = site.sources.folds_of(pair)
    made = {fold.key: pictures.of_fold(fold, site.to) for fold in folds}
    site.pictures[pair] = {key: found for key, (found, _) in made.items()}
    curves = site.drawn(plates.trust_drawing(site.sources, pair))
    site.write(
        pair_page(pair),
        "pair.html",
        pair=pair,
        shown=site.sources.pairs[pair],
        swipe=json_for_script(swipe.swipe_data(folds, site.pictures[pair], _scoring_cells(site, folds))),
        notes=dict.fromkeys(note for _, notes in made.values() for note in notes),
        tables=_tables(site, pair, folds),
        advice=_advice(site, pair),
        curves=next(iter(curves.values()), None),
        notebooks={fold.label: _notebooks_of(site, fold) for fold in folds},
    )


def _scoring_cells(site: Site, folds: list[Fold]) -> dict[tuple[str, str], str]:
    both = ("pretrained", "refined")  # one of each notebook that scores
    return {(fold.key, swipe.stage_of(name)): site.scoring_cell(fold, name) for fold in folds for name in both}


def _tables(site: Site, pair: str, folds: list[Fold]) -> dict[str, TableOf | None]:
    s = site.sources
    of = {name: _of(frame, pair) for name, frame in {**s.tables, **s.beyond, "fibres": site.agreement}.items()}
    return {
        "dice": site.dice_table(_of(site.dice, pair)),
        "images": _image_table(site, folds),
        "trust": some(trust_overview(of["trust"]) if len(of["trust"]) else (), "trust", TRUST),
        "review": _review_table(folds),
        "guidance": some(_scored(of["guidance"], s.dice), "guidance", GUIDANCE),
        "reconstruction": some(of["table2"], "reconstruction", RECONSTRUCTION),
        "tests": some(of["tests"], "tests", TESTS),
        "fibres": some(of["fibres"], "fibres", AGREEMENT),
    }


def _of(frame: pd.DataFrame, pair: str) -> pd.DataFrame:
    return frame[frame["pair"] == pair] if "pair" in frame else frame.head(0)


# --- Image by image -----------------------------------------------------------------------------------------


def _image_table(site: Site, folds: list[Fold]) -> TableOf:
    """Return the Dice of every image and way; each leads to its pictures and to the notebook."""
    by_key = {fold.key: fold for fold in folds}

    def see(row: dict) -> tuple[str, str]:
        method = way_of(row)
        address = swipe.address(by_key[row["run"]], method, row["image"])
        return address, f"See {swipe.way_name(method)} on {row['image']}"

    def executed(row: dict) -> tuple[str, str]:
        return site.scoring_cell(by_key[row["run"]], row["strategy"]), "The executed cell that scored it"

    caption = "Dice of every image, and F1 of its fibres. A number opens its pictures above."
    links = dict.fromkeys(SCORE_COLUMNS, see) | {"notebook": executed}
    rows = pd.concat(map(_by_image, folds), ignore_index=True)
    return table(rows, "images", caption, links=links, bars=SCORE_COLUMNS, hidden=("run",))


def _by_image(fold: Fold) -> pd.DataFrame:
    """Return the rows of Dice of a fold with a column a class, F1 of fibres, and the notebook that made them."""
    keys = ["image", "subject", "strategy", "translator"]
    wide = (
        with_fibre_f1(fold.rows)
        .set_index([*keys, "class"])["dice"]
        .unstack("class")
        .reset_index()
        .rename_axis(columns=None)
    )
    wide = wide.assign(run=fold.key, notebook=[swipe.stage_of(strategy) for strategy in wide["strategy"]])
    wide = in_display_order(wide).sort_values("image", kind="stable")
    shown = [name for name in SCORE_COLUMNS if name in wide]
    return wide[["run", *keys, *shown, "notebook"]]


# --- Where to look, and which way to trust ------------------------------------------------------------------


def _review_table(folds: list[Fold]) -> TableOf | None:
    """Return the tiles that are to be looked at first; an image's name opens its label and uncertainty."""
    by_key = {fold.key: fold for fold in folds}
    found = {fold.key: fold.table("review_order").head(REVIEWED_FIRST) for fold in folds}
    tiles = [rows.assign(run=key) for key, rows in found.items() if len(rows)]
    if not tiles:
        return None

    def see(row: dict) -> tuple[str, str]:
        fold = by_key[row["run"]]
        return swipe.address(fold, fold.shown_first, row["image"], "label", "uncertainty"), "See label and uncertainty"

    caption = f"The {REVIEWED_FIRST} most uncertain tiles of a fold, the first first."
    return table(pd.concat(tiles), "review", caption, links={"image": see}, hidden=("run", "side_px"))


def _scored(scores: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the label-free scores of every way, the true Dice before them."""
    if not len(scores):
        return scores
    known = with_true_dice(scores, rows)
    known.insert(2, "dice", known.pop("dice"))
    return known


def _advice(site: Site, pair: str) -> dict[str, str]:
    """Return what `histobridge recommend` says of a pair, by protocol."""
    rows = _of(site.sources.beyond["guidance"], pair)
    known = experience()
    return {kind: recommend(of, known).text for kind, of in rows.groupby("protocol")} if len(rows) else {}


def _notebooks_of(site: Site, fold: Fold) -> dict[str, str]:
    """Return the executed notebooks of a fold: title by address."""
    found = [notebook_page(fold, stage) for stage in STAGES[:-1]]
    return {page: site.executed[page][1].title for page in found if page in site.executed}


def json_for_script(content: dict) -> Markup:
    """Return data for a script element: nothing in it can end the element."""
    return Markup(json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"))
