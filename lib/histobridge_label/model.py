"""What labels further images of the same microscope: a folder with weights, and `model.json`, which says what they are.

`model.json` is written last and names the files of weights by what they hold: a model is replaced whole or not at all,
and the weights that it had before stay beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from histobridge import __version__
from histobridge.cache import digest
from histobridge.errors import UserError
from histobridge.io.files import file_lock, write_json
from histobridge.strategies.refined import Labeller
from histobridge.translators.syndiff import SynDiff
from histobridge_label.finetune import Examples, finetune

FORMAT = 1
MODEL = "model"
"""The folder of the model in what `histobridge label` writes."""
CARD, LOCK = "model.json", ".lock"
ASIDE = "model-before.json"  # where a card goes that cannot be read
UNNAMED = "syndiff.pt"  # the translator of older cards, which do not name its file
ANEW = "run the `histobridge label` that made it again, which goes on from what is trained"


@dataclass(frozen=True)
class Model:
    """A labeller and the pixel size that it knows.

    Attributes
    ----------
    labeller : Labeller
    um_per_px : float
        At which it looks at images.
    axon_px : float
        Typical diameter of the axons of L as it learned from them, px (`scale.typical_axon_px`).
    translator : SynDiff
        To L: for who wants to see, and for a labeller of L.
    of_translations : bool
        Whether the labeller is one of L, which must be shown translations.
    facts : dict
        How it came about: provenance, the source, what it has learned from corrections.
    """

    labeller: Labeller
    um_per_px: float
    axon_px: float
    translator: SynDiff
    of_translations: bool = False
    facts: dict = field(default_factory=dict)

    @property
    def axon_um_source(self) -> float:
        """Typical diameter of the axons of L, µm."""
        return self.axon_px * self.facts["source"]["um_per_px"]

    def label(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mask uint8 [H, W] and probabilities float32 [3, H, W] of an image at `um_per_px`."""
        return self.labeller.label(self.translated(image) if self.of_translations else image)

    def translated(self, image: np.ndarray) -> np.ndarray:
        """Return an image as it would look in L."""
        return self.translator.translate(image, "L", seed=self.translator.seed)

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides a label."""
        translator = self.translator.fingerprint if self.of_translations else ""
        return digest(self.labeller.fingerprint, translator, self.um_per_px)

    @property
    def first(self) -> str:
        """The fingerprint that it had before it learned from any correction."""
        lessons = self.facts.get("lessons")
        return lessons[0]["before"] if lessons else self.fingerprint

    def save(self, folder: Path) -> Path:
        """Write the model; return the path of `model.json`. Raises a `UserError` if the folder cannot be written."""
        translator = f"syndiff-{self.translator.fingerprint}.pt"
        self.translator.save(folder / translator)
        card = {"format": FORMAT, "histobridge": __version__, "fingerprint": self.fingerprint, "translator": translator}
        known = {name: getattr(self, name) for name in ("um_per_px", "axon_px", "of_translations", "facts")}
        return write_json(folder / CARD, {**card, **known, "labeller": self.labeller.save(folder)})

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read a model, from its folder or from the one that `histobridge label` wrote.

        Raises
        ------
        UserError
            If there is none, it is of another format, or a file of it is damaged.
        """
        folder = folder_of(folder)
        card = _card(folder / CARD)
        try:
            known = {name: card[name] for name in ("um_per_px", "axon_px", "of_translations", "facts")}
            labeller = Labeller.load(folder, card["labeller"])
            translator = SynDiff.load(folder / card.get("translator", UNNAMED))
        except (UserError, KeyError, TypeError, ValueError, RuntimeError) as error:  # its own advice is for a study
            raise UserError(f"The model in {folder} is not whole: {ANEW}.") from error
        return cls(labeller=labeller, translator=translator, **known)

    def learned(self, corrected: Examples, names: list[str], *, steps: int, seed: int = 0) -> Model:
        """Return a model that goes on from this one on corrected labels.

        Parameters
        ----------
        corrected : sequence of (image, mask)
            At `um_per_px`; see `corrections.training_examples`.
        names : list of str
            Of the images, for the record.
        steps : int
            Of training, of each segmenter.
        """
        if self.of_translations:
            corrected = [(self.translated(image), mask) for image, mask in corrected]
        segmenters = tuple(finetune(one, corrected, steps=steps, seed=seed) for one in self.labeller.segmenters)
        lesson = {"corrected": names, "steps": steps, "before": self.fingerprint}
        facts = {**self.facts, "lessons": [*self.facts.get("lessons", []), lesson]}
        return replace(self, labeller=replace(self.labeller, segmenters=segmenters), facts=facts)


def latest(folder: Path, trained: Model) -> Model:
    """Save a model that was trained, unless one is there that has learned more since; return the one that is there.

    What learns from corrections meanwhile is waited for. A model that cannot be read is replaced, lest nothing helped;
    its card is set aside, and weights stay.
    """
    with file_lock(folder / LOCK):
        if (folder / CARD).exists():
            try:
                there = Model.load(folder)
                if there.first == trained.fingerprint:
                    return there
            except UserError as error:
                print(f"{error} It is replaced by what is trained; {folder / ASIDE} says what it was.", flush=True)
                (folder / CARD).replace(folder / ASIDE)
        trained.save(folder)
    return trained


def _card(path: Path) -> dict:
    """Read what says what a model is."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: {ANEW}.") from error
    version = card.get("format") if isinstance(card, dict) else None
    if version != FORMAT:
        raise UserError(f"{path} has format {version}, this version of histobridge reads {FORMAT}: {ANEW}.")
    return card


def folder_of(folder: Path) -> Path:
    """Return the folder of a model: the one that is named, or `model` in the results of `histobridge label`.

    Raises
    ------
    UserError
        If there is no model.
    """
    for place in (Path(folder), Path(folder) / MODEL):
        if (place / CARD).is_file():
            return place
    raise UserError(f"{folder} holds no model: name the folder that `histobridge label` wrote (its --out).")
