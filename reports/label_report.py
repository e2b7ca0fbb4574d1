"""Make reports/label_report.png: the page that `histobridge label` writes, of drawn tissue.

`python reports/label_report.py` takes some minutes: it learns from drawn TEM and labels three images of drawn SEM. It
needs the extra `dev` and Chromium.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from histobridge.io.files import atomic_write
from histobridge.io.images import write_image
from histobridge.phantom import phantom
from histobridge_label.options import LabelOptions
from histobridge_label.pipeline import label_folder

OUT = Path(__file__).with_suffix(".png")
SIZE = 1200, 900  # px of the window
COLOURS = 128  # of the picture, which is then half as large
COMMAND = "histobridge label IMAGES --um-per-px 0.1 --source phantom --profile phantom --out LABELS"


def drawn_report(folder: Path) -> Path:
    """Label three drawn images in a folder and return the page."""
    for seed in range(3):
        write_image(folder / "images" / f"section{seed}.png", phantom("sem", 40 + seed, (480, 600))[0])
    options = LabelOptions("phantom", profile="phantom", work_at=0.1)
    return label_folder(folder / "images", Path("LABELS"), options, um_per_px=0.1, command=COMMAND).page


def screenshot(page: Path) -> bytes:
    """Return a picture of the upper part of a page, as PNG."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page(viewport=dict(zip(("width", "height"), SIZE, strict=True)))
        shown.goto(page.resolve().as_uri())
        shown.wait_for_load_state("networkidle")
        return shown.screenshot()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # the page names its folder
        picture = Image.open(io.BytesIO(screenshot(drawn_report(Path(folder))))).convert("RGB")
    with atomic_write(OUT) as draft:
        picture.quantize(COLOURS).save(draft, format="PNG", optimize=True)
