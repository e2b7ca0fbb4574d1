"""What is said when labelling ends: what was found, where to look, and what to correct first."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from histobridge.io.files import read_table
from histobridge.io.limits import printable
from histobridge.items import Account
from histobridge_label.export import Handoff, names

FIRST = 3
"""Images, and tiles in JSON times ten, that are named as the ones to look at first."""


class LabelResult(NamedTuple):
    """What was made of a folder of images.

    Attributes
    ----------
    page : Path
    handoff : Handoff
    measures : DataFrame
        Of `labelling.measure_handoff`, one row for each image.
    remarks : list of str
    account : Account
        What became of every file below the folder.
    of_sources : tuple of Account
        What became of labelled images, and of further labelled sets.
    sections : tuple of Path
        The OME-Zarr images that were written, with their labels.
    """

    page: Path
    handoff: Handoff
    measures: pd.DataFrame
    remarks: list[str]
    account: Account
    of_sources: tuple[Account, ...] = ()
    sections: tuple[Path, ...] = ()


def lines(result: LabelResult, model: Path) -> list[str]:
    """Return the last lines of `label` and `apply`; `model` is how the model is called in a command."""
    fibres, bare = (result.measures[name].sum() for name in ("n_fibres", "n_unmyelinated"))
    folder = result.handoff.folder
    told = [
        f"{len(result.measures)} images labelled, {fibres} fibres and {bare} axons without myelin found",
        f"Labels: {os.path.relpath(folder)}",
        f"Report: {os.path.relpath(result.page)}",
    ]
    told += [f"OME-Zarr: {os.path.relpath(path)}" for path in result.sections]
    for number, tile in enumerate(_tiles(result).drop_duplicates("image").head(FIRST).to_dict("records")):
        where = f"{tile['image']}, the {tile['side_px']} px from row {tile['top_px']} and column {tile['left_px']}"
        told.append(f"{'Correct first:' if number == 0 else '         then:'} {where}")
    told.append(f"Save corrected copies of {names.COMBINED} files in a folder, such as CORRECTED, and type")
    return [*map(printable, told), f"  {next_command(result, model)}"]


def record(result: LabelResult, model: Path) -> dict:
    """Return the same as plain values, for JSON."""
    tiles = _tiles(result).head(10 * FIRST)
    skipped = {item: why for account in (result.account, *result.of_sources) for item, why in account.skipped.items()}
    return {
        "labels": str(result.handoff.folder),
        "report": str(result.page),
        "sections": [str(path) for path in result.sections],
        "images": _plain(result.measures),
        "correct_first": _plain(tiles),
        "remarks": result.remarks,
        "skipped": [{"file": printable(path), "why": printable(why)} for path, why in skipped.items()],
        "next": next_command(result, model),
    }


def next_command(result: LabelResult, model: Path) -> str:
    """Return the command that reads corrections and teaches them to the model."""
    correct = ["import", str(result.handoff.folder), "CORRECTED", "--finetune", str(model)]
    return shlex.join(["histobridge", *correct])


def _tiles(result: LabelResult) -> pd.DataFrame:
    return read_table(result.handoff.folder / names.REVIEW_ORDER)


def _plain(table: pd.DataFrame) -> list[dict]:
    """Return rows as plain values; what is undefined is None."""
    return json.loads(table.to_json(orient="records", double_precision=10))
