"""What all pages of a site share: how one is written, and the executed notebooks that its numbers lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from histobridge.io.files import write_text
from histobridge_study.analysis.bland_altman import (
    agreement_overview,
    best_method_pairs,
    limits_of_agreement,
    pair_with_expert,
)
from histobridge_study.analysis.tables import SCORE_COLUMNS, dice_overview
from histobridge_study.report import collect
from histobridge_study.site import api, notebooks, plates, swipe
from histobridge_study.site.cells import TableOf, table
from histobridge_study.site.sources import REPORT, STAGES, Fold, Sources

HERE = Path(__file__).parent
OTHER_PAGES = {"provenance.html": "Provenance", "reviewer.html": "For reviewers", "api.html": "API"}
DICE = "Dice, and F1 of fibres: mean ± SD over folds; below it the 95 % interval of the mean over images. Best in bold."


class Site:
    """A site that is being written.

    Attributes
    ----------
    sources : Sources
    to : Path
        An empty folder.
    pictures : dict
        By pair and key of the fold: what `pictures.of_fold` returned.
    """

    def __init__(self, sources: Sources, to: Path):
        self.sources, self.to = sources, to
        self.pictures: dict[str, dict[str, dict]] = {}

    def write(self, path: str, template: str, **context) -> None:
        """Render a template into a page; addresses count from the site's root."""
        pairs = {pair_page(pair): pair for pair in self.sources.pairs}
        context |= {"root": "../" * path.count("/"), "here": path, "profile": self.sources.profile}
        context |= {"navigation": {"index.html": "Overview"} | pairs | OTHER_PAGES}
        write_text(self.to / path, environment().get_template(template).render(context))

    # --- Notebooks --------------------------------------------------------------------------------------

    @cached_property
    def executed(self) -> dict[str, tuple[str, notebooks.Notebook]]:
        """Every executed notebook that was found, and of which run it is, by the address of its page."""
        found = {}
        for fold in self.sources.folds:
            for stage in STAGES[:-1]:
                if (address := notebook_page(fold, stage)) not in found and fold.notebook(stage).exists():
                    found[address] = f"{fold.pair}, {fold.label}", notebooks.read(fold.notebook(stage), self.to)
        if (path := self.sources.report_notebook).exists():
            found[f"notebooks/{REPORT}.html"] = "all runs", notebooks.read(path, self.to)
        return found

    @cached_property
    def entries(self) -> list[notebooks.Entry]:
        """The cells that make something."""
        return notebooks.inventory(self.executed)

    def write_notebooks(self) -> None:
        """Write a page for each executed notebook."""
        for address, (label, notebook) in self.executed.items():
            self.write(address, "notebook.html", notebook=notebook, label=label)

    def scoring_cell(self, fold: Fold, strategy: str) -> str:
        """Return the address of the cell that scored a strategy's labels, or nothing."""
        stage = swipe.stage_of(strategy)
        address = notebook_page(fold, stage)
        if address not in self.executed:
            return ""
        file = "refined.csv" if stage == collect.BEYOND else "dice.csv"
        cells = [cell.id for cell in self.executed[address][1].cells if file in cell.files]
        return f"{address}#{cells[0]}" if cells else address

    def maker(self, code: str) -> str:
        """Return the address of the cell whose code holds some text, or nothing."""
        return notebooks.maker(self.entries, code)

    def drawn(self, drawings: dict[str, plates.Drawing]) -> dict[str, plates.Plate]:
        """Draw figures into the site."""
        return {name: plates.drawn(d, name, self.to, self.maker(d.call)) for name, d in drawings.items()}

    # --- Tables that several pages show -----------------------------------------------------------------

    @cached_property
    def dice(self) -> pd.DataFrame:
        """The Dice table of the README, with the notebook that scored each row."""
        s = self.sources
        found = dice_overview(s.dice, interval=True, bold=True, missing=s.missing)
        return found.assign(notebook=[swipe.stage_of(strategy) for strategy in found["strategy"]])

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """How far fibres agree with the expert's: of each pair, the label-free row of the highest Dice."""
        s = self.sources
        best = best_method_pairs(pair_with_expert(s.measured), s.dice) if len(s.measured) else ()
        return agreement_overview(limits_of_agreement(best)) if len(best) else pd.DataFrame()

    def dice_table(self, frame: pd.DataFrame) -> TableOf:
        """Return rows of `dice` whose numbers open a typical image and whose last column opens the notebook."""
        links = dict.fromkeys(SCORE_COLUMNS, self._typical_link) | {"notebook": self._notebook_link}
        return table(frame, "dice", DICE, links=links, bars=SCORE_COLUMNS)

    def _typical_link(self, row: dict) -> tuple[str, str]:
        if (fold := self._fold_of(row)) is None:
            return "", ""
        method = way_of(row)
        address = swipe.address(fold, method, fold.typical(method))
        return pair_page(fold.pair) + address, f"See {swipe.way_name(method)} on a typical image"

    def _notebook_link(self, row: dict) -> tuple[str, str]:
        fold = self._fold_of(row)
        return (self.scoring_cell(fold, row["strategy"]) if fold else ""), "The executed cell that scored it"

    def _fold_of(self, row: dict) -> Fold | None:
        """Return the first fold that scored the way of a row of the Dice table."""
        for fold in self.sources.folds_of(row["pair"]):
            p = fold.run.parameters
            if way_of(row) in fold.methods and (p.protocol, p.split) == (row["protocol"], row["split"]):
                return fold
        return None


def way_of(row: dict) -> str:
    """Return the way of a row of a table: its strategy and translator."""
    return f"{row['strategy']}-{row['translator']}"


def pair_page(pair: str) -> str:
    """Return the address of a pair's page."""
    return f"pair-{quote(pair, safe='')}.html"


def notebook_page(fold: Fold, stage: str) -> str:
    """Return the address of an executed notebook of a fold; one that serves all folds has one page."""
    protocol, split, own = fold.folder.parts[-3:]
    last = fold.run.translator_key if stage == "02_translate" else own
    return f"notebooks/{quote(fold.pair, safe='')}-{protocol}-{split}-{last}-{stage}.html"


def some(frame: Iterable, id: str, caption: str) -> TableOf | None:
    """Return a data frame as a table, or None if it has no rows."""
    return table(frame, id, caption) if len(frame) else None


def _coded(text: str) -> Markup:
    """Return text with what stands between backticks as code.

    >>> _coded("use `a < b`")
    Markup('use <code>a &lt; b</code>')
    """
    return Markup(re.sub(r"`+([^`]+)`+_?", r"<code>\1</code>", str(escape(text))))


def environment() -> jinja2.Environment:
    """Return what renders the templates: strict about names, and escaping."""
    loader = jinja2.FileSystemLoader(HERE / "templates")
    strict = {"autoescape": True, "undefined": jinja2.StrictUndefined}
    environment = jinja2.Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, **strict)
    environment.filters |= {"coded": _coded}
    environment.globals |= {"anchor": api.anchor}
    return environment
