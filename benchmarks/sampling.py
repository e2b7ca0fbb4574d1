"""Measure what fewer sampling steps cost: SynDiff walks from noise to an image in 4, 2 or 1 of its T = 4 steps.

On drawn tissue the true translation of every pixel and every mask are known, so that translations are scored as well as
the labels of both strategies. The translator is trained once, with all T steps.

    python benchmarks/sampling.py [--runs FOLDER] [--reports FOLDER]

writes sampling.csv; what it has trained stays in the folder of runs. It takes about an hour on two cores.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.cache import Cache
from histobridge.config import training_profile
from histobridge.data.datasets import load_images, load_masks
from histobridge.data.manifest import load_dataset
from histobridge.io.files import write_table
from histobridge.metrics import class_scores
from histobridge.metrics.reconstruction import psnr, ssim
from histobridge.phantom import draw_geometry, phantom, render
from histobridge.segmenter import Segmenter
from histobridge.strategies import adapt, cached, tutor
from histobridge.translators import SynDiff

SIGNS = {"sem": -1, "bf": 1}
"""Of the modalities that TEM is translated to."""
SAMPLING_STEPS = (4, 2, 1)
TEST = range(900, 910)
"""Seeds of the tissues that are scored; no dataset has them."""
NOISES = range(3)
"""Seeds of the noise that translations start from, and of the students."""
SIDE, UM_PER_PX = 256, 0.1


def main(runs: Path, reports: Path) -> None:
    """Train the models, or recall them; measure and write the table."""
    profile, cache, rows = training_profile("phantom"), Cache(runs), []
    images, masks = (load(load_dataset("phantom-tem"), UM_PER_PX, Path()) for load in (load_images, load_masks))
    examples = [(sample.image, masks[sample.name]) for sample in images]
    teacher = cached.fit_segmenter(cache, Segmenter(profile.segmenter), examples, name="segmenter")

    for modality, sign in SIGNS.items():
        target = [sample.image for sample in load_images(load_dataset(f"phantom-{modality}"), UM_PER_PX, Path())]
        untrained = SynDiff(training_profile("cpu").translator, sign=sign)
        translator, _ = cached.fit_translator(cache, untrained, [image for image, _ in examples], target)
        for steps in SAMPLING_STEPS:
            translator.settings = translator.settings.model_copy(update={"sampling_steps": steps})
            row = {"modality": modality, "sampling_steps": steps, "megapixels_per_s": pace(translator)}
            row |= similarity(translator, modality)
            students = []
            for noise in NOISES:
                untrained = teacher.warm_start(seed=noise, steps=profile.student_steps)
                fit = lambda made, start=untrained: cached.fit_segmenter(cache, start, made, name="student")  # noqa: E731
                students.append(tutor(examples, translator, fit, seed=noise))
            rows.append(row | dice_of_labels(translator, modality, teacher, students))
            print(rows[-1], flush=True)
    write_table(reports / "sampling.csv", pd.DataFrame(rows).round(4))


def pace(translator: SynDiff, side: int = 1024) -> float:
    """Return megapixels/s of translation, the best of three."""
    image, took = np.random.default_rng(0).random((side, side), dtype=np.float32), []
    for _ in range(3):
        start = time.perf_counter()
        translator.translate(image, "U")
        took.append(time.perf_counter() - start)
    return side**2 / min(took) / 1e6


def similarity(translator: SynDiff, modality: str) -> dict[str, float]:
    """Score translations of test tissues, both ways, against the same tissue as the other modality shows it."""
    scores = []
    for seed in TEST:
        geometry = draw_geometry(seed, (SIDE, SIDE))
        of_l, of_u = (render(geometry, name, seed) for name in ("tem", modality))
        for image, truth, to in (of_l, of_u, "U"), (of_u, of_l, "L"):
            found = [translator.translate(image, to, seed=noise) for noise in NOISES]
            scores += [{f"ssim_to_{to}": ssim(truth, one), f"psnr_to_{to}": psnr(truth, one)} for one in found]
    return pd.DataFrame(scores).mean().to_dict()


def dice_of_labels(translator: SynDiff, modality: str, teacher: Segmenter, students: list[Segmenter]) -> dict:
    """Return the mean Dice of adaptation and of tutorship on test tissues, by strategy and class."""
    rows = []
    for image, mask in (phantom(modality, seed, (SIDE, SIDE)) for seed in TEST):
        for noise, student in zip(NOISES, students, strict=True):
            labels = {"adaptation": adapt(image, translator, teacher, seed=noise), "tutorship": student.predict(image)}
            rows += [{"strategy": s, **score} for s, label in labels.items() for score in class_scores(mask, label)]
    means = pd.DataFrame(rows).groupby(["strategy", "class"])["dice"].mean()
    return {f"{strategy}_{name}": dice for (strategy, name), dice in means.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/sampling"), help="folder for what is trained")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder for the table")
    options = parser.parse_args()
    main(options.runs, options.reports)
