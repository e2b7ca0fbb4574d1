"""What the swipe comparison of a pair's page is given: which pictures there are, and the Dice of each."""

from __future__ import annotations

from urllib.parse import quote

import pandas as pd

from histobridge_study.report.collect import BEYOND, TABLES
from histobridge_study.site.sources import Fold

LAYERS = {
    "image": "Image",
    "translation": "Translation to L",
    "label": "Pseudo label",
    "truth": "Truth (expert mask)",
    "difference": "Label against truth",
    "uncertainty": "Uncertainty",
}
"""What may be seen on either side. The difference is composed by the browser."""


def address(fold: Fold, method: str, image: str, *layers: str) -> str:
    """Return the fragment that opens the comparison: of a run, way and image, with a left and a right layer."""
    return "#see=" + "/".join(quote(part, safe="") for part in (fold.key, method, image, *layers))


def way_name(method: str) -> str:
    """Return a way in words.

    >>> way_name("tutorship-invert-histogram"), way_name("pretrained-none")
    ('tutorship with invert-histogram', 'pretrained')
    """
    strategy, translator = method.split("-", 1)
    return strategy if translator == "none" else f"{strategy} with {translator}"


def stage_of(strategy: str) -> str:
    """Return the notebook that makes and scores a strategy's labels."""
    return BEYOND if strategy == "refined" else TABLES["dice"]


def swipe_data(folds: list[Fold], pictures: dict[str, dict], notebooks: dict[tuple[str, str], str]) -> dict:
    """Return what the script on the page reads.

    Parameters
    ----------
    folds : list of Fold
        Of one pair.
    pictures : dict
        By key of the fold: what `pictures.of_fold` returned.
    notebooks : dict
        The address of the cell that scores, by key of the fold and stage.
    """
    methods = list(dict.fromkeys(method for fold in folds for method in fold.methods))
    first = folds[0]
    return {
        "layers": LAYERS,
        "ways": {method: {"label": way_name(method), "translator": method.split("-", 1)[1]} for method in methods},
        "runs": {fold.key: _of_fold(fold, pictures[fold.key], notebooks) for fold in folds},
        "start": [first.key, first.shown_first, first.typical(first.shown_first)],
    }


def _of_fold(fold: Fold, pictures: dict[str, dict], notebooks: dict[tuple[str, str], str]) -> dict:
    dice = _dice(fold.rows)
    return {
        "label": fold.label,
        "ways": fold.methods,
        "notebooks": {method: notebooks.get((fold.key, stage_of(method.split("-")[0])), "") for method in fold.methods},
        "images": {name: picture | {"dice": dice.get(name, {})} for name, picture in pictures.items()},
    }


def _dice(rows: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Return Dice, three decimals, by image, way and class."""
    found: dict = {}
    columns = ["image", "strategy", "translator", "class", "dice"]
    for image, strategy, translator, class_, dice in rows.dropna(subset="dice")[columns].itertuples(index=False):
        of_method = found.setdefault(image, {}).setdefault(f"{strategy}-{translator}", {})
        of_method[class_] = round(dice, 3)
    return found
