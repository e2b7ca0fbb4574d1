"""Write the manifest of a dandiset, once and by hand.

    pip install dandi
    python data_manifest/dandi/list_dandiset.py dandi-tem1

The archive states the path, size and sha256 of every file of a published version. The rest follows from BIDS, the
standard by which such a dataset names its files: the subject and the mask from the path, the pixel size from the JSON
files beside the images. An image without a pixel size is refused. The archive could not be reached to test this script,
so check the manifest before you commit it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import yaml

from histobridge.data.bids import SidecarIndex, inherited, stem
from histobridge.data.manifest import load_dataset
from histobridge.errors import UserError, one_of
from histobridge.io.files import write_text
from histobridge.io.units import UM, in_um

MANIFESTS = Path(__file__).resolve().parents[1]
IMAGE = re.compile(r"sub-[^/]+/(ses-[^/]+/)?micr/[^/]+\.(png|tiff?)", re.IGNORECASE)
FILES_OF_A_VERSION = "https://webdav.dandiarchive.org/dandisets/{dandiset}/releases/{version}"


def main(name: str) -> None:
    """Ask the archive for the files of one entry of dandisets.yaml, and write and check its manifest."""
    entries = yaml.safe_load(Path(__file__).with_name("dandisets.yaml").read_text(encoding="utf-8"))
    about = entries[one_of("dandiset", name, entries)]
    dandiset, version = about.pop("dandiset"), about.pop("version")
    files, sidecars = ask_archive(dandiset, version)
    head = {"name": name, **about, "availability": "public, in the DANDI archive"}
    head["base_url"] = FILES_OF_A_VERSION.format(dandiset=dandiset, version=version)
    images = [image_record(path, files, sidecars) for path in sorted(files) if IMAGE.fullmatch(path)]
    style = dict(sort_keys=False, allow_unicode=True)
    text = yaml.safe_dump(head, width=120, **style)
    text += yaml.safe_dump({"images": images}, default_flow_style=None, width=10**6, **style)  # one line an image
    path = write_text(MANIFESTS / f"{name}.yaml", text)
    dataset = load_dataset(name, folders=[MANIFESTS])  # checks the manifest
    print(f"{path}: {len(dataset.images)} images, {sum(bool(image.mask) for image in dataset.images)} with a mask")


def ask_archive(dandiset: str, version: str) -> tuple[dict[str, tuple[str, int]], dict[str, dict]]:
    """Return sha256 and size of the images and masks, and the content of the JSON files, each by path."""
    import requests
    from dandi.dandiapi import DandiAPIClient

    with DandiAPIClient() as client:
        assets = {asset.path: asset for asset in client.get_dandiset(dandiset, version).get_assets()}
        images = [path for path in assets if IMAGE.fullmatch(path)]
        wanted = [path for image in images for path in (image, mask_of(image)) if path in assets]
        digests = {path: assets[path].get_raw_metadata()["digest"]["dandi:sha2-256"] for path in wanted}
        jsons = SidecarIndex(path for path in assets if path.endswith(".json"))
        needed = {path for image in images for path in jsons.sidecars_of(image)}
        sidecars = {path: requests.get(assets[path].download_url, timeout=30).json() for path in needed}
    return {path: (digest, assets[path].size) for path, digest in digests.items()}, sidecars


def image_record(path: str, files: Mapping[str, tuple[str, int]], sidecars: Mapping[str, dict]) -> dict:
    """Return the manifest's line for one image: see `histobridge.data.manifest.ImageRecord`."""
    mask, (sha256, size) = mask_of(path), files[path]
    record = {"path": path, "sha256": sha256, "bytes": size}
    if mask in files:
        record |= {"mask": mask, "mask_sha256": files[mask][0], "mask_bytes": files[mask][1]}
    facts = {"subject": path.split("/")[0], "um_per_px": pixel_size(path, sidecars), "split": "development"}
    return record | facts


def mask_of(image: str) -> str:
    """Return the path at which BIDS puts the expert mask (axon and myelin) of an image."""
    return f"derivatives/labels/{PurePosixPath(image).parent}/{stem(image)}_seg-axonmyelin-manual.png"


def pixel_size(image: str, sidecars: Mapping[str, dict]) -> float:
    """Return the side of a pixel in µm, from the contents of the JSON files by path.

    Raises
    ------
    UserError
        If there is none, it is no positive number, its unit is missing or unknown, or the pixels are not square.
    """
    fields = inherited(sidecars[path] for path in SidecarIndex(sidecars).sidecars_of(image))
    size, unit = fields.get("PixelSize"), fields.get("PixelSizeUnits")
    sides = size[:2] if isinstance(size, list) else [size]
    if not sides or not all(type(side) in (int, float) and 0 < side < float("inf") for side in sides):
        raise UserError(f"{image} has no usable PixelSize ({size}) in its JSON files: it is never guessed.")
    if unit not in UM:
        raise UserError(f"{image} has no PixelSizeUnits of {', '.join(UM)} ({unit}) in its JSON files.")
    if min(sides) != max(sides):
        raise UserError(f"{image} has pixels of {sides[0]:g} × {sides[-1]:g} {unit}: only square ones can be used.")
    return in_um(sides[0], unit)


if __name__ == "__main__":
    main(*sys.argv[1:])
