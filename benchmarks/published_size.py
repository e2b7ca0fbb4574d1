"""Train SynDiff at the compact and at the published size on one card, and score what is made of either.

    python benchmarks/packed_images.py data images.npz   # where the data are
    python benchmarks/published_size.py images.npz --size compact --size published --steps 1500 --reports measured

All pairs train side by side, each in a process of its own. A size has the settings of its profile (`cpu` or `gpu`);
`--steps` shortens the published schedule to what a loan of the card allows. Everything else is the same for both: images,
fold, segmenters and their steps. published_size.csv has a row an image, class and method as soon as the method is scored;
published_size_training.csv a row a training; published_size_losses.csv the losses of every twentieth step.
Trainings and translations stay in `--out`, and what is there is not made again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import bare_machine  # noqa: F401
import pandas as pd
import torch
from packed_images import packed_run

from histobridge.config import MATCHED, REFINED, training_profile
from histobridge.io.files import write_json, write_table
from histobridge.io.images import write_image
from histobridge.machine import available_cores
from histobridge.strategies import adapt, pretrained, tutor
from histobridge_study.analysis.methods import WITH_SYNDIFF
from histobridge_study.provenance import origin
from histobridge_study.runs import Run
from histobridge_study.stages.label import dice_rows, predictions, pretrained_segmenter, source_segmenter, student_fit
from histobridge_study.stages.refine import refined_labeller
from histobridge_study.stages.translate import recipe, remembered

SIZES = {"compact": "cpu", "published": "gpu"}
"""The profile that has the settings of each size."""
LEARNED = ("cycle", "syndiff")
KEPT_STEPS = 20
"""One step in so many has a row in the table of losses."""


def sized_run(file: Path, out: str, pair: str, fold: int, size: str, *, steps: int, tiny: bool) -> Run:
    """Return a run on packed images whose SynDiff has a size; the published one has so many steps."""
    run = packed_run(file, out, "smoke" if tiny else "cpu", pair, fold)
    settings = run.profile.translator if tiny else training_profile(SIZES[size]).translator
    if size == "published":
        settings = settings.model_copy(update={"steps": steps})
    controls = [name for name in run.study.translators if name not in ("cyclegan", "cut")]
    profile = run.profile.model_copy(update={"translator": settings})
    profiles = {**run.study.profiles, run.parameters.profile: profile}
    return replace(run, study=run.study.model_copy(update={"profiles": profiles, "translators": tuple(controls)}))


def score_pair(file: Path, out: str, reports: Path, fold: int, steps: int, tiny: bool, job: tuple[str, str]) -> None:
    """Train one size on one pair, and write a table of each of its methods as soon as it is scored.

    What needs no SynDiff (`pretrained`, matched greys) is scored with the compact size alone.
    """
    pair, size = job
    run = sized_run(file, out, pair, fold, size, steps=steps, tiny=tiny)
    begin, steps_to = time.perf_counter(), recipe(run)
    _, losses = steps_to.trained("syndiff")
    facts = {"pair": pair, "fold": fold, "size": size, "steps": len(losses), "images_used": len(steps_to.tiles[0])}
    _write(reports, "losses", job, losses[::KEPT_STEPS].assign(pair=pair, size=size))
    translators = remembered(run, steps_to.translators)
    matched, (name, *_) = MATCHED[steps_to.sign], LEARNED
    shown, examples, images = LEARNED, run.data.training_examples, run.data.scored_images
    for name in LEARNED:
        pictures = {"L": translators[name].translate(images[0].image, "L", seed=run.translator_seed)}
        pictures["U"] = translators[name].translate(examples[0][0], "U", seed=run.translator_seed)
        for to, picture in pictures.items():
            write_image(reports / "pictures" / f"{pair}-{size}-{name}-{to}.png", picture)

    source = source_segmenter(run)
    segmenter, fit = pretrained_segmenter(run, source), student_fit(run, source)
    if size == "compact":
        shown = (matched, *LEARNED)

    def adapted(name: str) -> dict:
        return {s.name: adapt(s.image, translators[name], segmenter, seed=run.translator_seed) for s in images}

    def tutored(name: str) -> dict:
        return predictions(tutor(examples, translators[name], fit, seed=run.translator_seed), images)

    def refined(*, syndiff: bool) -> dict:
        return predictions(refined_labeller(run, translators, syndiff=syndiff), images)

    plan = {("adaptation", name): partial(adapted, name) for name in shown}
    plan |= {("tutorship", name): partial(tutored, name) for name in shown}
    if size == "compact":
        plan["pretrained", "none"] = lambda: {s.name: pretrained(s.image, segmenter) for s in images}
        plan[REFINED, matched] = partial(refined, syndiff=False)
    plan[WITH_SYNDIFF] = partial(refined, syndiff=True)
    tables = []
    for method, label in plan.items():
        tables.append(dice_rows(run, {method: label()}).assign(size=size if "syndiff" in method or "cycle" in method else "none"))
        _write(reports, "dice", job, pd.concat(tables, ignore_index=True))
        shown_dice = tables[-1].groupby("class")["dice"].mean().round(3).to_dict()
        print(f"{time.perf_counter() - begin:.0f} s", pair, size, *method, shown_dice, flush=True)
    facts |= {"training_seconds": losses["seconds"].iloc[-1], "seconds": time.perf_counter() - begin}
    if torch.cuda.is_available():
        facts["peak_memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
    _write(reports, "training", job, pd.DataFrame([facts]))


def _write(reports: Path, kind: str, job: tuple[str, str], table: pd.DataFrame) -> None:
    write_table(reports / "parts" / f"{kind}-{'-'.join(job)}.csv", table.round(6))


def join(reports: Path) -> None:
    """Join the tables of all pairs and sizes."""
    for kind, name in {"dice": "", "training": "_training", "losses": "_losses"}.items():
        if parts := sorted((reports / "parts").glob(f"{kind}-*.csv")):
            write_table(reports / f"published_size{name}.csv", pd.concat(map(pd.read_csv, parts), ignore_index=True))


def main(given: argparse.Namespace) -> None:
    """Train the sizes one after the other, all pairs at once, and write the tables."""
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    write_json(given.reports / "published_size.json", origin(card=card, tiny=given.tiny, published_steps=given.steps))
    os.environ["OMP_NUM_THREADS"] = str(max(1, available_cores() // len(given.pair)))
    (given.reports / "pictures").mkdir(parents=True, exist_ok=True)
    work = partial(score_pair, given.images, given.out, given.reports, given.fold, given.steps, given.tiny)
    with multiprocessing.get_context("spawn").Pool(len(given.pair)) as pool:
        for size in given.size:
            pool.map(work, [(pair, size) for pair in given.pair], chunksize=1)
            join(given.reports)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, help="packed real images")
    parser.add_argument("--size", action="append", choices=SIZES, required=True)
    parser.add_argument("--pair", action="append", default=None)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--steps", type=int, default=training_profile("gpu").translator.steps, help="of the published size")
    parser.add_argument("--out", default="runs-published-size", help="folder for trainings")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder for the tables")
    parser.add_argument("--tiny", action="store_true", help="tiny numbers, on a CPU too")
    options = parser.parse_args()
    options.pair = options.pair or ["tem-sem", "tem-pns", "tem-bf"]
    main(options)
