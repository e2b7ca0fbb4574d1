"""The model that labels further images of a microscope: a folder with weights and `model.json`.

`model.json` is written last and names the files of weights by their content. So a model is replaced completely or not
at all, and earlier weights stay beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from histobridge import __version__
from histobridge.cache import digest
from histobridge.errors import UserError
from histobridge.io.files import file_lock, write_json
from histobridge.strategies import Labeller
from histobridge.translators import SynDiff

FORMAT = 1
MODEL = "model"
"""The folder of the model in what `histobridge label` writes."""
CARD, LOCK = "model.json", ".lock"
SET_ASIDE = "model-before.json"  # a model.json that cannot be read
UNNAMED = "syndiff.pt"  # the translator, where an older model.json does not name its file
TRAIN_AGAIN = "run the `histobridge label` that made it again, which goes on from what is trained"
FIELDS = ("um_per_px", "axon_px", "of_translations", "facts")


@dataclass(frozen=True)
class Model:
    """A labeller and the pixel size of the images that it labels.

    Attributes
    ----------
    labeller : Labeller
    um_per_px : float
        Pixel size of the images that it labels, µm/px.
    axon_px : float
        Typical diameter of the axons of L that it learned from, px (`scale.typical_axon_px`).
    translator : SynDiff
        To L: for display, and for a labeller of L.
    of_translations : bool
        Whether the labeller segments translations to L.
    facts : dict
        Its provenance, its source, and what it has learned from corrections.
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
        """Return mask uint8 [H, W] and probabilities float32 [3, H, W] of an image [H, W] at `um_per_px`."""
        return self.labeller.label(self.translate(image) if self.of_translations else image)

    def translate(self, image: np.ndarray) -> np.ndarray:
        """Return an image translated to L."""
        return self.translator.translate(image, "L", seed=self.translator.seed)

    @property
    def fingerprint(self) -> str:
        """A hash of everything that decides a label."""
        translator = self.translator.fingerprint if self.of_translations else ""
        return digest(self.labeller.fingerprint, translator, self.um_per_px)

    @property
    def first_fingerprint(self) -> str:
        """The fingerprint before it learned from any correction."""
        lessons = self.facts.get("lessons")
        return lessons[0]["before"] if lessons else self.fingerprint

    def save(self, folder: Path) -> Path:
        """Write the model; return the path of `model.json`. Raises a `UserError` if the folder cannot be written."""
        translator = f"syndiff-{self.translator.fingerprint}.pt"
        self.translator.save(folder / translator)
        card = {"format": FORMAT, "histobridge": __version__, "fingerprint": self.fingerprint, "translator": translator}
        card |= {name: getattr(self, name) for name in FIELDS} | {"labeller": self.labeller.save(folder)}
        return write_json(folder / CARD, card)

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read a model from its folder, or from what `histobridge label` wrote.

        Raises
        ------
        UserError
            If there is no model, it has another format, or a file of it is damaged.
        """
        folder = model_folder(folder)
        card = _read_card(folder / CARD)
        try:
            labeller = Labeller.load(folder, card["labeller"])
            translator = SynDiff.load(folder / card.get("translator", UNNAMED))
            return cls(labeller=labeller, translator=translator, **{name: card[name] for name in FIELDS})
        except (UserError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"The model in {folder} is not whole: {TRAIN_AGAIN}.") from error


def save_or_keep(folder: Path, trained: Model) -> Model:
    """Save a trained model unless the folder holds the same one after corrections; return the one in the folder.

    Fine-tuning that is under way is waited for. A model that cannot be read is replaced: its model.json is set aside,
    and its weights stay.
    """
    with file_lock(folder / LOCK):
        if (folder / CARD).exists():
            try:
                present = Model.load(folder)
                if present.first_fingerprint == trained.fingerprint:
                    return present
            except UserError as error:
                print(f"{error} It is replaced by what is trained; {folder / SET_ASIDE} holds its facts.", flush=True)
                (folder / CARD).replace(folder / SET_ASIDE)
        trained.save(folder)
    return trained


def model_folder(folder: Path) -> Path:
    """Return the folder of a model: the given one, or `model` in what `histobridge label` wrote.

    Raises
    ------
    UserError
        If there is no model.
    """
    for place in (Path(folder), Path(folder) / MODEL):
        if (place / CARD).is_file():
            return place
    raise UserError(f"{folder} holds no model: name the folder that `histobridge label` wrote (its --out).")


def _read_card(path: Path) -> dict:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: {TRAIN_AGAIN}.") from error
    version = card.get("format") if isinstance(card, dict) else None
    if version != FORMAT:
        raise UserError(f"{path} has format {version}, this version of histobridge reads {FORMAT}: {TRAIN_AGAIN}.")
    return card
