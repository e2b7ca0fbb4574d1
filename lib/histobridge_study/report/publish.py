"""Publish finished runs: their rows and provenance in `reports/`, and every table and plot that follows from them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pandas as pd

from histobridge.errors import UserError
from histobridge.io.files import read_table, write_json, write_table, write_text
from histobridge_study import plotting
from histobridge_study.analysis.ablation import ablation_overview, ablation_table
from histobridge_study.analysis.annotation_cost import cost_by_subject, cost_overview
from histobridge_study.analysis.bland_altman import (
    IMAGE_KEYS,
    MEASURES,
    best_method_pairs,
    limits_of_agreement,
    pair_with_expert,
)
from histobridge_study.analysis.comparisons import differences_overview
from histobridge_study.analysis.planned import EXPERIMENT_KEYS
from histobridge_study.analysis.recommend import evaluate_scores, with_true_dice
from histobridge_study.analysis.references import reference_overview
from histobridge_study.analysis.tables import DICE_COLUMNS, dice_overview, markdown, trust_overview
from histobridge_study.report import collect
from histobridge_study.report.collect import Collected
from histobridge_study.report.prose import with_values
from histobridge_study.report.published import PROVENANCE, published_records, published_rows
from histobridge_study.report.readme_tables import readme_table, speed_overview

RUN_KEYS = [*EXPERIMENT_KEYS, "fold"]


def publish_runs(
    collected: Collected, reports: Path, readme: Path, *, replace: bool = False, keep: bool = False
) -> None:
    """Write the rows and the provenance of finished runs to `reports`, then all that follows from them.

    What is published comes from one set of runs, and whatever `reports` held before is replaced; or, with `keep`, from
    several sets of one version.

    Parameters
    ----------
    collected : Collected
    reports : Path
        The folder of published rows.
    readme : Path
        The front page, with tables between comments that name them.
    replace : bool
        Whether published cells may go that these runs do not have.
    keep : bool
        Whether they stay, as when the folds of a study run on several machines.

    Raises
    ------
    UserError
        If published cells would be lost, or would stay although another version has made them.
    """
    finished = _cells(collected.provenance)
    lost = _cells(published_records(reports)) - finished
    some = ", ".join(" ".join(cell) for cell in sorted(lost)[:5])
    if keep and {cell[:-1] for cell in lost} & {cell[:-1] for cell in finished}:
        raise UserError(f"{reports} holds stages of these runs that have not finished ({some}): run the study again.")
    if lost and not replace and not keep:
        raise UserError(
            f"{reports} holds {len(lost)} results that these runs do not have ({some}): run the whole study, or add "
            "--keep or --replace."
        )
    if lost and keep:
        collected = _with_published(collected, reports)
    tables = dict(collected.rows)
    tables["dice"] = tables["dice"][DICE_COLUMNS]
    if len(tables["morphometrics"]):
        tables["morphometrics"] = tables["morphometrics"][[*IMAGE_KEYS, "fold", "n_fibres", *MEASURES]]
    for name, table in tables.items():
        _write_rows(reports / f"{name}.csv", table)
    write_json(reports / PROVENANCE, collected.provenance)
    recompute(reports, readme)


def _cells(records: list[dict]) -> set[tuple[str, ...]]:
    """Return the run and the stage of every record of results."""
    results = [record for record in records if record["stage"] in ("03_label", "04_refine")]
    return {(*key, record["stage"]) for key, record in zip(_keys(pd.DataFrame(results)), results, strict=True)}


def _with_published(collected: Collected, reports: Path) -> Collected:
    """Add what `reports` holds of other runs than those collected."""
    records = published_records(reports)
    was, now = (sorted({r["libraries"]["histobridge"] for r in made}) for made in (records, collected.provenance))
    if was != now:
        raise UserError(
            f"{reports} holds runs of version {' and '.join(was)}, these are of version {' and '.join(now)}: they "
            "cannot stand in one table. Add --replace instead of --keep."
        )
    again = {key for table in collected.rows.values() for key in _keys(table)}
    rows = dict(collected.rows)
    for name, table in published_rows(reports).items():
        others = table[[key not in again for key in _keys(table)]]
        rows[name] = pd.concat([others, rows[name]], ignore_index=True)
    others = [record for record, key in zip(records, _keys(pd.DataFrame(records)), strict=True) if key not in again]
    return dataclasses.replace(collected, rows=rows, provenance=others + collected.provenance)


def _keys(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return, for each row, which run it is of."""
    return list(table[RUN_KEYS].astype(str).itertuples(index=False, name=None)) if len(table) else []


def _write_rows(path: Path, table: pd.DataFrame) -> None:
    """Write the rows of a table; without rows there is no file."""
    if len(table):
        write_text(path, table.to_csv(index=False, float_format="%.5f"))
    else:
        path.unlink(missing_ok=True)


def recompute(reports: Path, readme: Path) -> None:
    """Write all that follows from the rows in `reports`: tables and statistical plots, and the numbers of the texts.

    The texts are `readme`, the README of `reports` and the notebooks beside `readme`.
    """
    rows, records = published_rows(reports), published_records(reports)
    if not records:
        raise UserError(f"{reports} holds no {PROVENANCE}, which names what the rows are of: publish the runs again.")
    dice, profile = rows["dice"], records[0]["profile"]
    tables = collect.derived_tables(dice, rows["translation"], records)
    for name, table in tables.items():
        write_table(reports / f"{name}.csv", table)
    usual = dice[dice["protocol"] == "transductive"]
    plotting.save_figure(plotting.dice_dots(usual, profile=profile), reports / "dice")
    plotting.save_figure(plotting.reconstruction_bars(rows["translation"]), reports / "reconstruction")
    _remove_stale(rows, reports)
    _write_refined(rows, reports)
    _write_agreement(rows, reports)

    overview = dice_overview(dice, profile=profile, bold=True, missing=collect.missing(profile, dice))
    written = {
        "headline": readme_table(dice, profile=profile),
        "dice": collect.shown(overview).drop(columns="split"),
        "differences": differences_overview(tables["differences"]).drop(columns="split"),
        "shares": reference_overview(dice, profile=profile).drop(columns="split"),
        "claims": tables["claims"],
    }
    if "corrections" in rows:
        costs = cost_overview(cost_by_subject(rows["corrections"]))
        written["corrections"] = costs.drop(columns=["protocol", "split"])
    if (speed := reports / "bench.csv").exists():
        written["speed"] = speed_overview(read_table(speed))
    for page in (readme, reports / "README.md", *sorted(readme.parent.glob("notebooks/*.ipynb"))):
        if page.exists():
            text = page.read_text(encoding="utf-8")
            write_text(page, with_values(with_tables(text, written), reports))


DERIVED = {
    "ablation": ("ablation_table.csv", "ablation_overview.csv", "ablation.png", "ablation.svg"),
    "corrections": ("corrections_overview.csv", "corrections.png", "corrections.svg"),
    "trust": ("trust_overview.csv", "trust.png", "trust.svg"),
    "guidance": ("guidance_overview.csv", "guidance.png", "guidance.svg"),
    "morphometrics": ("agreement.csv", "agreement.png", "agreement.svg"),
}
"""What follows from rows that need not be there, and goes with them."""


def _remove_stale(rows: dict[str, pd.DataFrame], reports: Path) -> None:
    """Remove what follows from rows that are published no more."""
    for stale in (file for name, files in DERIVED.items() if name not in rows for file in files):
        (reports / stale).unlink(missing_ok=True)


def _write_refined(rows: dict[str, pd.DataFrame], reports: Path) -> None:
    """Write what follows from the rows of stage 04 that are published."""
    if "ablation" in rows:
        write_table(reports / "ablation_table.csv", ablation_table(rows["ablation"]).round(6))
        write_table(reports / "ablation_overview.csv", ablation_overview(rows["ablation"]))
        plotting.save_figure(plotting.ablation_dots(rows["ablation"]), reports / "ablation")
    if "corrections" in rows:
        subjects = cost_by_subject(rows["corrections"])
        write_table(reports / "corrections_overview.csv", cost_overview(subjects))
        plotting.save_figure(
            plotting.annotation_curves(subjects[subjects["split"] == "development"]), reports / "corrections"
        )
    if "trust" in rows:
        write_table(reports / "trust_overview.csv", trust_overview(rows["trust"]))
        curves = plotting.calibration_curves(rows["reliability"], rows["sparsification"])
        plotting.save_figure(curves, reports / "trust")
    if "guidance" in rows:
        known = with_true_dice(rows["guidance"], rows["dice"])
        write_table(reports / "guidance_overview.csv", evaluate_scores(known).round(4))
        plotting.save_figure(plotting.label_free_score_scatter(known), reports / "guidance")


def _write_agreement(rows: dict[str, pd.DataFrame], reports: Path) -> None:
    if "morphometrics" not in rows:
        return
    pairs = pair_with_expert(rows["morphometrics"])
    write_table(reports / "agreement.csv", limits_of_agreement(pairs).round(6))
    if len(best := best_method_pairs(pairs, rows["dice"])):
        plotting.save_figure(plotting.bland_altman_panels(best), reports / "agreement")


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


def _columns(table: pd.DataFrame, names: str | None) -> pd.DataFrame:
    return table[names.split(", ")] if names else table
