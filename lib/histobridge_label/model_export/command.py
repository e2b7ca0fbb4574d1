"""The command that exports a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from histobridge.cli import Json, app, console, print_json, progress_to_stderr

Format = Annotated[str, typer.Option(help="bioimageio (Fiji, QuPath, Python), torchscript or onnx.")]


@app.command(rich_help_panel="Your own images")
def export(
    model: Annotated[Path, typer.Argument(help="What `histobridge label` wrote: its --out, or the model in it.")],
    to: Format = "bioimageio",
    out: Annotated[
        Path | None, typer.Option(help="The file; by default named after the model, in this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Carry a model away: one file with weights, normalisation, pixel size, classes, test image and expected output.

    The file is run in its own runtime and must give the mask of `histobridge apply`. It takes images at the pixel size
    of the model, which is printed.

    Fiji: unpack the zip into Fiji.app/models, then Plugins > DeepImageJ > DeepImageJ Run.

    QuPath: unpack the zip, then Extensions > Bioimage Model Zoo > Create pixel classifier, and choose its rdf.yaml. It
    needs the extensions Bioimage Model Zoo and Deep Java Library.

    Python: `bioimageio.core.predict(model=ZIP, inputs={"image": array})`; README.md in the zip tells more.
    """
    from histobridge_label.model import Model
    from histobridge_label.model_export.write import export_model

    with progress_to_stderr(as_json):
        exported = export_model(model, to, out)
    um_per_px = Model.load(model).um_per_px
    if as_json:
        print_json([{"file": str(exported.path), "um_per_px": um_per_px, "differs": exported.differs}])
        return
    text = f"{exported.path}: {exported.path.stat().st_size / 1e6:.1f} MB, takes images of {um_per_px:g} µm/px"
    console.print(f"{text}; {exported.differs:.3%} of pixels differ from `histobridge apply`", soft_wrap=True)
