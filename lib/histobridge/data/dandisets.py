"""Datasets of the DANDI archive: ask it once which files a published version has, and write the list down.

The archive knows every file's path, size and sha256. The rest follows from BIDS, the standard by which such a
dataset names its files: the subject and the partner mask from the path, µm/px from the JSON files beside the images.
Nothing is guessed: an image without a pixel size is refused. The `dandi` client, an optional extra, does the asking;
once the list is written (see `manifest.resolved_path`) nothing here is needed any more.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import yaml

from histobridge.data.bids import UM, in_um, inherited, sidecars_of, stem
from histobridge.data.download import TIMEOUT_S, download
from histobridge.data.manifest import MANIFESTS, Dandiset, DataFile, Dataset, check_dataset, resolved_path
from histobridge.errors import UserError
from histobridge.io.files import write_text

IMAGE = re.compile(r"sub-[^/]+/(ses-[^/]+/)?micr/[^/]+\.(png|tiff?)", re.IGNORECASE)
LABELS = "derivatives/labels"
MASK_ENDING = "_seg-axonmyelin-manual.png"


class Asset(NamedTuple):
    """One file of a dandiset, as the archive describes it; `id` is what it is downloaded by."""

    path: str
    id: str
    sha256: str
    bytes: int


def resolve(described: Dataset, *, folder: Path = MANIFESTS) -> Dataset:
    """Ask the archive for the files of a dandiset, write the list beside the manifests, return the whole dataset.

    Every image is a `development` image. Masks that belong to no image are left out with a warning.

    Parameters
    ----------
    described : Dataset
        From `manifest.describe_dataset`, with its `dandiset`.
    folder : Path
        The folder of manifests; the list goes to its `resolved/`, whole or not at all.

    Raises
    ------
    UserError
        The `dandi` client is not installed, the archive cannot be reached or has no such version, a file has no
        sha256 there, or an image has no (square) pixel size. Nothing is written then.
    """
    assets = {asset.path: asset for asset in list_assets(described.dandiset)}
    source = f"Dandiset {described.dandiset.id}"
    images = [path for path in sorted(assets) if IMAGE.fullmatch(path)]
    if not images:
        raise UserError(f"{source} lists no images (sub-*/micr/*.png or .tif). Does the manifest name the right one?")
    fields = _read_sidecars(described, images, assets)
    records = [_record(path, assets, pixel_size(path, fields)) for path in images]
    _warn_of_lonely_masks(assets, records)
    used = [record[role] for record in records for role in ("path", "mask") if role in record]
    found = {"dandiset": described.dandiset.model_dump(), "images": records}
    found["assets"] = {path: assets[path].id for path in used}
    whole = check_dataset(described.model_dump() | found, source=source)
    _write(resolved_path(described.name, folder=folder), found)
    return whole


def list_assets(dandiset: Dandiset) -> list[Asset]:
    """Return the images, masks and JSON files of a dandiset, in the order of their paths. Raises as `resolve` does."""
    with _archive(dandiset) as (client, remote):
        from dandi.dandiapi import RemoteAsset

        # as `remote.get_assets()` does, but with all metadata in the list: otherwise it takes a request a file
        listed = client.paginate(f"{remote.version_api_path}assets/", params={"order": "path", "metadata": "1"})
        wanted = [each for each in listed if _is_wanted(each["path"])]
        return [_asset(RemoteAsset.from_data(remote, each, each.pop("metadata", None))) for each in wanted]


def _asset(remote) -> Asset:
    """Pick from the client's description of a file what is needed; the client asks for metadata that it lacks."""
    sha256 = (remote.get_raw_metadata().get("digest") or {}).get("dandi:sha2-256")
    if sha256 is None:
        raise UserError(f"The archive knows no sha256 of {remote.path}: only published versions have them all.")
    return Asset(remote.path, remote.identifier, sha256, remote.size)


@contextlib.contextmanager
def _archive(dandiset: Dandiset) -> Iterator[tuple]:
    """Lend a client of the archive and its description of the dandiset's version; faults become `UserError`."""
    os.environ.setdefault("DANDI_NO_ET", "1")  # the client would tell a third party that it is used
    try:
        import requests
        from dandi.dandiapi import DandiAPIClient
        from dandi.exceptions import NotFoundError
    except ImportError:
        raise UserError(
            "Asking the DANDI archive needs its client: pip install 'histobridge[dandi]' "
            "(in a checkout: pip install -e '.[dandi]'), then run the same command again."
        ) from None
    try:
        # the client itself would try for minutes
        requests.get(f"{dandiset.api}/info/", timeout=TIMEOUT_S).raise_for_status()
        with _quiet(), DandiAPIClient(dandiset.api) as client:
            yield client, client.get_dandiset(dandiset.id, dandiset.version, lazy=False)
    except NotFoundError as error:
        raise UserError(f"{dandiset.api} answered about {dandiset.id}: {error} Is the manifest right?") from None
    except (ValueError, KeyError, RuntimeError) as error:  # the client's own, when it does not know what it got
        why = " ".join(str(error).split())[:200]
        raise UserError(f"{dandiset.api} gave an answer that the dandi client cannot use: {why}.") from None
    except OSError as error:  # as `requests` raises it
        code = getattr(getattr(error, "response", None), "status_code", None)
        why = f"HTTP {code}" if code else type(error).__name__
        raise UserError(f"{dandiset.api} could not be reached ({why}): try again later.") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's log, tracebacks and all, off the screen: what went wrong is said in one sentence."""
    log = logging.getLogger("dandi")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


def _is_wanted(path: str) -> bool:
    is_sidecar = path.endswith(".json") and not path.startswith("derivatives/")
    is_mask = path.startswith(LABELS) and path.endswith(MASK_ENDING)
    return is_sidecar or is_mask or bool(IMAGE.fullmatch(path))


def _record(path: str, assets: dict[str, Asset], um_per_px: float) -> dict:
    """Return the manifest's line for one image: see `manifest.ImageRecord`."""
    image, mask = assets[path], assets.get(mask_of(path))
    line = {"path": path, "sha256": image.sha256, "bytes": image.bytes}
    if mask:
        line |= {"mask": mask.path, "mask_sha256": mask.sha256, "mask_bytes": mask.bytes}
    return line | {"subject": path.split("/")[0], "um_per_px": um_per_px, "split": "development"}


def mask_of(image: str) -> str:
    """Return where BIDS puts the expert mask (axon and myelin) of an image.

    >>> mask_of("sub-rat1/micr/sub-rat1_sample-data1_SEM.png")
    'derivatives/labels/sub-rat1/micr/sub-rat1_sample-data1_SEM_seg-axonmyelin-manual.png'
    """
    return f"{LABELS}/{PurePosixPath(image).parent}/{stem(image)}{MASK_ENDING}"


def pixel_size(image: str, sidecars: dict[str, dict]) -> float:
    """Return the side of a pixel of an image in µm.

    Parameters
    ----------
    image : str
        Its path in the dandiset.
    sidecars : dict
        The fields of each JSON file, by path: `PixelSize` (a number, or two or three of them) and `PixelSizeUnits`
        (any of `bids.UM`).

    Raises
    ------
    UserError
        There is none, it is no positive number, its unit is missing or unknown, or the pixels are not square.

    >>> pixel_size("sub-a/micr/sub-a_TEM.png", {"TEM.json": {"PixelSize": [4.93, 4.93], "PixelSizeUnits": "nm"}})
    0.00493
    """
    files = sidecars_of(image, list(sidecars))
    fields = inherited(sidecars[path] for path in files)
    size, unit = fields.get("PixelSize"), fields.get("PixelSizeUnits")
    sides = size[:2] if isinstance(size, list) else [size]
    if not sides or not all(type(side) in (int, float) and 0 < side < float("inf") for side in sides):
        raise UserError(f"{image} has no usable PixelSize ({size}) in {_list(files)}: it is never guessed. {_TELL}")
    if unit not in UM:
        raise UserError(f"{image} has no PixelSizeUnits of {', '.join(UM)} ({unit}) in {_list(files)}. {_TELL}")
    if min(sides) != max(sides):
        raise UserError(f"{image} has pixels of {sides[0]:g} × {sides[-1]:g} {unit}: only square ones can be used.")
    return in_um(sides[0], unit)


_TELL = "Only the owners of the dandiset can mend that."


def _list(paths: list[str]) -> str:
    return ", ".join(paths) or "any JSON file (there is none)"


def _read_sidecars(described: Dataset, images: list[str], assets: dict[str, Asset]) -> dict[str, dict]:
    """Download the JSON files that speak about any of the images; return their fields, by path."""
    jsons = [path for path in assets if path.endswith(".json")]
    needed = dict.fromkeys(path for image in images for path in sidecars_of(image, jsons))
    known = described.model_copy(update={"assets": {path: assets[path].id for path in needed}})
    return {path: _fields(assets[path], known.url(path)) for path in needed}


def _fields(asset: Asset, url: str) -> dict:
    """Download one JSON file, checked; one that holds no fields counts as empty."""
    answer = download(url, DataFile(asset.path, asset.sha256, asset.bytes, "sidecar", "development"), {})
    if answer.content is None:
        raise UserError(f"{asset.path} could not be read: {answer.reason}. Try again later.")
    try:
        fields = json.loads(answer.content)
    except ValueError:
        raise UserError(f"{asset.path} is no valid JSON. {_TELL}") from None
    return fields if isinstance(fields, dict) else {}


def _warn_of_lonely_masks(assets: dict[str, Asset], records: list[dict]) -> None:
    lonely = {path for path in assets if path.endswith(MASK_ENDING)} - {record.get("mask") for record in records}
    if lonely:
        warnings.warn(f"{len(lonely)} masks belong to no image and are left out, such as {min(lonely)}", stacklevel=3)


def _write(path: Path, found: dict) -> None:
    """Write the list in the form of the other manifests: a line an image."""
    head = f"# Written by `histobridge fetch {path.stem}` from the archive's own metadata. Delete it to ask again.\n"
    images = {"images": found["images"]}
    rest = {name: part for name, part in found.items() if name != "images"}
    style = dict(sort_keys=False, allow_unicode=True, width=10**6)
    write_text(path, head + yaml.safe_dump(rest, **style) + yaml.safe_dump(images, default_flow_style=None, **style))
