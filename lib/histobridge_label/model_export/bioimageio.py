"""The zip of the BioImage Model Zoo: both kinds of weights, what surrounds them, and how to load it."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
import yaml

from histobridge import __version__
from histobridge.io.files import sha256_of
from histobridge.io.images import STRETCHED
from histobridge_label.model_export.contents import CLASSES, INPUT, OUTPUT, Contents
from histobridge_label.model_export.onnx_file import OPSET, write_onnx

FORMAT = "0.5.4"
"""Of the description. In later ones its page is no plain text, which neither QuPath nor DeepImageJ can read."""
DESCRIPTION, PAGE_FILE, TORCHSCRIPT, ONNX = "rdf.yaml", "README.md", "weights.pt", "weights.onnx"
TEST_INPUT, TEST_OUTPUT = "test_input.npy", "test_output.npy"
LEAST_PX = 256
"""Of a side of an image, px: the tile that QuPath proposes."""
PAGE = """# Axons and myelin

Labels every pixel of an image of nerve as background, myelin or axon. Made by histobridge {version}.

- Bring your image to {um_per_px:g} µm/px first: no tool does it by itself.
- Give whole images where the memory allows. In tiles, take 512 px or more, and an overlap of 64 px.
- The mask is the channel with the largest value.

**Fiji.** Install DeepImageJ 3 (Help > Update > Manage update sites), unpack this zip into `Fiji.app/models`, open an
image, and run Plugins > DeepImageJ > DeepImageJ Run. In a macro:
`run("DeepImageJ Run", "modelPath=[.../Fiji.app/models/NAME] inputPath=null outputFolder=null displayOutput=all")`.

**QuPath.** Install the extensions Deep Java Library (with its PyTorch engine) and Bioimage Model Zoo, unpack this zip,
and run Extensions > Bioimage Model Zoo > Create pixel classifier with its `rdf.yaml`. Choose the downsample that gives
{um_per_px:g} µm/px and a tile of 512 px. QuPath normalises every tile by itself, so that masks differ a little.

**Python.** `bioimageio.core.predict(model="NAME.zip", inputs={{"image": array}})` with a float32 array [1, 1, H, W].

The licence that `rdf.yaml` names is that of histobridge: name yours, and yourself, before you publish this model.

## Validation

The file was run on its test image and compared with `histobridge apply`. On images of your own, correct some labels and
compare (`histobridge import`): the Dice coefficient of axons and of myelin says whether the model serves you.
"""


def write_bioimageio(contents: Contents, path: Path) -> None:
    """Write the package of a model (Ouyang et al. 2022, doi 10.1101/2022.06.07.495102)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.jit.save(contents.network, folder / TORCHSCRIPT)
        write_onnx(contents, folder / ONNX)
        np.save(folder / TEST_INPUT, contents.raw_image[None, None])
        np.save(folder / TEST_OUTPUT, contents.classes)
        page = PAGE.format(version=__version__, um_per_px=contents.model.um_per_px)
        (folder / PAGE_FILE).write_text(page, encoding="utf-8")
        described = yaml.safe_dump(_description(contents, folder), sort_keys=False, allow_unicode=True)
        (folder / DESCRIPTION).write_text(described, encoding="utf-8")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
            for file in sorted(folder.iterdir()):
                package.write(file, file.name)


def _description(contents: Contents, folder: Path) -> dict:
    def weights(name: str, **more: object) -> dict:
        return {"source": name, "sha256": sha256_of(folder / name), **more}

    return {
        "format_version": FORMAT,
        "type": "model",
        "name": "histobridge axon and myelin",
        "description": "Background, myelin and axon of every pixel in microscopy of nerves.",
        "authors": [{"name": "The histobridge authors"}],
        "cite": [{"text": "Boschet et al. 2024", "doi": "10.48550/arXiv.2412.02858"}],
        "license": "MIT",
        "documentation": PAGE_FILE,
        "tags": ["semantic-segmentation", "nerve", "axon", "myelin", "2d", "pytorch"],
        "inputs": [_input(contents)],
        "outputs": [_output(contents)],
        "weights": {
            "torchscript": weights(TORCHSCRIPT, pytorch_version=torch.__version__.split("+")[0]),
            "onnx": weights(ONNX, opset_version=OPSET, parent="torchscript"),
        },
        "config": {"histobridge": contents.facts},
    }


def _input(contents: Contents) -> dict:
    """Describe the image: any grey values, of which two percentiles become 0 and 1."""
    lower, upper = STRETCHED
    stretch = {"axes": ["y", "x"], "min_percentile": lower, "max_percentile": upper}
    size = {"min": LEAST_PX, "step": 1}
    return {
        "id": INPUT,
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": ["grey"]},
            *_plane(contents, y=size, x=size),
        ],
        "data": {"type": "float32"},
        "test_tensor": {"source": TEST_INPUT},
        "preprocessing": [
            {"id": "scale_range", "kwargs": stretch},
            {"id": "clip", "kwargs": {"min": 0.0, "max": 1.0}},
        ],
    }


def _output(contents: Contents) -> dict:
    """Describe the classes, which are as large as the image."""
    sizes = {axis: {"tensor_id": INPUT, "axis_id": axis} for axis in ("y", "x")}
    return {
        "id": OUTPUT,
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": list(CLASSES)},
            *_plane(contents, **sizes),
        ],
        "data": {"type": "float32"},
        "test_tensor": {"source": TEST_OUTPUT},
    }


def _plane(contents: Contents, **sizes: dict) -> list[dict]:
    """Describe rows and columns with their pixel size."""
    grid = {"type": "space", "unit": "micrometer", "scale": contents.model.um_per_px}
    return [{"id": axis, "size": size, **grid} for axis, size in sizes.items()]
