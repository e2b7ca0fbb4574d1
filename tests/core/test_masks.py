"""Mask files: the coding of classes as grey levels, exact both ways, and refusal of any other coding."""

import csv
import os
import resource

import numpy as np
import pytest
from PIL import Image

from histobridge.errors import UserError
from histobridge.io.images import normalise, read_image
from histobridge.io.masks import check_same_size, decode_mask, encode_mask, read_mask, write_mask
from histobridge.io.plane import Plane

GREY = np.add.outer(np.arange(40), 5 * np.arange(43)).astype(np.uint8)  # a ramp from 0 to 249
CLASSES = (GREY % 3).astype(np.uint8)


def plane(pixels, full_scale=255) -> Plane:
    """A plane as the reader returns it: with two or four channels, the last one is alpha."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 2:
        return Plane(pixels, full_scale)
    colours, alpha = (pixels[..., :-1], pixels[..., -1]) if pixels.shape[2] in (2, 4) else (pixels, None)
    return Plane(colours[..., 0] if colours.shape[2] == 1 else colours, full_scale, alpha)


def test_mask_round_trip(tmp_path):
    """Classes come back exactly from a mask file, without a remark."""
    assert np.array_equal(np.unique(encode_mask(CLASSES)), [0, 127, 255])
    np.testing.assert_array_equal(decode_mask(plane(encode_mask(CLASSES)))[0], CLASSES)
    write_mask(tmp_path / "mask.png", CLASSES)
    mask, remarks = read_mask(tmp_path / "mask.png")
    np.testing.assert_array_equal(mask, CLASSES)
    assert (mask.dtype, remarks) == (np.uint8, ())
    with Image.open(tmp_path / "mask.png") as file:
        assert file.mode == "L"


@pytest.mark.parametrize("levels", [(0, 127, 255), (0, 128, 255), (0, 127, 254), (0, 128, 254)])
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_mask_conventions(levels, channels):
    """Each known rounding of 0, 127.5, 255 is read exactly in grey, grey + alpha, RGB and RGBA."""
    raw = np.array(levels, dtype=np.uint8)[CLASSES]
    if channels:
        raw = np.stack([raw] * channels, axis=2)
    if channels in (2, 4):
        raw[..., -1] = 128
    mask, remarks = decode_mask(plane(raw))
    np.testing.assert_array_equal(mask, CLASSES)
    assert remarks == ()


@pytest.mark.parametrize("channels", [2, 4])
def test_transparent_pixels_are_background(channels):
    """A pixel that is less than half opaque counts as erased, and a remark tells how many were not background."""
    raw = np.stack([encode_mask(CLASSES)] * channels, axis=2)
    raw[..., -1] = 255
    raw[:20, :, -1] = 127
    mask, remarks = decode_mask(plane(raw))
    assert (mask[20:] == CLASSES[20:]).all() and not mask[:20].any()
    assert remarks == (f"{(CLASSES[:20] > 0).sum()} transparent pixels were read as background",)


def test_a_mask_that_is_transparent_everywhere_is_refused():
    """No labels are lost to a program that writes an empty alpha channel; an empty mask is no loss."""
    raw = np.stack([encode_mask(CLASSES), 0 * CLASSES], axis=2)
    with pytest.raises(UserError, match="transparent everywhere"):
        decode_mask(plane(raw))
    assert not decode_mask(plane(0 * raw))[0].any()


def test_a_few_unknown_levels_are_snapped_and_told():
    """Up to 1 % of all pixels but background may have other levels: they become the nearest class."""
    raw = np.zeros((50, 50), dtype=np.uint8)
    raw[:20] = 255
    raw.flat[:10] = [1, 63, 64, 126, 129, 191, 192, 233, 253, 2]
    mask, remarks = decode_mask(plane(raw))
    assert mask.flat[:10].tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 0]
    assert remarks == ("10 pixels of other levels (mostly 1, 2, 63, 64, 126) were set to the nearest class",)
    raw.flat[10] = 3
    with pytest.raises(
        UserError, match=r"1\.1% of its pixels other than 0 have other values \(mostly 1, 2, 3, 63, 64\)"
    ):
        decode_mask(plane(raw))


def test_background_hides_no_unknown_level():
    """In a large mask with few fibres, the share of unknown levels is that among the fibres."""
    raw = np.zeros((100, 100), dtype=np.uint8)
    raw[:5, :10] = 200
    with pytest.raises(UserError, match=r"100\.0% of its pixels other than 0 .*mostly 200"):
        decode_mask(plane(raw))


@pytest.mark.parametrize("levels", [(0, 1, 2), (0, 85, 170)])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_two_other_codings_are_recognised_and_told(levels, sparse, channels):
    """Class numbers and thirds of 255 are read as classes, however rare they are."""
    classes = np.pad(CLASSES[:3, :3], 50) if sparse else CLASSES
    mask, remarks = decode_mask(plane(np.stack([np.array(levels, np.uint8)[classes]] * channels, axis=2).squeeze()))
    np.testing.assert_array_equal(mask, classes)
    (remark,) = remarks
    assert remark == "its levels {}, {}, {} were read as background, myelin, axon".format(*levels)


@pytest.mark.parametrize(("bits", "levels"), [(1, (0, 1)), (2, (0, 3)), (2, (0, 1, 2)), (4, (0, 15)), (4, (0, 1, 2))])
def test_fewer_bits_are_stretched(bits, levels):
    """White of 1, 2 or 4 bits is axon; class numbers are recognised there too."""
    classes = np.array([0, 2] if len(levels) == 2 else [0, 1, 2], np.uint8)
    assert decode_mask(plane(np.array([levels], np.uint8), 2**bits - 1))[0].tolist() == [classes.tolist()]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (CLASSES // 2, "mostly 1"),
        (85 * (CLASSES // 2), "mostly 85"),
        (CLASSES + 1, "mostly 1, 2, 3"),
        (85 * (GREY % 4), "mostly 85, 170"),
        (np.dstack([encode_mask(CLASSES), 0 * GREY, 0 * GREY]), "mostly .*255/0/0"),
        (np.full((4, 5, 3), [255, 127, 0], np.uint8), "mostly 255/127/0"),
        (CLASSES.astype(np.uint16), "uint16 pixels"),
        (CLASSES.astype(np.int8), "int8 pixels"),
        (CLASSES.astype(np.float32), "float32 pixels"),
    ],
)
def test_other_codings_are_refused(raw, sentence):
    """Codings that could mean several things, colours, 16 bits and floats are refused, and the levels named."""
    with pytest.raises(UserError, match=f"m.png .*{sentence}.* 255"):
        decode_mask(plane(raw), name="m.png")


def test_classes_beyond_two_are_not_written(tmp_path):
    """A mask with an unknown class raises an error and leaves no file."""
    with pytest.raises(IndexError):
        write_mask(tmp_path / "mask.png", np.array([[3]], dtype=np.uint8))
    assert not list(tmp_path.iterdir())


def test_unwritable_places(tmp_path):
    """A path through a file, or to a folder, gives one sentence and leaves nothing behind."""
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for place in ("file/mask.png", "folder.png"):
        with pytest.raises(UserError, match=f"Could not write .*{place}"):
            write_mask(tmp_path / place, CLASSES)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.png"]


def test_full_disk_keeps_the_old_file(tmp_path):
    """When the disk is full, the old file is still whole and no partial file remains."""
    path = tmp_path / "mask.png"
    write_mask(path, CLASSES)
    noise = np.random.default_rng(0).integers(0, 3, (300, 300), dtype=np.uint8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(UserError, match="Could not write"):
            write_mask(path, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["mask.png"]
    np.testing.assert_array_equal(read_mask(path)[0], CLASSES)


def test_check_same_size():
    """Image and mask of equal size pass, colour or not; others are refused with both sizes."""
    check_same_size(GREY.shape, CLASSES.shape, "a.png")
    with pytest.raises(UserError, match=r"a\.png is 43 × 40 px but its mask 40 × 43 px"):
        check_same_size(GREY.shape, CLASSES.T.shape, "a.png")


@pytest.mark.real
def test_all_real_images_and_masks_read(mirror):
    """All 77 development images and masks are read and have equal sizes; one mask has a few unknown pixels."""
    with (mirror / "INDEX.csv").open(encoding="utf-8") as index:
        rows = [row for row in csv.DictReader(index) if row["split"] == "development"]
    paths = {role: [mirror / r["dataset"] / r["path"] for r in rows if r["role"] == role] for role in ("image", "mask")}
    remarks = {}
    for image_path, mask_path in zip(paths["image"], paths["mask"], strict=True):
        image = normalise(read_image(image_path), name=image_path)
        mask, remarks[mask_path.name] = read_mask(mask_path)
        check_same_size(image.shape, mask.shape, image_path)
        assert set(np.unique(mask)) == {0, 1, 2}
    assert len(remarks) == 77
    told = {name: of_mask for name, of_mask in remarks.items() if of_mask}
    assert list(told) == ["sub-rat2_sample-data5_SEM_seg-axonmyelin-manual.png"]
    assert told.popitem()[1][0].startswith("9 pixels of other levels")
