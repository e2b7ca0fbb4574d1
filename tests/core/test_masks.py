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

GREY = np.add.outer(np.arange(40), 5 * np.arange(43)).astype(np.uint8)  # a ramp from 0 to 249
CLASSES = (GREY % 3).astype(np.uint8)


def test_mask_round_trip(tmp_path):
    """Classes come back exactly from a mask file, and no pixel is snapped."""
    assert np.array_equal(np.unique(encode_mask(CLASSES)), [0, 127, 255])
    np.testing.assert_array_equal(decode_mask(encode_mask(CLASSES))[0], CLASSES)
    write_mask(tmp_path / "mask.png", CLASSES)
    mask, n_snapped = read_mask(tmp_path / "mask.png")
    np.testing.assert_array_equal(mask, CLASSES)
    assert (mask.dtype, n_snapped) == (np.uint8, 0)
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
        raw[..., -1] = 77
    mask, n_snapped = decode_mask(raw)
    np.testing.assert_array_equal(mask, CLASSES)
    assert n_snapped == 0


def test_unknown_levels_are_snapped_and_counted():
    """Up to 1 % of the pixels may have other levels: they become the nearest class."""
    raw = np.zeros((20, 50), dtype=np.uint8)
    raw.flat[:10] = [1, 63, 64, 126, 129, 191, 192, 233, 253, 2]
    mask, n_snapped = decode_mask(raw)
    assert mask.flat[:10].tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 0]
    assert n_snapped == 10
    raw.flat[10] = 3
    with pytest.raises(UserError, match=r"1\.1% of its pixels have other values \(mostly 1, 2, 3, 63, 64\)"):
        decode_mask(raw)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (CLASSES, "mostly 1, 2"),
        (np.dstack([encode_mask(CLASSES), 0 * GREY, 0 * GREY]), "mostly .*255/0/0"),
        (np.full((4, 5, 3), [255, 127, 0], np.uint8), "mostly 255/127/0"),
        (CLASSES.astype(np.uint16), "uint16 pixels"),
        (np.zeros((4, 5, 6), np.uint8), "shape"),
        (np.zeros(5, np.uint8), "shape"),
    ],
)
def test_other_codings_are_refused(raw, sentence):
    """Class numbers, colours, 16 bits and stacks are refused."""
    with pytest.raises(UserError, match=f"m.png .*{sentence}"):
        decode_mask(raw, name="m.png")


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
    check_same_size(np.dstack([GREY] * 3), CLASSES, "a.png")
    with pytest.raises(UserError, match=r"a\.png is 43 × 40 px but its mask 40 × 43 px"):
        check_same_size(GREY, CLASSES.T, "a.png")


@pytest.mark.real
def test_all_real_images_and_masks_read(mirror):
    """All 77 development images and masks are read and have equal sizes; one mask has nine unknown pixels."""
    with (mirror / "INDEX.csv").open(encoding="utf-8") as index:
        rows = [row for row in csv.DictReader(index) if row["split"] == "development"]
    paths = {role: [mirror / r["dataset"] / r["path"] for r in rows if r["role"] == role] for role in ("image", "mask")}
    snapped = {}
    for image_path, mask_path in zip(paths["image"], paths["mask"], strict=True):
        image = normalise(read_image(image_path), name=image_path)
        mask, snapped[mask_path.name] = read_mask(mask_path)
        check_same_size(image, mask, image_path)
        assert set(np.unique(mask)) == {0, 1, 2}
    assert len(snapped) == 77
    assert {name: n for name, n in snapped.items() if n} == {"sub-rat2_sample-data5_SEM_seg-axonmyelin-manual.png": 9}
