"""axondeepseg: the measures of this library under the column names of AxonDeepSeg, written as it writes them."""

import numpy as np
import pandas as pd
import pytest

from histobridge.axondeepseg import NAMES, axondeepseg_table
from histobridge.io.masks import write_mask
from histobridge.metrics.morphometrics import fibres
from histobridge.phantom import phantom


@pytest.fixture
def square():
    """A fibre of 20 px with an axon of 10 px, in the middle of 40 × 40 px, and an axon without a sheath."""
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 10:30], mask[15:25, 15:25] = 1, 2
    mask[5:15, 45:50] = 2
    return mask


def test_a_drawn_fibre_has_its_measures_in_um(square):
    """Areas, diameters, thickness, border, and a bounding box whose end is excluded."""
    fibre = axondeepseg_table(square, 0.1).iloc[1]
    assert (fibre["x0 (px)"], fibre["y0 (px)"]) == (19.5, 19.5)
    assert fibre["axon_area (um^2)"] == pytest.approx(1) and fibre["myelin_area (um^2)"] == pytest.approx(3)
    assert fibre["axonmyelin_area (um^2)"] == pytest.approx(4) and fibre["gratio"] == pytest.approx(0.5)
    assert fibre["axon_diam (um)"] == pytest.approx(2 * np.sqrt(1 / np.pi))
    assert fibre["axonmyelin_perimeter (um)"] == pytest.approx(7.6)
    assert fibre[["bbox_min_y", "bbox_min_x", "bbox_max_y", "bbox_max_x"]].tolist() == [10, 10, 30, 30]
    assert not fibre["image_border_touching"]


def test_of_an_axon_without_a_sheath_nothing_is_said_of_one(square):
    """Its own measures stand."""
    bare = axondeepseg_table(square, 0.1).iloc[0]
    sheath = [
        "gratio",
        "myelin_area (um^2)",
        "myelin_thickness (um)",
        "axonmyelin_area (um^2)",
        "axonmyelin_perimeter (um)",
    ]
    assert bare[sheath].isna().all() and bare["axon_area (um^2)"] == pytest.approx(0.5)
    assert bare["orientation"] == pytest.approx(0)  # upright


def test_the_rows_are_those_of_fibres(square):
    """The two tables can be joined by row; without a fibre there are the columns alone."""
    mask = phantom("sem", 5, (128, 128))[1]
    ours, theirs = fibres(mask, 0.1), axondeepseg_table(mask, 0.1)
    np.testing.assert_allclose(ours["axon_diameter_um"], theirs["axon_diam (um)"])
    empty = axondeepseg_table(np.zeros((9, 9), np.uint8), 0.1)
    assert len(empty) == 0 and empty.columns.tolist() == list(NAMES.values())


def test_measure_writes_a_file_a_mask_as_axondeepseg_names_it(histobridge, square, tmp_path):
    """The name is that of the image; masks of one name in two folders get two files."""
    files = [tmp_path / folder / "a_seg-axonmyelin.png" for folder in "xy"]
    for file in files:
        file.parent.mkdir()
        write_mask(file, square)
    code, _, _ = histobridge("measure", *files, "--um-per-px", 0.1, "--to", tmp_path / "out", "--axondeepseg")
    assert code == 0
    for name in ("a_axon_morphometrics.csv", "a-2_axon_morphometrics.csv"):
        table = pd.read_csv(tmp_path / "out" / name, index_col=0)
        assert table.columns.tolist() == list(NAMES.values()) and len(table) == 2
    assert ",NaN," in (tmp_path / "out" / name).read_text()
