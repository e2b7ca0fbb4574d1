"""One page about images and their labels that needs nothing else: pictures, styles and script are part of the file."""

from __future__ import annotations

import base64
import json
import shlex
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from histobridge.io.files import write_text
from histobridge.io.images import read_image, write_image
from histobridge.io.masks import read_mask
from histobridge.io.progress import Report, ThrottledProgress
from histobridge_label.export import Handoff, names
from histobridge_label.inspect_folder import FolderScan
from histobridge_label.labelling import HANDOFF, Kept, at_scale
from histobridge_label.model import Model
from histobridge_study.site.cells import TableOf, table
from histobridge_study.site.pages import HERE, environment
from histobridge_study.site.pair import json_for_script
from histobridge_study.site.pictures import save_grey, save_heat, save_mask, save_png_as_webp
from histobridge_study.site.plates import Plate

PAGE = "report.html"
MOST_SHOWN, MOST_TRANSLATED = 24, 8  # images with pictures in the page, and with a translation, which costs most
TILES = 20
RUN = "own"
LAYERS = {"image": "Image", "translation": "Translation to L", "label": "Label", "uncertainty": "Uncertainty"}
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
    """All that the page tells.

    Attributes
    ----------
    look : FolderScan
    model : Model
    found : list of Kept
    handoff : Handoff
    measures : DataFrame
        Of `labelling.measure`.
    remarks : list of str
    """

    look: FolderScan
    model: Model
    found: list[Kept]
    handoff: Handoff
    measures: pd.DataFrame
    remarks: list[str]


def write_page(out: Path, report_data: ReportData, *, command: str, model_folder: str) -> Path:
    """Write `out`/report.html and return its path.

    Parameters
    ----------
    out : Path
        With the pictures `contact_sheet.png` and, if a scale was chosen, `scale.png`.
    command : str
        That made it.
    model_folder : str
        How the commands on the page call the model.
    """
    shown, profile = least_sure_first(report_data), report_data.model.facts["provenance"]["profile"]
    folder = report_data.look.folder.name
    scale = out / "scale.png"
    page = (
        environment()
        .get_template("own.html")
        .render(
            {"root": "", "here": "", "navigation": {}, "profile": profile, "command": command},
            title=f"Labels of {folder}",
            lead=_lead(report_data),
            facts=_facts(report_data),
            remarks=report_data.remarks,
            swipe=json_for_script(_swipe(out, report_data, shown[:MOST_SHOWN])),
            left_out=_left_out(len(shown)),
            tables=_tables(report_data, set(shown[:MOST_SHOWN])),
            sheet=_plate(out / "contact_sheet.png", "All images as they came; `images.csv` holds the table."),
            scale=_plate(scale, "L and U at the pixel sizes at which they are compared.") if scale.exists() else None,
            commands=_commands(out, model_folder),
            provenance=json.dumps(_told(report_data), indent=1, ensure_ascii=False),
            css=Markup((HERE / "static" / "site.css").read_text(encoding="utf-8")),
            js=Markup((HERE / "static" / "site.js").read_text(encoding="utf-8")),
        )
    )
    return write_text(out / PAGE, page)


def least_sure_first(report_data: ReportData) -> list[str]:
    """Return the images' names in the hand-off, the least sure first."""
    order = _order(report_data.handoff)
    return order.drop_duplicates("image").sort_values("image_uncertainty", ascending=False)["image"].tolist()


def _order(handoff: Handoff) -> pd.DataFrame:
    return pd.read_csv(handoff.folder / names.REVIEW_ORDER, dtype={"image": str})


# --- Words and tables -----------------------------------------------------------------------------------


def _lead(report_data: ReportData) -> str:
    facts = report_data.model.facts
    source = facts.get("source", {}).get("dataset", "another microscope")
    drawn = " It is drawn, a toy: expect labels to be poor on real tissue." if source.startswith("phantom") else ""
    return (
        f"Axons and myelin, labelled without a mask of these images by `{facts.get('strategy', '')}`, from the masks "
        f"of `{source}`.{drawn} No one has checked them yet."
    )


def _facts(report_data: ReportData) -> dict[str, str]:
    measures = report_data.measures
    diameter, minutes = measures["axon_diameter_um_median"].median(), report_data.handoff.provenance.get("minutes")
    facts = {"images": str(len(report_data.found)), "skipped": str(len(report_data.look.skipped))}
    facts |= {FIBRES[name]: f"{measures[name].sum()}" for name in ("n_fibres", "n_unmyelinated")}
    facts |= {"median axon": f"{diameter:.2f} µm"} if np.isfinite(diameter) else {}
    return facts | ({"minutes": f"{minutes:.1f}"} if minutes else {})


def _left_out(number: int) -> str:
    if number <= MOST_SHOWN:
        return ""
    return f"The {MOST_SHOWN} least sure of {number} images are shown here; all lie in the folder {HANDOFF}."


def _tables(report_data: ReportData, shown: set[str]) -> dict[str, TableOf]:
    def see(row: dict) -> tuple[str, str]:
        if row["image"] not in shown:
            return "", ""
        return f"#see={RUN}/label/{row['image']}/label/uncertainty", "See label and uncertainty"

    order = _order(report_data.handoff).head(TILES).drop(columns="side_px")
    whole = {"density_per_mm2": report_data.measures["density_per_mm2"].round().astype(int)}
    fibres = report_data.measures.assign(**whole)[list(FIBRES)].rename(columns=FIBRES)
    called = report_data.handoff.images.set_index("name")["image"]  # in the hand-off
    looked = report_data.look.table.astype(object)
    looked = looked.where(looked.notna(), "").assign(image=looked["image"].map(called).fillna(""))
    link = {"image": see}
    return {
        "review": table(order, "review", f"The {len(order)} least sure tiles of 64 px a side.", links=link),
        "fibres": table(fibres, "fibres", "Whole fibres; density and fractions of the whole image.", links=link),
        "images": table(looked, "images", "What was found in the folder, and what is odd about it.", links=link),
    }


def _commands(out: Path, model_folder: str) -> list[str]:
    back = ["import", str(out / HANDOFF), "CORRECTED", "--to", "EDITS", "--finetune", model_folder]
    more = ["apply", model_folder, "MORE_IMAGES", "--out", "LABELS"]
    return [shlex.join(["histobridge", *line]) for line in (back, more)]


def _told(report_data: ReportData) -> dict:
    told = {k: v for k, v in report_data.handoff.provenance.items() if k not in ("files_sha256", "sources_sha256")}
    return told | {"lessons": report_data.model.facts.get("lessons", [])}


# --- Pictures -------------------------------------------------------------------------------------------


def _swipe(out: Path, report_data: ReportData, shown: list[str], report: Report | None = None) -> dict:
    """Return what the script of the comparison reads; pictures are part of it."""
    by_name = dict(zip(report_data.handoff.images["image"], report_data.found, strict=True))
    say, images = report or ThrottledProgress(), {}
    for number, name in enumerate(shown):
        say(f"pictures of {name}, {number + 1} of {len(shown)}")
        images[name] = _pictures(report_data, name, by_name[name], translate=number < MOST_TRANSLATED)
    method = {"label": report_data.model.facts.get("strategy", "label"), "translator": "to-L"}
    run = {"label": "all", "ways": ["label"], "notebooks": {}, "images": images}
    start = [RUN, "label", shown[0]]
    return {"layers": LAYERS, "ways": {"label": method}, "runs": {RUN: run}, "start": start, "unscored": ""}


def _pictures(report_data: ReportData, name: str, one: Kept, *, translate: bool) -> dict:
    image, mask, unsure = (report_data.handoff.file(name, end) for end in (".png", names.COMBINED, names.UNCERTAINTY))
    found = {"image": _uri(read_image(image), save_grey), "size": [one.image.width, one.image.height], "dice": {}}
    found["label"] = {"label": _uri(read_mask(mask)[0], save_mask)}
    found["uncertainty"] = {"label": _uri(read_image(unsure), save_heat)}
    found["translation"] = {"to-L": _uri(_translation(report_data.model, one), save_grey)} if translate else {}
    return found


def _translation(model: Model, one: Kept) -> np.ndarray:
    """Return an image as it would look in L, kept beside its label."""
    path = one.mask.with_name("translation.png")
    if not path.exists():
        write_image(path, model.translated(at_scale(one.image, model.um_per_px)))
    return read_image(path)


def _uri(array: np.ndarray, save) -> str:
    kind = "png" if save is save_mask else "webp"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"picture.{kind}")
        save(array, path)
        return _address(path.read_bytes(), kind)


def _plate(png: Path, caption: str) -> Plate:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plate.webp")
        width, height = save_png_as_webp(png.read_bytes(), path)
        return Plate(_address(path.read_bytes(), "webp"), caption, width, height)


def _address(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
