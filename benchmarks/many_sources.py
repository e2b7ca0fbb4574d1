"""Leave one microscope out: which labelled sets teach it best, one of them alone or all others together?

For every target, a segmenter learns from each other labelled set alone, and one from all of them, with the contrast
and the grey values of the target and for as many steps as a student of the study has in all. Each labels the target
with test-time augmentation and anatomy. Nobody sees a mask of the target; the share of its axons' rings that is
labelled myelin (`enclosure`) is what could choose among the sets without one.

    python benchmarks/many_sources.py [--data FOLDER] [--runs FOLDER] [--reports FOLDER] [TARGET ...]

writes many_sources.csv, a row a target, source, class and subject. A target takes some 40 minutes on two cores; what is
there is not made again.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import pandas as pd

from histobridge.cache import Cache
from histobridge.config import training_profile
from histobridge.data.datasets import Sample, load_examples, load_images, load_masks
from histobridge.data.manifest import load_dataset
from histobridge.io.files import read_table, write_json, write_table
from histobridge.io.kept import kept
from histobridge.metrics import class_scores
from histobridge.metrics.instances import mean_enclosure
from histobridge.segmenter import Segmenter
from histobridge.strategies import (
    Examples,
    Labeller,
    TranslatorRecipe,
    adjusted,
    cached,
    with_look_of,
)
from histobridge.training.map_images import map_images
from histobridge_study.config import load_study
from histobridge_study.provenance import origin

TARGETS = ("sem", "tem-pns", "bf", "tem")
ALL = "all others"


def main(targets: list[str], data: Path, runs: Path, reports: Path, profile: str) -> None:
    """Score every source of each target, and write the table."""
    cache, scored = Cache(runs / "cache"), partial(score_target, data=data, profile=profile)
    made = [
        kept(runs / profile / f"{target}.csv", lambda file, target=target: scored(target, file, cache), read_table)
        for target in targets
    ]
    write_table(reports / "many_sources.csv", pd.concat(made, ignore_index=True).round(4))
    write_json(reports / "many_sources.json", origin())


def score_target(target: str, file: Path, cache: Cache, *, data: Path, profile: str) -> None:
    """Write the Dice of a target's subjects, by source and class."""
    sizes = pixel_sizes()
    sets = {name: load_examples(load_dataset(name), size, data) for name, size in sizes.items() if name != target}
    samples = load_images(load_dataset(target), sizes[target], data)
    images = [sample.image for sample in samples]
    first = next(iter(sets.values()))
    look = {"source": first, "sign": sign_of_target(first, images, cache, profile)}

    matched = {name: with_look_of(images, [examples], **look) for name, examples in sets.items()}
    matched[ALL] = [example for examples in matched.values() for example in examples]
    truth = load_masks(load_dataset(target), sizes[target], data)
    rows = []
    for name, examples in matched.items():
        labeller = fitted(examples, images, cache, profile, name=f"{target} from {name}")
        masks = map_images(labeller.predict, images)
        facts = {"target": target, "source": name, "enclosure": mean_enclosure(masks), "profile": profile}
        rows.append(dice_by_subject(samples, masks, truth).assign(**facts))
    write_table(file, pd.concat(rows, ignore_index=True))


def pixel_sizes() -> dict[str, float]:
    """Return the pixel size (µm/px) at which the study uses each labelled set; axons are then about as large in all."""
    pairs = [pair for pair in load_study().pairs.values() if pair.others]
    return {pairs[0].source.dataset: pairs[0].source.um_per_px} | {
        pair.target.dataset: pair.target.um_per_px for pair in pairs
    }


def sign_of_target(examples: Examples, images: list, cache: Cache, profile: str) -> int:
    """Return 1 if the target has the polarity of a labelled set, else -1, by the anatomy that its segmenter finds."""
    fit = partial(cached.fit_segmenter, cache, name="polarity segmenter")
    return TranslatorRecipe(examples, images, {}, training_profile(profile).for_polarity, fit_segmenter=fit).sign


def fitted(examples: Examples, images: list, cache: Cache, profile: str, *, name: str) -> Labeller:
    """Train a segmenter, or recall it, and add views and anatomy."""
    settings = training_profile(profile)
    steps = settings.segmenter.steps + settings.student_steps
    untrained = Segmenter(settings.segmenter.model_copy(update={"steps": steps}))
    segmenter = cached.fit_segmenter(cache, untrained, examples, name=name)
    return adjusted(Labeller((segmenter,)), examples, images)


def dice_by_subject(samples: list[Sample], masks: list, truth: dict) -> pd.DataFrame:
    """Return mean Dice: columns `class`, `subject`, `dice`."""
    rows = [
        {"subject": sample.subject, **scores}
        for sample, mask in zip(samples, masks, strict=True)
        if sample.name in truth
        for scores in class_scores(truth[sample.name], mask)
    ]
    return pd.DataFrame(rows).groupby(["class", "subject"])["dice"].mean().reset_index()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the datasets")
    parser.add_argument("--runs", type=Path, default=Path("runs/many_sources"), help="folder of the models")
    parser.add_argument("--reports", type=Path, default=Path("reports"), help="folder for the table")
    parser.add_argument("--profile", default="cpu", help="of training")
    options = parser.parse_args()
    main(options.targets, options.data, options.runs, options.reports, options.profile)
