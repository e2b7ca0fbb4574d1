"""The model that labels further images of a microscope: a folder with weights and `model.json`.

`model.json` is written last and names the files of weights by their content. So a model is replaced completely or not
at all, and earlier weights stay beside it. When it is read, all is compared with what `model.json` states.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from histobridge import __version__
from histobridge.cache import digest
from histobridge.errors import BrokenError, UserError
from histobridge.io.files import read_json, write_json
from histobridge.strategies import Labeller
from histobridge.translators import SynDiff

FORMAT = 4
MODEL = "model"
"""The folder of the model in what `histobridge label` writes."""
CARD, LOCK = "model.json", ".lock"
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
    translator : SynDiff, optional
        To L: for display, and for a labeller of L. A model that was trained without SynDiff has none.
    of_translations : bool
        Whether the labeller segments translations to L.
    facts : dict
        Its provenance, its source, and what it has learned from corrections.
    """

    labeller: Labeller
    um_per_px: float
    axon_px: float
    translator: SynDiff | None = None
    of_translations: bool = False
    facts: dict = field(default_factory=dict)

    @property
    def axon_um_source(self) -> float:
        """Typical diameter of the axons of L, µm."""
        return self.axon_px * self.facts["source"]["um_per_px"]

    def label(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mask uint8 [H, W] and uncertainty float32 [H, W] of an image [H, W] at `um_per_px`."""
        return self.labeller.label(self.translate(image) if self.of_translations else image)

    def translate(self, image: np.ndarray) -> np.ndarray:
        """Return an image translated to L; only for a model with a translator."""
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
        translator = _translator_file(self.translator)
        if translator:
            self.translator.save(folder / translator)
        card = {"format": FORMAT, "histobridge": __version__, "fingerprint": self.fingerprint, "translator": translator}
        card |= {name: getattr(self, name) for name in FIELDS} | {"labeller": self.labeller.save(folder)}
        card = json.loads(json.dumps(card))  # as it will be read: a tuple and a list are one
        return write_json(folder / CARD, card | {"checksum": digest(card)})

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Read a model from its folder, or from what `histobridge label` wrote.

        Raises
        ------
        UserError
            If there is no model; a `BrokenError` if it has another format, or a file of it is not as it was written.
        """
        folder = model_folder(folder)
        card = _read_card(folder / CARD)
        try:
            translator = SynDiff.load(folder / card["translator"]) if card["translator"] else None
            labeller = Labeller.load(folder, card["labeller"])
            model = cls(labeller=labeller, translator=translator, **{name: card[name] for name in FIELDS})
            _check_fingerprints(model, card)
        except (UserError, KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise BrokenError(f"The model in {folder} is not whole: {TRAIN_AGAIN}.") from error
        return model


def _check_fingerprints(model: Model, card: dict) -> None:
    """Raise a `BrokenError` unless the translator fits its name and the model the card; the labeller was checked."""
    if _translator_file(model.translator) != card["translator"] or model.fingerprint != card["fingerprint"]:
        raise BrokenError("The weights are not those that model.json names.")


def _translator_file(translator: SynDiff | None) -> str | None:
    return f"syndiff-{translator.fingerprint}.pt" if translator else None


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
    """Return what `model.json` holds; raise a `BrokenError` if it is not as it was written."""
    try:
        card = read_json(path)
    except BrokenError as error:
        raise BrokenError(f"{path} is damaged: {TRAIN_AGAIN}.") from error
    if card.get("format") != FORMAT:
        told = f"{path} has format {card.get('format')}, this version of histobridge reads {FORMAT}"
        raise BrokenError(f"{told}: {TRAIN_AGAIN}.")
    if card.pop("checksum", None) != digest(card):
        raise BrokenError(f"{path} is damaged: {TRAIN_AGAIN}.")
    return card
