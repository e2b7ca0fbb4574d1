"""Drawing: panels to scale, colours that say what they mean, figures saved the same each time."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from histobridge.display import drawing
from histobridge.display.drawing import (
    BLUE,
    CORRECT_COLOURS,
    ERROR_COLOURS,
    ORANGE,
    PAGE,
    arrow,
    axes_at,
    blank,
    common_side,
    error_map,
    middle,
    new_figure,
    overlay,
    panel,
    panel_grid,
    refuse_empty,
    refuse_other_shapes,
    require_columns,
    save,
    scale_bar_um,
    sheet,
    styled,
    word_box,
)
from histobridge.errors import UserError


@styled
def drawn():
    """A small figure: a grey picture with a scale bar."""
    figure = new_figure(2.0, 1.5)
    panel(figure.subplots(), np.linspace(0, 1, 600).reshape(20, 30), title="grey", um_per_px=0.1)
    return figure


# --- Figures --------------------------------------------------------------------------------------------


def test_style_holds_while_drawing_and_not_after():
    """A styled function sees `STYLE`; afterwards, also after an error, matplotlib's settings are as before."""
    before = dict(matplotlib.rcParams)
    assert before["figure.titlesize"] != drawing.STYLE["figure.titlesize"]

    @styled
    def draw():
        raise UserError(f"{matplotlib.rcParams['figure.titlesize']:g}")

    for _ in range(2):
        with pytest.raises(UserError, match=r"^9$"):
            draw()
        assert dict(matplotlib.rcParams) == before


def test_a_new_figure_is_unknown_to_pyplot():
    """It has the size asked for and is not open, so a notebook does not show it twice."""
    figure = new_figure(3.0, 2.0)
    assert figure.get_size_inches().tolist() == [3.0, 2.0]
    assert plt.get_fignums() == []


@pytest.mark.parametrize("columns", [1, 3, 9])
def test_a_grid_fits_a_page(columns):
    """Panels are as many as asked for, and the page is never too narrow."""
    figure, grid = panel_grid(2, columns)
    assert grid.shape == (2, columns)
    assert figure.get_size_inches()[0] <= drawing.PAGE + 1e-9


def test_save_writes_both_files_the_same_each_time(tmp_path):
    """A name with a dot gets an SVG and a 300-dpi PNG alone, in a folder that is made, and again byte for byte."""
    figure = drawn()
    first = save(figure, tmp_path / "new" / "scale-0.1")
    assert [path.name for path in first] == ["scale-0.1.svg", "scale-0.1.png"]
    assert sorted(path.name for path in first[0].parent.iterdir()) == ["scale-0.1.png", "scale-0.1.svg"]
    assert plt.imread(first[1]).shape[:2] == (450, 600)
    second = save(drawn(), tmp_path / "again")
    assert first[0].read_text().startswith("<?xml")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_save_says_where_it_cannot_write(tmp_path):
    """A file in place of the folder gives a sentence."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"Could not write .*a\.svg"):
        save(drawn(), tmp_path / "file" / "a")


def test_things_on_a_sheet_stand_where_they_are_put():
    """A sheet is a page wide, in inches from its upper left corner; axes, boxes and arrows keep to that."""
    figure, ground = sheet(3.0)
    assert figure.get_size_inches().tolist() == [PAGE, 3.0]
    axes = axes_at(ground, 1.0, 0.5, 2.0, 1.5)
    word_box(ground, (2.0, 1.25), (1.0, 0.5), "in the middle", BLUE)
    arrow(ground, (1.0, 0.5), (1.0, 2.0), (3.0, 2.0))
    figure.draw_without_rendering()
    inches = axes.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    np.testing.assert_allclose(inches.extents, [1.0, 3.0 - 2.0, 3.0, 3.0 - 0.5])
    np.testing.assert_allclose(ground.transData.transform((1.0, 0.5)), axes.transAxes.transform((0, 1)))
    box, line = ground.patches
    np.testing.assert_allclose(box.get_path().get_extents().extents, [1.5, 1.0, 2.5, 1.5])
    assert box.get_facecolor()[:3] == to_rgb(BLUE) and ground.texts[0].get_text() == "in the middle"
    corner, tip = ground.transData.transform([(1.0, 0.5), (3.0, 2.0)])
    reach = line.get_window_extent()
    np.testing.assert_allclose([reach.x0, reach.y1], corner, atol=2)
    np.testing.assert_allclose([reach.x1, reach.y0], tip, atol=6)  # its head is a few pixels wide


# --- Panels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "um_per_px", "length"), [(256, 0.1, 5), (256, 0.01643, 1), (100, 1 / 30, 1), (3000, 0.005, 2)]
)
def test_scale_bar_is_a_round_length(width, um_per_px, length):
    """Bars are the longest 1, 2 or 5 times a power of ten within 0.3 of the width, round-off forgiven."""
    assert scale_bar_um(width, um_per_px) == pytest.approx(length)


def test_a_panel_shows_its_picture_to_scale():
    """Grey is not stretched, the bar spans its length over µm/px pixels and says so; without a size there is none."""
    (axes,) = drawn().axes
    (picture,), (bar,) = axes.get_images(), axes.patches
    assert picture.get_clim() == (0, 1) and axes.get_title(loc="left") == "grey"
    assert bar.get_width() == pytest.approx(0.5 / 0.1) and axes.texts[0].get_text() == "0.5 µm"
    bare = new_figure(1, 1).subplots()
    panel(bare, np.zeros((5, 5)))
    assert not bare.patches and not bare.texts


def test_a_blank_panel_is_empty_but_for_its_note():
    """No axis is seen, only the words."""
    axes = new_figure(1, 1).subplots()
    blank([axes], "the image itself")
    assert not axes.axison and [text.get_text() for text in axes.texts] == ["the image itself"]


# --- Pictures -------------------------------------------------------------------------------------------


def test_overlay_keeps_hue_on_any_grey():
    """Myelin is blue and axon orange on black and on white alike; background stays grey."""
    mask = np.array([[0, 1, 2]], np.uint8)
    for grey in (0.0, 1.0):
        background, *tinted = overlay(np.full((1, 3), grey), mask)[0]
        np.testing.assert_array_equal(background, [grey] * 3)
        for seen, colour in zip(tinted, (BLUE, ORANGE), strict=True):
            np.testing.assert_allclose(seen / seen.max(), to_rgb(colour) / np.max(to_rgb(colour)))


def test_error_map_colours_every_kind_of_pixel():
    """All nine pairs of true and predicted class get the colour of what happened."""
    truth, predicted = np.divmod(np.arange(9, dtype=np.uint8).reshape(1, 9), 3)
    invented, missed, swapped = (ERROR_COLOURS[name] for name in ("invented", "missed", "swapped"))
    myelin, axon = CORRECT_COLOURS.values()
    expected = ["white", invented, invented, missed, myelin, swapped, missed, swapped, axon]
    np.testing.assert_allclose(error_map(truth, predicted)[0], [to_rgb(colour) for colour in expected])


def test_crops_are_central_and_of_one_side():
    """The side is the smallest of all and of what is asked; the square sits in the middle."""
    images = [np.zeros((50, 60)), np.zeros((70, 40))]
    assert (common_side(images, 256), common_side(images, 32)) == (40, 32)
    np.testing.assert_array_equal(middle(np.arange(30).reshape(5, 6), 2), [[8, 9], [14, 15]])
    assert middle(np.zeros((5, 6, 3)), 2).shape == (2, 2, 3)


# --- Checks ---------------------------------------------------------------------------------------------


def test_what_cannot_be_drawn_is_refused_in_words():
    """Nothing, another shape, a missing column, an empty table and an absurd pixel size name themselves."""
    table = pd.DataFrame({"step": [1]})
    refuse_empty([0], "images")
    refuse_other_shapes(np.zeros((2, 3)), {"truth": np.ones((2, 3))})
    require_columns(table, ["step"], "the history")
    with pytest.raises(UserError, match="no images of 'sem'"):
        refuse_empty([], "images of 'sem'")
    with pytest.raises(UserError, match=r"'truth' has shape \(3, 2\), its image \(2, 3\)"):
        refuse_other_shapes(np.zeros((2, 3)), {"truth": np.ones((3, 2))})
    with pytest.raises(UserError, match="In the history the columns loss, l1 are missing"):
        require_columns(table, ["step", "loss", "l1"], "the history")
    with pytest.raises(UserError, match="no rows in the history"):
        require_columns(table[:0], ["step"], "the history")
    for size in (0, -1, float("nan")):
        with pytest.raises(UserError, match=f"pixel of {size} µm"):
            scale_bar_um(256, size)
