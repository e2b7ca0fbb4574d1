"""What every exported file holds besides weights: facts in JSON, a test image, and the classes expected of it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from histobridge import __version__
from histobridge.errors import UserError
from histobridge.io.images import STRETCHED, normalise
from histobridge.phantom import phantom
from histobridge_label.model import Model
from histobridge_label.model_export.network import traced

FORMAT = 1
CLASSES = ("background", "myelin", "axon")
"""The channels of the output."""
INPUT, OUTPUT = "image", "classes"
"""Names of the tensors."""
FACTS, TEST = "histobridge.json", "test.npz"
"""Names of what a TorchScript or ONNX file holds besides the network."""
TEST_PX = 256
DRAWN = ("tem", "sem")


@dataclass(frozen=True)
class Contents:
    """A model that can be exported.

    Attributes
    ----------
    model : Model

    Raises
    ------
    UserError
        If the model segments translations: no other tool can translate.
    """

    model: Model

    def __post_init__(self):
        if self.model.of_translations:
            raise UserError(
                "This model segments translations by SynDiff, which no other tool can make: label again without "
                "--guide, and export that model."
            )

    @cached_property
    def network(self) -> torch.jit.ScriptModule:
        """The network, which takes an image in 0..1."""
        return traced(self.model.labeller)

    @cached_property
    def facts(self) -> dict:
        """What a user of the file must know, in plain values."""
        lower, upper = STRETCHED
        return {
            "format": FORMAT,
            "histobridge": __version__,
            "model": self.model.fingerprint,
            "um_per_px": self.model.um_per_px,
            "input": {
                "name": INPUT,
                "axes": "batch, 1 channel, y, x",
                "type": "float32",
                "range": [0, 1],
                "normalisation": f"percentiles {lower:g} and {upper:g} of the whole image become 0 and 1; clip to 0..1",
            },
            "output": {"name": OUTPUT, "axes": "batch, 3 channels, y, x", "type": "float32", "channels": list(CLASSES)},
            "mask": "the channel with the largest value; 0 background, 1 myelin, 2 axon",
            "strategy": self.model.facts.get("strategy"),
            "learned_from": self.model.facts.get("source", {}).get("dataset"),
        }

    @cached_property
    def raw_image(self) -> np.ndarray:
        """The test image, float32 [256, 256] of whole grey values 0..255: drawn tissue that the model labels best."""
        drawn = [phantom(modality, 0, (TEST_PX, TEST_PX)) for modality in DRAWN]
        agreement = [np.mean(mask == self.model.label(image)[0]) for image, mask in drawn]
        return np.rint(drawn[int(np.argmax(agreement))][0] * 255).astype(np.float32)

    @property
    def image(self) -> np.ndarray:
        """The test image as the network takes it, float32 [1, 1, 256, 256] in 0..1."""
        return normalise(self.raw_image)[None, None]

    @cached_property
    def classes(self) -> np.ndarray:
        """What the network makes of the test image, float32 [1, 3, 256, 256]."""
        with torch.no_grad():
            return self.network(torch.from_numpy(self.image)).numpy()

    def facts_json(self) -> str:
        """Return the facts as JSON."""
        return json.dumps(self.facts, indent=1)

    def test_npz(self) -> bytes:
        """Return test image and expected classes as a file of NumPy, with the arrays `image` and `classes`."""
        file = io.BytesIO()
        np.savez_compressed(file, **{INPUT: self.image, OUTPUT: self.classes})
        return file.getvalue()
