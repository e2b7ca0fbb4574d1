"""Executed notebooks as HTML that loads nothing from a network: what it shows is embedded, and the rest is left out."""

from __future__ import annotations

import re

import nbformat
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

POLICY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"
"""Tells a browser to load nothing, whatever an output holds."""
ADDRESS = re.compile(r"\s*([a-z][a-z0-9+.-]*:)?//", re.I)
STYLE_ADDRESS = re.compile(r"@import[^;]*;?|url\(\s*[\"']?\s*(?:[a-z][a-z0-9+.-]*:)?//[^)]*\)", re.I)
LOADED = ("src", "srcset", "poster", "data", "background", "xlink:href")
"""Attributes whose address a browser loads by itself; links that a reader follows are not among them."""


def notebook_html(notebook: nbformat.NotebookNode, **options) -> str:
    """Return a notebook as HTML without scripts: math stays TeX, and a widget its text.

    Parameters
    ----------
    notebook : NotebookNode
    **options
        Of `nbconvert.HTMLExporter`, such as `template_name`.
    """
    page = BeautifulSoup(HTMLExporter(embed_images=True, **options).from_notebook_node(notebook)[0], "html.parser")
    for tag in page.find_all(["script", "link", "base", "iframe", "object", "embed"]):
        tag.decompose()
    for tag in page.find_all(True):
        for name in (name for name in LOADED if ADDRESS.search(str(tag.get(name, "")))):
            del tag[name]
        if "style" in tag.attrs:
            tag["style"] = STYLE_ADDRESS.sub("none", tag["style"])
    for tag in page.find_all("style"):
        tag.string = STYLE_ADDRESS.sub("none", tag.get_text())
    if page.head:
        page.head.insert(0, page.new_tag("meta", attrs={"http-equiv": "Content-Security-Policy", "content": POLICY}))
    return str(page)
