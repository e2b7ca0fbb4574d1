"""A folder that is a study of one pair, `own`: with it all the rest of the library works on somebody's own images.

============================  =================================================================================
`study.yaml`                  the pair, and one profile in which all of L trains
`data_manifest/own.yaml`      the images of U that teach
`data/own/`                   these images: grey, their contrast stretched, 8 bits
`data/SOURCE/`                the labelled images, if they are files
`runs/`                       everything that is trained, as of any study
============================  =================================================================================

HISTOBRIDGE_STUDY=DIR/study.yaml makes it the study of other commands; those that score need masks of U.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from histobridge.data.datasets import evenly_chosen
from histobridge.data.download import fetch
from histobridge.data.manifest import load_dataset
from histobridge.data.status import complaints, status
from histobridge.errors import UserError
from histobridge.io.files import write_text
from histobridge.io.images import write_image
from histobridge.io.resample import check_pixel_size
from histobridge_label.image_file import ImageFile
from histobridge_label.inspect_folder import FolderScan
from histobridge_study.config import Polarity, load_study, manifest_folders, profile_of
from histobridge_study.grid import Plan
from histobridge_study.runs import Run, forget

OWN = "own"
MANIFESTS = "data_manifest"
TRANSLATORS = ["none", "histogram", "invert-histogram", "syndiff"]  # what `refined` learns from, by either sign
MOST_PX = 40e6
"""What teaches, at the pixel size of the pair: more images cost time and memory and hardly add to what is learned."""
HEAD = "# Written by `histobridge label`; HISTOBRIDGE_STUDY=THIS_FILE makes it the study of other commands.\n"


@dataclass(frozen=True)
class Choice:
    """What a workspace is for: which labelled source, at which pixel sizes, and how much is spent.

    Attributes
    ----------
    source : str
        A dataset with masks.
    source_um_per_px, um_per_px : float
        At which L and U are alike.
    profile : str
    seed : int
    polarity : "auto" or {1, -1}
        Whether translations keep the contrast (1) or invert it; chosen by anatomy by default.
    """

    source: str
    source_um_per_px: float
    um_per_px: float
    profile: str
    seed: int = 0
    polarity: Polarity = "auto"


def write_workspace(folder: Path, look: FolderScan, choice: Choice) -> list[ImageFile]:
    """Write study, manifest and images; return the images that teach. What is there and the same stays untouched.

    Raises
    ------
    UserError
        If a name is unknown, no image is large enough to teach, or the folder cannot be written.
    """
    check_pixel_size(choice.um_per_px, "The working scale")
    teaching = those_that_teach(look.images, choice)
    forget()
    records = [_converted(folder / "data" / OWN, one) for one in teaching]
    _refuse_foreign(folder / "study.yaml")
    _write_yaml(folder / MANIFESTS / f"{OWN}.yaml", _manifest(look, records))
    _write_yaml(folder / "study.yaml", _study(choice))
    return teaching


def those_that_teach(images: list[ImageFile], choice: Choice) -> list[ImageFile]:
    """Return the images that are larger than a training crop at the working scale, evenly chosen if they are many.

    Raises
    ------
    UserError
        If there is none.
    """
    crop = _least_side(choice)
    scales = [one.um_per_px / choice.um_per_px for one in images]
    large = [one for one, by in zip(images, scales, strict=True) if round(min(one.height, one.width) * by) >= crop]
    if not large:
        raise UserError(
            f"None of {len(images)} images has {crop} px a side at {choice.um_per_px:g} µm/px, which is needed to "
            "learn from: give larger ones, or name another scale (--work-at)."
        )
    each = np.mean([one.height * one.width * (one.um_per_px / choice.um_per_px) ** 2 for one in large])
    number = min(len(large), max(2, int(MOST_PX / each)))
    return evenly_chosen(large, number)


def choice_of(folder: Path, images: list[ImageFile]) -> Choice | None:
    """Return what a workspace was made for: a run that was broken off asks nothing again.

    None if there is none, or if it is of other images or their pixel sizes have changed since.
    """
    path, manifest = folder / "study.yaml", folder / MANIFESTS / f"{OWN}.yaml"
    if not path.exists() or not manifest.exists():
        return None
    then = {record.path: record.um_per_px for record in load_dataset(OWN, folders=[manifest.parent]).images}
    if not then.items() <= {f"{one.name}.png": one.um_per_px for one in images}.items():
        return None
    written = load_study(path)
    pair, (name,) = written.pairs[OWN], written.profiles
    base = load_study().profiles.get(name)
    seed = written.profiles[name].seed - (base.seed if base else 0)
    return Choice(pair.source.dataset, pair.source.um_per_px, pair.target.um_per_px, name, seed, pair.polarity)


@contextmanager
def opened(folder: Path) -> Iterator[Run]:
    """Lend the run of a workspace: while it is lent, datasets are looked for in the workspace first."""
    places = {name: str((folder / where).resolve()) for name, where in (("out", "runs"), ("data", "data"))}
    with brought(folder):
        written = load_study(folder / "study.yaml")
        plan = Plan(next(iter(written.profiles)), (OWN,), ("transductive",), (0,), **places, study=written)
        yield plan.run(*plan.cells[0])


@contextmanager
def brought(folder: Path) -> Iterator[None]:
    """While this lasts, the manifests of a workspace count beside those of the repository."""
    before = os.environ.get("HISTOBRIDGE_STUDY")
    os.environ["HISTOBRIDGE_STUDY"] = str(folder / "study.yaml")
    forget()
    try:
        yield
    finally:
        os.environ.pop("HISTOBRIDGE_STUDY")
        if before is not None:
            os.environ["HISTOBRIDGE_STUDY"] = before
        forget()


def bring_source(folder: Path, source: str, data: Path, mirror: Path | None) -> None:
    """Copy the labelled images into a workspace, from the data folder, a mirror or their public address.

    Raises
    ------
    UserError
        If a file cannot be had, or the dataset has no masks.
    """
    dataset = load_dataset(source, folders=manifest_folders())
    if not dataset.procedural and not any(image.mask for image in dataset.images):
        raise UserError(f"'{source}' has no masks: a labelled source is needed, such as tem, or phantom.")
    whole = all(one.state == "here" for one in status(dataset, data) if one.split == "development")
    found = fetch(dataset, folder / "data", mirror=data if whole and data.is_dir() else mirror, splits=("development",))
    if bad := [one for one in found if one.state != "here"]:
        raise UserError(f"{len(bad)} files of {source} cannot be had: {' '.join(complaints(bad))}")


def add_manifest(folder: Path, manifest: Path) -> str:
    """Copy a manifest of one's own labelled images into a workspace; return the dataset's name.

    Raises
    ------
    UserError
        If it is not there, cannot be read or breaks a rule, or has the name that the images of U have here.
    """
    if manifest.suffix != ".yaml" or not manifest.is_file():
        raise UserError(f"There is no manifest {manifest}: name a file that ends in .yaml, such as mine.yaml.")
    if manifest.stem == OWN:
        raise UserError(f"The manifest {manifest} has the name of your new images: rename it, and the `name` in it.")
    described = load_dataset(manifest.stem, folders=[manifest.parent])
    write_text(folder / MANIFESTS / manifest.name, manifest.read_text(encoding="utf-8"))
    return described.name


def _converted(folder: Path, one: ImageFile) -> dict:
    """Write an image as it is learned from, unless it is there; return its record of the manifest."""
    path, mark = folder / f"{one.name}.png", folder / f".{one.name}.sha256"
    if not (path.exists() and mark.exists() and mark.read_text() == one.sha256):
        write_image(path, one.read())
        write_text(mark, one.sha256)
    content = path.read_bytes()
    facts = {"subject": one.subject, "um_per_px": one.um_per_px, "width": one.width, "height": one.height}
    whole = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "split": "development"}
    return {"path": path.name, **whole, **facts}


def _manifest(look: FolderScan, records: list[dict]) -> dict:
    said = dict.fromkeys(("organism", "tissue", "citation", "licence"), "not stated")
    about = {"name": OWN, "title": f"Images of {look.folder.name}", "modality": "not stated", **said}
    return {**about, "availability": "on this machine", "images": records}


def _study(choice: Choice) -> dict:
    """Return a study of one pair and one profile: a single fold, which leaves nothing of L out."""
    profile = profile_of(choice.profile)
    spent = profile.model_copy(
        update={"pairs": (OWN,), "folds": 1, "run_folds": (0,), "seed": profile.seed + choice.seed}
    )
    sides = {"source": (choice.source, choice.source_um_per_px), "target": (OWN, choice.um_per_px)}
    pair = {side: {"dataset": dataset, "um_per_px": size} for side, (dataset, size) in sides.items()}
    pair |= {"shift": "own images", "polarity": choice.polarity}
    content = {"pairs": {OWN: pair}, "translators": TRANSLATORS}
    return content | {"profiles": {choice.profile: spent.model_dump(mode="json", exclude_none=True)}}


def _write_yaml(path: Path, content: dict) -> None:
    text = HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    if not (path.exists() and path.read_text(encoding="utf-8") == text):
        write_text(path, text)


def _refuse_foreign(path: Path) -> None:
    if path.exists() and not path.read_text(encoding="utf-8").startswith(HEAD):
        raise UserError(f"{path} is the study of something else: choose another --out.")


def _least_side(choice: Choice) -> int:
    """Return the largest of the training crops, px: smaller images cannot teach."""
    profile = profile_of(choice.profile)
    return max(
        profile.translator.crop,
        profile.segmenter.crop,
        profile.polarity_segmenter.crop if profile.polarity_segmenter else 0,
    )
