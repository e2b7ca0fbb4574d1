"""The data of the comparison with a divider: which pictures a page holds, and the address that opens one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from markupsafe import Markup

LAYERS = {
    "image": "Image",
    "translation": "Translation to L",
    "label": "Label",
    "truth": "Expert mask",
    "difference": "Label against expert mask",
    "uncertainty": "Uncertainty",
}
"""What can be shown on either side of the divider. The browser composes the difference of two masks."""


class SwipeRun(NamedTuple):
    """The pictures of one run.

    Attributes
    ----------
    label : str
        The run in words.
    methods : dict
        By key of a method: its `label` in words and the `translator` whose translations belong to it.
    images : dict
        By name of an image: `size` [W, H] in px; the addresses of `image` and `truth`, as far as they exist; the
        addresses of `translation` by translator, and of `label` and `uncertainty` by method; and `dice`, by method
        and class.
    notebooks : dict
        The address of the executed notebook, by method.
    """

    label: str
    methods: dict[str, dict[str, str]]
    images: dict[str, dict]
    notebooks: dict[str, str]


def swipe_data(
    runs: Mapping[str, SwipeRun],
    start: tuple[str, str, str],
    *,
    layers: Mapping[str, str] = LAYERS,
    unscored: str = "Not scored.",
) -> Markup:
    """Return the JSON that site.js reads; no text in it can end the script element that holds it.

    Parameters
    ----------
    runs : mapping
        By key.
    start : tuple of str
        Keys of the run, method and image that the page opens with.
    layers : mapping
        Names of the layers to choose from.
    unscored : str
        What is written where an image has no Dice.
    """
    content = {"runs": {key: run._asdict() for key, run in runs.items()}, "start": start}
    text = json.dumps(content | {"layers": dict(layers), "unscored": unscored}, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def see(*keys: str) -> str:
    """Return the fragment of an address that opens a run, method and image, and optionally a left and right layer.

    >>> see("fold0", "tutorship-syndiff", "sem 1", "label", "uncertainty")
    '#see=fold0/tutorship-syndiff/sem%201/label/uncertainty'
    """
    return "#see=" + "/".join(quote(key, safe="") for key in keys)
