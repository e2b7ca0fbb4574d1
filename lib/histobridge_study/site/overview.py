"""The first page: what the study says as a whole."""

from __future__ import annotations

import pandas as pd

from histobridge_study.analysis.claims import PAIRS
from histobridge_study.analysis.recommend import evaluate_scores, with_true_dice
from histobridge_study.analysis.tables import CLASSES, ablation_overview, trust_overview
from histobridge_study.site import plates, swipe
from histobridge_study.site.cells import TableOf, table
from histobridge_study.site.pages import Site, pair_page, some, way_of
from histobridge_study.site.pair import AGREEMENT, RECONSTRUCTION, TESTS, TRUST
from histobridge_study.site.sources import Sources


def write_overview(site: Site) -> None:
    """Write index.html; the pages of the pairs are there already, with their pictures."""
    s = site.sources
    site.write(
        "index.html",
        "index.html",
        facts=_facts(s),
        cards=[_card(site, pair) for pair in s.pairs],
        tables=_tables(site),
        plates=site.drawn(plates.drawings(s)),
        paper=plates.of_the_paper(s, site.to, site.maker("gallery.write(")),
        made_by={name: site.maker(f'tables["{name}"]') for name in s.tables},
        claims=s.tables["claims"].to_dict("records"),
        claims_are_elsewhere=not set(s.pairs) & set(PAIRS),
        lacking=_lacking(site),
    )


def _facts(s: Sources) -> dict[str, str]:
    """Return what the study consists of, in numbers."""
    return {
        "pairs": str(len(s.pairs)),
        "finished folds": str(len(s.dice[["pair", "protocol", "split", "fold"]].drop_duplicates())),
        "scored images": str(s.dice.groupby("pair")["image"].nunique().sum()),
        "minutes of computing": f"{s.tables['costs']['minutes'].sum():.0f}",
        "code": ", ".join(sorted({record["git_commit"] for record in s.records})),
    }


def _tables(site: Site) -> dict[str, TableOf | None]:
    s, beyond = site.sources, site.sources.beyond
    trust = trust_overview(beyond["trust"]) if len(beyond["trust"]) else ()
    ablation = ablation_overview(beyond["ablation"]) if len(beyond["ablation"]) else ()
    known = evaluate_scores(with_true_dice(beyond["guidance"], s.dice)) if len(beyond["guidance"]) else ()
    return {
        "dice": site.dice_table(site.dice),
        "reconstruction": table(s.tables["table2"], "reconstruction", RECONSTRUCTION),
        "tests": some(s.tables["tests"], "tests", TESTS),
        "agreement": some(site.agreement, "agreement", AGREEMENT),
        "trust": some(trust, "trust", TRUST),
        "ablation": some(ablation, "ablation", "Dice of `refined` without one piece at a time."),
        "guidance": some(known, "guidance", "How well each score tells good ways from bad."),
        "missing": some(s.missing, "missing", "Planned, and not there."),
    }


def _card(site: Site, pair: str) -> dict:
    """Return what the overview says of a pair: its best label-free Dice, and a typical image."""
    fold = site.sources.folds_of(pair)[0]
    seen = site.pictures[pair][fold.key][fold.typical(fold.shown_first)]
    return {
        "pair": pair,
        "href": pair_page(pair),
        "shift": site.sources.pairs[pair].shift,
        "image": seen.get("image", ""),
        "label": seen["label"].get(fold.shown_first, ""),
        "best": _best(site.dice[site.dice["pair"] == pair]),
    }


def _best(overview: pd.DataFrame) -> dict[str, str]:
    """Return the best label-free Dice of a pair, and of which way, by class: what the Dice table has in bold."""
    best = {}
    for class_ in (name for name in CLASSES if name in overview):
        for row in overview[overview[class_].str.startswith("**")].head(1).to_dict("records"):
            best[class_] = f"{row[class_].strip('*').split()[0]} by {swipe.way_name(way_of(row))}"
    return best


def _lacking(site: Site) -> list[str]:
    """Say in sentences what the site could show and does not."""
    s, beyond = site.sources, site.sources.beyond
    lacking = {
        f"Pictures and notebooks are of fold {_listed(s.shown)} only (`--fold`); tables are of all.": bool(s.shown),
        "No fibres are measured yet: `histobridge measure`.": not len(s.measured),
        "Notebook 05 has not run: there is no uncertainty.": not len(beyond["trust"]),
        "No run has an ablation yet: `histobridge ablate`.": not len(beyond["ablation"]),
        "No run has label-free scores yet: `histobridge recommend`.": not len(beyond["guidance"]),
        "Notebook 04 has not run: the paper's figures are left out.": not s.gallery,
        "No executed notebook was found: there are no pages of them.": not site.executed,
    }
    return [sentence for sentence, is_so in lacking.items() if is_so]


def _listed(folds: tuple[int, ...] | None) -> str:
    return " and ".join(map(str, folds or ()))
