"""The zip of the BioImage Model Zoo: both kinds of weights, what surrounds them, and how to load it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from bioimageio.spec import save_bioimageio_package
from bioimageio.spec.model import v0_5 as spec

from histobridge import __version__
from histobridge.io.images import STRETCHED
from histobridge_label.model_export.contents import CLASSES, INPUT, OUTPUT, Contents
from histobridge_label.model_export.onnx_file import OPSET, write_onnx

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

## Validation

The file was run on its test image and compared with `histobridge apply`. On images of your own, correct some labels and
compare (`histobridge import`): the Dice coefficient of axons and of myelin says whether the model serves you.
"""


def write_bioimageio(contents: Contents, path: Path) -> None:
    """Write the package of a model, format 0.5 (Ouyang et al. 2022, doi 10.1101/2022.06.07.495102)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.jit.save(contents.network, folder / "weights.pt")
        write_onnx(contents, folder / "weights.onnx")
        np.save(folder / "test_input.npy", contents.raw_image[None, None])
        np.save(folder / "test_output.npy", contents.classes)
        page = PAGE.format(version=__version__, um_per_px=contents.model.um_per_px)
        (folder / "README.md").write_text(page, encoding="utf-8")
        package = save_bioimageio_package(_description(contents, folder), output_path=folder / "package.zip")
        shutil.copyfile(package, path)


def _description(contents: Contents, folder: Path) -> spec.ModelDescr:
    torch_version = spec.Version(torch.__version__.split("+")[0])
    return spec.ModelDescr(
        name="histobridge axon and myelin",
        description="Background, myelin and axon of every pixel in microscopy of nerves.",
        authors=[spec.Author(name="histobridge")],
        cite=[spec.CiteEntry(text="Boschet et al. 2024", doi=spec.Doi("10.48550/arXiv.2412.02858"))],
        documentation=spec.FileDescr(source=folder / "README.md"),
        tags=["semantic-segmentation", "nerve", "axon", "myelin", "2d"],
        config=spec.Config.model_validate({"histobridge": contents.facts}),
        inputs=[_image(contents, folder)],
        outputs=[_classes(contents, folder)],
        weights=spec.WeightsDescr(
            torchscript=spec.TorchscriptWeightsDescr(source=folder / "weights.pt", pytorch_version=torch_version),
            onnx=spec.OnnxWeightsDescr(source=folder / "weights.onnx", opset_version=OPSET, parent="torchscript"),
        ),
    )


def _image(contents: Contents, folder: Path) -> spec.InputTensorDescr:
    """Describe the image: any grey values, of which two percentiles become 0 and 1."""
    lower, upper = STRETCHED
    plane = (spec.AxisId("y"), spec.AxisId("x"))
    stretch = spec.ScaleRangeKwargs(axes=plane, min_percentile=lower, max_percentile=upper)
    grid = {"unit": "micrometer", "scale": contents.model.um_per_px}
    size = spec.ParameterizedSize(min=LEAST_PX, step=1)
    return spec.InputTensorDescr(
        id=spec.TensorId(INPUT),
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=[spec.Identifier("grey")]),
            *(spec.SpaceInputAxis(id=axis, size=size, **grid) for axis in plane),
        ],
        test_tensor=spec.FileDescr(source=folder / "test_input.npy"),
        preprocessing=[
            spec.ScaleRangeDescr(kwargs=stretch),
            spec.ClipDescr(kwargs=spec.ClipKwargs(min=0.0, max=1.0)),
        ],
    )


def _classes(contents: Contents, folder: Path) -> spec.OutputTensorDescr:
    grid = {"unit": "micrometer", "scale": contents.model.um_per_px}
    sizes = {name: spec.SizeReference(tensor_id=spec.TensorId(INPUT), axis_id=spec.AxisId(name)) for name in "yx"}
    return spec.OutputTensorDescr(
        id=spec.TensorId(OUTPUT),
        axes=[
            spec.BatchAxis(),
            spec.ChannelAxis(channel_names=[spec.Identifier(name) for name in CLASSES]),
            *(spec.SpaceOutputAxis(id=spec.AxisId(name), size=size, **grid) for name, size in sizes.items()),
        ],
        test_tensor=spec.FileDescr(source=folder / "test_output.npy"),
    )
