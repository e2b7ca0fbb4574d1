"""How the numbers came about: provenance, the page for reviewers, the reference."""

from __future__ import annotations

import pandas as pd

from histobridge_study.report import collect
from histobridge_study.runs import recorded_run
from histobridge_study.site import api
from histobridge_study.site.cells import table
from histobridge_study.site.pages import Site
from histobridge_study.site.sources import STAGES


def write_provenance(site: Site) -> None:
    """Write what ran on which code, and how to get the numbers again."""
    s = site.sources
    site.write(
        "provenance.html",
        "provenance.html",
        stages=table(_stages(s.records), "stages", "Every finished stage.", hidden=("protocol",)),
        costs=table(s.tables["costs"], "costs", "What each stage has cost.", hidden=("profile", "protocol", "split")),
        libraries=table(_libraries(s.records), "libraries", "Versions.", hidden=()),
        data=table(_checksums(s.records), "data", "One checksum over all files of a dataset."),
        commits=sorted({record["git_commit"] for record in s.records}),
        seed=s.seed,
        first=s.folds[0].run.parameters,
        place=s.folder.name,
    )


def _stages(records: list[dict]) -> pd.DataFrame:
    stages = collect.provenance_table(records).assign(settings=[_settings(record) for record in records])
    return stages.sort_values(["pair", "protocol", "fold", "stage"])


def _settings(record: dict) -> str:
    """Say whether study.yaml would repeat what a stage did."""
    now = recorded_run(record).settings_hash(record["stage"])
    return "as in study.yaml" if now == record["settings_hash"] else "changed since"


def _libraries(records: list[dict]) -> pd.DataFrame:
    return pd.DataFrame([{"python": r["python"]} | r["libraries"] for r in records]).drop_duplicates()


def _checksums(records: list[dict]) -> pd.DataFrame:
    found = {(name, checksum) for record in records for name, checksum in record["data_sha256"].items()}
    return pd.DataFrame(sorted(found), columns=["dataset", "checksum"])


def write_reviewer(site: Site) -> None:
    """Write which cell of which notebook makes which figure, table and file."""
    titles = {notebook.stage: notebook.title for _, notebook in site.executed.values()}
    found = {stage: [entry for entry in site.entries if entry.stage == stage] for stage in STAGES}
    stages = {stage: entries for stage, entries in found.items() if entries}
    not_run = [stage for stage in STAGES if stage not in titles]
    site.write("reviewer.html", "reviewer.html", stages=stages, titles=titles, not_run=not_run)


def write_reference(site: Site) -> None:
    """Write the library's docstrings."""
    site.write("api.html", "api.html", modules=api.modules())
