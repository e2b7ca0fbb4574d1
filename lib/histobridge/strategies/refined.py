"""Strategy `refined`: tutorship that looks twice, knows anatomy, and then learns from its own labels of U.

1. *Diverse tutorship*: one student learns from L as SynDiff translates it, another from L with merely the contrast and
   the grey values of U. What they say of an image of U is averaged.
2. *Views*: each image is also looked at turned, mirrored and at the zoom at which its axons are as large as L's.
3. *Anatomy*: sheaths are filled, axons without a sheath dropped (`anatomy.py`).
4. *Self-training*: a student goes on, on both translations of L and on the images of U with the labels found so far;
   then its labels replace them, for a few rounds.

No mask of U is ever given. In the inductive protocol, and for `locked-test`, the student learns from the images of U
that the translator has seen, and labels others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from histobridge.cache import digest
from histobridge.config import REFINED
from histobridge.metrics.instances import axon_areas_px
from histobridge.segmenter import Segmenter
from histobridge.strategies.postprocess import postprocess
from histobridge.strategies.tta import View, predict_over_views, tta_views
from histobridge.translators.base import Translator
from histobridge_study.runs import Run
from histobridge_study.stages import label as strategies

MATCHED = {1: "histogram", -1: "invert-histogram"}
"""The control that gives L the contrast and the grey values of U, by SynDiff's sign."""


class Recipe(NamedTuple):
    """What `refined` is made of; the ablation takes away one piece at a time.

    Attributes
    ----------
    syndiff, matched : bool
        Whether students learn from translations by SynDiff, and from matched grey values.
    views, anatomy : bool
    rounds : int or None
        Of self-training; None takes the profile's.
    """

    syndiff: bool = True
    matched: bool = True
    views: bool = True
    anatomy: bool = True
    rounds: int | None = None


RECIPES = {
    REFINED: Recipe(),
    "without SynDiff": Recipe(syndiff=False),
    "without matched greys": Recipe(matched=False),
    "without views": Recipe(views=False),
    "without anatomy": Recipe(anatomy=False),
    "without self-training": Recipe(rounds=0),
}


@dataclass(frozen=True)
class Labeller:
    """Segmenters whose mean counts, the views they take, and whether anatomy has the last word."""

    segmenters: tuple[Segmenter, ...]
    views: tuple[View, ...] = (View(),)
    anatomy: bool = True

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Return float32 [3, H, W], the probability of each class at every pixel of an image [H, W]."""
        return np.mean([predict_over_views(s.probabilities, image, self.views) for s in self.segmenters], axis=0)

    def label(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mask uint8 [H, W] of an image [H, W], and the probabilities float32 [3, H, W] behind it."""
        probabilities = self.probabilities(image)
        mask = probabilities.argmax(0).astype(np.uint8)
        return postprocess(mask) if self.anatomy else mask, probabilities

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Return the mask alone."""
        return self.label(image)[0]

    @property
    def fingerprint(self) -> str:
        """A hash of everything `predict` depends on."""
        return digest([s.fingerprint for s in self.segmenters], self.views, self.anatomy)

    def save(self, folder: Path) -> dict:
        """Write the segmenters into a folder, each under a name that tells its weights; return what `load` needs."""
        files = {f"segmenter-{one.fingerprint}.pt": one for one in self.segmenters}
        for name, one in files.items():
            one.save(folder / name)
        return {"segmenters": list(files), "views": [list(view) for view in self.views], "anatomy": self.anatomy}

    @classmethod
    def load(cls, folder: Path, saved: dict) -> Labeller:
        """Read what `save` wrote into a folder, by what it returned."""
        segmenters = tuple(Segmenter.load(folder / name) for name in saved["segmenters"])
        return cls(segmenters, tuple(View(*view) for view in saved["views"]), saved["anatomy"])

    @property
    def folder(self) -> str:
        """Where labels of intermediate rounds are kept: recipes share their first steps."""
        return f"by-{self.fingerprint[:8]}"


def refined(run: Run, translators: dict[str, Translator], name: str = REFINED) -> Labeller:
    """Return the labeller of a recipe, trained on the fold's images of L and the seen images of U (kept).

    Parameters
    ----------
    run : Run
    translators : dict
        Trained translators by name, of which SynDiff must be one.
    name : str
        Of `RECIPES`.
    """
    recipe, used = RECIPES[name], translators_of(RECIPES[name], translators)
    students = tuple(strategies.student(run, translator) for translator in used)
    examples = [example for translator in used for example in strategies.synthetic(run, translator)]
    rounds = run.profile.refinement.rounds if recipe.rounds is None else recipe.rounds
    labeller = Labeller(students, anatomy=recipe.anatomy)
    if recipe.views:
        labeller = replace(labeller, views=tta_views(_zoom(run, labeller, examples)))
    for number in range(1, rounds + 1):
        found = _labels(run, labeller)
        labeller = replace(labeller, segmenters=(_next(run, name, number, labeller, examples + found),))
    return labeller


def axon_diameter_px(masks: Iterable[np.ndarray]) -> float:
    """Return the median diameter (px, of circles of equal area) of the axons in class masks; NaN without any."""
    found = axon_areas_px(masks)
    return float(np.median(2 * np.sqrt(found / np.pi))) if len(found) else float("nan")


def translators_of(recipe: Recipe, translators: dict[str, Translator]) -> list[Translator]:
    """Return those of a study's translators that the students of a recipe learn from."""
    matched = MATCHED[translators["syndiff"].sign]
    wanted = {"syndiff": recipe.syndiff, matched: recipe.matched}
    return [translators[name] for name, want in wanted.items() if want and name in translators]


def _zoom(run: Run, labeller: Labeller, examples: strategies.Examples) -> float:
    """Return how much U must be enlarged for its axons, as first labelled, to be as large as those of L; 1 if none."""
    of_l, of_u = (axon_diameter_px(mask for _, mask in pairs) for pairs in (examples, _labels(run, labeller)))
    zoom = of_l / of_u
    return round(zoom, 2) if np.isfinite(zoom) else 1.0


def _labels(run: Run, labeller: Labeller) -> strategies.Examples:
    """Label the images of U that may be learned from."""
    images = run.seen_images()
    return strategies.labelled(images, strategies.pseudo_labels(run, labeller, images, labeller.folder))


def _next(run: Run, name: str, number: int, labeller: Labeller, examples: strategies.Examples) -> Segmenter:
    steps = run.profile.refinement.steps
    return strategies.continued(run, f"{name}, round {number}", labeller.segmenters[0], examples, steps=steps)
