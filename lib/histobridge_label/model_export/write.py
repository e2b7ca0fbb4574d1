"""Export a model, and compare what the file makes of images with what `histobridge apply` makes of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from histobridge.errors import UserError, one_of
from histobridge.io.files import atomic_write
from histobridge.io.images import normalise
from histobridge.phantom import phantom
from histobridge_label.model import Model, model_folder
from histobridge_label.model_export import run
from histobridge_label.model_export.contents import FACTS, TEST, Contents

ENDINGS = {"bioimageio": ".bioimageio.zip", "torchscript": ".pt", "onnx": ".onnx"}
"""Of the files, by format."""
MOST_DIFFERENT = 0.001
"""Share of pixels whose class may differ from that of `histobridge apply`."""
COMPARED_PX = (300, 840)
"""A drawn image besides the test image, which needs several windows, none of the size that was traced."""


class Exported(NamedTuple):
    """An exported file, and the share of pixels 0..1 whose class differs from that of `histobridge apply`."""

    path: Path
    differs: float


def export_model(folder: Path, to: str = "bioimageio", path: Path | None = None) -> Exported:
    """Write a model as one file for other tools, run it there, and compare.

    Parameters
    ----------
    folder : Path
        Of the model, or what `histobridge label` wrote.
    to : {"bioimageio", "torchscript", "onnx"}
    path : Path, optional
        Of the file; by default in the present folder, by the name of `folder`.

    Raises
    ------
    UserError
        If there is no model, it cannot be exported, or the file cannot be written; or if the file does not label as the
        model does, and is not kept.
    """
    one_of("format", to, ENDINGS)
    contents = Contents(Model.load(model_folder(folder)))
    path = path or Path(f"{Path(folder).resolve().name}{ENDINGS[to]}")
    with in_float32(), atomic_write(path) as draft:
        _write(contents, to, draft)
        differs = _difference(contents, to, draft)
        if differs > MOST_DIFFERENT:
            raise UserError(
                f"The exported model labels {differs:.2%} of pixels otherwise than histobridge does, so that {path} is "
                "not written: please report it, with the version of PyTorch."
            )
    return Exported(path, differs)


def _write(contents: Contents, to: str, path: Path) -> None:
    if to == "torchscript":
        held = {FACTS: contents.facts_json(), TEST: contents.test_npz()}
        with path.open("wb") as file:  # the name of a draft begins with a dot, which PyTorch refuses
            torch.jit.save(contents.network, file, _extra_files=held)
    elif to == "onnx":
        from histobridge_label.model_export.onnx_file import write_onnx

        write_onnx(contents, path)
    else:
        from histobridge_label.model_export.bioimageio import write_bioimageio

        write_bioimageio(contents, path)


def _difference(contents: Contents, to: str, path: Path) -> float:
    """Return the share of pixels, of both images that are compared, whose class differs."""
    label = getattr(run, to)(path)
    wide = np.rint(phantom("sem", 1, COMPARED_PX)[0] * 255).astype(np.float32)
    images = contents.raw_image, wide
    other = [label(image).argmax(0) != contents.model.label(normalise(image))[0] for image in images]
    return float(np.mean(np.concatenate([different.ravel() for different in other])))


@contextmanager
def in_float32() -> Iterator[None]:
    """Let networks calculate in float32, as exported files do: bfloat16 rounds otherwise."""
    before = os.environ.get("HISTOBRIDGE_PRECISION")
    os.environ["HISTOBRIDGE_PRECISION"] = "float32"
    try:
        yield
    finally:
        del os.environ["HISTOBRIDGE_PRECISION"]
        if before is not None:
            os.environ["HISTOBRIDGE_PRECISION"] = before
