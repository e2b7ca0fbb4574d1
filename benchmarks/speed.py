"""Measure how fast this machine trains, translates and segments, relative to what it can do.

Seconds differ between machines. So each stage is also given as a share of the machine's peak (its best convolution or
matrix product) and as a ratio to plain PyTorch: float32, contiguous layout, unfused Adam. Every measurement runs in a
process of its own, so that its peak memory is its own.

    python benchmarks/speed.py [--quick] [--reports FOLDER]

writes bench.csv, bench_growth.csv and bench.json in ten to twenty minutes. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import tifffile
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from histobridge.config import SegmenterSettings, SynDiffSettings, training_profile
from histobridge.io.files import write_json, write_table
from histobridge.io.images import read_image, write_image
from histobridge.machine import peak_memory_gib, precision
from histobridge.training import device as devices
from histobridge_study.provenance import origin

CONVOLUTIONS = ((64, 128), (128, 64), (256, 32))  # channels and image side, in batches of 8
SIDES = (256, 512, 1024, 2048, 4096, 8192, 16384)  # of an image, px
COUNTS = (10, 100, 1000, 10_000)  # images of a domain


def seconds(function: Callable[[], object], *, repeats: int, warm_up: int = 1) -> float:
    """Return the median time of a call (s), after some calls that do not count."""
    times = []
    for _ in range(warm_up + repeats):
        begin = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return median(times[warm_up:])


def use_plain_pytorch() -> None:
    """Undo, in this process, what the library does for speed; call it before the models are imported."""
    os.environ["HISTOBRIDGE_PRECISION"] = "float32"
    devices.place = lambda thing, where=None: thing.to(where or devices.device())
    devices.adam = lambda network, rate, optimiser=torch.optim.Adam, **options: optimiser(
        network.parameters(), lr=rate, **options
    )


@torch.inference_mode()
def peaks(*, repeats: int = 5, side: int = 2048, convolutions: tuple = CONVOLUTIONS) -> dict[str, float]:
    """Return the peak arithmetic of this machine, GFLOP/s, by number format and operation."""
    found = {}
    for dtype in (torch.float32, torch.bfloat16) if precision() == "bfloat16" else (torch.float32,):
        a, b = torch.rand(2, side, side, device=devices.device()).to(dtype)
        name = str(dtype).removeprefix("torch.")
        found[f"{name} matrix product"] = 2 * side**3 / 1e9 / seconds(lambda a=a, b=b: a @ b, repeats=repeats)
        rates = [_convolution_rate(dtype, *size, repeats) for size in convolutions]
        found[f"{name} convolution"] = max(rates)
    return found


def _convolution_rate(dtype: torch.dtype, channels: int, side: int, repeats: int) -> float:
    layout = {"dtype": dtype, "memory_format": torch.channels_last}
    image = torch.rand(8, channels, side, side, device=devices.device()).to(**layout)
    weight = torch.rand(channels, channels, 3, 3, device=devices.device()).to(**layout)
    gflop = 2 * 8 * side**2 * channels**2 * 9 / 1e9
    return gflop / seconds(lambda: F.conv2d(image, weight, padding=1), repeats=repeats)


# --- Stages -----------------------------------------------------------------------------------------------------

Stage = tuple[Callable, float, int, Callable]
"""A call to time, the images or megapixels of one unit of work, the units in a call, and one unit to count."""


def syndiff_training(settings: SynDiffSettings, side: int = 256) -> Stage:
    """Return one training step, averaged over a period of R1; the counter does not support the step with R1."""
    from histobridge.training.distributed import fabric
    from histobridge.translators.syndiff_training import SynDiffTraining

    images = list(torch.rand(4, 1, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    training = SynDiffTraining(fabric(), settings, 1, 0, images, images)
    period = range(settings.r1_every)
    return lambda: [training.step(n) for n in period], settings.joint_batch, len(period), lambda: training.step(1)


def segmenter_training(settings: SegmenterSettings, side: int = 256) -> Stage:
    """Return one training step of the segmenter."""
    from histobridge.phantom import phantom
    from histobridge.segmenter import Segmenter, SegmenterTraining
    from histobridge.training.crops import stack

    training = SegmenterTraining(Segmenter(settings), [stack(*phantom("tem", n, (side, side))) for n in range(2)])
    return lambda: training.step(0), settings.batch, 1, lambda: training.step(0)


def translation(settings: SynDiffSettings, side: int) -> Stage:
    """Return the translation of one image of `side` px."""
    from histobridge.translators.syndiff import SynDiff

    translate = partial(SynDiff(settings, sign=1).translate, noise_image(side), "U")
    return translate, side**2 / 1e6, 1, translate


def prediction(settings: SegmenterSettings, side: int) -> Stage:
    """Return the segmentation of one image of `side` px."""
    from histobridge.segmenter import Segmenter

    predict = partial(Segmenter(settings).predict, noise_image(side))
    return predict, side**2 / 1e6, 1, predict


def noise_image(side: int, *, seed: int = 0) -> np.ndarray:
    """Return an image of noise, float32 [side, side] in 0..1."""
    return np.random.default_rng(seed).random((side, side), dtype=np.float32)


def stages(side: int) -> dict[tuple[str, str, str], Callable]:
    """Return what is measured, by stage, part and unit; images have `side` px."""
    published = training_profile("gpu").translator.model_copy(update={"crop": 64, "batch": 1, "accumulate": 1})
    compact, segmenter = SynDiffSettings(), SegmenterSettings()
    return {
        ("translator, training", "step", "images"): partial(syndiff_training, compact),
        ("translator at the published size, training", "step", "images"): partial(syndiff_training, published),
        ("translation", "4 diffusion steps", "megapixels"): partial(translation, compact, side),
        ("segmenter, training", "step", "images"): partial(segmenter_training, segmenter),
        ("segmenter, prediction", "image", "megapixels"): partial(prediction, segmenter, side),
    }


def measure(build: Callable, plain: bool, repeats: int) -> dict[str, float]:
    """Measure one unit of work in this process: its `seconds`, `gflop` and `amount` (images or megapixels)."""
    if plain:
        use_plain_pytorch()
    call, amount, units, counted = build()
    took = seconds(call, repeats=repeats) / units
    with FlopCounterMode(display=False) as counter:
        counted()
    return {"seconds": took, "amount": amount, "gflop": counter.get_total_flops() / 1e9}


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
    from histobridge.training.crops import random_crops

    s, rng = SynDiffSettings(), torch.Generator().manual_seed(0)
    domain = [torch.rand(1, 128, 128) for _ in range(count)]
    return {"seconds": seconds(lambda: random_crops(domain, s.crop, s.batch, rng), repeats=20)}


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


# --- All of it --------------------------------------------------------------------------------------------------


def alone(function: Callable, *arguments) -> dict:
    """Call a function in a new process; return its result and the peak memory of that process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result() | {"peak_memory_gib": pool.submit(peak_memory_gib).result()}


def main(reports: Path, *, quick: bool) -> None:
    """Measure everything and write the tables."""
    found = alone(peaks)
    del found["peak_memory_gib"]
    best, repeats, rows = max(found.values()), 1 if quick else 3, []
    for (stage, part, unit), build in stages(side=1024 if quick else 2048).items():
        print(stage, flush=True)
        tuned, plain = (alone(measure, build, slow, repeats) for slow in (False, True))
        rows.append({"stage": stage, "part": part, "unit": unit, **compare(tuned, plain, best)})
    write_table(reports / "bench.csv", pd.DataFrame(rows).round(6))
    rows = []
    for what, (function, sizes) in GROWTH.items():
        for size in sizes[:3] if quick else sizes:
            print(what, size, flush=True)
            rows.append({"what": what, "size": size, **alone(function, size)})
    write_table(reports / "bench_growth.csv", pd.DataFrame(rows).round(6))
    write_json(reports / "bench.json", origin(quick=quick, peaks_gflop_per_s=found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small images and few repeats")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder for the tables")
    options = parser.parse_args()
    main(options.reports, quick=options.quick)
