"""Drawing: panels to scale, colours with a meaning, files that are the same each time."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib_scalebar.scalebar import ScaleBar

from histobridge.display import drawing
from histobridge.display.domains import domains
from histobridge.display.drawing import (
    BLUE,
    CORRECT_COLOURS,
    ERROR_COLOURS,
    ORANGE,
    STYLE,
    error_map,
    new_figure,
    overlay,
    panel,
    refuse_empty,
    refuse_other_shapes,
    require_columns,
    save_figure,
    scale_bar,
    styled,
)
from histobridge.errors import UserError


@styled
def small_figure():
    """A grey picture of 20 x 30 px with a scale bar."""
    figure = new_figure(2.0, 1.5)
    panel(figure.subplots(), np.linspace(0, 1, 600).reshape(20, 30), title="grey", um_per_px=0.1)
    return figure


def test_style_holds_while_drawing_and_not_after():
    """A styled function sees `STYLE`; afterwards, even after an error, matplotlib's settings are as before."""
    before = dict(matplotlib.rcParams)
    assert before["figure.titlesize"] != STYLE["figure.titlesize"]

    @styled
    def draw():
        raise UserError(f"{matplotlib.rcParams['figure.titlesize']:g}")

    with pytest.raises(UserError, match=r"^9$"):
        draw()
    assert dict(matplotlib.rcParams) == before


def test_save_writes_the_same_files_each_time(tmp_path):
    """A figure becomes an SVG and a 300-dpi PNG in a new folder; a second save gives the same bytes."""
    first = save_figure(small_figure(), tmp_path / "new" / "scale-0.1")
    assert [path.name for path in first] == ["scale-0.1.svg", "scale-0.1.png"]
    assert plt.imread(first[1]).shape[:2] == (450, 600)
    second = save_figure(small_figure(), tmp_path / "again")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_save_reports_a_folder_that_cannot_be_written(tmp_path):
    """A file in place of the folder is an error in words."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"Could not write .*a\.svg"):
        save_figure(small_figure(), tmp_path / "file" / "a")


@pytest.mark.parametrize(
    ("width", "um_per_px", "length", "unit"),
    [(256, 0.1, 5, "um"), (256, 0.01643, 1, "um"), (100, 0.02, 500, "nm"), (3000, 0.5, 200, "um")],
)
def test_a_scale_bar_is_a_round_length_to_scale(width, um_per_px, length, unit):
    """A bar is a round length below 0.3 of the width, and as many pixels long as that length takes."""
    figure = new_figure(2, 2)
    axes = figure.subplots()
    panel(axes, np.zeros((width // 4, width)), um_per_px=um_per_px)
    figure.draw_without_rendering()
    (bar,) = (artist for artist in axes.artists if isinstance(artist, ScaleBar))
    assert (bar.info.value, bar.info.units) == (length, unit)
    assert bar.info.length_px == pytest.approx(length / (1000 if unit == "nm" else 1) / um_per_px)


def test_a_panel_does_not_stretch_its_greys():
    """Black is 0 and white is 1 in every panel, and no scale bar is drawn without a pixel size."""
    axes = new_figure(1, 1).subplots()
    panel(axes, np.full((5, 5), 0.4), title="grey")
    assert axes.get_images()[0].get_clim() == (0, 1) and axes.get_title() == "grey" and not axes.artists


def test_overlay_keeps_hue_on_any_grey():
    """Myelin is blue and axon is orange on black and on white; background stays grey."""
    for grey in (0.0, 1.0):
        background, *tinted = overlay(np.full((1, 3), grey), np.array([[0, 1, 2]], np.uint8))[0]
        np.testing.assert_array_equal(background, [grey] * 3)
        for pixel, colour in zip(tinted, (BLUE, ORANGE), strict=True):
            np.testing.assert_allclose(pixel / pixel.max(), to_rgb(colour) / np.max(to_rgb(colour)))


def test_error_map_colours_every_kind_of_pixel():
    """Each of the nine pairs of true and predicted class has the colour of its error."""
    truth, predicted = np.divmod(np.arange(9, dtype=np.uint8).reshape(1, 9), 3)
    missed, invented, swapped = ERROR_COLOURS.values()
    myelin, axon = CORRECT_COLOURS.values()
    expected = ["white", invented, invented, missed, myelin, swapped, missed, swapped, axon]
    np.testing.assert_allclose(error_map(truth, predicted)[0], [to_rgb(colour) for colour in expected])


def test_domains_shows_four_crops_of_each_domain_above_the_histograms_of_all_images():
    """Crops have one size; the histogram of each image and of each mean sums to 100 %."""
    source = {f"tem-{k}": np.random.default_rng(k).random((72, 80)) for k in range(5)}
    figure = domains(source, {"white": np.ones((50, 60))}, um_per_px=(0.1, 0.2), names=("tem", "sem"))
    pictures = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]
    assert [picture.shape for picture in pictures] == [(50, 50)] * 5
    np.testing.assert_array_equal(pictures[0], source["tem-0"][11:61, 15:65])
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert labels == ["tem\n0.1 µm/px", "sem\n0.2 µm/px", "pixels (%)"]
    histograms = [patch.get_data().values for patch in figure.axes[-1].patches]
    assert [values.sum() for values in histograms] == pytest.approx([100] * (5 + 1 + 1 + 1))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: refuse_empty([], "images of 'sem'"), "no images of 'sem'"),
        (lambda: refuse_other_shapes(np.zeros((2, 3)), {"truth": np.ones((3, 2))}), r"'truth' has shape \(3, 2\)"),
        (lambda: require_columns(pd.DataFrame({"step": [1]}), ["step", "l1"], "the history"), "columns l1 are missing"),
        (lambda: require_columns(pd.DataFrame({"step": []}), ["step"], "the history"), "no rows in the history"),
        (lambda: scale_bar(new_figure(1, 1).subplots(), 0), "pixel of 0 µm"),
        (lambda: scale_bar(new_figure(1, 1).subplots(), float("nan")), "pixel of nan µm"),
        (lambda: domains({"a": np.ones((4, 4))}, {}, um_per_px=(1, 1), names=("a", "b")), "no images of 'b'"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(check, message):
    """Nothing, another shape, a missing column, an empty table and an impossible pixel size name themselves."""
    with pytest.raises(UserError, match=message):
        check()


@pytest.mark.parametrize(("unit", "text"), [("um", "5 µm"), ("nm", "5 nm"), ("mm", "5 mm")])
def test_the_length_of_a_scale_bar_is_plain_text(unit, text):
    """Figures set no formulas, because names of files may hold dollars."""
    assert drawing._length(5.0, ScaleBar(1, unit).dimension.to_latex(unit)) == text
