"""What notebook 05 does: the labels of `refined`, how sure they are, where to look first; and the ablation.

Everything is kept in the run's folder. Uncertainty maps lie beside the labels as 8-bit PNGs, white where unsure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.cache import digest, kept
from histobridge.config import REFINED
from histobridge.data.manifest import ROOT
from histobridge.io.files import write_table
from histobridge.io.images import read_image, read_mask, write_image, write_mask
from histobridge.io.progress import ThrottledProgress
from histobridge.metrics import calibration_error, error_recall, reliability, sparsification, uncertainty
from histobridge.metrics.calibration import TEMPERATURE
from histobridge.strategies.refined import RECIPES, Labeller, refined, translators_of
from histobridge.translators.base import Translator
from histobridge_study.analysis import label_free_scores as label_free
from histobridge_study.runs import Run
from histobridge_study.stages.label import dice_rows, pseudo_labels
from histobridge_study.stages.measure import kept_labels, kept_masks
from histobridge_study.stages.translate import trained_translators

STAGE = "04_refine"
METHOD = (REFINED, "syndiff")
Maps = dict[str, np.ndarray]


def refined_labels(run: Run, labeller: Labeller) -> tuple[Maps, Maps]:
    """Return masks uint8 [H, W] and uncertainty maps float32 [H, W] in 0..1 of the scored images, by name (kept)."""
    images = run.scored_images()
    images_seen = digest([s.image for s in images])
    made_from = {"segmenter": labeller.fingerprint, "images": images_seen, "temperature": TEMPERATURE}
    folders = [kept(run.results / kind / "-".join(METHOD), **made_from) for kind in ("pseudo_labels", "uncertainty")]
    say, masks, unsure = ThrottledProgress(), {}, {}
    for sample in images:
        label, doubt = (folder / f"{sample.name}.png" for folder in folders)
        if not doubt.exists():
            say(f"refined, fold {run.parameters.fold}: {sample.name}, {len(masks) + 1} of {len(images)}")
            mask, probabilities = labeller.label(sample.image)
            write_mask(label, mask)
            write_image(doubt, uncertainty(probabilities, mask))
        masks[sample.name], unsure[sample.name] = read_mask(label)[0], read_image(doubt)
    return masks, unsure


def mistakes(run: Run, masks: Maps) -> Maps:
    """Return, for every image with an expert mask, bool [H, W]: where the label shows another class."""
    truth = run.target_masks()
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
    return {name: write_table(run.results / f"{name}.csv", _keyed(table, run.key)) for name, table in tables.items()}


def _keyed(table: pd.DataFrame, key: dict) -> pd.DataFrame:
    return pd.concat([pd.DataFrame([key] * len(table)), table], axis=1)


def ablate(run: Run, translators: dict[str, Translator]) -> pd.DataFrame:
    """Score `refined` with one piece taken away at a time; columns of `dice.csv`, `recipe` and `_origin`. Kept."""
    tables = []
    for name, recipe in RECIPES.items():
        if not translators_of(recipe, translators):
            continue  # of a study without the control that matches grey values
        labeller = refined(run, translators, name)
        labels = pseudo_labels(run, labeller, run.scored_images(), labeller.folder)
        tables.append(dice_rows(run, {METHOD: labels}).assign(recipe=name, **_origin(run)))
    return write_table(run.results / "ablation.csv", pd.concat(tables, ignore_index=True))


def ablate_runs(runs: Iterable[Run]) -> Iterator[tuple[Run, Path]]:
    """Run the ablation of finished runs, one after another; yield each with the file that was written, or was there."""
    for run in runs:
        file = run.results / "ablation.csv"
        if not _is_of(run, file):
            ablate(run, trained_translators(run))
        yield run, file


def guide(run: Run) -> pd.DataFrame:
    """Return the label-free scores of every way of a finished run (`label_free.scores`), kept as guidance.csv."""
    file = run.results / "guidance.csv"
    if _is_of(run, file):
        return pd.read_csv(file)
    labels = {**kept_labels(run), METHOD: kept_masks(run, METHOD)}
    scored = label_free.scores(run, trained_translators(run), labels)
    return write_table(file, scored.assign(**_origin(run)))


def experience() -> pd.DataFrame | None:
    """Return how well label-free scores have told good ways from bad in the published runs, None before there are."""
    file = ROOT / "reports" / "guidance_overview.csv"
    return pd.read_csv(file) if file.exists() else None


def _origin(run: Run) -> dict[str, str]:
    """Return what the rows of a table say that is made after its run: by which code, and of which settings' labels."""
    return {"git_commit": run.commit, "settings_hash": run.settings_hash(STAGE)}


def _is_of(run: Run, file: Path) -> bool:
    """Tell whether a table is there and was made from the labels that a run has now."""
    return file.exists() and set(pd.read_csv(file)["settings_hash"]) == {run.settings_hash(STAGE)}
