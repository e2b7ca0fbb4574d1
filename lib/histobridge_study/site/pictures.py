"""Pictures small enough for a page: WebP for images, eight-bit palettes for masks, never larger than is looked at.

They are for the eye. Whoever measures takes the files of the run.
"""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from histobridge.classes import AXON, MYELIN
from histobridge.display.drawing import CLASS_COLOURS
from histobridge.io.files import atomic_write
from histobridge_study.site.sources import Fold, kept_image, kept_mask, target_pictures

LONGEST = 1024  # px of a picture's longer side
QUALITY = 82  # of WebP: noise and type look as before
HEAT = "magma"

Picture = dict[str, str]


def of_fold(fold: Fold, site: Path) -> tuple[dict[str, dict], list[str]]:
    """Write the pictures of all scored images of a fold; what several folds share is written once.

    Returns
    -------
    pictures : dict
        By image: `size` [W, H] px and, as far as they are there, the addresses of `image` and `truth`, and those of
        `translation` by translator, of `label` and `uncertainty` by way.
    notes : list of str
        What could not be shown, and why.
    """
    images, masks, why = target_pictures(fold.run)
    shared = Path("pictures", fold.pair, fold.run.parameters.split)
    found = {}
    for name in fold.images:
        own: dict = _own_pictures(fold, name, site)
        own |= _saved(site, shared / "image" / f"{name}.webp", images.get(name), save_grey, "image")
        own |= _saved(site, shared / "truth" / f"{name}.png", masks.get(name), save_mask, "truth")
        found[name] = own | {"size": _size(site, own)}
    return found, _notes(found, why)


def _own_pictures(fold: Fold, name: str, site: Path) -> dict[str, Picture]:
    """Write the pictures of an image that differ from fold to fold, and return their addresses."""
    protocol_and_split, pair = "-".join(fold.folder.parts[-3:-1]), Path("pictures", fold.pair)
    own, shared = pair / fold.key, pair / f"{protocol_and_split}-{fold.run.translator_key}"
    translators = [t for t in fold.run.translators if t != "none"]
    kinds = {
        "translation": (shared, translators, fold.translation_file, kept_image, save_grey),
        "label": (own, fold.methods, fold.label_file, kept_mask, save_mask),
        "uncertainty": (own, fold.methods, fold.uncertainty_file, kept_image, save_heat),
    }
    found: dict[str, Picture] = {kind: {} for kind in kinds}
    for kind, (home, keys, file, read, save) in kinds.items():
        for key in keys:
            path = home / kind / key / f"{name}{ENDING[save]}"
            found[kind] |= _saved(site, path, read(file(key, name)), save, key)
    return found


def _saved(site: Path, path: Path, array: np.ndarray | None, save, key: str) -> Picture:
    """Save an array unless it is there already; return its address, or nothing where there is no array."""
    if array is None:
        return {}
    if not (site / path).exists():
        save(array, site / path)
    return {key: path.as_posix()}


def _size(site: Path, own: dict) -> list[int]:
    """Return width and height of the first picture of an image, or a square."""
    addresses = [own.get("image"), own.get("truth"), *own["label"].values(), *own["translation"].values()]
    first = next(filter(None, addresses), None)
    if first is None:
        return [256, 256]
    with Image.open(site / first) as picture:
        return list(picture.size)


def _notes(found: dict[str, dict], why: str) -> list[str]:
    """Say which kinds of pictures are lacking, and of how many images."""
    kinds = {
        "image": why or "the data set has none",
        "truth": why or "there is no expert mask",
        "translation": "notebook 02 has left none",
        "label": "notebook 03 has left none",
        "uncertainty": "only `refined` has it, from notebook 05",
    }
    lacking = {kind: sum(not own.get(kind) for own in found.values()) for kind in kinds}
    return [f"No {kind} of {n} of {len(found)} images: {kinds[kind]}." for kind, n in lacking.items() if n]


# --- Files --------------------------------------------------------------------------------------------------


def save_grey(image: np.ndarray, path: Path) -> None:
    """Write an image, float [H, W] in 0..1, as WebP."""
    grey = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    _save(_smaller(Image.fromarray(grey), Image.Resampling.LANCZOS).convert("RGB"), path)


def save_heat(uncertain: np.ndarray, path: Path) -> None:
    """Write an uncertainty map, float [H, W] in 0..1, as WebP: from black over red to white."""
    colours = matplotlib.colormaps[HEAT](np.clip(uncertain, 0, 1), bytes=True)[..., :3]
    _save(_smaller(Image.fromarray(colours), Image.Resampling.LANCZOS), path)


def save_mask(mask: np.ndarray, path: Path) -> None:
    """Write a mask, uint8 [H, W] with 0 background, 1 myelin and 2 axon, as PNG: background is transparent."""
    picture = _smaller(Image.fromarray(mask, mode="P"), Image.Resampling.NEAREST)
    colours = {MYELIN: CLASS_COLOURS["myelin"], AXON: CLASS_COLOURS["axon"]}
    palette = np.zeros((3, 3), np.uint8)
    for class_, colour in colours.items():
        palette[class_] = np.rint(np.multiply(to_rgb(colour), 255))
    picture.putpalette(palette.ravel().tolist())
    with atomic_write(path) as draft:
        picture.save(draft, format="PNG", transparency=0, bits=2, optimize=True)


def save_png_as_webp(png: bytes, path: Path) -> tuple[int, int]:
    """Write a PNG, such as a notebook's figure, as WebP; return width and height."""
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGBA")
    page = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(page, picture).convert("RGB")
    if not path.exists():
        _save(picture, path)
    return picture.size


ENDING = {save_grey: ".webp", save_heat: ".webp", save_mask: ".png"}


def _smaller(picture: Image.Image, how: Image.Resampling) -> Image.Image:
    scale = LONGEST / max(picture.size)
    return picture if scale >= 1 else picture.resize([max(1, round(side * scale)) for side in picture.size], how)


def _save(picture: Image.Image, path: Path) -> None:
    with atomic_write(path) as draft:
        picture.save(draft, format="WEBP", quality=QUALITY, method=4)
