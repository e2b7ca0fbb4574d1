"""The working scale: as stated, as settled earlier in the same folder, or as suggested and confirmed."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from pathlib import Path

from histobridge.display.domains import domains
from histobridge.display.drawing import save_figure
from histobridge.errors import BrokenError
from histobridge.io.files import read_json, write_json
from histobridge_label import labelling, scale
from histobridge_label.image_file import ImageFile
from histobridge_label.inspect_folder import FolderScan
from histobridge_label.options import LabelOptions
from histobridge_label.source import LabelledSource

SETTLED = "settled.json"

Confirm = Callable[[scale.Suggestion, Path], float]
"""Receives a suggested scale and the path of its picture; returns the pixel size (µm/px) to work at."""


def choose_scale(
    source: LabelledSource, scan: FolderScan, out: Path, stated: float | None, confirm: Confirm | None
) -> float:
    """Return the pixel size (µm/px) to work at: as stated, as settled earlier in `out`, or as suggested and confirmed.

    Raises
    ------
    UserError
        If it is not a positive number, or cannot be the scale of nerves.
    """
    um_per_px = stated if stated is not None else settled_scale(out, source, scan.images)
    if um_per_px is None:
        suggestion = scale.suggest_pixel_size(source.for_scale, scan.images, scan.account)
        scale.check_working_scale(suggestion.um_per_px, source.axon_px)
        draw_scale(source, scan, suggestion.um_per_px, out)
        um_per_px = confirm(suggestion, out / "scale.png") if confirm else suggestion.um_per_px
    scale.check_working_scale(um_per_px, source.axon_px)
    return um_per_px


def remember_scale(
    out: Path, source: LabelledSource, um_per_px: float, images: list[ImageFile], options: LabelOptions
) -> None:
    """Write what was settled to settled.json, so that the same command asks nothing again."""
    settled = {"source": source.facts, "um_per_px": um_per_px, "profile": options.profile, "seed": options.seed}
    pixel_sizes = {image.name: image.um_per_px for image in images}
    write_json(out / SETTLED, settled | {"polarity": options.polarity, "pixel_sizes": pixel_sizes})


def settled_scale(out: Path, source: LabelledSource, images: list[ImageFile]) -> float | None:
    """Return the scale of an earlier run from the same source on the same images; None if there is none."""
    if not (out / SETTLED).exists():
        return None
    try:
        settled = read_json(out / SETTLED, fields=("source", "um_per_px", "pixel_sizes"))
    except BrokenError as error:
        print(f"  {error} The scale is settled anew.", flush=True)
        return None
    now = {image.name: image.um_per_px for image in images}
    same_images = isinstance(settled["pixel_sizes"], dict) and settled["pixel_sizes"].items() <= now.items()
    same = same_images and settled["source"] == source.facts and isinstance(settled["um_per_px"], Real)
    return settled["um_per_px"] if same else None


def draw_scale(source: LabelledSource, scan: FolderScan, um_per_px: float, out: Path) -> None:
    """Draw both domains at the pixel sizes at which they are compared: `out`/scale.png."""
    shown = {}
    for image in [image for image in scan.images if scale.has_size_at_scale(image, um_per_px)][:4]:
        with scan.account.item(image.path):
            shown[image.name] = labelling.at_scale(image, um_per_px)
    if shown:
        sizes, names_ = (source.um_per_px, um_per_px), (source.dataset.name, "your images")
        save_figure(domains(source.images, shown, um_per_px=sizes, names=names_), out / "scale")
