"""Label the development images of every target at the pixel size that `histobridge label` suggests, and score that.

The study works at pixel sizes that were chosen on development masks of the targets. Here nothing was: the tool sees the
images and their pixel sizes, learns from all public labelled sets but the target, takes the scale that it suggests,
and its labels are scored on the pixels of the images.

    python benchmarks/label_free_scale.py [--data FOLDER] [--runs FOLDER] [--reports FOLDER] [TARGET ...]

writes label_free_scale.csv, a row a target and class. A target takes some ten minutes on two cores; what is there is
not made again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from histobridge.data.datasets import load_masks
from histobridge.data.manifest import Dataset, ImageRecord, load_dataset
from histobridge.io.files import read_json, write_json, write_table
from histobridge.io.masks import read_mask
from histobridge.metrics import class_scores
from histobridge_label.export import names
from histobridge_label.export.read import read_handoff
from histobridge_label.options import PUBLIC_SOURCES
from histobridge_label.settled_scale import SETTLED
from histobridge_study.config import load_study
from histobridge_study.provenance import origin

TARGETS = ("sem", "tem-pns", "bf")


def main(targets: list[str], data: Path, runs: Path, reports: Path, profile: str) -> None:
    """Label each target, and write the table."""
    tables = []
    for target in targets:
        dataset, out = load_dataset(target), runs / target / "labels"
        images = with_sidecars(dataset, data, runs / target / "images")
        sources = [word for name in PUBLIC_SOURCES if name != target for word in ("--source", name)]
        options = [*sources, "--out", out, "--data", data, "--profile", profile, "--yes"]
        subprocess.run([sys.executable, "-m", "histobridge", "label", images, *options], check=True)
        tables.append(scores(dataset, data, out).assign(profile=profile))
    write_table(reports / "label_free_scale.csv", pd.concat(tables, ignore_index=True).round(4))
    write_json(reports / "label_free_scale.json", origin())


def with_sidecars(dataset: Dataset, data: Path, folder: Path) -> Path:
    """Copy the development images into a folder, each beside a BIDS sidecar with its pixel size."""
    for record in dataset.images:
        if record.split == "development":
            copy = folder / Path(record.path).name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dataset.local(data, record.path), copy)
            write_json(copy.with_suffix(".json"), {"PixelSize": [record.um_per_px] * 2, "PixelSizeUnits": "um"})
    return folder


def scores(dataset: Dataset, data: Path, out: Path) -> pd.DataFrame:
    """Score labels on the pixels of the images.

    Returns
    -------
    DataFrame
        A row a class: `target`, `um_per_px` that was suggested, `study_um_per_px`, mean Dice of the subjects (`dice`,
        with the `least` and the `most` of them), and the numbers of `subjects` and `images`.
    """
    handoff = read_handoff(out / "handoff")
    labelled = {Path(row.source).name: row.image for row in handoff.images.itertuples()}
    rows = []
    for record in dataset.images:
        if record.split == "development" and record.mask:
            truth = load_masks(at_native_size(dataset, record), record.um_per_px, data)[record.stem]
            mask, _ = read_mask(handoff.file(labelled[Path(record.path).name], names.COMBINED))
            rows += [{"subject": record.subject, "image": record.stem, **s} for s in class_scores(truth, mask)]
    scored = pd.DataFrame(rows)
    by_subject = scored.groupby(["class", "subject"])["dice"].mean().groupby("class")
    table = by_subject.agg(dice="mean", least="min", most="max", subjects="count").reset_index()
    scales = {"um_per_px": read_json(out / SETTLED)["um_per_px"], "study_um_per_px": study_pixel_size(dataset.name)}
    return table.assign(target=dataset.name, images=scored["image"].nunique(), **scales)


def at_native_size(dataset: Dataset, record: ImageRecord) -> Dataset:
    """Return a dataset of one image: the pixel sizes of the others may differ."""
    return dataset.model_copy(update={"images": [record]})


def study_pixel_size(target: str) -> float:
    """Return the pixel size (µm/px) at which the study uses a target."""
    return next(p.target.um_per_px for p in load_study().pairs.values() if p.target.dataset == target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the datasets")
    parser.add_argument("--runs", type=Path, default=Path("runs/label_free_scale"), help="folder for the labels")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder for the table")
    parser.add_argument("--profile", default="cpu", help="of `histobridge label`")
    options = parser.parse_args()
    main(options.targets, options.data, options.runs, options.reports, options.profile)
