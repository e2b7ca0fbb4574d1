"""Folds of the study on real images that travel to a bare machine in one file.

    python benchmarks/packed_images.py DATA OUT.npz      # DATA: the folder that `histobridge fetch` filled; some 50 MB

packs the images and masks of all pairs of profile `cpu` at their working scale, 8 bits. `card.py --images` reads them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.data.datasets import Sample, load_images, load_masks
from histobridge.io.files import write_table
from histobridge.machine import available_cores
from histobridge.strategies import adapt
from histobridge_study import run_data
from histobridge_study.analysis.methods import WITH_SYNDIFF
from histobridge_study.grid import Grid
from histobridge_study.runs import Run
from histobridge_study.stages.label import dice_rows, predictions, source_segmenter
from histobridge_study.stages.refine import refined_labeller
from histobridge_study.stages.translate import recipe, save_translators

TRANSDUCTIVE = ("transductive",)
KEY = "|"
"""Between dataset, µm/px, name, subject and kind of an array; in no name of a dataset or file."""


def pack(data: Path, file: Path, profile: str = "cpu") -> None:
    """Write the development images and masks of all pairs of a profile to one file."""
    grid, arrays = Grid(profile, protocols=TRANSDUCTIVE, data=str(data)), {}
    for pair in {pair: grid.study.pairs[pair] for pair, _, _ in grid.cells}.values():
        for side in (pair.source, pair.target):
            dataset, um_per_px = grid.study.dataset(side.dataset), side.um_per_px
            masks = load_masks(dataset, um_per_px, data)
            for sample in load_images(dataset, um_per_px, data):
                key = KEY.join([side.dataset, f"{um_per_px:g}", sample.name, sample.subject])
                arrays[f"{key}{KEY}image"] = np.rint(255 * sample.image).astype(np.uint8)
                if sample.name in masks:
                    arrays[f"{key}{KEY}mask"] = masks[sample.name]
    np.savez_compressed(file, **arrays)


def unpack(file: Path) -> None:
    """Give the study of this process the images of a packed file in place of those of a data folder."""
    packed = np.load(file)
    names = [name.split(KEY) for name in packed.files]

    def wanted(dataset, um_per_px: float, kind: str) -> list[list[str]]:
        return [name for name in names if name[:2] == [dataset.name, f"{um_per_px:g}"] and name[-1] == kind]

    def images(dataset, um_per_px: float, data_dir: Path, **options) -> list[Sample]:
        found = wanted(dataset, um_per_px, "image")
        return [Sample(name[2], name[3], packed[KEY.join(name)].astype(np.float32) / 255) for name in found]

    def masks(dataset, um_per_px: float, data_dir: Path, **options) -> dict[str, np.ndarray]:
        return {name[2]: packed[KEY.join(name)] for name in wanted(dataset, um_per_px, "mask")}

    run_data.load_images, run_data.load_masks = images, masks


def packed_run(file: Path, out: str, profile: str, pair: str, fold: int) -> Run:
    """Return a run of the study that sees the images of a packed file."""
    unpack(file)
    return Grid(profile, out=out).run(pair, "transductive", fold)


def fold_dice(file: Path, pair: str, fold: int, profile: str) -> dict:
    """Train SynDiff and the segmenter of a fold; return `seconds`, and the mean Dice of adaptation by class."""
    with tempfile.TemporaryDirectory() as out:
        run, begin = packed_run(file, out, profile, pair, fold), time.perf_counter()
        (syndiff, _), segmenter = recipe(run).trained, source_segmenter(run)
        masks = {s.name: adapt(s.image, syndiff, segmenter) for s in run.data.scored_images}
        took = time.perf_counter() - begin
        return {"seconds": took, **_mean_dice(dice_rows(run, {("adaptation", "syndiff"): masks}))}


def all_folds(file: Path, reports: Path, profile: str, jobs: int, *, limit: float) -> dict:
    """Train `refined` on all transductive folds, as many at once as `jobs`, and write bench_gpu_folds.csv.

    The translators come first, one for each pair, as in the study. What is not done after `limit` seconds is ended.

    Returns
    -------
    dict
        `seconds` in all, and an `error` that counts the folds that were not done.
    """
    begin, rows = time.monotonic(), []
    os.environ["OMP_NUM_THREADS"] = str(max(1, available_cores() // jobs))
    with tempfile.TemporaryDirectory() as out, multiprocessing.get_context("spawn").Pool(jobs) as pool:
        datasets = {name.split(KEY)[0] for name in np.load(file).files}
        grid = Grid(profile, protocols=TRANSDUCTIVE, out=out)
        cells = [(pair, fold) for pair, _, fold in grid.cells if datasets.issuperset(grid.study.pairs[pair].datasets)]
        pairs = list(dict.fromkeys((pair, 0) for pair, _ in cells))
        try:
            for work, some in (train_translators, pairs), (refined_fold, cells):
                results = pool.imap_unordered(partial(_on, work, file, out, profile), some)
                for _ in some:
                    rows.append(results.next(limit - (time.monotonic() - begin)))
                    write_table(reports / "bench_gpu_folds.csv", pd.DataFrame(rows).round(6))
        except multiprocessing.TimeoutError:
            missing = len(pairs) + len(cells) - len(rows)
            return {"error": f"{missing} of {len(pairs) + len(cells)} jobs were not done after {limit:.0f} s"}
    return {"seconds": time.monotonic() - begin}


def _on(work, file: Path, out: str, profile: str, cell: tuple[str, int]) -> dict:
    begin = time.perf_counter()
    found = work(packed_run(file, out, profile, *cell))
    return {"job": work.__name__, "pair": cell[0], "fold": cell[1], "seconds": time.perf_counter() - begin, **found}


def train_translators(run: Run) -> dict:
    """Train the translators of a pair, which the folds recall."""
    save_translators(run, recipe(run))
    return {}


def refined_fold(run: Run) -> dict:
    """Train `refined` on a fold; return its mean Dice by class."""
    labeller = refined_labeller(run, save_translators(run, recipe(run)))
    return _mean_dice(dice_rows(run, {WITH_SYNDIFF: predictions(labeller, run.data.scored_images)}))


def _mean_dice(rows: pd.DataFrame) -> dict[str, float]:
    return {f"dice_{name}": value for name, value in rows.groupby("class")["dice"].mean().items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the datasets")
    parser.add_argument("file", type=Path, help="to write, such as images.npz")
    given = parser.parse_args()
    pack(given.data, given.file)
