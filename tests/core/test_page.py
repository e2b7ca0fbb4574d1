"""Parts of pages: tables as cells, pictures for a browser, the data of the comparison."""

import io
import json
import math
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from histobridge.display.page import LAYERS, SwipeRun, figure_webp, grey_webp, heat_webp, mask_png, swipe_data, table
from histobridge.display.page.pictures import LONGEST


def decoded(picture) -> Image.Image:
    """The picture as a browser reads it."""
    return Image.open(io.BytesIO(picture.content))


def test_a_table_splits_numbers_from_their_remarks_and_links_them():
    """Bold, interval, dash, link: each becomes a property of the cell; constant columns are left out."""
    frame = pd.DataFrame({"pair": ["a", "a"], "dice": ["**0.815 ± 0.010 [0.7, 0.9]**", math.nan], "p": [0.12345, 2.0]})
    made = table(
        frame, "t", "Caption", links={"dice": lambda row: ("#x", row["pair"])}, bars=["dice"], optional=["pair"]
    )
    assert made.columns == ["dice", "p"]
    best, missing = (row[0] for row in made.rows)
    assert (best.text, best.remark, best.href, best.title) == ("0.815 ± 0.010", "[0.7, 0.9]", "#x", "a")
    assert best.strong and best.value == 0.815
    assert (missing.text, missing.href, missing.value) == ("–", "", None)
    assert [row[1].text for row in made.rows] == ["0.123", "2.000"]
    assert made.bars == {0} and made.numeric == {0, 1}


def test_large_images_are_reduced_and_figures_are_not():
    """The longer side of an image has at most LONGEST px; a figure keeps its size for its lettering."""
    image = grey_webp(np.full((3000, 1500), 0.5, np.float32))
    assert (image.width, image.height) == decoded(image).size == (LONGEST // 2, LONGEST)
    png = io.BytesIO()
    Image.new("RGBA", (LONGEST + 1, 3), (0, 0, 0, 0)).save(png, format="PNG")
    figure = figure_webp(png.getvalue())
    assert decoded(figure).size == (LONGEST + 1, 3)
    assert np.asarray(decoded(figure).convert("L")).min() > 250  # transparent becomes white


def test_masks_have_a_transparent_background_and_the_colours_of_the_figures():
    """Myelin is blue and axon orange, exactly."""
    with decoded(mask_png(np.array([[0, 1, 2]], np.uint8))) as picture:
        pixels = np.asarray(picture.convert("RGBA"))[0].tolist()
    assert pixels[0][3] == 0
    assert pixels[1:] == [[0, 114, 178, 255], [230, 159, 0, 255]]


def test_uncertain_pixels_are_brighter():
    """The colours of an uncertainty map grow brighter with it; values beyond 0..1 are clipped."""
    uncertainty = np.repeat([[-1.0, 0.5, 2.0]], 16, axis=0).repeat(16, axis=1)
    grey = np.asarray(decoded(heat_webp(uncertainty)).convert("L"))
    assert grey[8, 4] < 30 < grey[8, 24] < 200 < grey[8, 40]


def test_no_name_can_end_the_script_element_that_holds_the_data():
    """The JSON of the comparison contains no `<`, and reads back as it was."""
    name = "</script><b>"
    text = swipe_data({"run": SwipeRun("a run", {"m": {"label": name}}, {name: {}}, {})}, ("run", "m", name))
    assert "<" not in text
    data = json.loads(text)
    assert data["start"] == ["run", "m", name]
    assert data["runs"]["run"]["methods"]["m"]["label"] == name
    assert data["layers"] == LAYERS


def test_templates_style_and_script_are_installed_with_the_packages():
    """Every file in lib that is no Python file is named in pyproject.toml, so that a wheel contains it."""
    root = Path(__file__).parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    homes = [root / "lib" / package.replace(".", "/") for package in settings["packages"]]
    named = {path for home in homes for pattern in settings["package-data"]["*"] for path in home.glob(pattern)}
    others = {
        path
        for path in (root / "lib").rglob("*.*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "egg-info" not in str(path)
    }
    assert others <= named and len(others) > 5
