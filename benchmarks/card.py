"""Measure training and inference on one card: the eager path and the fast path in one run.

    python benchmarks/card.py [--budget SECONDS] [--images FILE] [--reports FOLDER] [--tiny]

writes bench_gpu.csv, a row as soon as it is measured, bench_gpu_losses.csv and bench_gpu.json in less than eight
minutes. It needs this checkout's `lib` on PYTHONPATH, its Python packages, and nothing else of a machine. Each row
comes from a process of its own, which ends when its share of the budget is spent: then the row says so, and the next
one follows.

Eager is what HISTOBRIDGE_GRAPHS=off and HISTOBRIDGE_COMPILE=off leave. FLOP are counted there, for both paths.
`--images` names real images (see packed_images.py): one fold is then trained on either path, and with `--folds` all
of them as the study would. `--tiny` tries everything on a CPU with tiny numbers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import bare_machine  # noqa: F401
import pandas as pd
import torch
from measuring import CONVOLUTIONS, gflop, noise_image, peaks, segmenter, syndiff
from packed_images import all_folds, fold_dice

from histobridge.config import SegmenterSettings, SynDiffSettings, training_profile
from histobridge.io.files import write_json, write_table
from histobridge.machine import peak_memory_gib
from histobridge_study.provenance import origin

BUDGET_S = 460
COMPARED = 20
"""First steps whose losses are compared."""
EAGER = {"HISTOBRIDGE_GRAPHS": "off", "HISTOBRIDGE_COMPILE": "off"}
PATHS = ("eager", "fast")
PEAK = "bfloat16 matrix product"


class Sizes(NamedTuple):
    """Settings of the models, sides of images (px), and the seconds for which a step is timed."""

    published: SynDiffSettings
    compact: SynDiffSettings
    segmenter: SegmenterSettings
    crops_from: int
    image: int
    matrix: int
    convolutions: tuple
    seconds: float


def full_sizes() -> Sizes:
    """Return the sizes of the published table."""
    published = training_profile("gpu").translator
    return Sizes(published, SynDiffSettings(), SegmenterSettings(), 256, 2048, 8192, CONVOLUTIONS, 6.0)


def tiny_sizes() -> Sizes:
    """Return sizes with which everything runs on a CPU in a minute."""
    network = {"width": 16, "multipliers": (1, 2), "cycle_width": 16, "critic_width": 16, "critic_multipliers": (1, 2)}
    translator = SynDiffSettings(**network, crop=32, batch=2, r1_every=2, steps=4)
    return Sizes(translator, translator, training_profile("smoke").segmenter, 64, 64, 64, ((8, 16),), 0.1)


# --- One measurement, in a process of its own -------------------------------------------------------------------


def time_training(build: Callable, every: int, lasting: float, path: str) -> dict:
    """Time the steps of a training once it has started: compiled, captured, memory in use.

    Parameters
    ----------
    build : callable
        Makes a training.
    every : int
        Steps after which the kinds of steps repeat, such as those of lazy R1.
    lasting : float
        Seconds for which steps are timed, at least.
    path : {"eager", "fast"}

    Returns
    -------
    dict
        `seconds` a step, `start_seconds` (beyond the time of that many steps), `losses` of the first steps by name, and
        `gflop` of a step on the eager path.
    """
    begin, training = time.perf_counter(), build()
    warm_up = max(COMPARED, 4 * every)  # each kind of step is captured after three calls
    first = [training.step(number) for number in range(warm_up)]
    warm = time.perf_counter() - begin
    number, begin = warm_up, time.perf_counter()
    while time.perf_counter() - begin < lasting:
        for _ in range(every):
            training.step(number)
            number += 1
    took = (time.perf_counter() - begin) / (number - warm_up)
    losses = pd.DataFrame(first[:COMPARED]).to_dict("list")
    # The counter does not support R1, which comes with the numbers that are multiples of `every`.
    counted = {"gflop": gflop(lambda: training.step(number + 1))} if path == "eager" else {}
    return {"seconds": took, "start_seconds": warm - warm_up * took, "losses": losses, **counted}


def time_inference(build: Callable, side: int, path: str) -> dict:
    """Time the last of three equal calls on an image of `side` px; return what `time_training` does, but no losses."""
    call, image, took = build(), noise_image(side), []
    for _ in range(3):
        begin = time.perf_counter()
        call(image)
        took.append(time.perf_counter() - begin)
    counted = {"gflop": gflop(lambda: call(image))} if path == "eager" else {}
    return {"seconds": took[-1], "start_seconds": took[0] - took[-1], **counted}


def translate(settings: SynDiffSettings) -> Callable:
    """Return the translation to U of an untrained SynDiff."""
    from histobridge.translators.syndiff import SynDiff

    return partial(SynDiff(settings, sign=1).translate, to="U")


def predict(settings: SegmenterSettings) -> Callable:
    """Return the prediction of an untrained segmenter."""
    from histobridge.segmenter import Segmenter

    return Segmenter(settings).predict


def within(limit: float, path: str, function: Callable, *arguments) -> dict:
    """Call a function in a new process on one of the two paths; return its result, or the `error` that ended it.

    Parameters
    ----------
    limit : float
        Seconds after which the process is ended.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, path, function, arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(limit) else {"error": f"not done after {limit:.0f} s"}
    except EOFError:
        process.join()
        return {"error": f"the process ended with code {process.exitcode}"}
    finally:
        process.kill()
        process.join()


def _send(sender, path: str, function: Callable, arguments: tuple) -> None:
    os.environ |= EAGER if path == "eager" else {}
    try:
        result = function(*arguments)
        result["peak_memory_gib"] = _peak_memory_gib()
    except Exception as error:  # whatever it is, the other rows are worth going on
        result = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    sender.send(result)


def _peak_memory_gib() -> float:
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else peak_memory_gib()


# --- The table --------------------------------------------------------------------------------------------------


class Section(NamedTuple):
    """A row on either path: its name, its unit and how many of that a call has, all steps, and the measurement."""

    stage: str
    unit: str
    amount: float
    steps: int
    measure: Callable


def sections(sizes: Sizes) -> list[Section]:
    """Return what is measured, what matters most first."""
    megapixels = sizes.image**2 / 1e6

    def training(stage: str, build: Callable, settings, images: int, every: int) -> Section:
        make = partial(build, settings, sizes.crops_from)
        return Section(stage, "images", images, settings.steps, partial(time_training, make, every, sizes.seconds))

    def inference(stage: str, build: Callable, settings) -> Section:
        measure = partial(time_inference, partial(build, settings), sizes.image)
        return Section(stage, "megapixels", megapixels, 0, measure)

    published, compact, small = sizes.published, sizes.compact, sizes.segmenter
    return [
        training("translator, published size: step", syndiff, published, published.joint_batch, published.r1_every),
        training("translator, compact: step", syndiff, compact, compact.joint_batch, compact.r1_every),
        training("segmenter: step", segmenter, small, small.batch, 1),
        inference("translation, published size", translate, published),
        inference("translation, compact", translate, compact),
        inference("segmentation", predict, small),
    ]


def _minutes(steps: int, *, seconds: float, start_seconds: float, **_) -> float:
    return (steps * seconds + start_seconds) / 60


class Report:
    """Two tables and a record of their origin; they are written anew with every row."""

    def __init__(self, folder: Path, card: str, peaks_gflop_per_s: dict):
        self.folder, self.card, self.peaks = folder, card, peaks_gflop_per_s
        self.rows, self.losses = [], []

    def add(self, stage: str, path: str, **measured) -> None:
        """Write a row, and print it."""
        self.rows.append({"card": self.card, "stage": stage, "path": path, **measured})
        write_table(self.folder / "bench_gpu.csv", pd.DataFrame(self.rows).round(6))
        shown = {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in measured.items()}
        print(stage, path, shown, flush=True)

    def add_measured(self, section: Section, found: dict[str, dict]) -> None:
        """Write the last of `found`, the results of a section by path, with the rates that follow from it."""
        path, one = list(found.items())[-1]
        row = {name: one[name] for name in ("seconds", "start_seconds", "peak_memory_gib", "error") if name in one}
        if "seconds" in one:
            rate = found["eager"].get("gflop", float("nan")) / one["seconds"]
            row |= {"unit": section.unit, "per_second": section.amount / one["seconds"], "tflop_per_s": rate / 1e3}
            row |= {"share_of_peak": rate / self.peaks.get(PEAK, float("nan"))}
        if "seconds" in one and section.steps:
            row |= {"steps": section.steps, "minutes_for_all": _minutes(section.steps, **one)}
        self.add(section.stage, path, **row)

    def add_losses(self, stage: str, found: dict[str, dict]) -> None:
        """Write how far the losses of the two paths lie apart, at most, relative to their size."""
        if all("losses" in found[path] for path in PATHS):
            eager, fast = (pd.DataFrame(found[path]["losses"]) for path in PATHS)
            largest = ((fast - eager).abs() / eager.abs().mean()).max()
            self.losses += [{"card": self.card, "stage": stage, "loss": k, "largest": v} for k, v in largest.items()]
            write_table(self.folder / "bench_gpu_losses.csv", pd.DataFrame(self.losses).round(6))


def main(options: argparse.Namespace) -> None:
    """Measure everything that the budget allows, and write the tables."""
    until = time.monotonic() + options.budget
    sizes = tiny_sizes() if options.tiny else full_sizes()
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    best = within(60, "fast", partial(peaks, side=sizes.matrix, convolutions=sizes.convolutions))
    best.pop("peak_memory_gib", None)
    report, planned = Report(options.reports, card, best), sections(sizes)
    write_json(options.reports / "bench_gpu.json", origin(card=card, tiny=options.tiny, peaks_gflop_per_s=best))
    for number, section in enumerate(planned):
        found = {}
        for path in PATHS:
            share = (until - time.monotonic()) / (2 * (len(planned) - number) - len(found)) * 2
            found[path] = within(share, path, section.measure, path)
            report.add_measured(section, found)
        report.add_losses(section.stage, found)
    if options.images:
        profile = "smoke" if options.tiny else "cpu"
        fold = partial(fold_dice, options.images, options.pair, 0, profile)
        for path in PATHS:
            left = (until - time.monotonic()) / (2 if path == "eager" else 1)
            report.add(f"one fold of {options.pair}", path, **within(left, path, fold))
        if options.folds:
            places = options.images, options.reports, profile, options.jobs
            report.add("all transductive folds, refined", "fast", **all_folds(*places, limit=options.folds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds for all but --folds")
    parser.add_argument("--images", type=Path, help="packed real images")
    parser.add_argument("--pair", default="tem-sem", help="of the fold that is trained on either path")
    parser.add_argument("--folds", type=float, default=0, metavar="SECONDS", help="train all folds, in this time")
    parser.add_argument("--jobs", type=int, default=5, help="folds at once")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder for the tables")
    parser.add_argument("--tiny", action="store_true", help="tiny numbers, on a CPU too")
    given = parser.parse_args()
    if not (given.tiny or torch.cuda.is_available()):
        print("PyTorch sees no card here: run this where it does, or add --tiny to try it on the CPU.", file=sys.stderr)
        sys.exit(2)
    main(given)
