"""handoff: what is written for other tools is read back, by their readers or ours, as exactly the same mask."""

import csv
import errno
import hashlib
import json
import subprocess
import sys
from fnmatch import fnmatch

import numpy as np
import pandas as pd
import pytest
import shapely
import tifffile
from matplotlib.colors import to_rgb
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry import shape as geometry_of

from histobridge.display.drawing import CLASS_COLOURS
from histobridge.errors import UserError
from histobridge.io import files
from histobridge.io.images import read_image
from histobridge.io.masks import encode_mask, read_mask, write_mask
from histobridge.io.resample import resample_mask
from histobridge.metrics.morphometrics import fibres
from histobridge.metrics.overlap import dice
from histobridge.phantom import phantom
from histobridge_label.export import Labelled, edited, names, read_handoff, write_handoff
from histobridge_label.export import instances as instances_module
from histobridge_label.export.dataset import IMAGES
from histobridge_label.export.geojson import COLOURS, features, read_geojson, write_geojson
from histobridge_label.export.instances import fibre_labels, write_instances
from histobridge_label.export.names import BIDS_IMAGE, Names
from histobridge_label.export.polygons import rasterised, traced
from histobridge_label.native_grid import map_on_grid, mask_on_grid
from histobridge_study import plotting as figures

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


@pytest.fixture(scope="module")
def nerve():
    """A phantom of odd size, its mask with a hole and a speck put in, and an uncertainty."""
    image, mask = phantom("sem", 4, (150, 173))
    mask = mask.copy()
    axon = np.argwhere(fibre_labels(mask, UM) * (mask == 2) == 5)
    mask[tuple(axon[len(axon) // 2])] = 0
    mask[0, :2], mask[-2:, -2:] = [0, 2], 1
    return image, mask, np.random.default_rng(0).random(mask.shape).astype(np.float32)


@pytest.fixture
def item(nerve, tmp_path):
    """Make a `Labelled` of the phantom, with a source file of its own."""

    def make(name="image 1", subject="rat 1", modality="SEM", **changed):
        source = tmp_path / f"{name}.tif"
        source.write_text(name)
        image, mask, uncertain = nerve
        given = {"image": image, "mask": mask, "uncertainty": uncertain, "um_per_px": UM, "source": source} | changed
        return Labelled(name, subject, modality=modality, **given)

    return make


@pytest.fixture
def written(item, tmp_path):
    """A hand-off of two images of one subject and one of another, whose name is BIDS already."""
    items = (item("image 1"), item("image_1"), item("sub-7_ses-2_sample-c_run-1_TEM", "7", None))
    return write_handoff(tmp_path / "handoff", (one for one in items), {"settings": {"steps": 3}})


def inside(geometry, shape) -> np.ndarray:
    """Which pixel centres a geometry of shapely holds."""
    y, x = np.indices(shape) + 0.5
    return shapely.contains_xy(geometry, x, y)


def mask_in(features, shape) -> np.ndarray:
    """The mask that features draw, by shapely."""
    mask = np.zeros(shape, np.uint8)
    for feature in features:
        geometry = geometry_of(feature["geometry"])
        assert geometry.is_valid, shapely.is_valid_reason(geometry)
        found = inside(geometry, shape)
        assert not mask[found].any()  # no two share a pixel
        mask[found] = ["", "Myelin", "Axon"].index(feature["properties"]["classification"]["name"])
    return mask


# --- Polygons -------------------------------------------------------------------------------------------


def test_random_maps_are_traced_exactly():
    """Every label is a valid geometry of its own area that holds its pixels and no others, and is filled again."""
    rng = np.random.default_rng(0)
    for _ in range(400):
        labels = rng.integers(1, 4, rng.integers(1, 9, 2))
        labels[rng.random(labels.shape) < rng.random()] = 0
        found = dict(traced(labels))
        assert sorted(found) == list(found) == [number for number in np.unique(labels) if number]
        for number, polygons in found.items():
            geometry = MultiPolygon([Polygon(outline, holes) for outline, *holes in polygons])
            assert geometry.is_valid and geometry.area == (labels == number).sum()
            np.testing.assert_array_equal(inside(geometry, labels.shape), labels == number)
            rings = [ring for polygon in polygons for ring in polygon]
            np.testing.assert_array_equal(rasterised(rings, labels.shape), labels == number)


@pytest.mark.parametrize("mask", HARD.values(), ids=HARD)
def test_polygons_have_as_few_points_as_can_be_and_turn_the_right_way(mask):
    """Outlines run counterclockwise and holes clockwise, only through corners, and each comes back to its start."""
    for _, polygons in traced(mask):
        for outline, *holes in polygons:
            assert Polygon(outline).exterior.is_ccw and not any(Polygon(hole).exterior.is_ccw for hole in holes)
            for ring in (outline, *holes):
                assert (ring[0] == ring[-1]).all() and len(np.unique(ring, axis=0)) == len(ring) - 1
                level = np.diff(ring, axis=0)[:, 1] == 0
                assert (level[1:] != level[:-1]).all() and level[0] != level[-1]


def test_touching_holes_stay_two_rings_and_touching_pieces_two_polygons():
    """The valid way to write what meets at a corner."""
    ((_, holes),) = traced(HARD["holes that touch at corners"])
    assert [len(polygon) for polygon in holes] == [3]
    ((_, pieces),) = traced(HARD["a ring closed by corners"])
    assert [len(polygon) for polygon in pieces] == [1, 1, 1, 1]


def test_polygons_drawn_by_hand_fill_the_pixels_whose_centre_they_hold():
    """Stars with corners anywhere, some outside the image, as shapely sees them."""
    rng, shape = np.random.default_rng(1), (30, 40)
    for _ in range(50):
        angles = np.sort(rng.random(9)) * 2 * np.pi
        radius = rng.uniform(5, 25, 9)
        star = np.column_stack([18 + radius * np.cos(angles), 14 + radius * np.sin(angles)])
        np.testing.assert_array_equal(rasterised([star], shape), inside(Polygon(star), shape))


# --- GeoJSON --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", HARD.values(), ids=HARD)
def test_geojson_of_hard_masks_comes_back(mask, tmp_path):
    """Holes, corners, nothing at all: by shapely and by our reader, the same mask."""
    write_geojson(tmp_path / "a.geojson", mask, fibre_labels(mask, UM))
    collection = json.loads((tmp_path / "a.geojson").read_text())
    assert collection["type"] == "FeatureCollection"
    np.testing.assert_array_equal(mask_in(collection["features"], mask.shape), mask)
    np.testing.assert_array_equal(read_geojson(tmp_path / "a.geojson", mask.shape), mask)


@pytest.mark.parametrize("seed", range(3))
def test_geojson_of_noise_comes_back(seed, tmp_path):
    """Nothing is harder than noise: every kind of corner is in it."""
    mask = np.random.default_rng(seed).integers(0, 3, (40, 37)).astype(np.uint8)
    found = list(features(mask, fibre_labels(mask, UM)))
    np.testing.assert_array_equal(mask_in(found, mask.shape), mask)
    write_geojson(tmp_path / "a.geojson", mask, fibre_labels(mask, UM))
    np.testing.assert_array_equal(read_geojson(tmp_path / "a.geojson", mask.shape), mask)


def test_geojson_says_what_qupath_reads(nerve, tmp_path):
    """Annotations with class and colour; axon and myelin of a fibre bear its number, pieces of no fibre none."""
    _, mask, _ = nerve
    labels = fibre_labels(mask, UM)
    write_geojson(tmp_path / "a.geojson", mask, labels)
    found = json.loads((tmp_path / "a.geojson").read_text())["features"]
    np.testing.assert_array_equal(mask_in(found, mask.shape), mask)
    assert {f["properties"]["objectType"] for f in found} == {"annotation"}
    numbered = {"Axon": set(), "Myelin": set()}
    for feature in found:
        about = feature["properties"]
        assert about["classification"]["color"] == COLOURS[about["classification"]["name"]]
        if "name" in about:
            (measurement,) = about["measurements"]
            assert about["name"] == f"fibre {measurement['value']}" and measurement["name"] == "fibre"
            numbered[about["classification"]["name"]].add(measurement["value"])
            value = 2 if about["classification"]["name"] == "Axon" else 1
            of_it = inside(geometry_of(feature["geometry"]), mask.shape)
            np.testing.assert_array_equal(of_it, (labels == measurement["value"]) & (mask == value))
    assert numbered["Axon"] == set(range(1, labels.max() + 1)) >= numbered["Myelin"] != set()
    assert any("name" not in f["properties"] for f in found)  # the speck
    assert {name.lower(): to_rgb(c) for name, c in CLASS_COLOURS.items()} == {
        name.lower(): pytest.approx(np.array(rgb) / 255) for name, rgb in COLOURS.items()
    }


def feature(kind="Polygon", coordinates=(((0, 0), (4, 0), (4, 4), (0, 4), (0, 0)),), classed="Axon") -> dict:
    """A feature as QuPath might export it."""
    properties = {"classification": {"name": classed, "colorRGB": -1}} if classed else {}
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


@pytest.mark.parametrize("wrap", [lambda found: {"type": "FeatureCollection", "features": found}, lambda found: found])
def test_polygons_corrected_in_qupath_are_read(wrap, tmp_path):
    """A list will do, fractions of pixels and what lies outside too; myelin under an axon shows only around it."""
    disc = ((-9.5, -9.5), (3.4, -9.5), (3.4, 3.6), (-9.5, 3.6))
    drawn = [feature(coordinates=(((1, 1), (2, 1), (2, 2), (1, 2)),)), feature(coordinates=(disc,), classed="myelin")]
    (tmp_path / "a.geojson").write_text(json.dumps(wrap(drawn)))
    found = read_geojson(tmp_path / "a.geojson", (5, 5))
    np.testing.assert_array_equal(found, drawing("mmm..", "mam..", "mmm..", "mmm..", "....."))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "cannot be read as GeoJSON"),
        ('{"a": 1}', "no GeoJSON of features"),
        (json.dumps(feature(classed="Tumor")), "class 'Tumor'"),
        (json.dumps(feature(classed=None)), "class every object as Axon or Myelin"),
        (json.dumps(feature("LineString", ((0, 0), (1, 1)))), "draw areas"),
        (json.dumps(feature(coordinates=(("a", "b"),))), "no list of points"),
    ],
)
def test_geojson_that_is_no_mask_is_refused(content, told, tmp_path):
    """By name, with what to do."""
    (tmp_path / "a.geojson").write_text(content)
    with pytest.raises(UserError, match=told) as refused:
        read_geojson(tmp_path / "a.geojson", (5, 5))
    assert "a.geojson" in str(refused.value)


def test_a_missing_geojson_is_told(tmp_path):
    """As any other file."""
    with pytest.raises(UserError, match="is the file there"):
        read_geojson(tmp_path / "no.geojson", (5, 5))


# --- Instances ------------------------------------------------------------------------------------------


def test_fibres_are_numbered_as_they_are_measured(nerve):
    """Number n is row n of the table of fibres: same axon, same share of the myelin; specks are none."""
    _, mask, _ = nerve
    labels, table = fibre_labels(mask, UM), fibres(mask, UM)
    assert labels.dtype == np.uint16 and labels.max() == len(table) and labels[0, 1] == 0
    areas = [np.bincount(labels[mask == value], minlength=len(table) + 1)[1:] * UM**2 for value in (1, 2)]
    np.testing.assert_allclose(areas, table[["myelin_area_um2", "axon_area_um2"]].to_numpy().T)
    assert not labels[mask == 0].any()


def test_instances_come_back_with_their_pixel_size(nerve, tmp_path):
    """Bit for bit, in a TIFF that ImageJ takes for its own: 10 pixels a µm."""
    labels = fibre_labels(nerve[1], UM)
    write_instances(tmp_path / "a.tif", labels, UM)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_imagej and tiff.imagej_metadata["unit"] == "um"
        assert tiff.pages[0].resolution == pytest.approx((10, 10))
        assert tiff.asarray().dtype == np.uint16
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), labels)


def test_more_fibres_than_16_bits_hold_get_32(nerve, tmp_path, monkeypatch):
    """Then it is no ImageJ file, and says its pixel size per cm; no number is lost."""
    few = fibre_labels(nerve[1], UM)
    monkeypatch.setattr(instances_module, "MOST_UINT16", few.max() - 1)
    labels = fibre_labels(nerve[1], UM)
    assert labels.dtype == np.uint32 and (labels == few).all()
    labels[0, 0] = 70000
    write_instances(tmp_path / "a.tif", labels, UM)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert not tiff.is_imagej and tiff.pages[0].resolutionunit == tifffile.RESUNIT.CENTIMETER
        assert tiff.pages[0].resolution == pytest.approx((1e5, 1e5))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), labels)


# --- Names ----------------------------------------------------------------------------------------------


def test_names_are_bids_and_no_two_alike():
    """Whatever files are called: labels of letters and digits, told apart even where case does not count."""
    given = Names()
    asked = [("Image-1", "rat 1"), ("image 1", "rat 1"), ("image 1", "rat-1"), ("___", "µ"), ("été", "sub-03")]
    places = [given.place(name, subject, "BF") for name, subject in asked]
    assert [place.image for place in places] == [
        "sub-rat1_sample-Image1_BF",
        "sub-rat1_sample-image1x2_BF",
        "sub-rat1x2_sample-image1_BF",
        "sub-u_sample-x_BF",
        "sub-03_sample-ete_BF",
    ]
    assert all(BIDS_IMAGE.fullmatch(p.image) and p.image.startswith(f"{p.participant}_{p.sample}_") for p in places)
    assert all(place.folder == f"{place.participant}/micr" for place in places)


def test_a_name_that_is_bids_already_stays():
    """Session and all; taken twice, the second one is named after its subject."""
    given, name = Names(), "sub-a_ses-1_sample-b_stain-LFB_chunk-2_SEM"
    assert given.place(name, "a", None) == (name, "sub-a/ses-1/micr", "sub-a", "sample-b")
    assert given.place(name, "a", "SEM").image == "sub-a_sample-subases1samplebstainLFBchunk2SEM_SEM"
    assert given.place("sub-a_sample-b", "a", None).image == "sub-a_sample-subasampleb"  # no modality: no BIDS


# --- The dataset ----------------------------------------------------------------------------------------


def test_every_mask_comes_back_exactly(written, nerve):
    """Combined with 0, 127 and 255, single ones with 0 and 255, the instances and the polygons."""
    image, mask, uncertain = nerve
    for name in written.images["image"]:
        combined = written.file(name, names.COMBINED)
        found, snapped = read_mask(combined)
        np.testing.assert_array_equal(found, mask)
        assert snapped == 0
        for ending, value in ((names.AXON, 2), (names.MYELIN, 1)):
            np.testing.assert_array_equal(read_image(written.file(name, ending)), mask == value)
        np.testing.assert_array_equal(tifffile.imread(written.file(name, names.INSTANCES)), fibre_labels(mask, UM))
        np.testing.assert_array_equal(read_geojson(written.file(name, names.FIBRES), mask.shape), mask)
        for ending, values in ((names.UNCERTAINTY, uncertain), (".png", image)):
            np.testing.assert_allclose(read_image(written.file(name, ending)), values, atol=0.5 / 255 + 1e-6)


def test_masks_are_named_and_coded_as_axondeepseg_does(written, nerve):
    """IMAGE_seg-axonmyelin.png beside IMAGE.png, and its very grey levels."""
    for name in written.images["image"]:
        image = written.file(name, ".png")
        assert image.with_name(f"{image.stem}_seg-axonmyelin.png").is_file()
        assert image.with_name(f"{image.stem}_seg-axon.png").is_file()
        assert image.with_name(f"{image.stem}_seg-myelin.png").is_file()
    levels = (read_image(written.file(name, "_seg-axonmyelin.png")) * 255).round()
    np.testing.assert_array_equal(levels, encode_mask(nerve[1]))


def test_it_is_a_bids_derivative(written):
    """What BIDS requires at the top is there; every other file has a BIDS name or is listed in .bidsignore."""
    folder = written.folder
    about = json.loads((folder / "dataset_description.json").read_text())
    assert about["DatasetType"] == "derivative" and about["BIDSVersion"] == "1.10.0" and about["Name"]
    assert about["GeneratedBy"][0].keys() == {"Name", "Version", "Description"} and "SourceDatasets" not in about
    ignored = (folder / ".bidsignore").read_text().split()
    top = {"dataset_description.json", "README", ".bidsignore", "participants.tsv", "participants.json", "samples.tsv"}
    for path in (path for path in folder.rglob("*") if path.is_file()):
        is_image = path.suffix in (".png", ".json") and BIDS_IMAGE.fullmatch(path.stem) and path.parent.name == "micr"
        assert is_image or path.name in top or any(fnmatch(path.name, line) for line in ignored), path
    for name in written.images["image"]:
        sidecar = json.loads(written.file(name, ".json").read_text())
        assert sidecar == {"PixelSize": [UM, UM], "PixelSizeUnits": "um"}
    assert written.file("sub-7_ses-2_sample-c_run-1_TEM", ".png").parent == folder / "sub-7" / "ses-2" / "micr"


def test_tables_lead_from_files_to_outputs_and_back(written, tmp_path):
    """participants.tsv, samples.tsv, and a row an image in images.tsv."""
    rows = {}
    for table in ("participants", "samples", "images"):
        with (written.folder / f"{table}.tsv").open() as file:
            rows[table] = list(csv.DictReader(file, delimiter="\t"))
    assert [(r["participant_id"], r["subject"]) for r in rows["participants"]] == [
        ("sub-rat1", "rat 1"),
        ("sub-7", "7"),
    ]
    assert {(r["participant_id"], r["sample_id"]) for r in rows["samples"]} == {
        ("sub-rat1", "sample-image1"),
        ("sub-rat1", "sample-image1x2"),
        ("sub-7", "sample-c"),
    }
    assert [(r["name"], r["image"]) for r in rows["images"]][:2] == [
        ("image 1", "sub-rat1_sample-image1_SEM"),
        ("image_1", "sub-rat1_sample-image1x2_SEM"),
    ]
    assert rows["images"][0]["source"] == str(tmp_path / "image 1.tif")
    assert (rows["images"][0]["width_px"], rows["images"][0]["height_px"], rows["images"][0]["um_per_px"]) == (
        "173",
        "150",
        "0.1",
    )


def test_the_most_uncertain_tile_of_all_images_is_first(item, tmp_path):
    """review_order.csv is one order over all images, by their names in the hand-off."""
    unsure = np.zeros((150, 173), np.float32)
    unsure[64:128, 64:128] = 0.5
    handoff = write_handoff(tmp_path / "out", [item("sure", uncertainty=unsure * 0), item("b", uncertainty=unsure)], {})
    with (handoff.folder / "review_order.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [rows[0][key] for key in ("image", "top_px", "left_px", "side_px")] == [
        "sub-rat1_sample-b_SEM",
        "64",
        "64",
        "64",
    ]
    values = [float(row["uncertainty"]) for row in rows]
    assert values == sorted(values, reverse=True) and values[0] == 0.5


def test_provenance_has_settings_and_the_checksum_of_every_file(written, tmp_path):
    """Those given, the sources', and one for each file but itself."""
    told = json.loads((written.folder / "provenance.json").read_text())
    assert told["settings"] == {"steps": 3} and told == written.provenance
    on_disk = {str(p.relative_to(written.folder)) for p in written.folder.rglob("*") if p.is_file()}
    assert set(told["files_sha256"]) == on_disk - {"provenance.json"}
    for name, checksum in told["files_sha256"].items():
        assert hashlib.sha256((written.folder / name).read_bytes()).hexdigest() == checksum
    assert told["sources_sha256"]["sub-rat1_sample-image1_SEM"] == hashlib.sha256(b"image 1").hexdigest()


def test_a_handoff_is_read_as_it_was_returned(written):
    """Names that look like numbers stay text; the sources are those given."""
    again = read_handoff(written.folder)
    assert again.images.equals(written.images) and again.provenance == written.provenance
    assert again.images["subject"].tolist() == ["rat 1", "rat 1", "7"]


def test_drawn_images_have_no_source(item, tmp_path):
    """An image without a file has no checksum."""
    handoff = write_handoff(tmp_path / "out", [item(source=None)], {})
    assert handoff.images["source"].tolist() == [""] and set(handoff.provenance["sources_sha256"].values()) == {None}


def test_writing_again_replaces_but_never_an_edited_file(written, item):
    """The same folder is used again; a mask that somebody has painted on in it is not lost."""
    folder = written.folder
    write_handoff(folder, [item("image 1")], {"round": 2})
    again = read_handoff(folder)
    assert again.provenance["round"] == 2 and len(again.images) == 1 and edited(again) == []
    mask = again.file("sub-rat1_sample-image1_SEM", names.COMBINED)
    mask.write_bytes(mask.read_bytes() + b"painted")
    assert edited(again) == ["sub-rat1/micr/sub-rat1_sample-image1_SEM_seg-axonmyelin.png"]
    with pytest.raises(UserError, match=r"seg-axonmyelin\.png was edited .* move your corrections"):
        write_handoff(folder, [item("image 1")], {})
    assert mask.read_bytes().endswith(b"painted") and read_handoff(folder).provenance["round"] == 2


def test_writing_again_leaves_no_file_of_an_image_or_name_that_is_gone(written, item):
    """Only what the hand-off wrote itself is removed, and it ends although it was broken off between."""
    folder = written.folder
    (folder / "sub-7" / "notes.txt").write_text("of the user")
    (folder / IMAGES).unlink()  # as after a kill
    with pytest.raises(UserError, match="was broken off: write it again"):
        read_handoff(folder)
    again = write_handoff(folder, [item("image 1", modality="TEM")], {})
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {*again.provenance["files_sha256"], "provenance.json", "sub-7/notes.txt"}
    assert not any(name.endswith("_SEM.png") for name in there)
    assert not (folder / "sub-7" / "ses-2").exists()


def test_another_dataset_is_never_overwritten(item, tmp_path):
    """Such as the raw one that the images come from."""
    theirs = tmp_path / "dataset_description.json"
    for content in ('{"Name": "raw"}', '{"GeneratedBy": [{"Name": "other"}]}', "[]", "{"):
        theirs.write_text(content)
        with pytest.raises(UserError, match="holds another dataset"):
            write_handoff(tmp_path, [item()], {})
        assert theirs.read_text() == content


def test_a_broken_off_handoff_is_told_and_written_anew(written, item):
    """provenance.json comes last: without it nothing is taken for whole."""
    folder = written.folder

    def breaks_off():
        yield item("image 1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_handoff(folder, breaks_off(), {})
    with pytest.raises(UserError, match="was broken off: write it again"):
        read_handoff(folder)
    assert len(write_handoff(folder, [item("image 1")], {}).images) == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"um_per_px": 0}, "pixel size 0"),
        ({"mask": np.zeros((5, 5), np.uint8)}, "173 × 150 px but its mask 5 × 5 px"),
        ({"uncertainty": np.zeros((5, 5), np.float32)}, "uncertainty of .*image 1.tif has the shape"),
        ({"modality": "XRAY"}, "There is no modality of BIDS 'XRAY'"),
    ],
)
def test_what_does_not_fit_is_refused(changed, told, item, tmp_path):
    """Before anything is written of it."""
    with pytest.raises(UserError, match=told):
        write_handoff(tmp_path / "out", [item(**changed)], {})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("changed", [{"modality": "XRAY"}, None])
def test_what_is_refused_leaves_the_earlier_hand_off_whole(changed, written, item):
    """An image that does not fit, and none at all."""
    items = [] if changed is None else [item(**changed)]
    with pytest.raises(UserError):
        write_handoff(written.folder, items, {})
    again = read_handoff(written.folder)
    assert again.provenance == written.provenance and edited(again) == []


def test_nothing_to_hand_off_is_told(tmp_path):
    """No empty dataset."""
    with pytest.raises(UserError, match="no image to hand off"):
        write_handoff(tmp_path / "out", [], {})
    with pytest.raises(UserError, match="no labels handed off by histobridge"):
        read_handoff(tmp_path / "out")


def test_a_read_only_folder_is_told(item, tmp_path, monkeypatch):
    """In a sentence that names the file and says what to do."""

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(UserError, match=r"Could not write .*Read-only file system.*choose another folder"):
        write_handoff(tmp_path / "out", [item()], {})
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Could not write"):
        write_handoff(tmp_path / "file" / "out", [item()], {})


# --- Back to the user's grid ----------------------------------------------------------------------------


@pytest.mark.parametrize("to", [0.05, 0.07, 0.13, 0.2])
def test_labels_made_at_another_pixel_size_get_the_shape_of_the_file(to, nerve):
    """Odd sizes too, and smoothly: at least as good as the nearest pixel."""
    _, mask, uncertain = nerve
    made = resample_mask(mask, UM, to)
    back = mask_on_grid(made, mask.shape)
    assert back.shape == mask.shape and back.dtype == np.uint8 and set(np.unique(back)) <= {0, 1, 2}
    rows, columns = (((np.arange(n) + 0.5) * made.shape[k] // n).astype(int) for k, n in enumerate(mask.shape))
    nearest = made[np.ix_(rows, columns)]
    for value in (1, 2):
        assert dice(mask == value, back == value) >= dice(mask == value, nearest == value) - 1e-9
    spread = map_on_grid(uncertain[:50, :60], mask.shape)
    assert spread.shape == mask.shape and spread.dtype == np.float32 and 0 <= spread.min() <= spread.max() <= 1


def test_a_mask_on_its_own_grid_is_left_alone(nerve):
    """Bit for bit."""
    assert mask_on_grid(nerve[1], nerve[1].shape) is nerve[1]


# --- The figure -----------------------------------------------------------------------------------------


def test_the_panel_shows_each_export(nerve):
    """Five pictures; the mask in the grey levels of its file, a colour a fibre, and polygons on pixel edges."""
    image, mask, uncertain = nerve
    figure = figures.handoff_panel(image, mask, uncertain, um_per_px=UM, side=100)
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 5
    middle = (slice(25, 125), slice(36, 136))
    np.testing.assert_allclose(shown[1] * 255, encode_mask(mask[middle]))
    labels = fibre_labels(mask, UM)[middle]
    assert len(np.unique(shown[2].reshape(-1, 3), axis=0)) == len(np.unique(labels))
    assert (shown[2][labels == 0] == 0).all()
    np.testing.assert_array_equal(shown[4], uncertain[middle])
    corners = [path.vertices for drawn in figure.axes[3].collections for path in drawn.get_paths()]
    assert len(corners) > 20 and all((xy % 1 == 0.5).all() for xy in corners)
    with pytest.raises(UserError, match="'uncertainty' has shape"):
        figures.handoff_panel(image, mask, uncertain[:9], um_per_px=UM)


def test_a_finished_run_is_handed_off_and_corrections_come_back(finished, tiny_study, in_a_process, tmp_path):
    """What a run labelled is what the hand-off holds; an edit is measured, a stray file is told by the exit code."""
    out, ended, _ = finished
    assert in_a_process("handoff", out, "--fold", 0).returncode == 0, ended.stdout
    folder = out / "tiny" / "phantom-sem" / "transductive" / "development" / "fold0"
    handoff = read_handoff(folder / "handoff")
    kept = folder / "pseudo_labels" / "refined-syndiff"
    for row in handoff.images.itertuples():
        labelled = read_mask(handoff.file(row.image, names.COMBINED))[0]
        assert (labelled == read_mask(kept / f"{row.name}.png")[0]).all()
    first = handoff.images["image"][0]
    mask = read_mask(handoff.file(first, names.COMBINED))[0]
    mask[:8, :8] = 3 - np.maximum(mask[:8, :8], 1)  # another class than before in every pixel
    for name in (first, "nobody"):
        write_mask(tmp_path / "corrected" / f"{name}{names.COMBINED}", mask)
    line = [
        sys.executable,
        "-m",
        "histobridge_study.cli",
        "import",
        handoff.folder,
        tmp_path / "corrected",
        "--to",
        tmp_path,
    ]
    told = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=False)
    assert told.returncode == 2, told.stderr
    assert "nobody" in told.stdout
    assert pd.read_csv(tmp_path / "edits.csv")["pixels_changed"].tolist() == [64]
