"""The figures of the site: drawn from the study's tables as SVG, and those of the paper as notebook 04 left them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from PIL import Image

from histobridge.io.files import atomic_write
from histobridge_study import plotting as figures
from histobridge_study.analysis.bland_altman import of_best, paired
from histobridge_study.analysis.recommend import with_truth
from histobridge_study.analysis.tables import ablation_table, dice_table
from histobridge_study.site.pictures import save_png_as_webp
from histobridge_study.site.sources import Sources

PAPER = {
    "method": "The method on one page.",
    "strategies": "The two strategies on one image of each domain",
    "translations": "Translations of every pair in both directions, and how well the round trip restores them",
    "pseudo_labels": "Pseudo labels of every pair beside the prediction of the pre-trained model, with Dice",
}
"""What the figures of `gallery.write` show, by the beginning of their names."""


class Plate(NamedTuple):
    """A figure of the site: its address, what it shows, its size in px and the cell of a notebook that makes it."""

    address: str
    caption: str
    width: int
    height: int
    made_by: str = ""


class Drawing(NamedTuple):
    """How to draw a figure: from what, what to say of it, and the call by which a notebook's cell is found."""

    draw: Callable[[], Figure]
    caption: str
    call: str


def drawings(sources: Sources) -> dict[str, Drawing]:
    """Return the figures that the tables of a study allow, by name."""
    rows, beyond = sources.dice, sources.beyond
    found = {
        "dice": Drawing(
            lambda: figures.dice_bars(dice_table(rows)),
            "Dice of every way to a pseudo label. The numbers are in the table above.",
            "figures.dice_bars(",
        ),
        "reconstruction": Drawing(
            lambda: figures.reconstruction_bars(sources.translation),
            "How well the round trip restores an image. Good reconstruction does not mean good labels.",
            "figures.reconstruction_bars(",
        ),
    }
    measured = of_best(paired(sources.measured), rows) if len(sources.measured) else ()
    if len(measured):
        found["agreement"] = Drawing(
            lambda: figures.bland_altman_panels(measured),
            "A point is an image; between the dashed lines lie 95 % of the differences, if they are about normal.",
            "figures.bland_altman_panels(",
        )
    return found | _beyond(beyond, rows)


def _beyond(beyond, rows) -> dict[str, Drawing]:
    found = {}
    if len(beyond["ablation"]):
        found["ablation"] = Drawing(
            lambda: figures.ablation_bars(ablation_table(beyond["ablation"])),
            "What each piece of `refined` is worth: Dice without it.",
            "figures.ablation_bars(",
        )
    if len(beyond["guidance"]):
        found["guidance"] = Drawing(
            lambda: figures.label_free_score_scatter(with_truth(beyond["guidance"], rows)),
            "Scores that see no mask of the target against the true Dice: a point is a run and a way.",
            "figures.label_free_score_scatter(",
        )
    return found


def trust_drawing(sources: Sources, pair: str) -> dict[str, Drawing]:
    """Return the curves that say how far the uncertainty of a pair's labels can be trusted, where it is known."""
    bins, curve = (t[t["pair"] == pair] if len(t) else t for t in map(sources.beyond.get, _CURVES))
    if not len(bins) or not len(curve):
        return {}
    told = "Above: of pixels so sure, how many are right. Below: the errors left when the most uncertain are gone."
    return {
        f"trust-{pair}": Drawing(lambda: figures.calibration_curves(bins, curve), told, "figures.calibration_curves(")
    }


_CURVES = ("reliability", "sparsification")


def drawn(drawing: Drawing, name: str, site: Path, made_by: str) -> Plate:
    """Draw a figure into the site as SVG."""
    figure, path = drawing.draw(), Path("figures", f"{name}.svg")
    with atomic_write(site / path) as draft:
        figure.savefig(draft, format="svg", metadata={"Date": None})
    width, height = (round(inches * 96) for inches in figure.get_size_inches())
    return Plate(path.as_posix(), drawing.caption, width, height, made_by)


def of_the_paper(sources: Sources, site: Path, made_by: str) -> list[Plate]:
    """Copy the paper's figures into the site, as they were drawn from the runs."""
    return [_copied(path, site, made_by) for path in sources.gallery]


def _copied(path: Path, site: Path, made_by: str) -> Plate:
    address = Path("figures", f"{path.stem}.webp")
    save_png_as_webp(path.read_bytes(), site / address)
    with Image.open(site / address) as picture:
        size = picture.size
    kind, _, of = path.stem.partition("-")
    caption = f"{PAPER.get(kind, path.stem)}: {of}." if of else PAPER.get(kind, path.stem)
    return Plate(address.as_posix(), caption, *size, made_by)
