"""own.pixel_size and own.looking: what is in a folder, at which pixel size, and what may be wrong with it."""

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from histobridge.errors import UserError
from histobridge.io.images import write_image
from histobridge_label.inspect_folder import look, unique_names
from histobridge_label.pixel_size import pixel_size


@pytest.fixture
def grey(drawn):
    """An image of 64 px."""
    return drawn["sem"][0][0]


@pytest.fixture
def other(drawn):
    """Another one."""
    return drawn["sem"][1][0]


def quiet(line):
    """Report nothing."""


def write_colour(path, image):
    """An RGB PNG."""
    path.write_bytes(imagecodecs.png_encode(np.repeat((255 * image).astype(np.uint8)[..., None], 3, axis=2)))


def write_16_bit(path, image, **options):
    """A 16-bit TIFF."""
    tifffile.imwrite(path, (65535 * image).astype(np.uint16), **options)


def write_sidecar(path, size, units="um"):
    """A JSON sidecar of BIDS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"PixelSize": size, "PixelSizeUnits": units}))


# --- The size of a pixel ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "units", "um"), [([0.13, 0.13], "um", 0.13), ([130, 130, 70], "nm", 0.13), (1.3e-4, "mm", 0.13)]
)
def test_a_sidecar_of_bids_says_the_pixel_size(tmp_path, grey, size, units, um):
    """In any unit of BIDS, as a number or one for each axis."""
    write_image(tmp_path / "sub-1_sample-a_SEM.png", grey)
    write_sidecar(tmp_path / "sub-1_sample-a_SEM.json", size, units)
    said = pixel_size(tmp_path / "sub-1_sample-a_SEM.png", tmp_path)
    assert said.um_per_px == pytest.approx(um)
    assert said.said_by == "sub-1_sample-a_SEM.json"


def test_the_nearest_sidecar_that_holds_for_an_image_counts(tmp_path):
    """BIDS: one higher up holds for all below it whose names have its entities and its ending."""
    image = tmp_path / "sub-1" / "micr" / "sub-1_sample-a_SEM.png"
    write_sidecar(tmp_path / "SEM.json", 0.3)
    write_sidecar(tmp_path / "TEM.json", 0.4)
    assert pixel_size(image, tmp_path).um_per_px == 0.3
    write_sidecar(tmp_path / "sub-1" / "sub-1_SEM.json", 0.2)
    write_sidecar(tmp_path / "sub-1" / "sub-2_SEM.json", 0.5)
    assert pixel_size(image, tmp_path).um_per_px == 0.2
    write_sidecar(image.with_suffix(".json"), 0.1)
    assert pixel_size(image, tmp_path).um_per_px == 0.1
    assert pixel_size(tmp_path / "sub-1" / "sub-1_BF.png", tmp_path) is None


def test_each_field_comes_from_the_nearest_sidecar_that_has_it(tmp_path):
    """BIDS: size and unit may stand in two files; a dot in a name is no ending."""
    image = tmp_path / "sub-1" / "micr" / "sub-1_sample-a_SEM.png"
    write_sidecar(tmp_path / "SEM.json", 130, "nm")
    image.parent.mkdir(parents=True)
    image.with_suffix(".json").write_text('{"PixelSize": [90, 90]}')
    said = pixel_size(image, tmp_path)
    assert (said.um_per_px, said.said_by) == (0.09, "sub-1_sample-a_SEM.json")
    write_sidecar(tmp_path / "cut_1.5.json", 0.2)
    assert pixel_size(tmp_path / "cut_1.5.png", tmp_path).um_per_px == 0.2
    assert pixel_size(tmp_path / "cut_1.7.png", tmp_path) is None


@pytest.mark.parametrize(("unit", "um"), [("µm", 0.07), ("nm", 7e-5)])
def test_ome_metadata_say_the_pixel_size(tmp_path, grey, unit, um):
    """In the unit that they name; another TIFF says nothing."""
    size = {"PhysicalSizeX": 0.07, "PhysicalSizeY": 0.07, "PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    write_16_bit(tmp_path / "a.ome.tif", grey, metadata={"axes": "YX", **size})
    write_16_bit(tmp_path / "b.tif", grey)
    assert pixel_size(tmp_path / "a.ome.tif", tmp_path).um_per_px == pytest.approx(um)
    assert pixel_size(tmp_path / "b.tif", tmp_path) is None


@pytest.mark.parametrize(
    ("size", "units", "told"),
    [([0.1, 0.2], "um", "only square"), (0.1, "inch", "'inch'"), (0.1, None, "'None'"), ("fine", "um", "two numbers")],
)
def test_a_pixel_size_that_cannot_be_used_is_no_guess(tmp_path, grey, size, units, told):
    """It is an error that names the sidecar."""
    write_image(tmp_path / "a.png", grey)
    write_sidecar(tmp_path / "a.json", size, units)
    with pytest.raises(UserError, match=rf"a\.json .*{told}"):
        pixel_size(tmp_path / "a.png", tmp_path)


# --- A folder ---------------------------------------------------------------------------------------------


def test_every_kind_of_file_is_read_and_told_apart(tmp_path, grey, other):
    """8 and 16 bits, grey and colour, in sub-folders too; the mixture is remarked."""
    (tmp_path / "rat2").mkdir()
    write_image(tmp_path / "a.png", grey)
    write_16_bit(tmp_path / "rat2" / "b.tif", other)
    write_colour(tmp_path / "rat2" / "c.png", grey[:40, :50])
    found = look(tmp_path, 0.1, report=quiet)
    table = found.table.set_index("image")
    assert table["stored_as"].to_dict() == {"a": "8-bit grey", "b": "16-bit grey", "c": "8-bit colour"}
    assert table.loc["c", ["width_px", "height_px"]].tolist() == [50, 40]
    assert table["subject"].to_dict() == {"a": tmp_path.name, "b": "rat2", "c": "rat2"}
    assert (table["um_per_px"] == 0.1).all()
    assert any("stored differently" in told and "16-bit grey" in told for told in found.remarks)
    for one, image in zip(found.images, (grey, other, grey[:40, :50]), strict=True):
        assert np.corrcoef(one.read().ravel(), image.ravel())[0, 1] > 0.99


def test_one_unreadable_file_does_not_stop_the_others(tmp_path, grey, other):
    """It is listed with its reason, in the table too."""
    for number in range(20):
        write_image(tmp_path / f"{number:02}.png", grey if number % 2 else other)
    (tmp_path / "07.png").write_bytes((tmp_path / "06.png").read_bytes()[:300])
    (tmp_path / "stack.czi").write_bytes(b"of a microscope")
    write_image(tmp_path / "grey.png", np.full((64, 64), 0.5))
    found = look(tmp_path, 0.1, report=quiet)
    assert len(found.images) == 19
    assert {path.name for path in found.skipped} == {"07.png", "stack.czi", "grey.png"}
    skipped = found.table[found.table["image"].isna()].set_index("file")["remark"]
    assert "cannot be read" in skipped["07.png"] and "export it" in skipped["stack.czi"]
    assert "constant" in skipped["grey.png"]
    assert sum(told.startswith("Skipped") for told in found.remarks) == 3


@pytest.mark.parametrize("content", [[], ["notes.txt"], [".hidden.png"]])
def test_a_folder_without_images_is_told(tmp_path, content):
    """Whatever else is in it."""
    for name in content:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match="holds no images: put some there"):
        look(tmp_path, 0.1)


@pytest.mark.parametrize(
    "paths",
    [
        ["p/x-b.png", "x/b.png", "y/b.png"],
        ["a-b.png", "a/b.png", "b.png"],
        ["a.png", "A.png", "a-png.png", "a-png-2.png"],
        ["b.png", "b.tif", "b-png.png", "x/b.png", "x-b.png", "x/b-png.png"],
    ],
)
def test_no_two_images_have_one_name(paths):
    """Labels are kept by name: with one for two, an image would get the labels of another."""
    found = [name.casefold() for name in unique_names([Path(path) for path in paths])]
    assert len(set(found)) == len(paths)


def test_a_folder_that_is_not_there_or_holds_nothing_readable_is_told(tmp_path):
    """With the first reason."""
    with pytest.raises(UserError, match="There is no folder"):
        look(tmp_path / "nowhere", 0.1)
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"None of the 1 images .* a\.png: .*not a PNG"):
        look(tmp_path, 0.1)


def test_a_pixel_size_is_never_guessed(tmp_path, grey):
    """Without one no image can be used; what is stated is used for all, and a contradiction is remarked."""
    write_image(tmp_path / "a.png", grey)
    with pytest.raises(UserError, match=r"--um-per-px 0\.1; none is guessed"):
        look(tmp_path, report=quiet)
    write_sidecar(tmp_path / "a.json", 0.2)
    assert look(tmp_path, report=quiet).images[0].um_per_px == 0.2
    stated = look(tmp_path, 0.1, report=quiet)
    assert stated.images[0].um_per_px == 0.1
    assert any("a.json says 0.2 µm/px; 0.1 is used" in told for told in stated.remarks)
    with pytest.raises(UserError, match=r"pixel size -1\.0"):
        look(tmp_path, -1.0)


@pytest.mark.parametrize("sidecar", ['{"PixelSize": [0.1, 0.2], "PixelSizeUnits": "um"}', "{half"])
def test_a_stated_pixel_size_counts_although_files_say_what_cannot_be_used(tmp_path, grey, sidecar):
    """It is remarked; with none stated the image cannot be used."""
    write_image(tmp_path / "a.png", grey)
    (tmp_path / "a.json").write_text(sidecar)
    with pytest.raises(UserError, match=r"None of the 1 images .*a\.json"):
        look(tmp_path, report=quiet)
    (found,) = look(tmp_path, 0.1, report=quiet).images
    assert (found.um_per_px, found.said_by) == (0.1, "stated")
    assert any("0.1 µm/px is used, as stated" in told and "a.json" in told for told in found.odd)


def test_the_pixel_size_of_an_uncalibrated_ome_tiff_may_be_stated(tmp_path, grey):
    """Microscopes write the unit `pixel` then."""
    size = {"PhysicalSizeX": 1, "PhysicalSizeY": 1, "PhysicalSizeXUnit": "pixel", "PhysicalSizeYUnit": "pixel"}
    write_16_bit(tmp_path / "a.ome.tif", grey, metadata={"axes": "YX", **size})
    assert look(tmp_path, 0.1, report=quiet).images[0].um_per_px == 0.1


def test_a_bids_dataset_is_read_without_its_masks(tmp_path, grey, other):
    """Subjects come from the names, pixel sizes from the sidecars; `derivatives` are no images."""
    for subject, image, size in (("sub-1", grey, 0.1), ("sub-2", other, 0.2)):
        name = f"{subject}_sample-a_SEM"
        write_image(tmp_path / subject / "micr" / f"{name}.png", image)
        write_sidecar(tmp_path / subject / "micr" / f"{name}.json", [size, size])
        write_image(tmp_path / "derivatives" / "labels" / subject / "micr" / f"{name}_seg.png", image)
    found = look(tmp_path, report=quiet)
    assert [(one.name, one.subject, one.um_per_px) for one in found.images] == [
        ("sub-1_sample-a_SEM", "sub-1", 0.1),
        ("sub-2_sample-a_SEM", "sub-2", 0.2),
    ]
    assert any("different pixel sizes" in told for told in found.remarks)


def test_what_was_made_from_images_is_no_image(tmp_path, grey):
    """Neither the results, where they lie among the images, nor masks and maps of a hand-off."""
    write_image(tmp_path / "a.png", grey)
    write_image(tmp_path / "out" / "data" / "own" / "a.png", grey)
    for ending in ("_seg-axonmyelin.png", "_uncertainty.png", "_instances.tif"):
        write_image(tmp_path / f"a{ending}", grey)
    assert [one.name for one in look(tmp_path, 0.1, without=tmp_path / "out", report=quiet).images] == ["a"]


def test_results_of_earlier_runs_are_no_images(tmp_path, grey, other):
    """Wherever they lie among the images, at any depth; a table of the user's own hides nothing."""
    write_image(tmp_path / "a.png", grey)
    write_image(tmp_path / "rat" / "b.png", other)
    (tmp_path / "rat" / "images.csv").write_text("of the user")
    for out in (tmp_path / "labels", tmp_path / "rat" / "more"):
        write_image(out / "data" / "own" / "a.png", grey)
        write_image(out / "contact_sheet.png", grey)
        (out / "images.csv").write_text("")
        (out / ".lock").write_text("")
    assert [one.name for one in look(tmp_path, 0.1, without=tmp_path / "new", report=quiet).images] == ["a", "b"]
    own = tmp_path / "labels" / "data" / "own"
    assert [one.name for one in look(own, 0.1, report=quiet).images] == ["a"]  # who names a folder means it


def test_odd_images_are_remarked(tmp_path, grey, other):
    """Clipped, with a burnt-in bar, twice the same, or of very different size."""
    write_image(tmp_path / "clipped.png", np.clip(3 * grey, 0, 1))
    barred = np.vstack([other, np.zeros((8, 64))])
    barred[-5:-2, 20:30] = 1
    write_image(tmp_path / "barred.png", barred)
    write_image(tmp_path / "one.png", grey)
    write_image(tmp_path / "two.png", grey)
    write_image(tmp_path / "large.png", np.tile(grey, (3, 3)))
    told = "\n".join(look(tmp_path, 0.1, report=quiet).remarks)
    for words in (
        "clipped: ",
        "brightest grey",
        "barred: ",
        "burnt-in bar",
        "one and two are the same",
        "Sizes differ",
    ):
        assert words in told
    assert "large: " not in told and "one: " not in told
