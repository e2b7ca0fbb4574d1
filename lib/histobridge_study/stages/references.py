"""References of stage 04: what masks of other subjects of U are worth, with all that `refined` has.

Their labels come about as those of `refined` do (`adjusted`), and they are trained for as many steps. Each is scored
on subjects of which it has seen no mask.
"""

from __future__ import annotations

from collections.abc import Mapping

from histobridge.config import MATCHED
from histobridge.strategies import Examples, Labeller, adjusted, cached, translate_examples
from histobridge.translators import Translator
from histobridge_study.runs import Run
from histobridge_study.stages.label import FEWEST_MASKS, Labels, predictions, source_segmenter
from histobridge_study.stages.refine import refined_labeller


def reference_labels(run: Run, translators: Mapping[str, Translator]) -> Labels:
    """Label the images of left-out subjects by the references that the profile compares.

    Returns
    -------
    dict
        By method and image; empty where fewer than `FEWEST_MASKS` images have a mask to learn from.
    """
    masked, held_out = run.data.supervised_examples(), run.data.supervised_images
    if len(masked) < FEWEST_MASKS or not held_out:
        return {}
    labellers = {"reference": reference_labeller(run, masked)}
    matched = translators.get(MATCHED[translators["syndiff"].sign])
    if run.profile.comparison == "full" and matched:
        synthetic = translate_examples(run.data.training_examples, matched, seed=run.translator_seed)
        labellers["reference-synthetic"] = reference_labeller(run, synthetic + masked)
        labellers["reference-refined"] = refined_labeller(run, translators, syndiff=False, masked=masked)
    return {(name, "none"): predictions(labeller, held_out) for name, labeller in labellers.items()}


def reference_labeller(run: Run, examples: Examples) -> Labeller:
    """Train (or recall) a segmenter on examples for as many steps as `refined`; its labels come about alike."""
    refinement = run.profile.refinement
    steps = run.profile.student_steps + refinement.rounds * refinement.steps
    untrained = source_segmenter(run).warm_start(seed=run.fold_seed, steps=steps)
    name = f"supervised reference, fold {run.parameters.fold}"
    trained = cached.fit_segmenter(run.cache, untrained, examples, name=name)
    return adjusted(Labeller((trained,)), examples, [sample.image for sample in run.data.seen_images])
