"""export: names, instances, and a BIDS dataset in which each file can be traced and read back."""

import csv
import errno
import hashlib
import json
from fnmatch import fnmatch

import numpy as np
import pytest
import tifffile

from histobridge.errors import UserError
from histobridge.io import files
from histobridge.io.images import read_image
from histobridge.io.masks import encode_mask, read_mask
from histobridge.metrics.morphometrics import fibres
from histobridge.phantom import phantom
from histobridge_label.export import Labelled, edited_files, names, read_handoff, write_handoff
from histobridge_label.export import instances as instances_module
from histobridge_label.export.geojson import read_geojson
from histobridge_label.export.instances import fibre_labels, write_instances
from histobridge_label.export.names import BIDS_IMAGE, Names
from histobridge_label.export.rois import read_rois

UM = 0.1


@pytest.fixture(scope="module")
def nerve():
    """A phantom of odd size whose mask has a hole and a speck, and a random uncertainty."""
    image, mask = phantom("sem", 4, (150, 173))
    mask = mask.copy()
    axon = np.argwhere(fibre_labels(mask, UM) * (mask == 2) == 5)
    mask[tuple(axon[len(axon) // 2])] = 0
    mask[0, :2], mask[-2:, -2:] = [0, 2], 1
    return image, mask, np.random.default_rng(0).random(mask.shape).astype(np.float32)


@pytest.fixture
def item(nerve, tmp_path):
    """Make a `Labelled` of the phantom, with its own source file."""

    def make(name="image 1", subject="rat 1", modality="SEM", **changes):
        source = tmp_path / f"{name}.tif"
        source.write_text(name)
        image, mask, uncertainty = nerve
        content = {"image": image, "mask": mask, "uncertainty": uncertainty, "um_per_px": UM, "source": source}
        return Labelled(name, subject, modality=modality, **content | changes)

    return make


@pytest.fixture
def written(item, tmp_path):
    """A hand-off of two images of one subject and one of another, whose name is BIDS already."""
    items = (item("image 1"), item("image_1"), item("sub-7_ses-2_sample-c_run-1_TEM", "7", None))
    return write_handoff(tmp_path / "handoff", (one for one in items), {"settings": {"steps": 3}})


# --- Instances ------------------------------------------------------------------------------------------


def test_fibres_have_the_numbers_of_the_table_of_fibres(nerve):
    """Number n has the axon and myelin area of row n; specks and background have none."""
    _, mask, _ = nerve
    labels, table = fibre_labels(mask, UM), fibres(mask, UM)
    assert labels.dtype == np.uint16 and labels.max() == len(table) and labels[0, 1] == 0
    areas = [np.bincount(labels[mask == value], minlength=len(table) + 1)[1:] * UM**2 for value in (1, 2)]
    np.testing.assert_allclose(areas, table[["myelin_area_um2", "axon_area_um2"]].to_numpy().T)
    assert not labels[mask == 0].any()


def test_instances_are_an_imagej_tiff_with_pixel_size(nerve, tmp_path):
    """10 pixels per µm, and the labels bit for bit."""
    labels = fibre_labels(nerve[1], UM)
    write_instances(tmp_path / "a.tif", labels, UM)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_imagej and tiff.imagej_metadata["unit"] == "um"
        assert tiff.pages[0].resolution == pytest.approx((10, 10))
        assert tiff.asarray().dtype == np.uint16
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), labels)


def test_more_fibres_than_16_bits_can_number_get_32_bits(nerve, tmp_path, monkeypatch):
    """The file is a plain TIFF then, with its resolution per cm."""
    few = fibre_labels(nerve[1], UM)
    monkeypatch.setattr(instances_module, "MAX_UINT16", few.max() - 1)
    labels = fibre_labels(nerve[1], UM)
    assert labels.dtype == np.uint32 and (labels == few).all()
    labels[0, 0] = 70000
    write_instances(tmp_path / "a.tif", labels, UM)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert not tiff.is_imagej and tiff.pages[0].resolutionunit == tifffile.RESUNIT.CENTIMETER
        assert tiff.pages[0].resolution == pytest.approx((1e5, 1e5))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), labels)


# --- Names ----------------------------------------------------------------------------------------------


def test_names_follow_bids_and_are_unique():
    """Any text becomes a label of letters and digits; names differ by more than case."""
    given = Names()
    asked = [("Image-1", "rat 1"), ("image 1", "rat 1"), ("image 1", "rat-1"), ("___", "µ"), ("été", "sub-03")]
    found = [given.add(name, subject, "BF") for name, subject in asked]
    assert [name.image for name in found] == [
        "sub-rat1_sample-Image1_BF",
        "sub-rat1_sample-image1x2_BF",
        "sub-rat1x2_sample-image1_BF",
        "sub-u_sample-x_BF",
        "sub-03_sample-ete_BF",
    ]
    for name in found:
        assert BIDS_IMAGE.fullmatch(name.image) and name.image.startswith(f"{name.participant}_{name.sample}_")
        assert name.folder == f"{name.participant}/micr"


def test_a_name_that_follows_bids_is_kept():
    """With its session. The second image of this name, and one without a modality, are named after their subject."""
    given, name = Names(), "sub-a_ses-1_sample-b_stain-LFB_chunk-2_SEM"
    assert given.add(name, "a", None) == (name, "sub-a/ses-1/micr", "sub-a", "sample-b")
    assert given.add(name, "a", "SEM").image == "sub-a_sample-subases1samplebstainLFBchunk2SEM_SEM"
    assert given.add("sub-a_sample-b", "a", None).image == "sub-a_sample-subasampleb"


# --- The dataset ----------------------------------------------------------------------------------------


def test_every_file_of_an_image_is_read_back_exactly(written, nerve):
    """The masks with the names and grey levels of AxonDeepSeg, instances, polygons and ROIs; images within 8 bits."""
    image, mask, uncertainty = nerve
    assert (names.COMBINED, names.AXON, names.MYELIN) == ("_seg-axonmyelin.png", "_seg-axon.png", "_seg-myelin.png")
    for name in written.images["image"]:
        combined = written.file(name, names.COMBINED)
        np.testing.assert_array_equal((read_image(combined) * 255).round(), encode_mask(mask))
        decoded, remarks = read_mask(combined)
        np.testing.assert_array_equal(decoded, mask)
        assert remarks == ()
        for ending, value in ((names.AXON, 2), (names.MYELIN, 1)):
            np.testing.assert_array_equal(read_image(written.file(name, ending)), mask == value)
        np.testing.assert_array_equal(tifffile.imread(written.file(name, names.INSTANCES)), fibre_labels(mask, UM))
        np.testing.assert_array_equal(read_geojson(written.file(name, names.FIBRES), mask.shape), mask)
        np.testing.assert_array_equal(read_rois(written.file(name, names.ROIS), mask.shape), mask)
        for ending, values in ((names.UNCERTAINTY, uncertainty), (".png", image)):
            np.testing.assert_allclose(read_image(written.file(name, ending)), values, atol=0.5 / 255 + 1e-6)


def test_the_dataset_is_a_bids_derivative(written):
    """The required files are at the top; every other file has a BIDS name or is listed in .bidsignore."""
    folder = written.folder
    description = json.loads((folder / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative" and description["BIDSVersion"] == "1.10.0" and description["Name"]
    assert description["GeneratedBy"][0].keys() == {"Name", "Version", "Description"}
    assert "SourceDatasets" not in description
    ignored = (folder / ".bidsignore").read_text().split()
    top = {"dataset_description.json", "README", ".bidsignore", "participants.tsv", "participants.json", "samples.tsv"}
    for path in (path for path in folder.rglob("*") if path.is_file()):
        is_image = path.suffix in (".png", ".json") and BIDS_IMAGE.fullmatch(path.stem) and path.parent.name == "micr"
        assert is_image or path.name in top or any(fnmatch(path.name, pattern) for pattern in ignored), path
    for name in written.images["image"]:
        sidecar = json.loads(written.file(name, ".json").read_text())
        assert sidecar == {"PixelSize": [UM, UM], "PixelSizeUnits": "um"}
    assert written.file("sub-7_ses-2_sample-c_run-1_TEM", ".png").parent == folder / "sub-7" / "ses-2" / "micr"


def test_the_tables_link_the_users_files_to_the_images(written, tmp_path):
    """participants.tsv and samples.tsv list each once; images.tsv has one row per image."""
    rows = {}
    for table in ("participants", "samples", "images"):
        with (written.folder / f"{table}.tsv").open() as file:
            rows[table] = list(csv.DictReader(file, delimiter="\t"))
    participants = [(row["participant_id"], row["subject"]) for row in rows["participants"]]
    assert participants == [("sub-rat1", "rat 1"), ("sub-7", "7")]
    samples = {(row["participant_id"], row["sample_id"]) for row in rows["samples"]}
    assert samples == {("sub-rat1", "sample-image1"), ("sub-rat1", "sample-image1x2"), ("sub-7", "sample-c")}
    first, second, _ = rows["images"]
    assert (first["name"], first["image"]) == ("image 1", "sub-rat1_sample-image1_SEM")
    assert (second["name"], second["image"]) == ("image_1", "sub-rat1_sample-image1x2_SEM")
    assert first["source"] == str(tmp_path / "image 1.tif")
    assert (first["width_px"], first["height_px"], first["um_per_px"]) == ("173", "150", "0.1")


def test_the_most_uncertain_tile_of_all_images_is_first_in_the_review_order(item, tmp_path):
    """review_order.csv is one order over all images, by their names in the hand-off."""
    uncertain = np.zeros((150, 173), np.float32)
    uncertain[64:128, 64:128] = 0.5
    items = [item("sure", uncertainty=uncertain * 0), item("b", uncertainty=uncertain)]
    handoff = write_handoff(tmp_path / "out", items, {})
    with (handoff.folder / "review_order.csv").open() as file:
        first, *others = csv.DictReader(file)
    place = [first[key] for key in ("image", "top_px", "left_px", "side_px", "uncertainty")]
    assert place == ["sub-rat1_sample-b_SEM", "64", "64", "64", "0.5"]
    values = [float(row["uncertainty"]) for row in others]
    assert values == sorted(values, reverse=True)


def test_provenance_holds_settings_and_the_checksum_of_every_file(written):
    """Of the sources, and of all files of the hand-off but provenance.json itself."""
    provenance = json.loads((written.folder / "provenance.json").read_text())
    assert provenance["settings"] == {"steps": 3} and provenance == written.provenance
    on_disk = {path.relative_to(written.folder).as_posix() for path in written.folder.rglob("*") if path.is_file()}
    assert set(provenance["files_sha256"]) == on_disk - {"provenance.json"}
    for name, checksum in provenance["files_sha256"].items():
        assert hashlib.sha256((written.folder / name).read_bytes()).hexdigest() == checksum
    assert provenance["sources_sha256"]["sub-rat1_sample-image1_SEM"] == hashlib.sha256(b"image 1").hexdigest()


def test_a_handoff_is_read_as_it_was_written(written):
    """Subjects that look like numbers stay text."""
    again = read_handoff(written.folder)
    assert again.images.equals(written.images) and again.provenance == written.provenance
    assert again.images["subject"].tolist() == ["rat 1", "rat 1", "7"]


def test_an_image_without_a_file_has_no_source_and_no_checksum(item, tmp_path):
    """Drawn images are of this kind."""
    handoff = write_handoff(tmp_path / "out", [item(source=None)], {})
    assert handoff.images["source"].tolist() == [""] and set(handoff.provenance["sources_sha256"].values()) == {None}


# --- Writing again --------------------------------------------------------------------------------------


def test_an_earlier_handoff_is_replaced_unless_a_file_was_edited(written, item):
    """A mask that somebody has painted on is never lost."""
    folder = written.folder
    write_handoff(folder, [item("image 1")], {"round": 2})
    again = read_handoff(folder)
    assert again.provenance["round"] == 2 and len(again.images) == 1 and edited_files(again) == []
    mask = again.file("sub-rat1_sample-image1_SEM", names.COMBINED)
    mask.write_bytes(mask.read_bytes() + b"painted")
    assert edited_files(again) == ["sub-rat1/micr/sub-rat1_sample-image1_SEM_seg-axonmyelin.png"]
    with pytest.raises(UserError, match=r"seg-axonmyelin\.png was edited .* move your corrections"):
        write_handoff(folder, [item("image 1")], {})
    assert mask.read_bytes().endswith(b"painted") and read_handoff(folder).provenance["round"] == 2


def test_replacing_removes_the_files_of_the_earlier_handoff_and_no_others(written, item):
    """Also if the earlier removal was interrupted."""
    folder = written.folder
    (folder / "sub-7" / "notes.txt").write_text("of the user")
    (folder / names.IMAGES).unlink()  # as after a kill
    with pytest.raises(UserError, match="was broken off: write it again"):
        read_handoff(folder)
    again = write_handoff(folder, [item("image 1", modality="TEM")], {})
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert on_disk == {*again.provenance["files_sha256"], "provenance.json", "sub-7/notes.txt"}
    assert not any(name.endswith("_SEM.png") for name in on_disk)
    assert not (folder / "sub-7" / "ses-2").exists()


@pytest.mark.parametrize("content", ['{"Name": "raw"}', '{"GeneratedBy": [{"Name": "other"}]}', "[]", "{"])
def test_another_dataset_is_never_overwritten(content, item, tmp_path):
    """Such as the raw dataset that the images come from."""
    description = tmp_path / "dataset_description.json"
    description.write_text(content)
    with pytest.raises(UserError, match="holds another dataset"):
        write_handoff(tmp_path, [item()], {})
    assert description.read_text() == content


def test_an_interrupted_handoff_is_reported_and_can_be_written_again(written, item):
    """provenance.json is written last; without it a hand-off is incomplete."""

    def interrupted():
        yield item("image 1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_handoff(written.folder, interrupted(), {})
    with pytest.raises(UserError, match="was broken off: write it again"):
        read_handoff(written.folder)
    assert len(write_handoff(written.folder, [item("image 1")], {}).images) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"um_per_px": 0}, "pixel size 0"),
        ({"mask": np.zeros((5, 5), np.uint8)}, "173 × 150 px but its mask 5 × 5 px"),
        ({"uncertainty": np.zeros((5, 5), np.float32)}, "uncertainty of .*image 1.tif has the shape"),
        ({"modality": "XRAY"}, "There is no modality of BIDS 'XRAY'"),
        (None, "no image to hand off"),
    ],
)
def test_invalid_images_are_refused_before_anything_is_written(changes, message, item, written, tmp_path):
    """A new folder is not made, and an earlier hand-off stays complete."""
    for folder in (tmp_path / "out", written.folder):
        with pytest.raises(UserError, match=message):
            write_handoff(folder, [] if changes is None else [item(**changes)], {})
    assert not (tmp_path / "out").exists()
    again = read_handoff(written.folder)
    assert again.provenance == written.provenance and edited_files(again) == []


def test_a_folder_without_a_handoff_is_reported(tmp_path):
    """The message says which folder to name."""
    with pytest.raises(UserError, match="no labels handed off by histobridge: name the folder"):
        read_handoff(tmp_path)


def test_a_folder_that_cannot_be_written_is_reported(item, tmp_path, monkeypatch):
    """The message names the file and says what to do."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Could not write"):
        write_handoff(tmp_path / "file" / "out", [item()], {})

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(UserError, match=r"Could not write .*Read-only file system.*choose another folder"):
        write_handoff(tmp_path / "out", [item()], {})
