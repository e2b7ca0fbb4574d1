"""Learning from corrections: the next labels come from a model that has seen what somebody corrected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from histobridge.errors import UserError
from histobridge.io.files import file_lock
from histobridge.io.kept import set_aside
from histobridge.io.progress import Report
from histobridge.items import Account
from histobridge.segmenter import Segmenter
from histobridge.strategies import Examples
from histobridge.training.crops import check_domain
from histobridge_label.corrections import Correction, training_examples
from histobridge_label.lessons import LESSONS, Lesson, read_lessons, write_lesson
from histobridge_label.model import CARD, LOCK, Model, model_folder

STEPS = 100
KEPT = (
    "The model in {folder} has learned from people's corrections, and what they were cannot be learned again ({error}) "
    "So it stays in use, and what was newly trained does not replace it. To get the new one: `histobridge label` with "
    "another --out, which recalls nothing, then `histobridge import --finetune` with the corrections."
)
LEARN_AGAIN = "teach the model by `histobridge import --finetune` again"


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
    lesson = {"corrected": names, "steps": steps, "seed": seed, "before": model.fingerprint}
    facts = {**model.facts, "lessons": [*model.facts.get("lessons", []), lesson]}
    return replace(model, labeller=replace(model.labeller, segmenters=segmenters), facts=facts)


def learn_from(
    folder: Path, corrections: list[Correction], *, steps: int = STEPS, seed: int = 0, account: Account | None = None
) -> list[str]:
    """Fine-tune a model on corrected labels and save it in place; return the names of the images learned from.

    Labels without a change do not count: most images in a copy of a whole hand-off were not checked. The weights from
    before stay beside the new ones, `model.json` names them, and what was learned from is kept (see `lessons`).

    Parameters
    ----------
    folder : Path
        Of the model, or what `histobridge label` wrote.
    corrections : list of Correction
        From `corrections.read_corrections`.
    account : Account, optional
        The corrected files; an image that nothing can be learned from costs its file alone.

    Raises
    ------
    UserError
        If there is no model, no label was changed, or no image is as large as a training crop.
    """
    home, account = model_folder(folder), account or Account()
    with file_lock(home / LOCK):
        model, changed = Model.load(home), [correction for correction in corrections if correction.changed]
        if not changed:
            raise UserError("No label was changed: there is nothing to learn from.")
        examples, reasons = {}, []
        for number, correction in enumerate(changed):
            try:
                examples[number] = _example(correction, model)
            except UserError as error:
                reasons.append(str(error))
                account.skip(correction.file, f"it stands in the table, but nothing was learned from it: {error}")
        if not examples:
            raise UserError(reasons[0])
        used = [changed[number] for number in examples]
        names = [correction.image for correction in used]
        learned = finetune_model(model, list(examples.values()), names, steps=steps, seed=seed)
        write_lesson(home, len(learned.facts["lessons"]), used, steps=steps, seed=seed)
        learned.save(home)
    return names


def _example(correction: Correction, model: Model) -> tuple[np.ndarray, np.ndarray]:
    (example,) = training_examples([correction], model.um_per_px)
    for segmenter in model.labeller.segmenters:
        check_domain([example[0]], segmenter.settings.crop, correction.image)
    return example


# --- A newly trained model, and what people have taught the one before ----------------------------------


def save_or_keep(folder: Path, trained: Model) -> Model:
    """Save a trained model, after it has learned again what people taught the one before; return the one in the folder.

    If the folder holds the same model after corrections, that stays. If the lessons cannot be learned again, the taught
    model stays in use. A model that cannot be read is set aside. All of this is told, and fine-tuning that is under way
    is waited for.
    """
    with file_lock(folder / LOCK):
        present = _read_or_set_aside(folder)
        if present and present.first_fingerprint == trained.fingerprint:
            return present
        taught = len(present.facts.get("lessons", [])) if present else None  # unknown if model.json is broken
        try:
            model = _teach_again(trained, read_lessons(folder, taught))
        except (UserError, TypeError, ValueError, AttributeError) as error:
            if present:
                print(KEPT.format(folder=folder, error=error), flush=True)
                return present
            set_aside(folder / LESSONS, f"cannot be learned from ({error})", LEARN_AGAIN)
            model = trained
        model.save(folder)
    return model


def _read_or_set_aside(folder: Path) -> Model | None:
    """Return the model in a folder; None if there is none, or it cannot be read."""
    if not (folder / CARD).exists():
        return None
    try:
        return Model.load(folder)
    except UserError as error:
        set_aside(folder / CARD, f"cannot be used ({error})", "it is replaced by what is trained")
        return None


def _teach_again(model: Model, lessons: list[Lesson]) -> Model:
    """Return a model that has learned lessons in their order; the same model and lessons give the same weights."""
    for lesson in lessons:
        print(f"The model learns again what people have corrected: {', '.join(lesson.names)}", flush=True)
        examples = lesson.examples(model.um_per_px)
        model = finetune_model(model, examples, lesson.names, steps=lesson.steps, seed=lesson.seed)
    return model
