"""Stage 04: refined labels; of the default recipe how sure they are, where to look first, and the ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.cache import digest
from histobridge.config import MANY_SOURCES, MATCHED, REFINED
from histobridge.io.files import read_table, write_table
from histobridge.io.images import read_image, write_image
from histobridge.io.kept import kept
from histobridge.metrics.calibration import calibration_error, reliability, sparsification
from histobridge.metrics.review import error_recall
from histobridge.strategies import (
    Examples,
    Labeller,
    refine,
    teachers,
    with_look_of,
)
from histobridge.translators import Translator
from histobridge_study.analysis.methods import WITH_SYNDIFF, Method
from histobridge_study.runs import Run
from histobridge_study.stages.label import dice_rows, predictions, source_segmenter, student_fit

STAGE = "04_refine"
Maps = dict[str, np.ndarray]

ABLATION = {
    "without views": {"augment": False},
    "without anatomy": {"anatomy": False},
    "without self-training": {"rounds": 0},
    "without weight of background": {"background_weight": 1.0},
}
"""What the ablation takes away from every recipe, one piece at a time: options of `refined_labeller`."""


def refined_labeller(
    run: Run,
    translators: Mapping[str, Translator],
    *,
    syndiff: bool = True,
    matched: bool = True,
    others: bool = False,
    masked: Examples = (),
    **options,
) -> Labeller:
    """Train (or recall) a labeller of `refined` on the fold's images of L and the seen images of U.

    Parameters
    ----------
    run : Run
    translators : mapping
        By name.
    syndiff, matched : bool
        Which students there are, see `teachers`.
    others : bool
        Whether the students learn from the further labelled sets of the pair too.
    masked : sequence of (image, mask)
        Examples of U with expert masks, for the reference; these images then get no pseudo label.
    **options
        Further ones of `refine`.
    """
    known = {digest(image) for image, _ in masked}
    images = [sample.image for sample in run.data.seen_images if digest(sample.image) not in known]
    more = further_examples(run, images, sign=translators["syndiff"].sign) if others else []
    return refine(
        run.data.training_examples,
        images,
        teachers(dict(translators), syndiff=syndiff, matched=matched),
        student_fit(run, source_segmenter(run)),
        others=more,
        masked=masked,
        seed=run.translator_seed,
        **{"rounds": run.profile.refinement.rounds, **options},
    )


def further_examples(run: Run, images: Sequence[np.ndarray], *, sign: int) -> Examples:
    """Return the examples of the further labelled sets, with the look of images of U.

    Parameters
    ----------
    run : Run
    images : sequence of ndarray, float32 [H, W] in 0..1
        Of U.
    sign : {1, -1}
        Whether U has the polarity of L, by anatomy.
    """
    return with_look_of(images, run.data.other_examples, source=run.data.training_examples, sign=sign)


def recipes(run: Run, translators: Mapping[str, Translator]) -> dict[Method, dict[str, bool]]:
    """Return the recipes of this stage, as options of `refined_labeller`.

    `refined` with SynDiff; without it, where the study has the control of matched greys; and the same with further
    labelled sets (`many-sources`), where the pair has them.
    """
    matched = MATCHED[translators["syndiff"].sign]
    found = {WITH_SYNDIFF: {"syndiff": True}}
    if matched in translators:
        found[REFINED, matched] = {"syndiff": False}
        if learns_from_others(run):
            found[MANY_SOURCES, matched] = {"syndiff": False, "others": True}
    return found


def learns_from_others(run: Run) -> bool:
    """Tell whether a run has the row of further labelled sets."""
    return bool(run.pair.others) and run.profile.comparison == "full"


def default_method(run: Run, translators: Mapping[str, Translator]) -> Method:
    """Return the default recipe, whose uncertainty is kept and which the ablation is about.

    SynDiff teaches if the profile says so or nothing else can, and further sets if there are any.
    """
    methods = list(recipes(run, translators))
    return methods[0 if run.profile.refinement.syndiff else -1]


def labellers(run: Run, translators: Mapping[str, Translator]) -> dict[Method, Labeller]:
    """Train (or recall) the labellers of all recipes."""
    return {
        method: refined_labeller(run, translators, **options) for method, options in recipes(run, translators).items()
    }


def default_labeller(run: Run, translators: Mapping[str, Translator]) -> Labeller:
    """Train (or recall) the labeller of the default recipe."""
    return refined_labeller(run, translators, **recipes(run, translators)[default_method(run, translators)])


def labelled_method(run: Run) -> Method:
    """Return the default recipe of a finished run."""
    return tuple(run.stage(STAGE).record()["method"])


def label_scored_images(run: Run, labeller: Labeller) -> tuple[Maps, Maps]:
    """Label the scored images; return masks uint8 [H, W] and uncertainty maps float32 [H, W] in 0..1 by name.

    The maps are written into the stage's folder as 8-bit PNGs, white where unsure.
    """
    stage, masks = run.stage(STAGE), {}
    for sample in run.data.scored_images:
        masks[sample.name], unsure = labeller.label(sample.image)
        write_image(stage.folder / _uncertainty_file(sample.name), unsure)
    return masks, {name: read_image(stage.folder / _uncertainty_file(name)) for name in masks}


def read_uncertainty(run: Run) -> Maps:
    """Read the uncertainty maps of the scored images of a finished stage, float32 [H, W] in 0..1, by name."""
    files = run.stage(STAGE).files()
    return {sample.name: read_image(files[_uncertainty_file(sample.name)]) for sample in run.data.scored_images}


def _uncertainty_file(name: str) -> str:
    return f"uncertainty/{name}.png"


def mistakes(run: Run, masks: Maps) -> Maps:
    """Return, for every image with an expert mask, bool [H, W]: where the label shows another class."""
    truth = run.data.target_masks
    return {name: mask != truth[name] for name, mask in masks.items() if name in truth}


def trust_tables(run: Run, unsure: Maps, wrong: Maps, order: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return, and write, how far the uncertainty of a fold can be trusted.

    Returns
    -------
    dict
        `reliability` (a row a bin), `sparsification` (a row a step) and `trust`, one row: calibration error, area under
        the sparsification error curve, and the share of the wrong pixels that the first tenth of the tiles holds beside
        the most it could.
    """
    pooled = [np.concatenate([maps[name].ravel() for name in wrong]) for maps in (unsure, wrong)]
    bins, curve = reliability(*pooled), sparsification(*pooled)
    held, most = error_recall(order, wrong)
    trust = {"ece": calibration_error(bins), "ause": (curve["error"] - curve["oracle"]).mean()}
    trust |= {"held_by_first_tenth": held, "most_possible": most, "wrong": pooled[1].mean()}
    tables = {"reliability": bins, "sparsification": curve, "trust": pd.DataFrame([trust])}
    folder = run.stage(STAGE).folder
    return {name: write_table(folder / f"{name}.csv", _keyed(table, run.key)) for name, table in tables.items()}


def _keyed(table: pd.DataFrame, key: dict) -> pd.DataFrame:
    return pd.concat([pd.DataFrame([key] * len(table)), table], axis=1)


def ablated(whole: Mapping[str, bool]) -> dict[str, dict[str, bool]]:
    """Return what is changed in a recipe for the ablation, one piece at a time.

    Parameters
    ----------
    whole : mapping
        The recipe, as options of `refined_labeller`.
    """
    pieces = {"without matched greys": {"matched": False}} if whole["syndiff"] else {"with SynDiff": {"syndiff": True}}
    if whole.get("others"):
        pieces["without further sets"] = {"others": False}
    return pieces | ABLATION


def ablate(run: Run, translators: dict[str, Translator]) -> pd.DataFrame:
    """Score the default recipe, and the recipe with one piece changed at a time.

    Kept as ablation.csv in the stage's folder: the columns of `dice.csv`, `recipe` (that of the whole one is its
    strategy) and the origin.
    """
    method = default_method(run, translators)
    whole = recipes(run, translators)[method]

    def score(file: Path) -> None:
        tables = []
        for recipe, changes in {method[0]: {}, **ablated(whole)}.items():
            labeller = refined_labeller(run, translators, **whole | changes)
            rows = dice_rows(run, {method: predictions(labeller, run.data.scored_images)})
            tables.append(rows.assign(recipe=recipe, **origin_of(run)))
        write_table(file, pd.concat(tables, ignore_index=True))

    return kept(run.stage(STAGE).folder / "ablation.csv", score, read_table)


def origin_of(run: Run) -> dict[str, str]:
    """Return what rows that are added to a finished run say of their origin: the code, and which labels."""
    return {"git_commit": run.commit, "settings_hash": run.stage(STAGE).key}
