"""zarr_image: one level of an OME-Zarr image is read part by part; what is not declared is refused in a sentence."""

import shutil

import numpy as np
import pytest
import zarr

from drawn_zarr import chunk_files, write_zarr
from histobridge.errors import UserError
from histobridge.io.zarr_image import is_zarr, open_zarr

ALL = slice(None), slice(None)


@pytest.fixture
def values():
    """70 × 90 px of 16 bits."""
    return np.random.default_rng(0).integers(0, 60000, (70, 90)).astype(np.uint16)


@pytest.mark.parametrize("version", ["0.3", "0.4", "0.5"])
def test_every_version_is_read_part_by_part(values, tmp_path, version):
    """Pixels, shape and bits are those that were written; only 0.4 and newer can declare a pixel size."""
    level = open_zarr(
        write_zarr(tmp_path / "a.zarr", values, um_per_px=0.2 if version > "0.3" else None, version=version)
    )
    assert level.shape == (70, 90) and level.stored_as == "16-bit grey" and level.remarks == ()
    np.testing.assert_array_equal(level.read((slice(20, 70), slice(31, 90))), values[20:, 31:])
    assert version == "0.3" or level.declared_size.um_per_px == 0.2


def test_axes_of_length_one_have_no_effect(values, tmp_path):
    """Whatever their names; versions before 0.3 name none, and mean t, c, z, y, x."""
    named = write_zarr(tmp_path / "a.zarr", values[None, None], axes=("c", "z", "y", "x"))
    old = write_zarr(tmp_path / "b.zarr", values[None, None, None], um_per_px=None, version="0.1")
    for path in (named, old):
        np.testing.assert_array_equal(open_zarr(path).read(ALL), values)


def test_each_level_has_its_own_grid_and_pixel_size(values, tmp_path):
    """The scale of a level is multiplied by that of the pyramid; an unknown level is refused with those there are."""
    path = write_zarr(tmp_path / "a.zarr", values, um_per_px=50, unit="nanometer")
    group = zarr.open_group(path)
    group.create_array("1", data=values[::2, ::2])
    (multiscale,) = group.attrs["multiscales"]
    second = {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": [100, 100]}]}
    whole = {"coordinateTransformations": [{"type": "scale", "scale": [2, 2]}]}
    group.attrs["multiscales"] = [multiscale | whole | {"datasets": [*multiscale["datasets"], second]}]
    fine, coarse = open_zarr(path, 0), open_zarr(path, 1)
    assert (fine.declared_size.um_per_px, coarse.declared_size.um_per_px) == (0.1, 0.2)
    assert coarse.shape == (35, 45)
    with pytest.raises(UserError, match="levels 0 to 1, and no level 2"):
        open_zarr(path, 2)


@pytest.mark.parametrize(
    ("shape", "axes", "says"),
    [
        ((8, 9), ("x", "y"), "has the axes x, y: write it with y and x as the last two"),
        ((8, 9, 3), ("y", "x", "c"), "has the axes y, x, c"),
        ((4, 8, 9), ("z", "y", "x"), r"is a stack \(4 along z\)"),
        ((3, 8, 9), ("c", "y", "x"), r"is a stack \(3 along c\)"),
        ((2, 3, 8, 9), ("t", "c", "y", "x"), r"is a stack \(2 along t, 3 along c\)"),
    ],
)
def test_foreign_axes_and_several_planes_are_refused(tmp_path, shape, axes, says):
    """No axis is guessed, and no plane is chosen."""
    path = write_zarr(tmp_path / "a.zarr", np.ones(shape, np.uint8), axes=axes)
    with pytest.raises(UserError, match=says):
        open_zarr(path)


@pytest.mark.parametrize("dtype", [bool, np.complex64])
def test_what_is_no_grey_value_is_refused(tmp_path, dtype):
    """Truth values and complex numbers."""
    with pytest.raises(UserError, match=r"save it with integer or real grey values"):
        open_zarr(write_zarr(tmp_path / "a.zarr", np.ones((8, 9), dtype)))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"um_per_px": None}, None),
        ({"unit": None}, "without a unit: state it, such as --um-per-px 0.1"),
        ({"unit": "parsec"}, "gives a pixel size in 'parsec'"),
    ],
)
def test_a_pixel_size_that_is_not_declared_is_not_guessed(values, tmp_path, given, says):
    """No scale, a scale without a unit, and an unknown unit."""
    size = open_zarr(write_zarr(tmp_path / "a.zarr", values, **given)).declared_size
    assert (size is None) if says is None else (size.um_per_px is None and says in size.fault)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("kept", [0, 20, 1000])
def test_a_damaged_chunk_is_a_sentence_and_a_missing_one_is_told(values, tmp_path, version, kept):
    """Of the part that holds the damaged chunk; the other parts can still be read."""
    path = write_zarr(tmp_path / "a.zarr", values, version=version)
    first, *_, last = chunk_files(path)
    first.write_bytes(first.read_bytes()[:kept])
    last.unlink()
    level = open_zarr(path)
    assert level.remarks == ("1 of its 9 chunks are not stored and have the fill value",)
    np.testing.assert_array_equal(level.read((slice(0, 32), slice(32, 90))), values[:32, 32:])
    with pytest.raises(UserError, match=r"a\.zarr (cannot be read|is damaged) \(.*\): "):
        level.read(ALL)


def test_what_is_no_image_is_refused_with_what_it_is(values, tmp_path):
    """An array without metadata, a group of something else, several images, a plate, broken metadata."""
    zarr.create_array(tmp_path / "array.zarr", data=values, zarr_format=2)
    zarr.open_group(tmp_path / "group.zarr", mode="w")
    zarr.open_group(tmp_path / "plate.zarr", mode="w").attrs["plate"] = {}
    zarr.open_group(tmp_path / "several.zarr", mode="w", zarr_format=2)
    for name in "01":
        write_zarr(tmp_path / "several.zarr" / name, values)
    shutil.copytree(tmp_path / "several.zarr", tmp_path / "one.zarr")
    shutil.rmtree(tmp_path / "one.zarr" / "1")
    (write_zarr(tmp_path / "broken.zarr", values) / ".zattrs").write_text("{")
    says = {
        "array": "without metadata",
        "group": "names no pyramid",
        "plate": "is a plate",
        "several": r"2 images \(0, 1\)",
    }
    for name, sentence in (says | {"broken": "cannot be read"}).items():
        assert is_zarr(tmp_path / f"{name}.zarr")
        with pytest.raises(UserError, match=sentence):
            open_zarr(tmp_path / f"{name}.zarr")
    np.testing.assert_array_equal(open_zarr(tmp_path / "one.zarr").read(ALL), values)  # as bioformats2raw writes it
