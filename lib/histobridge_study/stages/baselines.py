"""Baselines of stage 03, which translate nothing: they show what a translation has to be better than.

Each is trained for as many steps as the segmenter of L and a student together.
"""

from __future__ import annotations

from collections.abc import Mapping

from histobridge.segmenter import Segmenter
from histobridge.strategies import Labeller, adjusted, cached
from histobridge.translators import Translator
from histobridge_study.runs import Run
from histobridge_study.stages.label import Labels, predictions
from histobridge_study.stages.translate import translated

UNTRANSLATED = {1: "none", -1: "invert"}
"""The control that gives images of U the polarity of L and changes nothing else, by the sign of the translators."""


def baseline_labels(
    run: Run, translators: Mapping[str, Translator], source: Segmenter, pretrained: Segmenter
) -> Labels:
    """Label the scored images by the baselines that the profile compares.

    Parameters
    ----------
    run : Run
    translators : mapping
        By name.
    source : Segmenter
        Of L, from which students continue.
    pretrained : Segmenter
        The same after as many steps as a student has in all.
    """
    images, labels = run.data.scored_images, {}
    if run.profile.comparison == "full":
        labels["randomised", "none"] = predictions(randomised_segmenter(run, source), images)
        labels["renormalised", "none"] = predictions(renormalised_segmenter(run), images)
    name = UNTRANSLATED[translators["syndiff"].sign]
    if name in translators:
        labeller = pretrained_with_anatomy(run, translators[name], pretrained)
        labels["pretrained-anatomy", name] = predictions(labeller, translated(run, translators[name], images, "L"))
    return labels


def randomised_segmenter(run: Run, source: Segmenter) -> Segmenter:
    """Train (or recall) a student on L alone, with negatives, blur and grey values at random (domain randomisation)."""
    untrained = source.warm_start(seed=run.fold_seed, steps=run.profile.student_steps, randomise=True)
    name = f"randomised student, fold {run.parameters.fold}"
    return cached.fit_segmenter(run.cache, untrained, run.data.training_examples, name=name)


def renormalised_segmenter(run: Run) -> Segmenter:
    """Train (or recall) a segmenter of L with batch norm, and take its statistics from the seen images of U (AdaBN).

    Nobody tells it the polarity of U: the new means and variances have to make up for inverted contrast too.
    """
    steps = run.profile.segmenter.steps + run.profile.student_steps
    settings = run.profile.segmenter.model_copy(update={"norm": "batch", "steps": steps})
    name = f"segmenter with batch norm, fold {run.parameters.fold}"
    untrained = Segmenter(settings, seed=run.fold_seed)
    of_l = cached.fit_segmenter(run.cache, untrained, run.data.training_examples, name=name)
    return of_l.renormalised([sample.image for sample in run.data.seen_images])


def pretrained_with_anatomy(run: Run, translator: Translator, pretrained: Segmenter) -> Labeller:
    """Return the segmenter of L with test-time augmentation and anatomy, for images in the polarity of L."""
    seen = [sample.image for sample in translated(run, translator, run.data.seen_images, "L")]
    return adjusted(Labeller((pretrained,)), run.data.training_examples, seen)
