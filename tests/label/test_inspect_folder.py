"""inspect_folder: which images are in a folder, at which pixel size, and what may be wrong with them."""

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from histobridge.errors import UserError
from histobridge.io.images import write_image
from histobridge_label.contact_sheet import contact_sheet
from histobridge_label.find_images import unique_names
from histobridge_label.inspect_folder import FolderScan, scan_folder
from histobridge_label.pipeline import thumbnail


@pytest.fixture
def grey(drawn):
    """An image of 64 px."""
    return drawn["sem"][0][0]


@pytest.fixture
def other(drawn):
    """Another image of 64 px."""
    return drawn["sem"][1][0]


def scan(folder, *arguments, **options) -> FolderScan:
    """Scan a folder without reporting progress."""
    return scan_folder(folder, *arguments, report=lambda line: None, **options)


def write_colour(path, image):
    """An RGB PNG."""
    path.write_bytes(imagecodecs.png_encode(np.repeat((255 * image).astype(np.uint8)[..., None], 3, axis=2)))


def write_16_bit(path, image, **options):
    """A 16-bit TIFF."""
    tifffile.imwrite(path, (65535 * image).astype(np.uint16), **options)


def test_few_thumbnails_are_kept_of_many_images(tmp_path, grey, monkeypatch):
    """Memory does not grow with a folder: a few images, evenly chosen, carry a picture for the contact sheet."""
    monkeypatch.setattr("histobridge_label.inspect_folder.MOST_SHOWN", 3)
    for number in range(8):
        write_image(tmp_path / f"{number}.png", grey)
    found = scan(tmp_path, 0.1)
    assert [image.name for image in found.shown] == ["0", "4"]
    assert all(image.thumbnail is None for image in found.images) and found.shown[1].thumbnail.size
    assert contact_sheet([thumbnail(image) for image in found.shown], of=8).get_suptitle().startswith("2 of 8 images")


# --- Which files are images -----------------------------------------------------------------------------


def test_files_of_every_kind_are_read_and_described(tmp_path, grey, other):
    """8 and 16 bits, grey and colour, also in sub-folders; a mixture gives a warning."""
    (tmp_path / "rat2").mkdir()
    write_image(tmp_path / "a.png", grey)
    write_16_bit(tmp_path / "rat2" / "b.tif", other)
    write_colour(tmp_path / "rat2" / "c.png", grey[:40, :50])
    found = scan(tmp_path, 0.1)
    table = found.table.set_index("image")
    assert table["stored_as"].to_dict() == {"a": "8-bit grey", "b": "16-bit grey", "c": "8-bit colour"}
    assert table.loc["c", ["width_px", "height_px"]].tolist() == [50, 40]
    assert table["subject"].to_dict() == {"a": tmp_path.name, "b": "rat2", "c": "rat2"}
    assert (table["um_per_px"] == 0.1).all()
    assert any("stored differently" in warning and "16-bit grey" in warning for warning in found.warnings)
    for one, image in zip(found.images, (grey, other, grey[:40, :50]), strict=True):
        assert np.corrcoef(one.read().ravel(), image.ravel())[0, 1] > 0.99


def test_unusable_files_do_not_stop_the_others(tmp_path, grey, other):
    """They are listed with the reason, in the table and in the account."""
    for number in range(4):
        write_image(tmp_path / f"{number}.png", grey if number % 2 else other)
    (tmp_path / "3.png").write_bytes((tmp_path / "2.png").read_bytes()[:300])
    (tmp_path / "stack.czi").write_bytes(b"of a microscope")
    write_image(tmp_path / "grey.png", np.full((64, 64), 0.5))
    found = scan(tmp_path, 0.1)
    assert len(found.images) == 3
    assert {path.name for path in found.account.skipped} == {"3.png", "stack.czi", "grey.png"}
    skipped = found.table[found.table["image"].isna()].set_index("file")["remark"]
    assert "cannot be read" in skipped["3.png"] and "export it" in skipped["stack.czi"]
    assert "constant" in skipped["grey.png"]
    assert sum(line.startswith("Skipped") for line in found.account.lines) == 3
    assert found.account.summary == "6 files: 3 used, 3 skipped, 0 of no concern"


@pytest.mark.parametrize("names", [[], ["notes.txt"], [".hidden.png"]])
def test_a_folder_without_images_is_refused(tmp_path, names):
    """Also if it holds other or hidden files."""
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match="holds no images: put some there"):
        scan(tmp_path, 0.1)


def test_a_missing_folder_or_one_of_unusable_images_is_refused(tmp_path):
    """The message gives the first reason."""
    with pytest.raises(UserError, match="There is no folder"):
        scan(tmp_path / "nowhere", 0.1)
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"None of the 1 images .* a\.png: .*not a PNG"):
        scan(tmp_path, 0.1)


def test_a_bids_dataset_is_read_without_its_masks(tmp_path, grey, other):
    """Subjects come from the names and pixel sizes from the sidecars; `derivatives` are left out."""
    for subject, image, size in (("sub-1", grey, 0.1), ("sub-2", other, 0.2)):
        name = f"{subject}_sample-a_SEM"
        write_image(tmp_path / subject / "micr" / f"{name}.png", image)
        sidecar = {"PixelSize": [size, size], "PixelSizeUnits": "um"}
        (tmp_path / subject / "micr" / f"{name}.json").write_text(json.dumps(sidecar))
        write_image(tmp_path / "derivatives" / "labels" / subject / "micr" / f"{name}_seg.png", image)
    found = scan(tmp_path)
    assert [(image.name, image.subject, image.um_per_px) for image in found.images] == [
        ("sub-1_sample-a_SEM", "sub-1", 0.1),
        ("sub-2_sample-a_SEM", "sub-2", 0.2),
    ]
    assert any("different pixel sizes" in warning for warning in found.warnings)


def test_an_excluded_folder_and_files_of_a_handoff_are_left_out(tmp_path, grey):
    """Results may lie among the images."""
    write_image(tmp_path / "a.png", grey)
    write_image(tmp_path / "out" / "data" / "own" / "a.png", grey)
    for ending in ("_seg-axonmyelin.png", "_uncertainty.png", "_instances.tif"):
        write_image(tmp_path / f"a{ending}", grey)
    assert [image.name for image in scan(tmp_path, 0.1, exclude=tmp_path / "out").images] == ["a"]


def test_output_folders_of_earlier_runs_are_left_out(tmp_path, grey, other):
    """At any depth, unless the user names one; a table of the user does not make a folder an output folder."""
    write_image(tmp_path / "a.png", grey)
    write_image(tmp_path / "rat" / "b.png", other)
    (tmp_path / "rat" / "images.csv").write_text("of the user")
    for out in (tmp_path / "labels", tmp_path / "rat" / "more"):
        write_image(out / "data" / "own" / "a.png", grey)
        write_image(out / "contact_sheet.png", grey)
        (out / "images.csv").write_text("")
        (out / ".lock").write_text("")
    assert [image.name for image in scan(tmp_path, 0.1, exclude=tmp_path / "new").images] == ["a", "b"]
    assert [image.name for image in scan(tmp_path / "labels" / "data" / "own", 0.1).images] == ["a"]


@pytest.mark.parametrize(
    "paths",
    [
        ["p/x-b.png", "x/b.png", "y/b.png"],
        ["a-b.png", "a/b.png", "b.png"],
        ["a.png", "A.png", "a-png.png", "a-png-2.png"],
        ["b.png", "b.tif", "b-png.png", "x/b.png", "x-b.png", "x/b-png.png"],
    ],
)
def test_no_two_images_have_the_same_name(paths):
    """Labels are stored by name, so that one image would get the labels of another."""
    names = [name.casefold() for name in unique_names([Path(path) for path in paths])]
    assert len(set(names)) == len(paths)


# --- At which pixel size --------------------------------------------------------------------------------


def test_a_pixel_size_is_never_guessed(tmp_path, grey):
    """It is stated or recorded; a stated one counts for all images, and a contradiction gives a warning."""
    write_image(tmp_path / "a.png", grey)
    with pytest.raises(UserError, match=r"--um-per-px 0\.1; none is guessed"):
        scan(tmp_path)
    (tmp_path / "a.json").write_text('{"PixelSize": 0.2, "PixelSizeUnits": "um"}')
    assert scan(tmp_path).images[0].um_per_px == 0.2
    stated = scan(tmp_path, 0.1)
    assert stated.images[0].um_per_px == 0.1
    assert any("a.json says 0.2 µm/px; 0.1 is used" in warning for warning in stated.warnings)
    with pytest.raises(UserError, match=r"pixel size -1\.0"):
        scan(tmp_path, -1.0)


@pytest.mark.parametrize("sidecar", ['{"PixelSize": [0.1, 0.2], "PixelSizeUnits": "um"}', "{half"])
def test_a_stated_pixel_size_replaces_an_unusable_one(tmp_path, grey, sidecar):
    """With a warning; if none is stated, the image cannot be used."""
    write_image(tmp_path / "a.png", grey)
    (tmp_path / "a.json").write_text(sidecar)
    with pytest.raises(UserError, match=r"None of the 1 images .*a\.json"):
        scan(tmp_path)
    (found,) = scan(tmp_path, 0.1).images
    assert (found.um_per_px, found.pixel_size_source) == (0.1, "stated")
    assert any("0.1 µm/px is used, as stated" in warning and "a.json" in warning for warning in found.warnings)


def test_the_pixel_size_of_an_uncalibrated_ome_tiff_may_be_stated(tmp_path, grey):
    """Microscopes write the unit `pixel` in this case."""
    size = {"PhysicalSizeX": 1, "PhysicalSizeY": 1, "PhysicalSizeXUnit": "pixel", "PhysicalSizeYUnit": "pixel"}
    write_16_bit(tmp_path / "a.ome.tif", grey, metadata={"axes": "YX", **size})
    assert scan(tmp_path, 0.1).images[0].um_per_px == 0.1


# --- What may be wrong ----------------------------------------------------------------------------------


def test_possible_faults_of_images_give_warnings(tmp_path, grey, other):
    """Clipped grey values, a burnt-in bar, duplicates, and very different sizes; none for sound images."""
    write_image(tmp_path / "clipped.png", np.clip(3 * grey, 0, 1))
    barred = np.vstack([other, np.zeros((8, 64))])
    barred[-5:-2, 20:30] = 1
    write_image(tmp_path / "barred.png", barred)
    write_image(tmp_path / "one.png", grey)
    write_image(tmp_path / "two.png", grey)
    write_image(tmp_path / "large.png", np.tile(grey, (3, 3)))
    warnings = "\n".join(scan(tmp_path, 0.1).warnings)
    for words in (
        "clipped: ",
        "brightest grey",
        "barred: ",
        "burnt-in bar",
        "one and two are the same",
        "Sizes differ",
    ):
        assert words in warnings
    assert "large: " not in warnings and "one: " not in warnings


def test_a_single_image_gives_a_warning(tmp_path, grey):
    """A model of one image rests on it alone."""
    write_image(tmp_path / "a.png", grey)
    assert scan(tmp_path, 0.1).warnings == [
        "There is one image: what is learned of this microscope rests on it alone. More would help."
    ]
