"""The pictures of a fold as files of the site, and their addresses for the comparison."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.display.page import LAYERS, Picture, SwipeRun, grey_webp, heat_webp, mask_png
from histobridge.io.files import atomic_write
from histobridge_study.analysis.methods import split_method
from histobridge_study.report.site.contents import Arrays, Fold, method_name, methods_of


def swipe_run(fold: Fold, to: Path, notebooks: dict[str, str]) -> tuple[SwipeRun, list[str]]:
    """Write the pictures of a fold into the site `to`; return what the comparison needs, and notes on what is missing.

    `notebooks` holds the address of the executed notebook by method.
    """
    arrays, dice = fold.load(), _dice(fold.rows)
    methods = {m: {"label": method_name(m, fold.profile), "translator": split_method(m)[1]} for m in fold.methods}
    images = {}
    for name in sorted(set(fold.rows["image"])):
        images[name] = _pictures(arrays, name, to, f"pictures/{fold.pair}/{name}") | {"dice": dice.get(name, {})}
    return SwipeRun(fold.label, methods, images, notebooks), _notes(images, arrays.note)


def _pictures(arrays: Arrays, name: str, to: Path, home: str) -> dict:
    """Write the pictures of one image; return its size [W, H] in px and their addresses."""
    shapes = []

    def write(layer: str, array: np.ndarray | None, encode: Callable[[np.ndarray], Picture]) -> str:
        if array is None:
            return ""
        shapes.append(array.shape)
        picture = encode(array)
        # The hash lets folds share equal pictures and keeps others apart.
        address = f"{home}-{layer}-{sha256(picture.content).hexdigest()[:8]}.{picture.kind}"
        if not (to / address).exists():
            with atomic_write(to / address) as draft:
                Path(draft).write_bytes(picture.content)
        return address

    addresses = {
        "image": write("image", arrays.images.get(name), grey_webp),
        "truth": write("truth", arrays.truth.get(name), mask_png),
        "translation": {
            t: write(f"translation-{t}", maps.get(name), grey_webp) for t, maps in arrays.translations.items()
        },
        "label": {m: write(f"label-{m}", maps.get(name), mask_png) for m, maps in arrays.labels.items()},
        "uncertainty": {
            m: write(f"uncertainty-{m}", maps.get(name), heat_webp) for m, maps in arrays.uncertainty.items()
        },
    }
    height, width = shapes[0] if shapes else (1, 1)
    return addresses | {"size": [width, height]}


def _notes(images: dict[str, dict], why: str) -> list[str]:
    layers = [layer for layer in LAYERS if layer != "difference"]
    missing = {layer: sum(not found[layer] for found in images.values()) for layer in layers}
    notes = [f"{LAYERS[layer]}: missing for {n} of {len(images)} images." for layer, n in missing.items() if n]
    return [*notes, why] if why else notes


def _dice(rows: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Return Dice, to three decimals, by image, method and class."""
    found: dict = {}
    rows = rows.assign(method=methods_of(rows)).dropna(subset="dice")
    for image, method, class_, dice in rows[["image", "method", "class", "dice"]].itertuples(index=False):
        found.setdefault(image, {}).setdefault(method, {})[class_] = round(dice, 3)
    return found
