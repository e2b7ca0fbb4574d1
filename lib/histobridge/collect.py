"""Gather the rows and the provenance that the finished runs have left, for the report and for `reports/`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from histobridge import figures, strategies, translation
from histobridge.errors import UserError
from histobridge.files import whole_file, write_json, write_text
from histobridge.folds import PROTOCOLS
from histobridge.manifest import load_dataset
from histobridge.study import Pair, open_run
from histobridge.tables import DICE_COLUMNS, dice_overview, dice_table, markdown

TABLES = {"dice": "03_pseudo_label", "translation": "02_translate"}  # and the stage that makes each
EXAMPLE = (("pretrained", "none"), ("adaptation", "invert"), ("adaptation", "syndiff"), ("tutorship", "syndiff"))


def collect(folder: Path, table: str, *, seed: int = 0) -> pd.DataFrame:
    """Join the rows of one table (`dice` or `translation`) of all finished runs below `folder`, in a fixed order.

    Runs with another seed stay out: they answer another question than the spread over folds.

    Raises
    ------
    UserError
        If there is none yet.
    """
    parts = [pd.read_csv(mark.with_name(f"{table}.csv")) for mark in _finished(folder, TABLES[table], seed)]
    if not parts:
        raise UserError(f"There are no finished runs below {folder}: start one with `histobridge run`.")
    return pd.concat(parts, ignore_index=True)


def collect_provenance(folder: Path, *, seed: int = 0) -> list[dict]:
    """Return what each finished stage below `folder` recorded about itself."""
    records = []
    for stage in TABLES.values():
        for mark in _finished(folder, stage, seed):
            found = json.loads(mark.read_text())
            records.append({"stage": stage, "settings_hash": found["settings_hash"], **found["provenance"]})
    return records


def _finished(folder: Path, stage: str, seed: int) -> list[Path]:
    """Return the files that mark a stage as finished: folder/pair/protocol/split/fold/stage.json."""
    protocols = [f"{protocol}-seed{seed}" if seed else protocol for protocol in PROTOCOLS]
    return sorted(mark for protocol in protocols for mark in folder.glob(f"*/{protocol}/*/*/{stage}.json"))


def pairs_without_data(pairs: Mapping[str, Pair]) -> list[str]:
    """Return the pairs of which a dataset lists no image: there is no public location, nothing can be run."""
    return [name for name, p in pairs.items() if not all(load_dataset(d.dataset).images for d in (p.source, p.target))]


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
    """Write dice.csv, translation.csv, provenance.json and a plot of finished runs, and the table of the README."""
    rows = collect(folder, "dice")[DICE_COLUMNS]
    for name, table in (("dice", rows), ("translation", collect(folder, "translation"))):
        write_text(reports / f"{name}.csv", table.to_csv(index=False, float_format="%.5f"))
    write_json(reports / "provenance.json", collect_provenance(folder))
    figures.save(figures.dice_bars(dice_table(rows)), reports / "dice")
    write_text(readme, with_dice(readme.read_text(encoding="utf-8"), reports / "dice.csv"))


def publish_example(out: Path, path: Path) -> None:
    """Draw the README's picture: strategies on one drawn SEM image of the `phantom` profile, run before.

    Real images are never committed; drawn ones may be.
    """
    run = open_run({"pair": "phantom-sem", "profile": "phantom", "out": str(out)})
    translators = translation.trained_translators(run)
    labels = strategies.all_pseudo_labels(run, translators)
    shown = {key: labels[key] for key in EXAMPLE}
    image, truth, masks, translations, dice = strategies.panels(run, translators, shown, next(iter(shown[EXAMPLE[0]])))
    figure = figures.pseudo_labels(
        image, truth, masks, translations=translations, dice=dice, um_per_px=run.pair.target.um_per_px
    )
    with whole_file(path) as draft:
        figure.savefig(draft, format="png", dpi=120)


def with_dice(text: str, dice: Path) -> str:
    """Return a Markdown text whose part between the `dice` comments is the table of `dice` (a CSV of rows)."""
    table = dice_overview(pd.read_csv(dice), interval=True, bold=True).drop(columns=["protocol", "split"])
    return re.sub(
        r"(<!-- dice:.*?-->\n).*?(<!-- /dice -->)", lambda m: f"{m[1]}{markdown(table)}\n{m[2]}", text, flags=re.S
    )
