"""Notebook 09: the figures draw what other tools have read, and differences of masks are counted."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from histobridge.axondeepseg import axondeepseg_table
from histobridge.display.drawing import ERROR_COLOURS, overlay
from histobridge.errors import UserError
from histobridge.phantom import phantom
from histobridge_study import plotting
from histobridge_study.analysis.other_tools import count_differences

UM = 0.1
IMAGE, MASK = phantom("sem", 4, (150, 173))
RING = np.array([(2, 3), (9, 3), (9, 8), (2, 8), (2, 3)])
OTHER = np.where(np.arange(MASK.size).reshape(MASK.shape) < 5, 2 - MASK // 2 * 2, MASK).astype(np.uint8)


def shown(figure) -> list[np.ndarray]:
    """The pictures on a figure, in order."""
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def test_areas_have_the_place_and_the_colour_that_were_read():
    """Corners of pixels lie half a pixel from their centres; the legend names each kind once."""
    areas = [("axon", bytes([230, 159, 0]), [RING]), ("outer", [0, 114, 178], [RING + 5])]
    figure = plotting.outlines(IMAGE, areas, um_per_px=UM)
    first, second = figure.axes[1].collections
    np.testing.assert_array_equal(first.get_paths()[0].vertices[:5], RING - 0.5)
    np.testing.assert_allclose(second.get_edgecolor()[0, :3], np.array([0, 114, 178]) / 255)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["axon", "outer"]
    assert len(plotting.outlines(IMAGE, areas, um_per_px=UM, filled=True).axes[1].collections) == 4


def test_the_same_part_of_every_level_is_shown_with_its_labels():
    """Half as many pixels in each level, and the colours that are given."""
    grey, colours = (255 * IMAGE).astype(np.uint8), {1: (0, 0, 1, 1), 2: (1, 0, 0, 1)}
    figure = plotting.pyramid_levels([grey, grey[::2, ::2]], [MASK, MASK[::2, ::2]], colours, [UM, 2 * UM], side_um=8)
    assert [picture.shape[:2] for picture in shown(figure)] == [(80, 80), (40, 40)] * 2
    np.testing.assert_allclose(shown(figure)[2], overlay(grey / 255, MASK, colours)[35:115, 46:126])
    assert figure.axes[1].get_title(loc="left") == "level 1: 75 × 87 px\n0.2 µm/px"


def test_pixels_that_differ_are_counted_and_marked():
    """In the title, in the picture, and in the table."""
    number = int((OTHER != MASK).sum())
    figure = plotting.differing_pixels(IMAGE, MASK, {"a tool": OTHER}, um_per_px=UM)
    assert number > 0 and figure.axes[3].get_title(loc="left") == f"{number} of {MASK.size} px differ"
    errors = [np.all(shown(figure)[3] == to_rgb(colour), axis=2) for colour in ERROR_COLOURS.values()]
    np.testing.assert_array_equal(np.any(errors, axis=0), OTHER != MASK)
    table = count_differences({"a tool": (MASK, OTHER), "itself": (MASK, MASK)})
    assert table["differ"].tolist() == [number, 0] and table["share"][0] == number / MASK.size
    with pytest.raises(UserError, match="masks of a tool have the shapes"):
        count_differences({"a tool": (MASK, MASK[1:])})


def test_complete_fibres_of_axondeepseg_are_drawn_and_a_missing_column_is_named():
    """Fibres at the border are left out."""
    table = axondeepseg_table(MASK, UM)
    points = plotting.axon_diameter_and_g_ratio(table).axes[0].collections[0].get_offsets()
    assert 0 < len(points) == (~table["image_border_touching"] & table["gratio"].notna()).sum() < len(table)
    with pytest.raises(UserError, match="gratio are missing"):
        plotting.axon_diameter_and_g_ratio(table.drop(columns="gratio"))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plotting.picture_row({}, um_per_px=UM),
        lambda: plotting.outlines(IMAGE, [], um_per_px=UM),
        lambda: plotting.pyramid_levels([], [], {}, []),
        lambda: plotting.differing_pixels(IMAGE, MASK, {}, um_per_px=UM),
        lambda: plotting.axon_diameter_and_g_ratio(axondeepseg_table(MASK, UM)[:0]),
        lambda: plotting.axon_diameter_and_g_ratio(pd.DataFrame()),
    ],
)
def test_nothing_to_draw_is_said(draw):
    """In a sentence."""
    with pytest.raises(UserError, match=r"There are no|are missing"):
        draw()
