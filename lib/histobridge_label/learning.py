"""A model that learns from what somebody has corrected, so that the next labels need less of it."""

from __future__ import annotations

from pathlib import Path

from histobridge.errors import UserError
from histobridge.io.files import file_lock
from histobridge_label.corrections import Correction, training_examples
from histobridge_label.model import LOCK, Model, folder_of

STEPS = 100


def learn_from(folder: Path, corrections: list[Correction], *, steps: int = STEPS, seed: int = 0) -> list[str]:
    """Go on with the training of a model on corrected labels, and put the better model in its place.

    Labels that came back as they were do not count: in a copy of a whole hand-off most were not looked at. What the
    model was before stays beside it, named in `model.json`.

    Parameters
    ----------
    folder : Path
        Of the model, or what `histobridge label` wrote.
    corrections : list of Correction
        From `corrections.read_corrections`.
    steps : int
        Of training.

    Returns
    -------
    list of str
        The images that it has learned from.

    Raises
    ------
    UserError
        If there is no model, no label was changed, or an image is smaller than a training crop.
    """
    home = folder_of(folder)
    with file_lock(home / LOCK):
        model, changed = Model.load(home), [one for one in corrections if one.changed]
        if not changed:
            raise UserError("No label was changed: there is nothing to learn from.")
        names = [one.image for one in changed]
        model.learned(training_examples(changed, model.um_per_px), names, steps=steps, seed=seed).save(home)
    return names
