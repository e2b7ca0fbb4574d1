"""Train SynDiff at the compact and at the published size on one card, and score what both strategies make of either.

    python benchmarks/packed_images.py data images.npz   # where the data are
    PYTHONPATH=lib python benchmarks/published_size.py images.npz --steps 1500 --reports measured

A size has the settings of its profile (`cpu` or `gpu`); `--steps` shortens the published schedule. Everything else is
the same for both: images, fold, segmenters and their steps. All pairs and sizes run side by side, each in a process of
its own, and each has tables in `parts`, written anew with every method that is scored. published_size.csv joins them: a
row an image, class and method; published_size_losses.csv has the losses of every twentieth step. Trainings stay in
`--out`: a second call goes on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import bare_machine  # noqa: F401
import pandas as pd
import torch
from packed_images import packed_run

from histobridge.config import LEARNED, MATCHED, REFINED, training_profile
from histobridge.io.files import write_json, write_table
from histobridge.machine import available_cores
from histobridge.strategies import adapt, tutor
from histobridge_study.analysis.methods import WITH_SYNDIFF
from histobridge_study.provenance import origin
from histobridge_study.runs import Run
from histobridge_study.stages.label import dice_rows, predictions, pretrained_segmenter, source_segmenter, student_fit
from histobridge_study.stages.refine import refined_labeller
from histobridge_study.stages.translate import recipe, remembered

PROFILE_OF = {"compact": "cpu", "published": "gpu"}
"""The profile that has the settings of each size."""
OF_SYNDIFF = ("cycle", "syndiff")
KEPT_STEPS = 20
"""One step in so many has a row in the table of losses."""


def sized_run(file: Path, out: str, fold: int, steps: int, tiny: bool, pair: str, size: str) -> Run:
    """Return a run on packed images whose SynDiff has a size; the published one has so many steps."""
    run = packed_run(file, out, "smoke" if tiny else "cpu", pair, fold)
    settings = run.profile.translator if tiny else training_profile(PROFILE_OF[size]).translator
    if size == "published":
        settings = settings.model_copy(update={"steps": steps})
    profile = run.profile.model_copy(update={"translator": settings})
    wanted = tuple(name for name in run.study.translators if name in OF_SYNDIFF or name not in LEARNED)
    profiles = {**run.study.profiles, run.parameters.profile: profile}
    return replace(run, study=run.study.model_copy(update={"profiles": profiles, "translators": wanted}))


def score(make_run: partial, reports: Path, job: tuple[str, str]) -> None:
    """Train one size on one pair, and write its table anew with every method that is scored.

    What needs no SynDiff is scored beside the compact size alone.
    """
    run, parts = make_run(*job), reports / "parts"
    trained = recipe(run)
    losses = trained.trained("syndiff")[1].iloc[::KEPT_STEPS]
    write_table(parts / f"losses-{'-'.join(job)}.csv", losses.assign(pair=job[0], size=job[1]).round(6))
    tables = []
    for method, label in _methods(run, remembered(run, trained.translators), controls=job[1] == "compact").items():
        tables.append(dice_rows(run, {method: label()}).assign(size=job[1]))
        write_table(parts / f"dice-{'-'.join(job)}.csv", pd.concat(tables, ignore_index=True).round(6))
        print(*job, *method, tables[-1].groupby("class")["dice"].mean().round(3).to_dict(), flush=True)


def _methods(run: Run, translators: dict, *, controls: bool) -> dict:
    """Return a function for each method, which trains what it needs and returns masks by name of image."""
    examples, images, seed = run.data.training_examples, run.data.scored_images, run.translator_seed
    source, matched = source_segmenter(run), MATCHED[translators["syndiff"].sign]
    segmenter, fit = pretrained_segmenter(run, source), student_fit(run, source)

    def adapted(name: str) -> dict:
        return {s.name: adapt(s.image, translators[name], segmenter, seed=seed) for s in images}

    def tutored(name: str) -> dict:
        return predictions(tutor(examples, translators[name], fit, seed=seed), images)

    def refined(syndiff: bool) -> dict:
        return predictions(refined_labeller(run, translators, syndiff=syndiff), images)

    names = (matched, *OF_SYNDIFF) if controls else OF_SYNDIFF
    methods = {("adaptation", name): partial(adapted, name) for name in names}
    methods |= {("tutorship", name): partial(tutored, name) for name in names}
    if controls:
        methods |= {("pretrained", "none"): partial(adapted, "none"), (REFINED, matched): partial(refined, False)}
    return methods | {WITH_SYNDIFF: partial(refined, True)}


def main(given: argparse.Namespace) -> None:
    """Train and score all pairs at all sizes, and write the tables."""
    card, jobs = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU", len(given.pair) * len(PROFILE_OF)
    facts = {"card": card, "tiny": given.tiny, "published_steps": given.steps}
    write_json(given.reports / "published_size.json", origin(**facts))
    os.environ["OMP_NUM_THREADS"] = str(max(1, available_cores() // jobs))
    make_run = partial(sized_run, given.images, given.out, given.fold, given.steps, given.tiny)
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        todo = [(pair, size) for pair in given.pair for size in PROFILE_OF]
        for _ in pool.imap_unordered(partial(score, make_run, given.reports), todo):
            for kind, name in {"dice": "", "losses": "_losses"}.items():
                parts = map(pd.read_csv, sorted((given.reports / "parts").glob(f"{kind}-*.csv")))
                write_table(given.reports / f"published_size{name}.csv", pd.concat(parts, ignore_index=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, help="packed real images")
    parser.add_argument("--pair", action="append", help="all three by default")
    parser.add_argument("--fold", type=int, default=0)
    published = training_profile("gpu").translator.steps
    parser.add_argument("--steps", type=int, default=published, help="of the published size")
    parser.add_argument("--out", default="runs-published-size", help="folder for trainings")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder for the tables")
    parser.add_argument("--tiny", action="store_true", help="tiny numbers, on a CPU too")
    options = parser.parse_args()
    options.pair = options.pair or ["tem-sem", "tem-pns", "tem-bf"]
    main(options)
