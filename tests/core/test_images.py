"""Images: every format that can be read, and a sentence for everything that cannot."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from histobridge.errors import UserError
from histobridge.io.images import normalise, read_image, write_image
from histobridge.io.masks import read_mask

GREY = np.add.outer(np.arange(40), 5 * np.arange(43)).astype(np.uint8)  # a ramp from 0 to 249
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
LUMINANCE = (COLOUR @ [0.299, 0.587, 0.114]) / 255


def write_png(path: Path, pixels: np.ndarray) -> Path:
    """Write 8 or 16 bits with one to four channels."""
    path.write_bytes(imagecodecs.png_encode(pixels))
    return path


def write_tiff(path: Path, pixels: np.ndarray, **options) -> Path:
    """Write a TIFF with tifffile's options."""
    tifffile.imwrite(path, pixels, **options)
    return path


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_depth_and_channels(tmp_path, depth, channels, suffix):
    """8 and 16 bits are divided by their full scale, colour becomes luminance and alpha has no effect."""
    colours = GREY[..., None] if channels < 3 else COLOUR
    alpha = 255 - GREY[..., None]
    pixels = np.concatenate([colours, alpha], axis=2) if channels % 2 == 0 else colours
    pixels = pixels.squeeze().astype(depth) * (np.iinfo(depth).max // 255)
    path = tmp_path / f"image.{suffix}"
    if suffix == "png":
        write_png(path, pixels)
    else:
        alpha = {"planarconfig": "contig", "extrasamples": ["unassalpha"]} if channels % 2 == 0 else {}
        write_tiff(path, pixels, photometric="minisblack" if channels < 3 else "rgb", **alpha)
    image = read_image(path)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, GREY / 255 if channels < 3 else LUMINANCE, atol=1e-6)


def test_sixteen_bit_colour_keeps_its_depth(tmp_path):
    """A dim 16-bit colour image keeps all its grey levels."""
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
    """Floating-point grey values are not scaled."""
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
    """A JPEG in grey, RGB or CMYK is read to within its losses."""
    smooth = np.stack([GREY // 2 + 60] * 3, axis=2)
    Image.fromarray(smooth).convert(mode).save(tmp_path / "image.jpg", quality=95)
    np.testing.assert_allclose(read_image(tmp_path / "image.jpg"), smooth[..., 0] / 255, atol=0.03)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_large_images_trip_no_guard(tmp_path, monkeypatch, suffix):
    """An image above Pillow's limit of pixels (lowered here to be fast) is read nevertheless."""
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
    """A missing file, a folder, an empty file and a text named .png are refused by name."""
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    sentences = {
        "missing.png": "No such file",
        "folder.png": "Is a directory",
        "empty.png": "is empty",
        "text.png": "not a PNG, TIFF or JPEG",
    }
    for name, sentence in sentences.items():
        for read in (read_image, read_mask):
            with pytest.raises(UserError, match=f"{name}.*{sentence}"):
                read(tmp_path / name)


def test_normalise_ignores_outliers():
    """One hot and one dead pixel do not change the contrast of the others."""
    bulk = np.linspace(100, 200, 10_000).reshape(100, 100)
    spoilt = bulk.copy()
    spoilt[50, 50], spoilt[20, 20] = 1e6, -1e6
    image = normalise(spoilt)
    assert image.dtype == np.float32
    assert (image.min(), image.max()) == (0, 1)
    expected = np.clip((bulk - 100.5) / 99, 0, 1)
    others = spoilt == bulk
    np.testing.assert_allclose(image[others], expected[others], atol=1e-3)


def test_normalise_removes_gain_and_offset():
    """Gain and offset of the grey values make no difference."""
    np.testing.assert_allclose(normalise(GREY), normalise(GREY * 37.0 + 1000), atol=1e-6)


def test_constant_image_is_refused():
    """An image without contrast is refused by its name."""
    with pytest.raises(UserError, match=r"blank\.png is constant"):
        normalise(np.full((9, 9), 0.5, np.float32), name="blank.png")


def test_image_round_trip(tmp_path):
    """An image is read back to within half a grey level, clipped to 0..1."""
    image = np.linspace(-0.1, 1.1, 600, dtype=np.float32).reshape(20, 30)
    write_image(tmp_path / "image.png", image)
    np.testing.assert_allclose(read_image(tmp_path / "image.png"), np.clip(image, 0, 1), atol=0.5001 / 255)
