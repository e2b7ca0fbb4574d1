"""The stages of the study, each on drawn or random images: how long, how much of it, how much arithmetic.

Each function returns rows: `stage`, `part`, `seconds`, `amount` of `unit` done in them, `gflop` (NaN where it is not
counted) and `plain_seconds` (NaN where there is nothing to leave out); and `peak_memory_gib` where the process that
runs it needs more for something else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from histobridge.config import SegmenterSettings, SynDiffSettings
from histobridge.io.images import normalise, read_image, write_image
from histobridge.io.resample import resample
from histobridge.metrics.overlap import class_scores
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter, SegmenterTraining
from histobridge.training.crops import random_crops, stack
from histobridge.training.device import plainly
from histobridge.training.distributed import fabric
from histobridge.translators.syndiff import SynDiff
from histobridge.translators.syndiff_training import SynDiffTraining
from histobridge_study.bench.clock import Stopwatch, seconds
from histobridge_study.config import load_study
from histobridge_study.cost import training_cost
from histobridge.machine import peak_memory_gib

Rows = list[dict]

PLAIN = 576
"""Side of the piece of an image on which the plain networks are compared, px."""

PARTS = {
    "_parts": "crops and noise",
    "_generator_losses": "generators, forward",
    "_teach_generators": "generators, backward",
    "_critic_losses": "discriminators, forward",
    "_gradient_penalty": "R1",
    "_teach_critics": "discriminators, backward",
    "_descend": "optimisers",
    "_update_average": "average (EMA)",
}
"""The methods of a training step, and what is left of each without those that it calls."""
INSIDE = {"_teach_generators": ("_generator_losses",), "_teach_critics": ("_critic_losses", "_gradient_penalty")}


def _row(stage: str, part: str, took: float, amount: float, unit: str, *, gflop=np.nan, plain=np.nan) -> dict:
    values = {"seconds": took, "amount": amount, "unit": unit, "gflop": gflop, "plain_seconds": plain}
    return {"stage": stage, "part": part, **values}


def compact_training(quick: bool) -> Rows:
    """A training step of the size that suits two cores, and its parts."""
    return _training("translator, training", SynDiffSettings(), steps=8 if quick else 24, parts=True)


def published_training(quick: bool) -> Rows:
    """A training step at the published width and depth, 64 px, one image."""
    published = load_study().profiles["gpu"].translator
    small = published.model_copy(update={"crop": 64, "batch": 1, "accumulate": 1})
    return _training("translator at the published size, training", small, steps=2 if quick else 10, parts=False)


def _training(stage: str, settings: SynDiffSettings, *, steps: int, parts: bool) -> Rows:
    took, spent = _steps(settings, steps)
    peak = peak_memory_gib()  # before the plain network, which needs more
    with plainly():
        plain, _ = _steps(settings, max(2, steps // 4))
    gflop = 1000 * training_cost(settings, crop=settings.crop).tflop
    rows = [_row(stage, "step", took, settings.joint_batch, "images", gflop=gflop, plain=plain)]
    rows += [_row(stage, part, s, settings.joint_batch, "images") for part, s in spent.items() if parts]
    return [row | {"peak_memory_gib": peak} for row in rows]


def _steps(settings: SynDiffSettings, steps: int) -> tuple[float, dict[str, float]]:
    """Return the mean time of a step (s), after two that do not count, and that of its parts by name."""
    training = _training_of(settings)
    for number in range(1, 3):
        training.step(number)
    watch = Stopwatch()
    watch.watch(training, [*PARTS, "step"])
    for number in range(steps):
        training.step(number)
    own = {name: watch.spent[name] - sum(watch.spent[part] for part in INSIDE.get(name, ())) for name in PARTS}
    return watch.spent["step"] / steps, {PARTS[name]: s / steps for name, s in own.items()}


def _training_of(settings: SynDiffSettings) -> SynDiffTraining:
    images = list(torch.rand(4, 1, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    return SynDiffTraining(fabric(), settings, 1, 0, images, images)


def translation(quick: bool) -> Rows:
    """SynDiff over a large image, whole and a diffusion step of it."""
    settings = SynDiffSettings()
    steps = settings.diffusion_steps

    def build() -> Callable[[np.ndarray], np.ndarray]:
        translator = SynDiff(settings, sign=1)
        return lambda image: translator.translate(image, "U")

    whole = _over_an_image("translation", f"{steps} diffusion steps", build, quick)
    part = {"part": "a diffusion step", **{name: whole[name] / steps for name in ("seconds", "gflop", "plain_seconds")}}
    return [whole, whole | part]


def prediction(quick: bool) -> Rows:
    """The segmenter over a large image."""
    return [_over_an_image("segmenter, prediction", "image", lambda: Segmenter(SegmenterSettings()).predict, quick)]


def _over_an_image(stage: str, part: str, build: Callable[[], Callable], quick: bool) -> dict:
    """Time what `build` returns on one large image, and on a window of it plainly built."""
    image, repeats = _noise(1024 if quick else 2048), 1 if quick else 3
    whole, window = (partial(build(), piece) for piece in (image, image[:PLAIN, :PLAIN]))
    with plainly():
        plain = seconds(partial(build(), image[:PLAIN, :PLAIN]), repeats=repeats)
    ratio = plain / seconds(window, repeats=repeats)
    gflop, took = _gflop(whole), seconds(whole, repeats=repeats, warm_up=0)  # counting has warmed it up
    return _row(stage, part, took, image.size / 1e6, "megapixels", gflop=gflop, plain=ratio * took)


def segmenter_training(quick: bool) -> Rows:
    """A training step of the segmenter."""
    settings, steps = SegmenterSettings(), 5 if quick else 20
    pairs = [stack(*phantom("tem", seed, (256, 256))) for seed in range(2)]

    def step() -> Callable[[], object]:
        training = SegmenterTraining(Segmenter(settings), pairs)
        return lambda: training.step(0)

    tuned = step()
    gflop, took = _gflop(tuned), seconds(tuned, repeats=steps)
    peak = peak_memory_gib()
    with plainly():
        plain = seconds(step(), repeats=max(2, steps // 4), warm_up=1)
    row = _row("segmenter, training", "step", took, settings.batch, "images", gflop=gflop, plain=plain)
    return [row | {"peak_memory_gib": peak}]


def data(quick: bool) -> Rows:
    """Reading and scaling of an image, and drawing of crops."""
    side, settings = 1024 if quick else 2048, SynDiffSettings()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.png")
        write_image(path, _noise(side))
        read = seconds(lambda: normalise(read_image(path)))
    image, area = _noise(side), side**2 / 1e6
    scaled = seconds(lambda: resample(image, 0.1, 0.2))
    domain, rng = [stack(image)] * 4, torch.Generator().manual_seed(0)
    drawn = seconds(lambda: random_crops(domain, settings.crop, settings.batch, rng), repeats=20)
    return [
        _row("data", "read and normalise", read, area, "megapixels"),
        _row("data", "resample to half", scaled, area, "megapixels"),
        _row("data", "draw crops", drawn, settings.batch, "images"),
    ]


def metrics(quick: bool) -> Rows:
    """Dice, IoU and matched axons of one mask."""
    side = 512 if quick else 1024
    masks = [phantom("tem", seed, (side, side))[1] for seed in range(2)]
    took = seconds(lambda: class_scores(*masks))
    return [_row("metrics", "Dice, IoU, F1", took, side**2 / 1e6, "megapixels")]


STAGES = (compact_training, published_training, translation, segmenter_training, prediction, data, metrics)


def profile(steps: int = 8) -> pd.DataFrame:
    """Return what PyTorch's profiler says of a compact training step: operators by their share of the time."""
    training = _training_of(SynDiffSettings())
    training.step(1)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        for number in range(steps):
            training.step(number)
    events = [(e.key, e.count / steps, e.self_cpu_time_total / steps / 1e6) for e in found.key_averages()]
    table = pd.DataFrame(events, columns=["operator", "calls", "seconds"]).sort_values("seconds", ascending=False)
    return table.assign(share=table["seconds"] / table["seconds"].sum()).head(25)


def _gflop(function: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops() / 1e9


def _noise(side: int) -> np.ndarray:
    return np.random.default_rng(0).random((side, side), dtype=np.float32)
