"""The files that BIDS requires at the top of a derivative dataset of microscopy, a README, and the table of images."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from histobridge import __version__
from histobridge.io.files import write_json, write_table, write_text
from histobridge.io.kept import SET_ASIDE
from histobridge_label.export import names

VERSION = "1.10.0"
GENERATOR = "histobridge"
MISSING = "n/a"  # in tables of BIDS
PARTICIPANTS, SAMPLES = "participants.tsv", "samples.tsv"
FILES = (
    names.DESCRIPTION,
    "README",
    ".bidsignore",
    PARTICIPANTS,
    "participants.json",
    SAMPLES,
    names.IMAGES,
    names.QUPATH,
)

README = """\
Labels of axons and myelin, made by histobridge
===============================================

Every image of sub-*/micr has beside it:

  _seg-axonmyelin.png   background 0, myelin 127, axon 255 (AxonDeepSeg)
  _seg-axon.png         axon 255
  _seg-myelin.png       myelin 255
  _instances.tif        each fibre, axon and myelin, with its own number (napari, Cellpose, Fiji)
  _fibres.geojson       polygons of the classes Axon and Myelin (QuPath: open the image, drop the file on it)
  _rois.zip             axons and outer borders as ROIs (Fiji: open the image, then the file; ROI Manager)
  _uncertainty.png      the uncertainty of the label, 0 (black) to 1 (white)
  .json                 pixel size

review_order.csv lists the most uncertain places first, images.tsv names the file that each image comes from, and
provenance.json describes how the labels were made, with the sha256 of every file. qupath.groovy is a script for QuPath
that imports the polygons into a project and exports what was corrected; it says how.

`histobridge review` shows the most uncertain places one after another in napari, and collects the corrections.

To return corrections, correct a COPY of _seg-axonmyelin.png (or of _fibres.geojson, of _rois.zip, or of the two single
masks), keep its name, and collect the copies in a separate folder. A mask may come back as TIFF too. In _instances.tif
fibres can be removed, and new ones have no class: draw those in _seg-axonmyelin.png. In _rois.zip the name of a ROI
says what it is: it holds the word axon or outer. Labels are not ground truth until somebody has checked them.
"""


def write_bids_files(folder: Path, images: pd.DataFrame) -> None:
    """Write `FILES`; `images` is the table that `write_handoff` describes."""
    samples = images[["sample_id", "participant_id"]].drop_duplicates().assign(sample_type="tissue")
    write_json(folder / names.DESCRIPTION, _description())
    write_text(folder / "README", README)
    write_text(folder / ".bidsignore", "".join(f"{pattern}\n" for pattern in _ignored(images)))
    write_json(folder / "participants.json", {"subject": {"Description": "Name of the subject as it was given"}})
    write_text(folder / names.QUPATH, (Path(__file__).with_name("qupath") / names.QUPATH).read_text(encoding="utf-8"))
    _write_tsv(folder / PARTICIPANTS, images[["participant_id", "subject"]].drop_duplicates("participant_id"))
    _write_tsv(folder / SAMPLES, samples)
    _write_tsv(folder / names.IMAGES, images)


def _description() -> dict:
    text = "Labels of axons and myelin learned from another microscope, with instances, polygons and uncertainty"
    return {
        "Name": "Axons and myelin labelled by histobridge",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": GENERATOR, "Version": __version__, "Description": text}],
    }


def _ignored(images: pd.DataFrame) -> list[str]:
    """Return patterns of the files that have no BIDS name, including images without a modality."""
    no_bids_name = [f"{name}.*" for name in images["image"] if not names.BIDS_IMAGE.fullmatch(name)]
    endings = [f"*{ending}" for ending in names.ENDINGS]
    return [*endings, names.IMAGES, names.REVIEW_ORDER, names.PROVENANCE, names.QUPATH, f"*{SET_ASIDE}*", *no_bids_name]


def _write_tsv(path: Path, table: pd.DataFrame) -> None:
    write_table(path, table.replace("", MISSING), separator="\t")
