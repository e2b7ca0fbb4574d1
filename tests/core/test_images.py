"""images.py: every way into the library, the mask codec, and pixel sizes."""

import csv
import os
import resource
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from histobridge.errors import UserError
from histobridge.io.images import (
    check_same_size,
    decode_mask,
    encode_mask,
    normalise,
    read_image,
    read_mask,
    resample,
    resample_mask,
    write_image,
    write_mask,
)

GREY = np.add.outer(np.arange(40), 5 * np.arange(43)).astype(np.uint8)  # a ramp from 0 to 249
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
LUMINANCE = (COLOUR @ [0.299, 0.587, 0.114]) / 255
CLASSES = (GREY % 3).astype(np.uint8)


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """Write 8 or 16 bits with one to four channels."""
    path.write_bytes(imagecodecs.png_encode(pixels))
    return path


def write_tiff(path: Path, pixels: np.ndarray, **options) -> Path:
    """Write a TIFF with tifffile's options."""
    tifffile.imwrite(path, pixels, **options)
    return path


def disc(n: int, row: float, column: float, radius: float) -> np.ndarray:
    """A disc of class 2; its centre counts from the corner of the extent, in pixels."""
    centres = np.arange(n) + 0.5
    return 2 * (np.hypot(*np.meshgrid(centres - row, centres - column, indexing="ij")) < radius).astype(np.uint8)


def centroid(weights: np.ndarray) -> np.ndarray:
    """Centre of mass from the corner of the extent, in pixels."""
    rows, columns = np.indices(weights.shape) + 0.5
    return np.array([(rows * weights).sum(), (columns * weights).sum()]) / weights.sum()


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_depth_and_channels(tmp_path, depth, channels, suffix):
    """8 and 16 bits are scaled by their type, colour is luminance and alpha does not matter."""
    colours = GREY[..., None] if channels < 3 else COLOUR
    alpha = 255 - GREY[..., None]
    pixels = np.concatenate([colours, alpha], axis=2) if channels % 2 == 0 else colours
    pixels = pixels.squeeze().astype(depth) * (np.iinfo(depth).max // 255)
    path = tmp_path / f"image.{suffix}"
    if suffix == "png":
        write_png(path, pixels)
    else:
        write_tiff(path, pixels, photometric="minisblack" if channels < 3 else "rgb", planarconfig="contig")
    image = read_image(path)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, GREY / 255 if channels < 3 else LUMINANCE, atol=1e-6)


def test_sixteen_bit_colour_keeps_its_depth(tmp_path):
    """The dim frame of a 12-bit camera keeps its 4000 grey levels."""
    grey = np.arange(4000, dtype=np.uint16).reshape(40, 100)
    image = read_image(write_png(tmp_path / "dim.png", np.stack([grey] * 3, axis=2)))
    assert len(np.unique(image)) == 4000


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_palette_means_its_colours(tmp_path, suffix):
    """A palette image is read by its colours, not by its indices."""
    indexed = Image.fromarray(np.array([[0, 1], [2, 0]], dtype=np.uint8), mode="P")
    indexed.putpalette([255, 255, 255, 0, 0, 0, 0, 255, 0])
    indexed.save(tmp_path / f"palette.{suffix}")
    image = read_image(tmp_path / f"palette.{suffix}")
    np.testing.assert_allclose(image, [[1, 0], [0.587, 1]], atol=1e-6)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_one_bit(tmp_path, suffix):
    """A 1-bit image is black and white."""
    Image.fromarray(GREY > 100).save(tmp_path / f"bits.{suffix}")
    np.testing.assert_array_equal(read_image(tmp_path / f"bits.{suffix}"), GREY > 100)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "packbits"])
def test_compressed_tiff(tmp_path, compression):
    """Lossless compressions of TIFF change nothing."""
    path = write_tiff(tmp_path / "image.tif", GREY, compression=compression)
    np.testing.assert_allclose(read_image(path), GREY / 255, atol=1e-6)


def test_layouts_of_tiff(tmp_path):
    """OME-TIFF with single planes, BigTIFF and separate colour planes are read like any other TIFF."""
    ome = write_tiff(tmp_path / "a.ome.tif", GREY[None, None, None], ome=True, metadata={"axes": "TCZYX"})
    big = write_tiff(tmp_path / "b.tif", GREY, bigtiff=True, byteorder=">")
    planes = write_tiff(tmp_path / "c.tif", np.moveaxis(COLOUR, 2, 0), photometric="rgb", planarconfig="separate")
    for path, expected in ((ome, GREY / 255), (big, GREY / 255), (planes, LUMINANCE)):
        np.testing.assert_allclose(read_image(path), expected, atol=1e-6)


def test_white_is_zero(tmp_path):
    """A TIFF that stores white as 0 does not come out as its negative."""
    path = write_tiff(tmp_path / "image.tif", GREY, photometric="miniswhite")
    np.testing.assert_allclose(read_image(path), 1 - GREY / 255, atol=1e-6)


def test_float_tiff_is_kept(tmp_path):
    """Real grey values are not scaled."""
    values = np.linspace(-3, 700, 12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(read_image(write_tiff(tmp_path / "image.tif", values)), values)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_is_refused(tmp_path, bad):
    """NaN and infinity are refused on the way in and on the way out."""
    values = np.array([[0, bad]], dtype=np.float32)
    with pytest.raises(UserError, match=r"image\.tif holds 1 pixels that are NaN"):
        read_image(write_tiff(tmp_path / "image.tif", values.T))
    with pytest.raises(UserError, match=r"image\.png holds 1 pixels that are NaN"):
        write_image(tmp_path / "image.png", values)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(tmp_path, mode):
    """A JPEG is read to within its losses, inks included."""
    smooth = np.stack([GREY // 2 + 60] * 3, axis=2)
    Image.fromarray(smooth).convert(mode).save(tmp_path / "image.jpg", quality=95)
    np.testing.assert_allclose(read_image(tmp_path / "image.jpg"), smooth[..., 0] / 255, atol=0.03)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_large_images_trip_no_guard(tmp_path, monkeypatch, suffix):
    """An image beyond Pillow's limit of pixels (lowered here, to be quick) is read all the same."""
    path = tmp_path / f"large.{suffix}"
    Image.fromarray(GREY).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    assert read_image(path).shape == GREY.shape


@pytest.mark.parametrize(
    ("pixels", "axes"),
    [
        (np.zeros((5, 8, 8), np.uint8), {"axes": "ZYX"}),
        (np.zeros((2, 8, 8), np.uint8), {"axes": "CYX"}),
    ],
)
def test_stacks_are_refused(tmp_path, pixels, axes):
    """No plane of a stack is chosen silently."""
    path = write_tiff(tmp_path / "stack.ome.tif", pixels, ome=True, metadata=axes, photometric="minisblack")
    with pytest.raises(UserError, match=rf"stack\.ome\.tif is a stack .*{axes['axes']}"):
        read_image(path)


def test_pages_of_two_sizes_are_refused(tmp_path):
    """A TIFF with two different images is a stack too."""
    with tifffile.TiffWriter(tmp_path / "pages.tif") as writer:
        writer.write(GREY)
        writer.write(GREY[:20, :20])
    with pytest.raises(UserError, match="2 pages"):
        read_image(tmp_path / "pages.tif")


def test_inks_and_complex_numbers_are_refused(tmp_path):
    """Pixels that are not brightness are refused."""
    inks = write_tiff(tmp_path / "inks.tif", np.zeros((8, 8, 4), np.uint8), photometric="separated")
    waves = write_tiff(tmp_path / "waves.tif", np.zeros((8, 8), np.complex64))
    for path, word in ((inks, "SEPARATED"), (waves, "complex64")):
        with pytest.raises(UserError, match=word):
            read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "lzw.tif"])
def test_truncated_files_are_refused(tmp_path, suffix):
    """Half a file is refused by name, whatever its format."""
    path = tmp_path / f"half.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    if suffix.endswith("tif"):
        write_tiff(path, noise, compression="lzw" if "lzw" in suffix else None, rowsperstrip=8)
    else:
        Image.fromarray(noise).save(path)
    assert read_image(path).shape == (64, 64)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"half\..* cannot be read"):
        read_image(path)


def test_what_is_no_image_is_refused(tmp_path):
    """A missing file, a folder, an empty file and a text named .png give a sentence that names them."""
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    sentences = {
        "missing.png": "No such file",
        "folder.png": "Is a directory",
        "empty.png": "not a PNG, TIFF or JPEG",
        "text.png": "not a PNG, TIFF or JPEG",
    }
    for name, sentence in sentences.items():
        for read in (read_image, read_mask):
            with pytest.raises(UserError, match=f"{name}.*{sentence}"):
                read(tmp_path / name)


def test_normalise_ignores_outliers():
    """The bulk of the pixels sets the stretch: a hot pixel and a dead one change nothing but themselves."""
    bulk = np.linspace(100, 200, 10_000).reshape(100, 100)
    spoilt = bulk.copy()
    spoilt[50, 50], spoilt[20, 20] = 1e6, -1e6
    image = normalise(spoilt)
    assert image.dtype == np.float32
    assert (image.min(), image.max()) == (0, 1)
    expected = np.clip((bulk - 100.5) / 99, 0, 1)
    others = spoilt == bulk
    np.testing.assert_allclose(image[others], expected[others], atol=1e-3)


def test_normalise_forgets_gain_and_offset():
    """8 and 16 bits, gain and offset make no difference."""
    np.testing.assert_allclose(normalise(GREY), normalise(GREY * 37.0 + 1000), atol=1e-6)


def test_constant_image_is_refused():
    """An image without contrast is refused by its name."""
    with pytest.raises(UserError, match=r"blank\.png is constant"):
        normalise(np.full((9, 9), 0.5, np.float32), name="blank.png")


def test_mask_round_trip(tmp_path):
    """Classes survive the codec and the disk exactly, and nothing is snapped."""
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
    """Each known rounding of 0, 127.5, 255 is exact in grey, grey + alpha, RGB and RGBA; alpha is dropped."""
    raw = np.array(levels, dtype=np.uint8)[CLASSES]
    if channels:
        raw = np.stack([raw] * channels, axis=2)
    if channels in (2, 4):
        raw[..., -1] = 77
    mask, n_snapped = decode_mask(raw)
    np.testing.assert_array_equal(mask, CLASSES)
    assert n_snapped == 0


def test_foreign_levels_are_snapped_and_counted():
    """Up to 1 % of the pixels may be foreign: they go to the nearest class."""
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
    """Class numbers, colours, 16 bits and stacks are not taken for a mask."""
    with pytest.raises(UserError, match=f"m.png .*{sentence}"):
        decode_mask(raw, name="m.png")


def test_classes_beyond_two_are_not_written(tmp_path):
    """A mask with an unknown class is a fault of the program, and no file is left."""
    with pytest.raises(IndexError):
        write_mask(tmp_path / "mask.png", np.array([[3]], dtype=np.uint8))
    assert not list(tmp_path.iterdir())


def test_image_round_trip(tmp_path):
    """An image comes back to within half a grey level, clipped to 0..1."""
    image = np.linspace(-0.1, 1.1, 600, dtype=np.float32).reshape(20, 30)
    write_image(tmp_path / "image.png", image)
    np.testing.assert_allclose(read_image(tmp_path / "image.png"), np.clip(image, 0, 1), atol=0.5001 / 255)


def test_unwritable_places(tmp_path):
    """A file as folder and a folder as file give a sentence and leave nothing behind."""
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for place in ("file/mask.png", "folder.png"):
        with pytest.raises(UserError, match=f"Could not write .*{place}"):
            write_mask(tmp_path / place, CLASSES)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.png"]


def test_full_disk_keeps_the_old_file(tmp_path):
    """When a write breaks off, the old file is still whole and no half file lies about."""
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
    """Image and mask of one size pass, colour or not; others are refused with both sizes."""
    check_same_size(COLOUR, CLASSES, "a.png")
    with pytest.raises(UserError, match=r"a\.png is 43 × 40 px but its mask 40 × 43 px"):
        check_same_size(GREY, CLASSES.T, "a.png")


@pytest.mark.parametrize("scale", [0.1, 0.25, 0.3, 0.5, 0.77, 1, 1.5, 2, 3])
def test_resampling_keeps_discs_in_place(scale):
    """A disc keeps its area and, within 0.1 px, its place in the extent, as image and as mask."""
    mask = disc(403, row=150.3, column=260.8, radius=90.2)
    image = resample(mask / 2, um_per_px=scale, to_um_per_px=1)
    small = resample_mask(mask, um_per_px=scale, to_um_per_px=1)
    assert image.shape == small.shape == (round(403 * scale),) * 2
    true_scale = image.shape[0] / 403
    for result in (image, small / 2):
        np.testing.assert_allclose(centroid(result), centroid(mask) * true_scale, atol=0.1)
        assert result.sum() == pytest.approx(mask.sum() / 2 * true_scale**2, rel=0.02)


@pytest.mark.parametrize("scale", [1 / 2, 1 / 4, 1 / 6, 3 / 4])
def test_ties_do_not_shift_masks(scale):
    """At even factors, where centres fall between pixels, bars on average stay where they were."""
    n = 240
    shifts = []
    for start in range(60, 84):
        bar = np.zeros((n, n), np.uint8)
        bar[:, start : start + 60] = 2
        shifts.append(centroid(resample_mask(bar, scale, 1))[1] - (start + 30) * scale)
    assert abs(np.mean(shifts)) < 1e-9


@pytest.mark.parametrize("shape", [(1, 1), (3, 1000), (101, 77)])
@pytest.mark.parametrize("scale", [0.01, 0.3, 1 / 3, 1, 2.5])
def test_image_and_mask_always_agree_in_shape(shape, scale):
    """Whatever the rounding, image and mask have one shape, of at least one pixel."""
    mask = np.ones(shape, np.uint8)
    assert resample(mask, scale, 1).shape == resample_mask(mask, scale, 1).shape
    assert resample_mask(mask, scale, 1).size > 0


def test_resampling_to_the_same_size_is_the_identity():
    """Nothing is blurred or moved when the pixel size does not change."""
    np.testing.assert_allclose(resample(GREY / 255, 0.1, 0.1), GREY / 255, atol=1e-6)
    np.testing.assert_array_equal(resample_mask(CLASSES, 0.1, 0.1), CLASSES)


def test_shrinking_does_not_alias():
    """Stripes finer than the new pixels become even grey instead of false stripes."""
    stripes = np.tile(np.arange(400) % 2, (400, 1)).astype(np.float32)
    inner = resample(stripes, 0.3, 1)[5:-5, 5:-5]
    assert inner.std() < 0.05
    assert inner.mean() == pytest.approx(0.5, abs=0.01)
    assert stripes[::3, ::3].std() > 0.4


def test_resampled_masks_hold_no_new_class():
    """Between background and axon no myelin appears, and types are those of the house."""
    mask = disc(100, 50, 50, 30)
    for scale in (0.3, 0.5, 1.7):
        result = resample_mask(mask, scale, 1)
        assert set(np.unique(result)) == {0, 2}
        assert result.dtype == np.uint8
        assert resample(mask, scale, 1).dtype == np.float32


@pytest.mark.parametrize("size", [None, 0, -0.1, float("nan"), float("inf"), "0.1"])
def test_missing_pixel_sizes_are_refused(size):
    """A pixel size is never guessed, neither the present nor the wanted one."""
    for function in (resample, resample_mask):
        for sizes in ((size, 0.1), (0.1, size)):
            with pytest.raises(UserError, match=f"a.png has the pixel size {size} µm/px"):
                function(CLASSES, *sizes, name="a.png")


@pytest.mark.real
def test_all_real_images_and_masks_read(mirror):
    """All 77 development images and masks read and fit each other; one mask has nine foreign pixels."""
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
