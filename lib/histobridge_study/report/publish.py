"""Publish finished runs: their rows and provenance in `reports/`, and every table and plot that follows from them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from histobridge.errors import UserError
from histobridge.io.files import read_table, write_json, write_table, write_text
from histobridge_study import plotting as figures
from histobridge_study.analysis.bland_altman import (
    IMAGE_KEYS,
    MEASURES,
    agreement_overview,
    best_method_pairs,
    limits_of_agreement,
    pair_with_expert,
)
from histobridge_study.analysis.recommend import evaluate_scores, with_true_dice
from histobridge_study.analysis.tables import (
    DICE_COLUMNS,
    ablation_overview,
    ablation_table,
    dice_overview,
    dice_table,
    markdown,
    trust_overview,
)
from histobridge_study.report.collect import (
    ADDED,
    BEYOND_TABLES,
    TABLES,
    collect,
    collect_beyond,
    collect_measured,
    collect_provenance,
    derived_tables,
    missing,
)
from histobridge_study.report.readme_tables import readme_table, speed_overview
from histobridge_study.runs import recorded_run

Cell = tuple[str, str, str, str]
"""Pair, protocol, split, and fold: what is published, and replaced, as one."""


def publish(folder: Path, reports: Path, readme: Path) -> None:
    """Write the rows and the provenance of finished runs to `reports`, then all that follows from them.

    What was published of other pairs, protocols, splits and folds stays, if the present settings would give it again.
    So do rows that a command adds to a finished run (`ADDED`) where the run has none of them now: each says of which
    commit and settings it is. Of the fibres, those of the runs that are measured.

    Raises
    ------
    UserError
        If there are no finished runs, some were made with other settings than study.yaml has now, or `reports` holds
        another profile.
    """
    records = collect_provenance(folder)
    refuse_stale(records)
    tables = {"dice": collect(folder, "dice")[DICE_COLUMNS], "translation": collect(folder, "translation")}
    _refuse_other_profile(_published(reports), records, reports)
    tables |= collect_beyond(folder)
    measured = collect_measured(folder)
    tables["morphometrics"] = measured[[*IMAGE_KEYS, "fold", "n_fibres", *MEASURES]] if len(measured) else measured
    before, again = still_valid(_published(reports)), cells(records)
    stay = [record for record in before if not cells([record]) & again]
    valid = {record["settings_hash"] for record in stay + records}
    for name, table in tables.items():
        then = _then(reports / f"{name}.csv")
        kept = _added_before(then, table, valid) if name in ADDED else _of_cells(then, cells(stay))
        _write_rows(reports / f"{name}.csv", kept, table)
    write_json(reports / "provenance.json", stay + records)
    recompute(reports, readme)


def still_valid(before: list[dict]) -> list[dict]:
    """Return the published records, without every cell of which a stage is stale."""
    stale = cells([record for record in before if _is_stale(record)])
    return [record for record in before if not cells([record]) & stale]


def _refuse_other_profile(before: list[dict], now: list[dict], reports: Path) -> None:
    there, new = ({record["profile"] for record in records} for records in (before, now))
    if there - new:
        raise UserError(
            f"{reports} holds profile {', '.join(sorted(there - new))}, and tables of two would be mixed: give another "
            "--reports, or remove what is there."
        )


def cells(records: list[dict]) -> set[Cell]:
    """Return what records of stages are about: pair, protocol, split, and the fold or, if it serves all, `pair`."""
    return {(r["pair"], r["protocol"], r["split"], _fold(r)) for r in records}


def _fold(record: dict) -> str:
    serves_all = record["stage"] == TABLES["translation"] and record["protocol"] == "transductive"
    return "pair" if serves_all else f"fold{record['fold']}"


def _of_cells(table: pd.DataFrame, some: set[Cell]) -> pd.DataFrame:
    return table[[cell in some for cell in _cell_by_row(table)]]


def _added_before(then: pd.DataFrame, now: pd.DataFrame, valid: set[str]) -> pd.DataFrame:
    """Return published rows of a table of `ADDED` that the new ones do not replace, and whose settings are `valid`."""
    others = _of_cells(then, set(_cell_by_row(then)) - set(_cell_by_row(now)))
    return others[others["settings_hash"].isin(valid)] if len(others) else others


def _cell_by_row(table: pd.DataFrame) -> list[Cell]:
    if not len(table):
        return []
    folds = [f"fold{fold}" if fold.isdigit() else fold for fold in table["fold"].astype(str)]
    return list(zip(table["pair"], table["protocol"], table["split"], folds, strict=True))


def _published(reports: Path) -> list[dict]:
    file = reports / "provenance.json"
    return json.loads(file.read_text()) if file.exists() else []


def _then(path: Path) -> pd.DataFrame:
    return read_table(path) if path.exists() else pd.DataFrame()


def _write_rows(path: Path, kept: pd.DataFrame, table: pd.DataFrame) -> None:
    """Write the new rows of a table after those that stay; a table without rows is not there."""
    if parts := [part for part in (kept, table) if len(part)]:
        write_text(path, pd.concat(parts, ignore_index=True).to_csv(index=False, float_format="%.5f"))
    else:
        path.unlink(missing_ok=True)


def refuse_stale(records: list[dict]) -> None:
    """Refuse runs that the present settings would not repeat: a published number must come from the code beside it.

    Raises
    ------
    UserError
        Naming those runs and what to do with them.
    """
    stale = [f"{r['pair']} {r['protocol']} fold {r['fold']} ({r['stage']})" for r in records if _is_stale(r)]
    if stale:
        raise UserError(
            f"Made with other settings or data than study.yaml and the manifests name now: {', '.join(stale)}. Run "
            "`histobridge study` again, or move those runs elsewhere."
        )


def _is_stale(record: dict) -> bool:
    try:
        return record["settings_hash"] != recorded_run(record).settings_hash(record["stage"])
    except UserError:  # of a pair or profile that study.yaml no longer names
        return True


def recompute(reports: Path, readme: Path) -> None:
    """Write every table and statistical plot that follows from the rows in `reports`, and the tables of the README."""
    rows, translation = (read_table(reports / f"{name}.csv") for name in ("dice", "translation"))
    records = json.loads((reports / "provenance.json").read_text())
    tables = derived_tables(rows, translation, records)
    for name, table in tables.items():
        write_table(reports / f"{name}.csv", table)
    figures.save(figures.dice_bars(dice_table(rows)), reports / "dice")
    figures.save(figures.reconstruction_bars(translation), reports / "reconstruction")
    _write_beyond(reports, rows)
    if (reports / "morphometrics.csv").exists():
        _write_agreement(read_table(reports / "morphometrics.csv"), rows, reports)
    dice = dice_overview(rows, interval=True, bold=True, missing=missing(records[0]["profile"], rows))
    shown = {"headline": readme_table(rows), "dice": dice.drop(columns="split"), "claims": tables["claims"]}
    if (bench := reports / "bench.csv").exists():
        shown["speed"] = speed_overview(read_table(bench))
    for page in (readme, reports / "README.md"):
        if page.exists():
            write_text(page, with_tables(page.read_text(encoding="utf-8"), shown))


def _write_beyond(reports: Path, dice: pd.DataFrame) -> None:
    """Write what follows from the rows of notebook 05 that are published."""
    found = {name: read_table(path) for name in BEYOND_TABLES if (path := reports / f"{name}.csv").exists()}
    if "ablation" in found:
        write_table(reports / "ablation_overview.csv", ablation_overview(found["ablation"]))
        figures.save(figures.ablation_bars(ablation_table(found["ablation"])), reports / "ablation")
    if "trust" in found:
        write_table(reports / "trust_overview.csv", trust_overview(found["trust"]))
        figures.save(figures.trust_curves(found["reliability"], found["sparsification"]), reports / "trust")
    if "guidance" in found:
        _write_guidance(found["guidance"], dice, reports)


def _write_guidance(scored: pd.DataFrame, dice: pd.DataFrame, reports: Path) -> None:
    known = with_true_dice(scored, dice)
    write_table(reports / "guidance_overview.csv", evaluate_scores(known).round(4))
    figures.save(figures.guidance_scatter(known), reports / "guidance")


def _write_agreement(measurements: pd.DataFrame, dice: pd.DataFrame, reports: Path) -> None:
    pairs = pair_with_expert(measurements)
    write_table(reports / "agreement.csv", agreement_overview(limits_of_agreement(pairs)))
    if len(best := best_method_pairs(pairs, dice)):
        figures.save(figures.agreement_panels(best), reports / "agreement")


def with_tables(text: str, tables: dict[str, pd.DataFrame]) -> str:
    """Return a Markdown text with tables between the comments that name them; a comment may name the columns too.

    >>> print(with_tables("<!-- a(x): it -->\\n<!-- /a -->", {"a": pd.DataFrame({"x": [1], "y": [2]})}))
    <!-- a(x): it -->
    | x |
    | --- |
    | 1 |
    <!-- /a -->
    """
    for name, table in tables.items():
        part = re.compile(rf"(<!-- {name}(?:\((.*?)\))?:.*?-->\n).*?(<!-- /{name} -->)", re.S)
        text = part.sub(lambda m, table=table: f"{m[1]}{markdown(_columns(table, m[2]))}\n{m[3]}", text)
    return text


def _columns(table: pd.DataFrame, named: str | None) -> pd.DataFrame:
    return table[named.split(", ")] if named else table
