"""geojson: a mask written as polygons is read back exactly, and the polygons are what QuPath expects."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from matplotlib.colors import to_rgb
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry import shape as geometry_of

from histobridge.display.drawing import CLASS_COLOURS
from histobridge.errors import UserError
from histobridge.phantom import phantom
from histobridge_label.export import geojson, names
from histobridge_label.export.geojson import COLOURS, features, fill, read_geojson, trace, write_geojson
from histobridge_label.export.instances import fibre_labels

UM = 0.1


def drawing(*rows: str) -> np.ndarray:
    """A mask from text: '.' background, 'm' myelin, 'a' axon."""
    return np.array([[".ma".index(letter) for letter in row] for row in rows], np.uint8)


HARD = {
    "nothing": drawing("....", "....", "...."),
    "one pixel": drawing("a"),
    "everything": drawing("mmm", "mmm"),
    "a fibre": drawing("mmmm", "maam", "mmmm"),
    "a hole in an axon": drawing("aaaaa", "aa.aa", "aaaaa"),
    "an island in a hole": drawing("mmmmm", "m...m", "m.m.m", "m...m", "mmmmm"),
    "pieces that touch at corners": drawing("a.a.", ".a.a", "a.a."),
    "holes that touch at corners": drawing("aaaa", "a.aa", "aa.a", "aaaa"),
    "a hole that touches the outside": drawing("aaa", "a.a", "aa."),
    "a ring closed by corners": drawing(".a.", "a.a", ".a."),
    "classes that cross at a corner": drawing("am", "ma"),
}


def inside(geometry, shape) -> np.ndarray:
    """Which pixel centres lie in a geometry, by shapely."""
    y, x = np.indices(shape) + 0.5
    return shapely.contains_xy(geometry, x, y)


def mask_of(features, shape) -> np.ndarray:
    """The mask that features draw, by shapely; they must be valid and share no pixel."""
    mask = np.zeros(shape, np.uint8)
    for feature in features:
        geometry = geometry_of(feature["geometry"])
        assert geometry.is_valid, shapely.is_valid_reason(geometry)
        pixels = inside(geometry, shape)
        assert not mask[pixels].any()
        mask[pixels] = ["", "Myelin", "Axon"].index(feature["properties"]["classification"]["name"])
    return mask


def read_back(mask, tmp_path) -> np.ndarray:
    """A mask written and read again."""
    write_geojson(tmp_path / "a.geojson", mask, fibre_labels(mask, UM))
    return read_geojson(tmp_path / "a.geojson", mask.shape)


# --- Polygons -------------------------------------------------------------------------------------------


def test_random_maps_are_traced_exactly():
    """Each label of 400 maps is a valid geometry of its own area that contains its pixels and no others."""
    rng = np.random.default_rng(0)
    for _ in range(400):
        labels = rng.integers(1, 4, rng.integers(1, 9, 2), dtype=np.int32)
        labels[rng.random(labels.shape) < rng.random()] = 0
        traced = trace(labels)
        assert [number for number, _ in traced] == [number for number in np.unique(labels) if number]
        for number, polygons in traced:
            geometry = MultiPolygon([Polygon(outline, holes) for outline, *holes in polygons])
            assert geometry.is_valid and geometry.area == (labels == number).sum()
            np.testing.assert_array_equal(inside(geometry, labels.shape), labels == number)
        everything = [(polygon, number) for number, polygons in traced for polygon in polygons]
        np.testing.assert_array_equal(fill(everything, labels.shape), labels)


@pytest.mark.parametrize("mask", HARD.values(), ids=HARD)
def test_rings_are_closed_and_minimal_and_run_in_the_right_direction(mask):
    """Outlines run counterclockwise and holes clockwise; each point is a corner, and none but the first is repeated."""
    for _, polygons in trace(mask.astype(np.int32)):
        for outline, *holes in polygons:
            assert Polygon(outline).exterior.is_ccw and not any(Polygon(hole).exterior.is_ccw for hole in holes)
            for ring in (outline, *holes):
                assert (ring[0] == ring[-1]).all() and len(np.unique(ring, axis=0)) == len(ring) - 1
                horizontal = np.diff(ring, axis=0)[:, 1] == 0
                assert (horizontal[1:] != horizontal[:-1]).all() and horizontal[0] != horizontal[-1]


def test_holes_that_touch_are_two_rings_and_pieces_that_touch_are_two_polygons():
    """At a corner no ring meets itself, as the OGC demands."""
    ((_, polygons),) = trace(np.int32(HARD["holes that touch at corners"]))
    assert [len(polygon) for polygon in polygons] == [3]
    ((_, polygons),) = trace(np.int32(HARD["a ring closed by corners"]))
    assert [len(polygon) for polygon in polygons] == [1, 1, 1, 1]


def test_polygons_drawn_by_hand_fill_the_pixels_whose_centre_they_contain():
    """50 stars with corners anywhere, some outside of the image, are filled as shapely fills them."""
    rng, shape = np.random.default_rng(1), (30, 40)
    for _ in range(50):
        angles = np.sort(rng.random(9)) * 2 * np.pi
        radius = rng.uniform(5, 25, 9)
        star = np.column_stack([18 + radius * np.cos(angles), 14 + radius * np.sin(angles)])
        np.testing.assert_array_equal(fill([([star], 1)], shape), inside(Polygon(star), shape))


def test_a_centre_on_an_edge_belongs_to_the_polygon_right_of_and_below_it():
    """Two triangles that share a diagonal through pixel centres fill their square without a gap."""
    upper_right, lower_left = np.array([(0, 0), (3, 0), (3, 3)]), np.array([(0, 0), (3, 3), (0, 3)])
    np.testing.assert_array_equal(fill([([upper_right], 1)], (3, 3)), np.triu(np.ones((3, 3))))
    np.testing.assert_array_equal(fill([([lower_left], 1)], (3, 3)), np.tril(np.ones((3, 3)), -1))
    half_a_pixel = np.array([(0.5, 0.5), (2.5, 0.5), (2.5, 2.5), (0.5, 2.5)])
    np.testing.assert_array_equal(fill([([half_a_pixel], 1)], (3, 3)), drawing("mm.", "mm.", "..."))


# --- GeoJSON --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", HARD.values(), ids=HARD)
def test_hard_masks_are_read_back_exactly(mask, tmp_path):
    """Holes, touching corners and an empty mask, by our reader and by shapely."""
    np.testing.assert_array_equal(read_back(mask, tmp_path), mask)
    collection = json.loads((tmp_path / "a.geojson").read_text())
    assert collection["type"] == "FeatureCollection"
    np.testing.assert_array_equal(mask_of(collection["features"], mask.shape), mask)


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_read_back_exactly(seed, tmp_path):
    """Noise contains every kind of corner."""
    mask = np.random.default_rng(seed).integers(0, 3, (40, 37)).astype(np.uint8)
    np.testing.assert_array_equal(read_back(mask, tmp_path), mask)
    np.testing.assert_array_equal(mask_of(features(mask, fibre_labels(mask, UM)), mask.shape), mask)


def test_features_carry_what_qupath_reads():
    """All are annotations with class and colour; axon and myelin of a fibre carry its number, other pieces none."""
    mask = phantom("sem", 4, (150, 173))[1].copy()
    mask[0, :2] = [0, 2]  # a speck
    labels = fibre_labels(mask, UM)
    found = list(features(mask, labels))
    numbered = {"Axon": set(), "Myelin": set()}
    for feature in found:
        properties = feature["properties"]
        class_name = properties["classification"]["name"]
        assert properties["objectType"] == "annotation"
        assert properties["classification"]["color"] == COLOURS[class_name]
        if "name" in properties:
            (measurement,) = properties["measurements"]
            number = measurement["value"]
            assert properties["name"] == f"fibre {number}" and measurement["name"] == "fibre"
            numbered[class_name].add(number)
            expected = (labels == number) & (mask == (2 if class_name == "Axon" else 1))
            np.testing.assert_array_equal(inside(geometry_of(feature["geometry"]), mask.shape), expected)
    assert numbered["Axon"] == set(range(1, labels.max() + 1)) >= numbered["Myelin"] != set()
    assert any("name" not in feature["properties"] for feature in found)


def test_polygons_have_the_colours_of_the_figures():
    """The same colour means the same class everywhere."""
    for class_name, rgb in COLOURS.items():
        assert to_rgb(CLASS_COLOURS[class_name.lower()]) == pytest.approx(np.array(rgb) / 255)


SQUARE = (((0, 0), (4, 0), (4, 4), (0, 4), (0, 0)),)


def feature(kind="Polygon", coordinates=SQUARE, class_name="Axon") -> dict:
    """A feature as QuPath might export it."""
    properties = {"classification": {"name": class_name, "colorRGB": -1}} if class_name else {}
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


@pytest.mark.parametrize("wrap", [lambda found: {"type": "FeatureCollection", "features": found}, lambda found: found])
def test_polygons_corrected_in_qupath_are_read(wrap, tmp_path):
    """A plain list, fractions of pixels, open rings and points outside are accepted; axon is on top of myelin."""
    disc = ((-9.5, -9.5), (3.4, -9.5), (3.4, 3.6), (-9.5, 3.6))
    axon = ((1, 1), (2, 1), (2, 2), (1, 2))
    drawn = [feature(coordinates=(axon,)), feature(coordinates=(disc,), class_name="myelin")]
    (tmp_path / "a.geojson").write_text(json.dumps(wrap(drawn)))
    mask = read_geojson(tmp_path / "a.geojson", (5, 5))
    np.testing.assert_array_equal(mask, drawing("mmm..", "mam..", "mmm..", "mmm..", "....."))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as GeoJSON"),
        ('{"a": 1}', "no GeoJSON of features"),
        (json.dumps(feature(class_name="Tumor")), "class 'Tumor'"),
        (json.dumps(feature(class_name=None)), "class every object as Axon or Myelin"),
        (json.dumps(feature("LineString", ((0, 0), (1, 1)))), "draw areas"),
        (json.dumps(feature(coordinates=(("a", "b"),))), "no list of points"),
        (json.dumps(feature(coordinates=((1, 2, 3),))), "no list of points"),
        (None, "is the file there"),
    ],
)
def test_files_that_hold_no_mask_are_refused(content, message, tmp_path):
    """The message names the file and says what to do."""
    if content is not None:
        (tmp_path / "a.geojson").write_text(content)
    with pytest.raises(UserError, match=message) as refused:
        read_geojson(tmp_path / "a.geojson", (5, 5))
    assert "a.geojson" in str(refused.value)


def test_a_file_that_qupath_has_written_is_read_back_exactly(tmp_path):
    """With all that its writer adds (0.4 to 0.7): ids, locks, colours, metadata twice, measurements as an object."""
    mask = phantom("sem", 4, (60, 70))[1]
    written = []
    for number, one in enumerate(features(mask, fibre_labels(mask, UM))):
        properties = one["properties"] | {"isLocked": True, "color": [1, 2, 3], "measurements": {"fibre": number}}
        geometry = json.loads(json.dumps(one["geometry"]), parse_int=float)  # corners that were moved are no integers
        written.append({"type": "Feature", "id": f"b1d7-{number}", "geometry": geometry, "properties": properties})
    text = json.dumps({"type": "FeatureCollection", "features": written})
    (tmp_path / "a.geojson").write_text(text.replace('"isLocked"', '"metadata": {}, "metadata": {}, "isLocked"'))
    np.testing.assert_array_equal(read_geojson(tmp_path / "a.geojson", mask.shape), mask)


def test_the_script_for_qupath_reads_and_writes_the_files_of_a_handoff():
    """It names the endings, classes and colours of this module."""
    script = (Path(geojson.__file__).with_name("qupath") / names.QUPATH).read_text()
    assert f'stem + "{names.FIBRES}"' in script and 'stem + ".json"' in script
    for class_name, (red, green, blue) in COLOURS.items():
        assert f"{class_name}: makeRGB({red}, {green}, {blue})" in script
    assert '"FEATURE_COLLECTION"' in script
