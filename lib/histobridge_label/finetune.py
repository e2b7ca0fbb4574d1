"""Learning from corrections: the next labels come from a model that has seen what somebody corrected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from histobridge.errors import UserError
from histobridge.io.files import file_lock
from histobridge.io.progress import Report
from histobridge.segmenter import Segmenter
from histobridge.strategies import Examples
from histobridge_label.corrections import Correction, training_examples
from histobridge_label.model import LOCK, Model, model_folder

STEPS = 100


def finetune(
    segmenter: Segmenter, corrected: Examples, *, steps: int = STEPS, seed: int = 0, report: Report | None = None
) -> Segmenter:
    """Return a segmenter that continues from another one on corrected images; the other stays as it is.

    Parameters
    ----------
    segmenter : Segmenter
        That made the labels.
    corrected : sequence of (image, mask)
        float32 [H, W] in 0..1 and uint8 [H, W], at the pixel size of the segmenter (see
        `corrections.training_examples`). One is enough.
    steps : int
        Of training.
    seed : int
        Of the random crops.
    report : callable, optional
        Called with a progress line for each step; prints one every ten seconds by default.

    Raises
    ------
    UserError
        If nothing was corrected, an image is smaller than a training crop, or a loss is not finite.
    """
    if not corrected:
        raise UserError("There is no corrected image to learn from: correct one first.")
    student = segmenter.warm_start(seed=seed, steps=steps)
    images, masks = zip(*corrected, strict=True)
    student.fit(list(images), list(masks), name="fine-tuning", report=report)
    return student


def finetune_model(model: Model, corrected: Examples, names: list[str], *, steps: int = STEPS, seed: int = 0) -> Model:
    """Return a model whose segmenters have learned from corrected images at its pixel size, called `names`."""
    if model.of_translations:
        corrected = [(model.translate(image), mask) for image, mask in corrected]
    segmenters = tuple(finetune(s, corrected, steps=steps, seed=seed) for s in model.labeller.segmenters)
    lesson = {"corrected": names, "steps": steps, "before": model.fingerprint}
    facts = {**model.facts, "lessons": [*model.facts.get("lessons", []), lesson]}
    return replace(model, labeller=replace(model.labeller, segmenters=segmenters), facts=facts)


def learn_from(folder: Path, corrections: list[Correction], *, steps: int = STEPS, seed: int = 0) -> list[str]:
    """Fine-tune a model on corrected labels and save it in place; return the names of the images learned from.

    Labels without a change do not count: most images in a copy of a whole hand-off were not checked. The weights from
    before stay beside the new ones, and `model.json` names them.

    Parameters
    ----------
    folder : Path
        Of the model, or what `histobridge label` wrote.
    corrections : list of Correction
        From `corrections.read_corrections`.

    Raises
    ------
    UserError
        If there is no model, no label was changed, or an image is smaller than a training crop.
    """
    home = model_folder(folder)
    with file_lock(home / LOCK):
        model, changed = Model.load(home), [correction for correction in corrections if correction.changed]
        if not changed:
            raise UserError("No label was changed: there is nothing to learn from.")
        names = [correction.image for correction in changed]
        finetune_model(model, training_examples(changed, model.um_per_px), names, steps=steps, seed=seed).save(home)
    return names
