"""The reader, by properties: random pictures are written in random ways, and come back as the known picture."""

import hashlib
import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from histobridge.errors import UserError
from histobridge.io.images import LUMINANCE, image_of
from histobridge.io.pixels import decode_plane, size_of

settings.register_profile("reader", derandomize=True, deadline=None, database=None, max_examples=150)
settings.load_profile("reader")

DEPTHS = {"u1": (1, 2, 4, 8), "u2": (9, 10, 12, 14, 16), "u4": (32,), "i1": (8,), "i2": (16,), "i4": (32,)}
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def pictures(draw, kinds, channels=(1, 3)):
    """A picture of which high is bright, `[H, W]` or `[H, W, 3]`, and the bits of each value."""
    kind = draw(st.sampled_from(kinds))
    bits = draw(st.sampled_from(DEPTHS.get(kind, (8 * int(kind[1]),))))
    n_channels = draw(st.sampled_from(channels)) if bits in (8, 16, 32, 64) else 1
    shape = (*draw(sizes), *([n_channels] if n_channels > 1 else []))
    return random_values(shape, kind, bits, draw(seeds)), bits


def random_values(shape, kind, bits, seed):
    """Random values of all declared bits; floats are multiples of 1/8 around 0, which every float type holds."""
    rng = np.random.default_rng(seed)
    if kind[0] == "f":
        return (rng.integers(-64, 64, shape) / 8).astype(kind)
    low, high = (0, 2**bits) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return rng.integers(low, high, shape).astype(kind)


def white(values, bits):
    """The value of white."""
    return {"u": 2**bits - 1, "i": 2 ** (bits - 1) - 1, "f": 1}[values.dtype.kind]


def stored(values, photometric, bits):
    """The numbers that a file with this photometric interpretation holds of a picture."""
    if photometric != "miniswhite":
        return values
    low = {"u": 0, "i": -(2 ** (bits - 1)), "f": 0}[values.dtype.kind]
    return (white(values, bits) + low - values.astype("f8" if values.dtype.kind == "f" else "i8")).astype(values.dtype)


def expected_image(values, full_scale):
    """The grey values of a picture, float64."""
    grey = values.astype("f8") if values.ndim == 2 else values.astype("f8") @ LUMINANCE
    return grey / full_scale


def tiff_bytes(pixels, **options):
    """The bytes of a TIFF."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def with_tag(content, tag, value):
    """The bytes of a TIFF, of which one tag is overwritten."""
    file = io.BytesIO(content)
    with tifffile.TiffFile(file, mode="r+") as tiff:
        tiff.pages.first.tags[tag].overwrite(value)
    return file.getvalue()


def check(content, values, full_scale, alpha=None):
    """Decode a file, and compare all of the plane and of its image with the known picture."""
    plane = decode_plane(content, "drawn.tif")
    assert plane.values.dtype.kind == values.dtype.kind and plane.full_scale == full_scale
    np.testing.assert_array_equal(plane.values, values)
    assert (plane.alpha is None) == (alpha is None)
    if alpha is not None:
        np.testing.assert_array_equal(plane.alpha, alpha)
    assert plane.sha256 == hashlib.sha256(content).hexdigest() and plane.remarks == ()
    if not plane.alpha_is_associated:
        expected = expected_image(values, full_scale)
        image = image_of(plane, "drawn.tif")
        assert image.dtype == np.float32
        np.testing.assert_allclose(image, expected, rtol=1e-5, atol=1e-6)
    return plane


@st.composite
def layouts(draw):
    """Ways to lay pixels out in a TIFF that change nothing of the picture."""
    options = {
        "compression": draw(st.sampled_from([None, "lzw", "zlib", "zstd", "packbits", "lzma"])),
        "byteorder": draw(st.sampled_from("<>")),
        "bigtiff": draw(st.booleans()),
    }
    return options | draw(st.sampled_from([{}, {"tile": (16, 32)}, {"rowsperstrip": 7}]))


@given(
    pictures(["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"]),
    st.sampled_from(["minisblack", "miniswhite"]),
    layouts(),
    st.sampled_from(["contig", "separate"]),
)
def test_tiffs_of_every_format_and_layout_come_back(picture, photometric, layout, planar):
    """Every sample format and depth, white as zero or not, in any compression, byte order, tiling and arrangement."""
    values, bits = picture
    if values.ndim == 3:
        pixels, how = values, {"photometric": "rgb", "planarconfig": planar}
        pixels = np.moveaxis(values, 2, 0) if planar == "separate" else values
    else:
        pixels, how = stored(values, photometric, bits), {"photometric": photometric}
    if bits not in (8, 16, 32, 64):
        layout = layout | {"bitspersample": bits, "compression": None, "byteorder": "<"}  # > is written wrongly
        pixels = pixels.astype(bool) if bits == 1 else pixels
    if layout["compression"] == "packbits" and pixels.dtype.itemsize > 1:
        layout = layout | {"compression": None}
    check(tiff_bytes(pixels, metadata=None, **how, **layout), values, white(values, bits))


@given(pictures(["u1", "u2", "f4"]), st.sampled_from(["unassalpha", "assocalpha", "unspecified"]), seeds, layouts())
def test_only_a_declared_alpha_is_alpha(picture, extra, seed, layout):
    """Unassociated alpha is kept apart; associated alpha spoils an image; any other extra sample is a channel."""
    values, bits = picture
    assume(bits in (8, 16, 32))
    alpha = random_values(values.shape[:2], "u2", 8, seed).astype(values.dtype)
    photometric = "rgb" if values.ndim == 3 else "minisblack"
    pixels, layout = np.dstack([values, alpha]), layout | {"compression": None}
    how = {"photometric": photometric, "extrasamples": [extra], "planarconfig": "contig", "metadata": None}
    content = tiff_bytes(pixels, **how, **layout)
    if extra == "unspecified":
        with pytest.raises(UserError, match=r"drawn\.tif holds several planes"):
            decode_plane(content, "drawn.tif")
        return
    plane = check(content, values, white(values, bits), alpha)
    if extra == "assocalpha" and (alpha != white(values, bits)).any():
        with pytest.raises(UserError, match="multiplied by their transparency"):
            image_of(plane, "drawn.tif")


@given(
    st.sampled_from([("u1", 8), ("u2", 16)]),
    sizes,
    seeds,
    st.sampled_from(["16 bits", "8 bits", "high", "low"]),
    layouts(),
)
def test_colour_tables_of_either_depth_come_back(index, size, seed, table, layout):
    """Tables of 16 bits keep them; tables of 8 bits, repeated, in the high or in the low byte, give 8 bits."""
    kind, bits = index
    numbers = random_values(size, kind, bits, seed)
    colours = random_values((3, 2**bits), "u2", 16 if table == "16 bits" else 8, seed)
    colours[:, 0] = (0, 255, 255) if table != "16 bits" else (1, 2, 0x1234)
    factor = {"16 bits": 1, "8 bits": 257, "high": 256, "low": 1}[table]
    layout = layout | ({"compression": None} if layout["compression"] == "packbits" else {})
    content = tiff_bytes(
        numbers, photometric="palette", colormap=(colours * factor).astype("u2"), metadata=None, **layout
    )
    values = np.moveaxis(colours[:, numbers], 0, 2)
    check(content, values if table == "16 bits" else values.astype("u1"), 65535 if table == "16 bits" else 255)


@given(
    pictures(["u1", "u2", "i2", "f4"], channels=(1,)),
    st.integers(0, 3),
    st.sampled_from(["plain", "ome", "imagej", "shaped"]),
)
def test_dimensions_of_size_one_change_nothing(picture, n_ones, kind):
    """One plane is one plane, whatever the axes are called; two are a stack."""
    values, bits = picture
    assume(bits in (8, 16, 32) and min(values.shape) > 1)  # a side of one pixel makes tifffile take a page for a row
    axes = "TZC"[3 - n_ones :]
    options = {
        "plain": {"metadata": None},
        "ome": {"ome": True, "metadata": {"axes": f"{axes}YX"}},
        "imagej": {"imagej": True, "metadata": {"axes": f"{axes}YX"}},
        "shaped": {"metadata": {"axes": f"{axes}YX"}},
    }[kind]
    assume(kind != "imagej" or values.dtype != "i2")  # which ImageJ does not have
    content = tiff_bytes(values[(None,) * n_ones], photometric="minisblack", **options)
    check(content, values, white(values, bits))
    if n_ones:
        stack = np.repeat(values[(None,) * n_ones], 2, axis=0)
        with pytest.raises(UserError, match=r"drawn\.tif is a stack"):
            decode_plane(tiff_bytes(stack, photometric="minisblack", **options), "drawn.tif")


@given(st.sampled_from([("u1", 8), ("u2", 16)]), st.integers(1, 4), sizes, seeds, st.integers(0, 9))
def test_pngs_of_imagecodecs_come_back(kind, channels, size, seed, level):
    """Grey and colour, with and without alpha, in 8 and 16 bits."""
    values = random_values((*size, channels), *kind, seed)
    colours, alpha = (values[..., :-1], values[..., -1]) if channels in (2, 4) else (values, None)
    colours = colours[..., 0] if channels < 3 else colours
    check(
        imagecodecs.png_encode(values.squeeze(2) if channels == 1 else values, level), colours, 2 ** kind[1] - 1, alpha
    )


def png_bytes(rows, width, bits, colour_type, *chunks):
    """The bytes of a PNG from packed rows and extra chunks, by the standard."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    all_chunks = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in all_chunks)


def packed(values, bits):
    """The rows of a picture with some bits a pixel, padded to bytes."""
    ones = (values[..., None] >> np.arange(bits)[::-1]) & 1
    return [np.packbits(row.ravel().astype(bool)).tobytes() for row in ones]


@given(st.sampled_from([1, 2, 4, 8, 16]), sizes, seeds, st.booleans())
def test_grey_pngs_of_any_depth_come_back(bits, size, seed, has_key):
    """White is that of the declared bits; a colour key makes pixels transparent."""
    values = random_values(size, "u2" if bits == 16 else "u1", bits, seed)
    key = int(values[0, 0])
    chunks = [(b"tRNS", struct.pack(">H", key))] if has_key else []
    alpha = ((values != key) * (2**bits - 1)).astype(values.dtype) if has_key else None
    check(png_bytes(packed(values.astype("u2"), bits), size[1], bits, 0, *chunks), values, 2**bits - 1, alpha)


@given(st.sampled_from([1, 2, 4, 8]), sizes, seeds, st.booleans())
def test_png_palettes_of_any_depth_come_back(bits, size, seed, has_alpha):
    """A palette means its colours, and what it says of their transparency."""
    numbers, table = random_values(size, "u1", bits, seed), random_values((2**bits, 4), "u1", 8, seed)
    chunks = [(b"PLTE", table[:, :3].tobytes())] + ([(b"tRNS", table[:, 3].tobytes())] if has_alpha else [])
    alpha = table[numbers, 3] if has_alpha else None
    check(png_bytes(packed(numbers, bits), size[1], bits, 3, *chunks), table[numbers, :3], 255, alpha)


@given(
    st.sampled_from(["1", "L", "RGB", "RGBA", "LA", "P", "I;16", "F", "I"]),
    sizes,
    seeds,
    st.sampled_from(["png", None, "tiff_lzw", "packbits", "tiff_adobe_deflate", "group3", "group4"]),
)
def test_what_pillow_writes_comes_back(mode, size, seed, compression):
    """PNG and TIFF of all modes that Pillow writes."""
    assume(mode not in ("F", "I") or compression != "png")
    assume(mode == "1" or compression not in ("group3", "group4"))
    bands, kind = {"RGB": (3, "u1"), "RGBA": (4, "u1"), "LA": (2, "u1")}.get(mode, (1, "u1"))
    kind = {"I;16": "u2", "F": "f4", "I": "i4"}.get(mode, kind)
    values = random_values((*size, bands), kind, 1 if mode == "1" else 8 * int(kind[1]), seed).squeeze(
        2 if bands == 1 else ()
    )
    if mode == "P":
        image = Image.fromarray(values, mode="P")
        table = random_values((256, 3), "u1", 8, seed)
        image.putpalette(table.tobytes())
    else:
        image = Image.fromarray(values.astype(bool) if mode == "1" else values)
    file = io.BytesIO()
    image.save(
        file,
        *(["PNG"] if compression == "png" else ["TIFF"]),
        **({} if compression in ("png", None) else {"compression": compression}),
    )
    full_scale = 1 if mode == "1" else white(values, 8 * values.dtype.itemsize)
    if mode == "P":
        values = table[values]
    alpha = values[..., -1] if bands in (2, 4) else None
    colours = values[..., 0] if bands == 2 else values[..., :3] if bands > 2 else values
    check(file.getvalue(), colours, full_scale, alpha)


@given(sizes, seeds, st.sampled_from(["jpg", "tif", "tif grey"]))
def test_jpegs_come_back_within_their_losses(size, seed, container):
    """Alone, and as YCbCr or grey in a TIFF, whose decoder converts to RGB."""
    colour = random_values((3,), "u1", 8, seed)
    values = np.broadcast_to(colour, (*size, 3)).astype("u1")
    if container == "jpg":
        file = io.BytesIO()
        Image.fromarray(values).save(file, "JPEG", quality=98, subsampling=0)
        content = file.getvalue()
    elif container == "tif":
        content = tiff_bytes(
            values, photometric="rgb", compression="jpeg", compressionargs={"level": 98}, metadata=None
        )
    else:
        values = values[..., 0]
        content = tiff_bytes(values, compression="jpeg", compressionargs={"level": 98}, metadata=None)
    plane = decode_plane(content, "drawn.jpg")
    assert plane.full_scale == 255 and plane.alpha is None
    np.testing.assert_allclose(plane.values.astype(int), values.astype(int), atol=6)


GREY = tiff_bytes(np.zeros((8, 8), "u1"), metadata=None)
COLOUR = tiff_bytes(np.zeros((8, 8, 3), "u1"), photometric="rgb", metadata=None)
OTHER_COLOURS = {8: "CIELAB", 9: "ICCLAB", 10: "ITULAB", 6: "YCBCR", 32845: "LOGLUV", 777: "unknown .777."}
OTHER_GREYS = {4: "MASK", 32803: "CFA", 32844: "LOGL", 34892: "LINEAR_RAW"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (tiff_bytes(np.zeros((8, 8, 4), "u1"), photometric="separated"), "SEPARATED colours"),
        *[(with_tag(COLOUR, 262, code), f"{name} colours") for code, name in OTHER_COLOURS.items()],
        *[(with_tag(GREY, 262, code), f"{name} colours") for code, name in OTHER_GREYS.items()],
        (with_tag(GREY, 262, 3), "its colour table lacks"),
        (with_tag(GREY, 262, 2), "RGB in 1 samples"),
        (tiff_bytes(np.zeros((8, 8), "c8")), "complex64"),
        (with_tag(tiff_bytes(np.zeros((8, 8), "i2"), metadata=None), 339, 4), "16-bit samples of format 4"),
        (tiff_bytes(np.zeros((8, 8, 2), "u1"), photometric="minisblack", planarconfig="contig"), "several planes .2"),
        (tiff_bytes(np.zeros((8, 8, 5), "u1"), photometric="rgb", planarconfig="contig"), "several planes .5 channels"),
        (tiff_bytes(np.zeros((3, 8, 8), "u1"), photometric="minisblack", planarconfig="separate"), "several planes"),
        (tiff_bytes(np.zeros((5, 8, 8), "u1"), volumetric=True, tile=(16, 16, 16)), "is a stack"),
        (png_bytes([b"\0"] * 2, 1, 8, 0, (b"acTL", struct.pack(">II", 3, 0))), "is a stack .animated, 3 frames"),
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git-lfs.* `git lfs pull`"),
        (b"/annex/objects/SHA256E-s9--00.png\n", "git-annex.* `git annex get`"),
        (b"../.git/annex/objects/a/b/SHA256E-s9--00.png", "git-annex.* `git annex get`"),
        (b"GIF89a", "is not a PNG, TIFF or JPEG file"),
        (b"II*\0", "cannot be read"),
        (b"\x89PNG\r\n\x1a\n", "cannot be read"),
        (b"\xff\xd8\xff", "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_in_a_sentence(tmp_path, content, sentence):
    """The sentence names the file and what it holds; asking for the size of no format ends otherwise."""
    with pytest.raises(UserError, match=rf"drawn\.tif .*{sentence}"):
        decode_plane(content, "drawn.tif")
    (tmp_path / "drawn.tif").write_bytes(content)
    try:
        assert size_of(tmp_path / "drawn.tif") in [(8, 8), (2, 1)]
    except UserError as error:
        assert "drawn.tif" in str(error)


@given(st.sampled_from(["png", "tif", "lzw.tif", "jpeg.tif", "jpg"]), st.integers(0, 98), seeds)
def test_a_file_that_is_cut_is_refused(ending, percent, seed):
    """Wherever a file ends early, nothing is filled in."""
    noise = random_values((32, 33), "u1", 8, seed)
    file = io.BytesIO()
    if ending.endswith("tif"):
        options = {"tif": {}, "lzw.tif": {"compression": "lzw"}, "jpeg.tif": {"compression": "jpeg"}}[ending]
        tifffile.imwrite(file, noise, rowsperstrip=8, metadata=None, **options)
    else:
        Image.fromarray(noise).save(file, {"png": "PNG", "jpg": "JPEG"}[ending])
    content = file.getvalue()
    with pytest.raises(UserError, match="drawn"):
        decode_plane(content[: percent * len(content) // 100], "drawn")
