"""Gather the rows and the provenance that the finished runs have left, for the report and for `reports/`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from histobridge import figures
from histobridge.agreement import MEASURES, SEEN, agreement, agreement_overview, of_best, paired
from histobridge.claims import claims
from histobridge.comparisons import paired_overview, paired_tests
from histobridge.errors import UserError
from histobridge.files import write_json, write_table, write_text
from histobridge.folds import PROTOCOLS
from histobridge.guidance import usefulness, with_truth
from histobridge.measure import is_measured
from histobridge.plan import Plan
from histobridge.study import recorded_run
from histobridge.tables import (
    DICE_COLUMNS,
    ablation_overview,
    ablation_table,
    cost_table,
    dice_overview,
    dice_table,
    markdown,
    missing_cells,
    planned_cells,
    translation_overview,
    trust_overview,
)

TABLES = {"dice": "03_pseudo_label", "translation": "02_translate"}  # and the stage that makes each
BEYOND = "05_beyond"
BEYOND_TABLES = ("trust", "reliability", "sparsification", "ablation", "guidance")
"""Of notebook 05 and, where they were run, of `histobridge ablate` and `recommend`."""


def collect(folder: Path, table: str, *, seed: int = 0) -> pd.DataFrame:
    """Join the rows of one table (`dice` or `translation`) of all finished runs below `folder`, in a fixed order.

    Dice are those of notebook 03 and, where notebook 05 has run, of `refined`. Runs with another seed stay out: they
    answer another question than the spread over folds.

    Raises
    ------
    UserError
        If there is none yet.
    """
    rows = [_joined(finished(folder, TABLES[table], seed=seed), table)]
    if table == "dice":
        rows.append(_joined(_finished(folder, BEYOND, seed), "refined"))
    return pd.concat([found for found in rows if len(found)], ignore_index=True)


def collect_beyond(folder: Path, *, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Join the `BEYOND_TABLES` of all finished runs below `folder`; a table that no run has left is empty."""
    marks = _finished(folder, BEYOND, seed)
    return {name: _joined(marks, name) for name in BEYOND_TABLES}


def collect_measured(folder: Path, *, seed: int = 0) -> pd.DataFrame:
    """Join the rows of `morphometrics` of those finished runs below `folder` that are measured; it may be none."""
    marks = [mark for mark in _finished(folder, TABLES["dice"], seed) if is_measured(mark)]
    beyond = _joined(_finished(folder, BEYOND, seed), "morphometrics-refined")
    found = [table for table in (_joined(marks, "morphometrics"), beyond) if len(table)]
    if not found:
        return pd.DataFrame(columns=[*SEEN, "fold", *MEASURES])
    return pd.concat(found, ignore_index=True).drop_duplicates([*SEEN, "fold"])  # both hold the expert


def _joined(marks: list[Path], table: str) -> pd.DataFrame:
    """Join one table of all runs that have it."""
    paths = [path for mark in marks if (path := mark.with_name(f"{table}.csv")).exists()]
    return pd.concat(map(pd.read_csv, paths), ignore_index=True) if paths else pd.DataFrame()


def collect_provenance(folder: Path, *, seed: int = 0) -> list[dict]:
    """Return what each finished stage below `folder` recorded about itself."""
    records = []
    for stage in (*TABLES.values(), BEYOND):
        for mark in _finished(folder, stage, seed):
            found = json.loads(mark.read_text())
            records.append({"stage": stage, "settings_hash": found["settings_hash"], **found["provenance"]})
    return records


def finished(folder: Path, stage: str, *, seed: int = 0) -> list[Path]:
    """Return the files that mark a stage as finished: folder/pair/protocol/split/fold/stage.json.

    Raises
    ------
    UserError
        If there is none.
    """
    if marks := _finished(folder, stage, seed):
        return marks
    raise UserError(f"There are no finished runs below {folder}: start one with `histobridge run`.")


def _finished(folder: Path, stage: str, seed: int) -> list[Path]:
    protocols = [f"{protocol}-seed{seed}" if seed else protocol for protocol in PROTOCOLS]
    return sorted(mark for protocol in protocols for mark in folder.glob(f"*/{protocol}/*/*/{stage}.json"))


def provenance_table(records: list[dict]) -> pd.DataFrame:
    """Return one row a finished stage: what ran, on which code, how long, how much memory."""
    shown = [
        "stage",
        "pair",
        "protocol",
        "fold",
        "git_commit",
        "settings_hash",
        "cores",
        "minutes",
        "peak_memory_gib",
    ]
    return pd.DataFrame(records)[shown]


def publish(folder: Path, reports: Path, readme: Path) -> None:
    """Write the rows and the provenance of finished runs to `reports`, then all that follows from them.

    What was published of other pairs and protocols stays, if the present settings would give it again. Of the fibres,
    those of the runs that are measured.

    Raises
    ------
    UserError
        If there are no finished runs, or some were made with other settings than study.yaml has now.
    """
    records = collect_provenance(folder)
    refuse_stale(records)
    tables = {"dice": collect(folder, "dice")[DICE_COLUMNS], "translation": collect(folder, "translation")}
    tables |= collect_beyond(folder)
    measured = collect_measured(folder)
    tables["morphometrics"] = measured[[*SEEN, "fold", "n_fibres", *MEASURES]] if len(measured) else measured
    before = still_valid(_published(reports), records)
    for name, table in tables.items():
        _publish_table(reports / f"{name}.csv", table, before)
    write_json(reports / "provenance.json", before + records)
    recompute(reports, readme)


def still_valid(before: list[dict], now: list[dict]) -> list[dict]:
    """Return the published records of those pairs and protocols that have no new run and are not stale."""
    rerun = {_cell(record) for record in now} | {_cell(record) for record in before if _is_stale(record)}
    return [record for record in before if _cell(record) not in rerun]


def _cell(record: dict) -> tuple[str, str]:
    return record["pair"], record["protocol"]


def _published(reports: Path) -> list[dict]:
    file = reports / "provenance.json"
    return json.loads(file.read_text()) if file.exists() else []


def _publish_table(path: Path, table: pd.DataFrame, before: list[dict]) -> None:
    """Write the new rows of a table after those that stay."""
    then = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["pair", "protocol"])
    stay = {_cell(record) for record in before}
    kept = then[[cell in stay for cell in zip(then["pair"], then["protocol"], strict=True)]]
    if parts := [part for part in (kept, table) if len(part)]:
        write_text(path, pd.concat(parts, ignore_index=True).to_csv(index=False, float_format="%.5f"))


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
    return record["settings_hash"] != recorded_run(record).settings_hash(record["stage"])


def recompute(reports: Path, readme: Path) -> None:
    """Write every table and statistical plot that follows from the rows in `reports`, and the tables of the README."""
    rows, translation = (pd.read_csv(reports / f"{name}.csv") for name in ("dice", "translation"))
    records = json.loads((reports / "provenance.json").read_text())
    tables = derived_tables(rows, translation, records)
    for name, table in tables.items():
        write_table(reports / f"{name}.csv", table)
    figures.save(figures.dice_bars(dice_table(rows)), reports / "dice")
    figures.save(figures.reconstruction_bars(translation), reports / "reconstruction")
    _write_beyond(reports, rows)
    if (reports / "morphometrics.csv").exists():
        _write_agreement(pd.read_csv(reports / "morphometrics.csv"), rows, reports)
    write_text(readme, with_tables(readme.read_text(encoding="utf-8"), rows, records, tables["claims"]))


def _write_beyond(reports: Path, dice: pd.DataFrame) -> None:
    """Write what follows from the rows of notebook 05 that are published."""
    found = {name: pd.read_csv(path) for name in BEYOND_TABLES if (path := reports / f"{name}.csv").exists()}
    if "ablation" in found:
        write_table(reports / "ablation_overview.csv", ablation_overview(found["ablation"]))
        figures.save(figures.ablation_bars(ablation_table(found["ablation"])), reports / "ablation")
    if "trust" in found:
        write_table(reports / "trust_overview.csv", trust_overview(found["trust"]))
        figures.save(figures.trust_curves(found["reliability"], found["sparsification"]), reports / "trust")
    if "guidance" in found:
        _write_guidance(found["guidance"], dice, reports)


def _write_guidance(scored: pd.DataFrame, dice: pd.DataFrame, reports: Path) -> None:
    known = with_truth(scored, dice)
    write_table(reports / "guidance_overview.csv", usefulness(known).round(4))
    figures.save(figures.guidance_scatter(known), reports / "guidance")


def _write_agreement(measurements: pd.DataFrame, dice: pd.DataFrame, reports: Path) -> None:
    pairs = paired(measurements)
    write_table(reports / "agreement.csv", agreement_overview(agreement(pairs)))
    figures.save(figures.agreement_panels(of_best(pairs, dice)), reports / "agreement")


def derived_tables(rows: pd.DataFrame, translation: pd.DataFrame, records: list[dict]) -> dict[str, pd.DataFrame]:
    """Return the tables of the study by name: Dice, reconstruction, paired tests, claims and costs."""
    profile = records[0]["profile"]
    return {
        "table1": dice_overview(rows, interval=True, missing=missing(profile, rows)),
        "table2": translation_overview(translation),
        "tests": paired_overview(paired_tests(rows)),
        "claims": claims(rows, translation),
        "costs": cost_table(records),
    }


def missing(profile: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the cells that the study plans for a profile and that no finished run has filled."""
    plan = Plan(profile)
    planned = planned_cells(plan.wanted, plan.study.translators)
    return missing_cells(rows, planned, unavailable=plan.gone)


def with_tables(text: str, rows: pd.DataFrame, records: list[dict], claimed: pd.DataFrame) -> str:
    """Return a Markdown text with the tables of Dice and of claims between the comments that name them."""
    dice = dice_overview(rows, interval=True, bold=True, missing=missing(records[0]["profile"], rows))
    tables = {"dice": dice.drop(columns="split"), "claims": claimed[["claim", "verdict"]]}
    for name, table in tables.items():
        part = re.compile(rf"(<!-- {name}:.*?-->\n).*?(<!-- /{name} -->)", re.S)
        text = part.sub(lambda m, table=table: f"{m[1]}{markdown(table)}\n{m[2]}", text)
    return text
