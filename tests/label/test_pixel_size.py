"""pixel_size: what BIDS sidecars and OME metadata say about the pixels of an image."""

import json

import numpy as np
import pytest
import tifffile

from histobridge.errors import UserError
from histobridge.io.pixels import read_plane
from histobridge.io.plane import Plane
from histobridge_label.pixel_size import Sidecars, pixel_size

BARE = Plane(np.zeros((8, 8), np.uint8), 255)


def size_of(path, root, plane=None):
    """The pixel size of an image; of one that is not there, as if it had no metadata."""
    return pixel_size(path, plane or (read_plane(path) if path.exists() else BARE), Sidecars(root))


def write_sidecar(path, size, units="um"):
    """A JSON sidecar of BIDS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"PixelSize": size, "PixelSizeUnits": units}))


@pytest.mark.parametrize(
    ("size", "units", "um"), [([0.13, 0.13], "um", 0.13), ([130, 130, 70], "nm", 0.13), (1.3e-4, "mm", 0.13)]
)
def test_a_sidecar_gives_the_pixel_size_in_any_unit(tmp_path, size, units, um):
    """As one number or as one per axis."""
    write_sidecar(tmp_path / "sub-1_sample-a_SEM.json", size, units)
    found = size_of(tmp_path / "sub-1_sample-a_SEM.png", tmp_path)
    assert found.um_per_px == pytest.approx(um)
    assert found.source == "sub-1_sample-a_SEM.json"


def test_the_nearest_sidecar_that_applies_counts(tmp_path):
    """A sidecar applies to all images below it whose names have its entities and its suffix."""
    image = tmp_path / "sub-1" / "micr" / "sub-1_sample-a_SEM.png"
    write_sidecar(tmp_path / "SEM.json", 0.3)
    write_sidecar(tmp_path / "TEM.json", 0.4)
    assert size_of(image, tmp_path).um_per_px == 0.3
    write_sidecar(tmp_path / "sub-1" / "sub-1_SEM.json", 0.2)
    write_sidecar(tmp_path / "sub-1" / "sub-2_SEM.json", 0.5)
    assert size_of(image, tmp_path).um_per_px == 0.2
    write_sidecar(image.with_suffix(".json"), 0.1)
    assert size_of(image, tmp_path).um_per_px == 0.1
    assert size_of(tmp_path / "sub-1" / "sub-1_BF.png", tmp_path) is None


def test_each_field_comes_from_the_nearest_sidecar_that_has_it(tmp_path):
    """Size and unit may be in two files."""
    image = tmp_path / "sub-1" / "micr" / "sub-1_sample-a_SEM.png"
    write_sidecar(tmp_path / "SEM.json", 130, "nm")
    image.parent.mkdir(parents=True)
    image.with_suffix(".json").write_text('{"PixelSize": [90, 90]}')
    assert size_of(image, tmp_path) == (0.09, "sub-1_sample-a_SEM.json")


def test_a_dot_in_a_name_is_not_an_ending(tmp_path):
    """`cut_1.5.json` is the sidecar of `cut_1.5.png` only."""
    write_sidecar(tmp_path / "cut_1.5.json", 0.2)
    assert size_of(tmp_path / "cut_1.5.png", tmp_path).um_per_px == 0.2
    assert size_of(tmp_path / "cut_1.7.png", tmp_path) is None


@pytest.mark.parametrize(("unit", "um"), [("µm", 0.07), ("nm", 7e-5)])
def test_ome_metadata_give_the_pixel_size_in_any_unit(tmp_path, unit, um):
    """A plain TIFF gives none."""
    size = {"PhysicalSizeX": 0.07, "PhysicalSizeY": 0.07, "PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    pixels = np.zeros((64, 64), np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "YX", **size})
    tifffile.imwrite(tmp_path / "b.tif", pixels)
    assert size_of(tmp_path / "a.ome.tif", tmp_path).um_per_px == pytest.approx(um)
    assert size_of(tmp_path / "b.tif", tmp_path) is None


@pytest.mark.parametrize(
    ("attributes", "um", "fault"),
    [
        ({"PhysicalSizeX": 0.07}, 0.07, ""),
        ({"PhysicalSizeX": 70, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.07}, 0.07, ""),
        ({"PhysicalSizeX": 0.07, "PhysicalSizeY": 0.1}, None, "0.07 × 0.1 µm: only square"),
        ({"PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel"}, None, "'pixel'"),
        ({"PhysicalSizeX": "wide"}, None, "'wide, wide'"),
    ],
)
def test_ome_sizes_have_a_unit_each(tmp_path, attributes, um, fault):
    """The default unit is µm, the default height the width; what cannot be used is told when the size is asked for."""
    stated = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    dimensions = 'SizeX="8" SizeY="9" SizeZ="1" SizeC="1" SizeT="1" DimensionOrder="XYZCT" Type="uint8"'
    xml = (
        f'<OME xmlns="o"><Image ID="Image:0"><Pixels ID="P:0" {dimensions} {stated}><TiffData/></Pixels></Image></OME>'
    )
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 8), np.uint8), description=xml.encode(), metadata=None)
    assert read_plane(tmp_path / "a.tif").um_per_px == um
    if fault:
        with pytest.raises(UserError, match=rf"a\.tif .*{fault}"):
            size_of(tmp_path / "a.tif", tmp_path)
    else:
        assert size_of(tmp_path / "a.tif", tmp_path) == (um, "OME metadata")


@pytest.mark.parametrize(
    ("unit", "um"),
    [("um", 0.25), ("micron", 0.25), ("\\u00B5m", 0.25), ("nm", 2.5e-4), ("mm", 250.0), ("cm", 2500.0)]
    + [(unit, None) for unit in ("pixel", "inch", "sec", "", None)],
)
def test_imagej_files_give_the_pixel_size_if_they_name_a_unit_of_length(tmp_path, unit, um):
    """A resolution in anything else, and that of a file that is not ImageJ's, is none."""
    pixels = np.zeros((8, 8), np.uint8)
    metadata = {"unit": unit} if unit is not None else {}
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, resolution=(4, 4), metadata=metadata)
    found = size_of(tmp_path / "a.tif", tmp_path)
    assert found == (None if um is None else (pytest.approx(um), "ImageJ metadata"))
    for number, resolution_unit in enumerate(("INCH", "CENTIMETER", "NONE")):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, pixels, resolution=(4, 4), resolutionunit=resolution_unit)
        assert size_of(path, tmp_path) is None


def test_imagej_pixels_that_are_not_square_are_refused(tmp_path):
    """The message names the file."""
    metadata = {"unit": "um"}
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint8), imagej=True, resolution=(4, 2), metadata=metadata)
    with pytest.raises(UserError, match=r"a\.tif gives pixels of 0\.25 × 0\.5 µm"):
        size_of(tmp_path / "a.tif", tmp_path)


@pytest.mark.parametrize(
    ("size", "units", "message"),
    [
        ([0.1, 0.2], "um", "only square"),
        (0.1, "inch", "'inch'"),
        (0.1, None, "'None'"),
        (0.1, ["um"], "write one of"),
        (0.1, {"unit": "um"}, "write one of"),
        *[(size, "um", "two numbers") for size in ("fine", "0.1", None, True, {}, [], [None, 1], [[1], [1]], 10**400)],
        (-0.1, "um", "only square"),
        (0, "um", "only square"),
    ],
)
def test_an_unusable_pixel_size_is_refused(tmp_path, size, units, message):
    """The message names the sidecar."""
    write_sidecar(tmp_path / "a.json", size, units)
    with pytest.raises(UserError, match=rf"a\.json .*{message}"):
        size_of(tmp_path / "a.png", tmp_path)


@pytest.mark.parametrize("text", ["", "{", '"text', "[" * 100_000, '{"a":' * 100_000, "\xff", "9" * 9999])
def test_a_broken_sidecar_is_refused(tmp_path, text):
    """Whatever is wrong with it, deep nesting included, is one sentence."""
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.json is no JSON that can be read"):
        size_of(tmp_path / "a.png", tmp_path)


@pytest.mark.parametrize("content", [[], [{"PixelSize": 1}], "text", 3, None])
def test_a_sidecar_without_fields_is_refused(tmp_path, content):
    """JSON that is a list, a text or a number describes no image."""
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"a\.json holds no fields"):
        size_of(tmp_path / "a.png", tmp_path)


def test_a_sidecar_may_begin_with_a_byte_order_mark(tmp_path):
    """Some editors write one."""
    (tmp_path / "a.json").write_text(json.dumps({"PixelSize": 0.1, "PixelSizeUnits": "µm"}), encoding="utf-8-sig")
    assert size_of(tmp_path / "a.png", tmp_path).um_per_px == 0.1


def test_each_sidecar_of_thousands_is_read_once(tmp_path, monkeypatch):
    """3,000 images with a sidecar each and one for all are looked up, each file read once."""
    n_images, reads = 3000, []
    write_sidecar(tmp_path / "SEM.json", 0.1)
    for number in range(n_images):
        (tmp_path / f"sub-1_sample-{number}_SEM.json").write_text('{"PixelSize": 0.2}')
    read_bytes = type(tmp_path).read_bytes
    monkeypatch.setattr(type(tmp_path), "read_bytes", lambda path: reads.append(path) or read_bytes(path))
    sidecars = Sidecars(tmp_path)
    found = {pixel_size(tmp_path / f"sub-1_sample-{n}_SEM.png", BARE, sidecars).um_per_px for n in range(n_images)}
    assert found == {0.2} and len(reads) == len(set(reads)) == n_images + 1
