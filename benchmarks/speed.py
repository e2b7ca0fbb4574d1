"""Measure how fast this machine trains, translates and segments, relative to what it can do.

Seconds differ between machines. So each stage is also given as a share of the machine's peak (its best convolution or
matrix product) and as a ratio to plain PyTorch: float32, contiguous layout, unfused Adam. Every measurement runs in a
process of its own, so that its peak memory is its own.

    python benchmarks/speed.py [--quick] [--only TABLE] [--reports FOLDER]

writes bench.csv, bench_growth.csv and bench_busy.csv, each with a record of its origin, in half an hour or more.
Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import torch
from busy import beside_busy
from measuring import (
    alone,
    gflop,
    noise_image,
    peaks,
    prediction,
    seconds,
    segmenter,
    segmenter_training,
    syndiff,
    syndiff_training,
    translation,
)

from histobridge.config import SegmenterSettings, SynDiffSettings, training_profile
from histobridge.io.files import write_json, write_table
from histobridge.io.images import read_image, write_image
from histobridge.training import device as devices
from histobridge_study.provenance import origin

SIDES = (256, 512, 1024, 2048, 4096, 8192, 16384)  # of an image, px
COUNTS = (10, 100, 1000, 10_000)  # images of a domain


def use_plain_pytorch() -> None:
    """Undo, in this process, what the library does for speed; call it before the models are imported."""
    os.environ["HISTOBRIDGE_PRECISION"] = "float32"
    devices.place = lambda thing, where=None: thing.to(where or devices.device())
    tuned = devices.adam

    def unfused(*arguments, **options) -> torch.optim.Optimizer:
        optimiser = tuned(*arguments, **options)
        for group in (optimiser.defaults, *optimiser.param_groups):
            group["fused"] = False
        return optimiser

    devices.adam = unfused


def stages(side: int) -> dict[tuple[str, str, str], Callable]:
    """Return what is measured, by stage, part and unit; images have `side` px."""
    published = training_profile("gpu").translator.model_copy(update={"crop": 64, "batch": 1, "accumulate": 1})
    compact, small = SynDiffSettings(), SegmenterSettings()
    return {
        ("translator, training", "step", "images"): partial(syndiff_training, compact),
        ("translator at the published size, training", "step", "images"): partial(syndiff_training, published),
        ("translation", "4 diffusion steps", "megapixels"): partial(translation, compact, side),
        ("segmenter, training", "step", "images"): partial(segmenter_training, small),
        ("segmenter, prediction", "image", "megapixels"): partial(prediction, small, side),
    }


def measure(build: Callable, plain: bool, repeats: int) -> dict[str, float]:
    """Measure one unit of work in this process: its `seconds`, `gflop` and `amount` (images or megapixels)."""
    if plain:
        use_plain_pytorch()
    call, amount, units, counted = build()
    took = seconds(call, repeats=repeats) / units
    return {"seconds": took, "amount": amount, "gflop": gflop(counted)}


def compare(tuned: dict[str, float], plain: dict[str, float], peak: float) -> dict[str, float]:
    """Return the measures of a stage with its rates, its share of the peak (GFLOP/s) and its ratio to plain PyTorch."""
    rate = tuned["gflop"] / tuned["seconds"]
    return tuned | {
        "plain_seconds": plain["seconds"],
        "per_second": tuned["amount"] / tuned["seconds"],
        "gflop_per_s": rate,
        "share_of_peak": rate / peak,
        "times_plain": plain["seconds"] / tuned["seconds"],
    }


# --- Growth: time and memory against size -----------------------------------------------------------------------


def grow_image(side: int) -> dict[str, float]:
    """Translate and segment one image of `side` px."""
    translate, segment = translation(SynDiffSettings(), side)[0], prediction(SegmenterSettings(), side)[0]
    return {"seconds": seconds(lambda: (translate(), segment()), repeats=1, warm_up=0)}


def grow_domain(count: int) -> dict[str, float]:
    """Draw the crops of one training step from a domain of `count` images."""
    from histobridge.training.crops import CropSource
    from histobridge.training.philox import Draws

    s, where = SynDiffSettings(), devices.device()
    draws = Draws(0, torch.tensor(0, device=where))
    domain = CropSource([torch.rand(1, 128, 128) for _ in range(count)], where)
    return {"seconds": seconds(lambda: domain.draw(s.crop, s.batch, draws.begin()), repeats=20)}


def grow_folder(count: int) -> dict[str, float]:
    """Look at a folder of `count` images of 96 px, each with its sidecar, as `histobridge label` does."""
    from histobridge_label.contact_sheet import contact_sheet
    from histobridge_label.inspect_folder import scan_folder
    from histobridge_label.pipeline import thumbnail

    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            path = Path(folder, f"nerve{number % 50}", f"{number}_SEM.png")
            write_image(path, noise_image(96, seed=number))
            path.with_suffix(".json").write_text('{"PixelSize": [0.1, 0.1], "PixelSizeUnits": "um"}')

        def look() -> None:
            scan = scan_folder(Path(folder), report=lambda line: None)
            assert len(scan.table) == count
            contact_sheet([thumbnail(image) for image in scan.shown], of=count)

        return {"seconds": seconds(look, repeats=1, warm_up=0)}


def grow_file(ending: str, side: int) -> dict[str, float]:
    """Write and read an image of `side` px."""
    with tempfile.TemporaryDirectory() as folder:
        path, image = Path(folder, f"image{ending}"), noise_image(side)
        write = write_image if ending == ".png" else _write_tiff
        return {"seconds": seconds(lambda: (write(path, image), read_image(path)), repeats=1, warm_up=0)}


def _write_tiff(path: Path, image: np.ndarray) -> None:
    tifffile.imwrite(path, np.rint(255 * image).astype(np.uint8))


GROWTH = {
    "image_side": (grow_image, SIDES),
    "png_side": (partial(grow_file, ".png"), SIDES),
    "tiff_side": (partial(grow_file, ".tif"), SIDES),
    "images": (grow_domain, COUNTS),
    "folder": (grow_folder, COUNTS),
}
"""What grows: its function, and its sizes. Time and memory should grow like pixels or images, not faster."""


TRAININGS = {
    "translator, training": partial(syndiff, SynDiffSettings()),
    "segmenter, training": partial(segmenter, SegmenterSettings()),
}
"""What is timed beside a process that keeps one core busy."""


# --- All of it --------------------------------------------------------------------------------------------------


def measure_stages(quick: bool) -> tuple[pd.DataFrame, dict]:
    """Return the table of the stages, and the peaks (GFLOP/s) that their shares refer to."""
    found = alone(peaks)
    del found["peak_memory_gib"]
    best, repeats, rows = max(found.values()), 1 if quick else 3, []
    for (stage, part, unit), build in stages(side=1024 if quick else 2048).items():
        print(stage, flush=True)
        tuned, plain = (alone(measure, build, slow, repeats) for slow in (False, True))
        rows.append({"stage": stage, "part": part, "unit": unit, **compare(tuned, plain, best)})
    return pd.DataFrame(rows), {"peaks_gflop_per_s": found}


def measure_growth(quick: bool) -> tuple[pd.DataFrame, dict]:
    """Return the table of time and memory against sizes."""
    rows = []
    for what, (function, sizes) in GROWTH.items():
        for size in sizes[:3] if quick else sizes:
            print(what, size, flush=True)
            rows.append({"what": what, "size": size, **alone(function, size)})
    return pd.DataFrame(rows), {}


def measure_busy(quick: bool) -> tuple[pd.DataFrame, dict]:
    """Return the table of trainings beside a process that keeps one core busy."""
    rows = []
    for stage, build in TRAININGS.items():
        print(stage, "beside a busy process", flush=True)
        rows.append({"stage": stage, **alone(beside_busy, build, 20 if quick else 60)})
    return pd.DataFrame(rows), {}


TABLES = {"bench": measure_stages, "bench_growth": measure_growth, "bench_busy": measure_busy}


def main(reports: Path, names: list[str], *, quick: bool) -> None:
    """Measure, and write each table with a record of where it comes from."""
    for name in names:
        table, facts = TABLES[name](quick)
        write_table(reports / f"{name}.csv", table.round(6))
        write_json(reports / f"{name}.json", origin(quick=quick, **facts))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small images and few repeats")
    parser.add_argument(
        "--only", action="append", choices=list(TABLES), help="a table, instead of all; may be repeated"
    )
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder for the tables")
    options = parser.parse_args()
    main(options.reports, options.only or list(TABLES), quick=options.quick)
