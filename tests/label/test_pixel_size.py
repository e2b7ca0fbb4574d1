"""pixel_size: what BIDS sidecars and OME metadata say about the pixels of an image."""

import json

import numpy as np
import pytest
import tifffile

from histobridge.errors import UserError
from histobridge_label.pixel_size import Sidecars, pixel_size


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
    found = pixel_size(tmp_path / "sub-1_sample-a_SEM.png", Sidecars(tmp_path))
    assert found.um_per_px == pytest.approx(um)
    assert found.source == "sub-1_sample-a_SEM.json"


def test_the_nearest_sidecar_that_applies_counts(tmp_path):
    """A sidecar applies to all images below it whose names have its entities and its suffix."""
    image = tmp_path / "sub-1" / "micr" / "sub-1_sample-a_SEM.png"
    write_sidecar(tmp_path / "SEM.json", 0.3)
    write_sidecar(tmp_path / "TEM.json", 0.4)
    assert pixel_size(image, Sidecars(tmp_path)).um_per_px == 0.3
    write_sidecar(tmp_path / "sub-1" / "sub-1_SEM.json", 0.2)
    write_sidecar(tmp_path / "sub-1" / "sub-2_SEM.json", 0.5)
    assert pixel_size(image, Sidecars(tmp_path)).um_per_px == 0.2
    write_sidecar(image.with_suffix(".json"), 0.1)
    assert pixel_size(image, Sidecars(tmp_path)).um_per_px == 0.1
    assert pixel_size(tmp_path / "sub-1" / "sub-1_BF.png", Sidecars(tmp_path)) is None


def test_each_field_comes_from_the_nearest_sidecar_that_has_it(tmp_path):
    """Size and unit may be in two files."""
    image = tmp_path / "sub-1" / "micr" / "sub-1_sample-a_SEM.png"
    write_sidecar(tmp_path / "SEM.json", 130, "nm")
    image.parent.mkdir(parents=True)
    image.with_suffix(".json").write_text('{"PixelSize": [90, 90]}')
    assert pixel_size(image, Sidecars(tmp_path)) == (0.09, "sub-1_sample-a_SEM.json")


def test_a_dot_in_a_name_is_not_an_ending(tmp_path):
    """`cut_1.5.json` is the sidecar of `cut_1.5.png` only."""
    write_sidecar(tmp_path / "cut_1.5.json", 0.2)
    assert pixel_size(tmp_path / "cut_1.5.png", Sidecars(tmp_path)).um_per_px == 0.2
    assert pixel_size(tmp_path / "cut_1.7.png", Sidecars(tmp_path)) is None


@pytest.mark.parametrize(("unit", "um"), [("µm", 0.07), ("nm", 7e-5)])
def test_ome_metadata_give_the_pixel_size_in_any_unit(tmp_path, unit, um):
    """A plain TIFF gives none."""
    size = {"PhysicalSizeX": 0.07, "PhysicalSizeY": 0.07, "PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    pixels = np.zeros((64, 64), np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata={"axes": "YX", **size})
    tifffile.imwrite(tmp_path / "b.tif", pixels)
    assert pixel_size(tmp_path / "a.ome.tif", Sidecars(tmp_path)).um_per_px == pytest.approx(um)
    assert pixel_size(tmp_path / "b.tif", Sidecars(tmp_path)) is None


@pytest.mark.parametrize(
    ("size", "units", "message"),
    [([0.1, 0.2], "um", "only square"), (0.1, "inch", "'inch'"), (0.1, None, "'None'"), ("fine", "um", "two numbers")],
)
def test_an_unusable_pixel_size_is_refused(tmp_path, size, units, message):
    """The message names the sidecar."""
    write_sidecar(tmp_path / "a.json", size, units)
    with pytest.raises(UserError, match=rf"a\.json .*{message}"):
        pixel_size(tmp_path / "a.png", Sidecars(tmp_path))
