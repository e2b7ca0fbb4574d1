"""The report of the label tool: one page about images and their labels; pictures, styles and script are part of it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from histobridge.display import page
from histobridge.io.files import read_table, write_text
from histobridge.io.images import read_image, write_image
from histobridge.io.kept import kept
from histobridge.io.limits import printable
from histobridge.io.masks import read_mask
from histobridge.io.progress import ThrottledProgress
from histobridge_label.export import Handoff, names
from histobridge_label.inspect_folder import FolderScan
from histobridge_label.labelling import CachedLabel, at_scale
from histobridge_label.model import Model

PAGE = "report.html"
MOST_SHOWN, MOST_TRANSLATED = 24, 8  # images with pictures, and with a translation, which costs most
TILES = 20
RUN, METHOD, TO_L = "images", "label", "to-L"  # keys of the comparison
LAYERS = ("image", "translation", "label", "uncertainty")
FIBRES = {
    "image": "image",
    "n_fibres": "fibres",
    "n_unmyelinated": "axons without myelin",
    "density_per_mm2": "fibres / mm²",
    "axon_diameter_um_median": "axon diameter, µm (median)",
    "g_ratio_mean": "g-ratio (mean)",
    "mvf": "MVF",
    "avf": "AVF",
}


class ReportData(NamedTuple):
    """What the page reports.

    Attributes
    ----------
    scan : FolderScan
    model : Model
    labels : list of CachedLabel
        In the order of the images of the hand-off.
    handoff : Handoff
    measures : DataFrame
        Of `labelling.measure_handoff`.
    remarks : list of str
    """

    scan: FolderScan
    model: Model
    labels: list[CachedLabel]
    handoff: Handoff
    measures: pd.DataFrame
    remarks: list[str]

    @property
    def review_order(self) -> pd.DataFrame:
        """The tiles of all images, the most uncertain first."""
        return read_table(self.handoff.folder / names.REVIEW_ORDER)

    @property
    def by_uncertainty(self) -> list[str]:
        """The names of the images in the hand-off, the most uncertain first."""
        images = self.review_order.drop_duplicates("image")
        return images.sort_values("image_uncertainty", ascending=False)["image"].tolist()


def write_page(out: Path, data: ReportData, *, command: str, model_folder: str) -> Path:
    """Write `out`/report.html and return its path.

    Parameters
    ----------
    out : Path
        With the pictures `contact_sheet.png` and, if a scale was chosen, `scale.png`.
    data : ReportData
    command : str
        That made the labels.
    model_folder : str
        The model's name in the commands on the page.
    """
    shown, scale = data.by_uncertainty[:MOST_SHOWN], out / "scale.png"
    text = (
        page.environment(Path(__file__).with_name("templates"))
        .get_template("report.html")
        .render(
            {"root": "", "here": "", "navigation": {}, "profile": data.model.facts["provenance"]["profile"]},
            command=command,
            title=f"Labels of {printable(data.scan.folder.name)}",
            lead=_lead(data),
            numbers=headline_numbers(data),
            swipe=_swipe(data, shown),
            remarks=[*data.scan.account.lines, *data.remarks, data.scan.account.summary],
            left_out=_left_out(len(data.handoff.images)),
            tables=_tables(data, set(shown)),
            sheet=page.figure_webp((out / "contact_sheet.png").read_bytes()),
            scale=page.figure_webp(scale.read_bytes()) if scale.exists() else None,
            commands=_commands(out, model_folder),
            provenance=json.dumps(_provenance(data), indent=1, ensure_ascii=False),
        )
    )
    return write_text(out / PAGE, text)


# --- Words and tables -----------------------------------------------------------------------------------


def _lead(data: ReportData) -> str:
    facts = data.model.facts
    source = facts.get("source", {}).get("dataset", "another microscope")
    sources = [f"`{source}`", *(f"`{other['dataset']}`" for other in facts.get("further_sources", []))]
    drawn = " It is drawn, a toy: expect labels to be poor on real tissue." if source.startswith("phantom") else ""
    return (
        f"Axons and myelin, labelled without a mask of these images by `{facts.get('strategy', '')}`, from the masks "
        f"of {', '.join(sources)}.{drawn} No one has checked them yet."
    )


def headline_numbers(data: ReportData) -> dict[str, str]:
    """Return the numbers at the top of the page: images, fibres, the median axon, minutes."""
    measures = data.measures
    diameter, minutes = measures["axon_diameter_um_median"].median(), data.handoff.provenance.get("minutes")
    numbers = {"images": str(len(measures)), "skipped": str(len(data.scan.account.skipped))}  # a section counts once
    numbers |= {FIBRES[name]: str(measures[name].sum()) for name in ("n_fibres", "n_unmyelinated")}
    if np.isfinite(diameter):
        numbers["median axon"] = f"{diameter:.2f} µm"
    if minutes:
        numbers["minutes"] = f"{minutes:.1f}"
    return numbers


def _left_out(number: int) -> str:
    if number <= MOST_SHOWN:
        return ""
    return f"The {MOST_SHOWN} most uncertain of {number} images are shown here; all lie in the folder {names.HANDOFF}."


def _tables(data: ReportData, shown: set[str]) -> dict[str, page.Table]:
    def see(row: dict) -> tuple[str, str]:
        if row["image"] not in shown:
            return "", ""
        return page.see(RUN, METHOD, row["image"], "label", "uncertainty"), "Show label and uncertainty"

    tiles = data.review_order.head(TILES).drop(columns="side_px")
    density = data.measures["density_per_mm2"].round().astype(int)
    fibres = data.measures.assign(density_per_mm2=density)[list(FIBRES)].rename(columns=FIBRES)
    images = data.scan.table.astype(object)
    names_in_handoff = data.handoff.images.set_index("name")["image"]
    images = images.where(images.notna(), "").assign(image=images["image"].map(names_in_handoff).fillna(""))
    images = images.rename(columns={"um_per_px": "µm/px"})
    captions = {
        "review": (tiles, f"The {len(tiles)} most uncertain tiles of 64 px a side."),
        "fibres": (fibres, "Whole fibres; density and fractions of the whole image."),
        "images": (images, "What was found in the folder, and what is odd about it."),
    }
    return {id: page.table(frame, id, text, links={"image": see}) for id, (frame, text) in captions.items()}


def _commands(out: Path, model_folder: str) -> list[str]:
    correct = ["import", str(out / names.HANDOFF), "CORRECTED", "--to", "EDITS", "--finetune", model_folder]
    label_more = ["apply", model_folder, "MORE_IMAGES", "--out", "LABELS"]
    return [shlex.join(["histobridge", *line]) for line in (correct, label_more)]


def _provenance(data: ReportData) -> dict:
    long = ("files_sha256", "sources_sha256")
    facts = {name: value for name, value in data.handoff.provenance.items() if name not in long}
    return facts | {"lessons": data.model.facts.get("lessons", [])}


# --- Pictures -------------------------------------------------------------------------------------------


def _swipe(data: ReportData, shown: list[str]) -> Markup:
    """Return the data of the comparison, pictures included."""
    labels, progress, images = {label.image.name: label for label in data.labels}, ThrottledProgress(), {}
    name_of = data.handoff.images.set_index("image")["name"]
    for number, name in enumerate(shown):
        progress(f"pictures of {name}, {number + 1} of {len(shown)}")
        label = labels[name_of[name]]
        with data.scan.account.item(label.image.path):
            translate = data.model.translator is not None and number < MOST_TRANSLATED
            images[name] = _pictures(data, name, label, translate=translate)
    method = {"label": data.model.facts.get("strategy", "label"), "translator": TO_L}
    run = page.SwipeRun("all", {METHOD: method}, images, {})
    shown = [name for name in LAYERS if name != "translation" or data.model.translator]
    layers = {name: page.LAYERS[name] for name in shown}
    return page.swipe_data({RUN: run}, (RUN, METHOD, next(iter(images), "")), layers=layers, unscored="")


def _pictures(data: ReportData, name: str, label: CachedLabel, *, translate: bool) -> dict:
    image, mask, uncertain = (data.handoff.file(name, end) for end in (".png", names.COMBINED, names.UNCERTAINTY))
    return {
        "size": [label.image.width, label.image.height],
        "image": page.grey_webp(read_image(image)).uri,
        "label": {METHOD: page.mask_png(read_mask(mask)[0]).uri},
        "uncertainty": {METHOD: page.heat_webp(read_image(uncertain)).uri},
        "translation": {TO_L: page.grey_webp(_translation(data.model, label)).uri} if translate else {},
        "dice": {},
    }


def _translation(model: Model, label: CachedLabel) -> np.ndarray:
    """Return an image translated to L, remembered beside its label."""

    def translate(path: Path) -> None:
        write_image(path, model.translate(at_scale(label.image, model.um_per_px)))

    return kept(label.folder / "translation.png", translate, read_image)
