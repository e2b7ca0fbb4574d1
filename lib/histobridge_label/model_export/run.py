"""Run an exported file in its own runtime, as its user would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from histobridge.io.images import normalise
from histobridge_label.model_export.contents import INPUT, OUTPUT

Run = Callable[[np.ndarray], np.ndarray]
"""Maps raw grey values float32 [H, W] at the pixel size of the model to classes float32 [3, H, W]."""


def torchscript(path: Path) -> Run:
    """Return what runs a TorchScript file."""
    network = torch.jit.load(path)

    def run(image: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(normalise(image))[None, None]).numpy()[0]

    return run


def onnx(path: Path) -> Run:
    """Return what runs an ONNX file, by ONNX Runtime."""
    from onnxruntime import InferenceSession

    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda image: session.run([OUTPUT], {INPUT: normalise(image)[None, None]})[0][0]


def bioimageio(path: Path) -> Run:
    """Return what runs a package of the BioImage Model Zoo, by `bioimageio.core`, which normalises."""
    from bioimageio.core import create_prediction_pipeline, load_model_description, predict

    pipeline = create_prediction_pipeline(load_model_description(path))

    def run(image: np.ndarray) -> np.ndarray:
        return predict(model=pipeline, inputs={INPUT: image[None, None]}).members[OUTPUT].data.to_numpy()[0]

    return run
