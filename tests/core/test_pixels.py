"""The reader and the file system: what is read, what is opened, how large it is before it is decoded."""

import hashlib
import io
import os
import sys

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from histobridge.errors import UserError
from histobridge.io import limits
from histobridge.io.pixels import decode_plane, read_plane, size_of

GREY = np.add.outer(np.arange(40), 5 * np.arange(43)).astype(np.uint8)  # a ramp from 0 to 249


def test_the_checksum_is_that_of_the_file(tmp_path):
    """It is the sum of the bytes that were decoded."""
    content = imagecodecs.png_encode(GREY)
    (tmp_path / "a.png").write_bytes(content)
    assert read_plane(tmp_path / "a.png").sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_the_size_is_known_without_decoding(tmp_path, ending):
    """Height and width come from the header: the second half of the file is not needed."""
    path = tmp_path / f"a.{ending}"
    Image.fromarray(GREY).save(path)
    assert size_of(path) == read_plane(path).shape == (40, 43)
    if ending != "tif":
        path.write_bytes(path.read_bytes()[:-20])
        assert size_of(path) == (40, 43)


def test_memory_is_checked_before_it_is_taken(tmp_path, monkeypatch):
    """Two copies of the samples, and eight bytes a pixel for the image, must be free."""
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.dstack([GREY] * 3)))
    for free, is_enough in ((40 * 43 * (2 * 3 + 8), True), (40 * 43 * (2 * 3 + 8) - 1, False)):
        monkeypatch.setattr(limits, "free_memory", lambda free=free: free)
        if is_enough:
            read_plane(tmp_path / "a.png")
        else:
            with pytest.raises(UserError, match=r"a\.png needs about .* of memory"):
                read_plane(tmp_path / "a.png")


def test_a_decoder_out_of_memory_is_a_sentence(tmp_path, monkeypatch):
    """Memory may be taken by another program between the check and the decoding."""
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(GREY))

    def no_memory(content):
        raise MemoryError

    monkeypatch.setattr(imagecodecs, "png_decode", no_memory)
    with pytest.raises(UserError, match=r"a\.png needs more memory than there is"):
        read_plane(tmp_path / "a.png")


def test_links_to_nowhere_and_what_is_no_file_are_refused(tmp_path):
    """A dangling link may be a file of git-annex that was not fetched; a pipe would be waited for without end."""
    (tmp_path / "link.png").symlink_to(".git/annex/objects/x.png")
    os.mkfifo(tmp_path / "pipe.png")
    for read in (read_plane, size_of):
        with pytest.raises(UserError, match=r"link\.png is a link to .*x\.png, which is not there: .*git annex get"):
            read(tmp_path / "link.png")
        with pytest.raises(UserError, match=r"pipe\.png is no regular file"):
            read(tmp_path / "pipe.png")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_stored_grid_counts(tmp_path, orientation):
    """Orientation tags of TIFF and Exif turn nothing, so that a mask drawn on the stored grid fits."""
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(GREY).save(tmp_path / "a.jpg", exif=exif, quality=100)
    tifffile.imwrite(tmp_path / "a.tif", GREY, extratags=[(274, 3, 1, orientation, True)])
    for name in ("a.jpg", "a.tif"):
        np.testing.assert_allclose(read_plane(tmp_path / name).values.astype(int), GREY.astype(int), atol=4)


@pytest.mark.parametrize("in_subifds", [True, False])
@pytest.mark.parametrize("ome", [True, False])
def test_pyramids_are_read_at_full_size(tmp_path, in_subifds, ome):
    """Reduced pages show the same plane, wherever they stand."""
    full, path = np.kron(GREY, np.ones((4, 4), np.uint8)), tmp_path / ("a.ome.tif" if ome else "a.tif")
    with tifffile.TiffWriter(path, ome=ome) as tiff:
        tiff.write(full, subifds=2 if in_subifds else 0, tile=(16, 16), metadata={"axes": "YX"} if ome else None)
        for step in (2, 4):
            tiff.write(full[::step, ::step], subfiletype=1, tile=(16, 16), metadata=None)
    np.testing.assert_array_equal(read_plane(path).values, full)
    assert size_of(path) == full.shape


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        ("u1", {"compression": "jpeg2000"}),
        ("u2", {"compression": "jpeg2000"}),
        ("u1", {"compression": "png"}),
        ("f4", {"compression": "zlib", "predictor": True}),
        ("u2", {"compression": "lzw", "predictor": True}),
        ("u1", {"compression": "webp", "compressionargs": {"lossless": True}}),
        ("u1", {"compression": "jpegxl", "compressionargs": {"lossless": True}}),
    ],
)
def test_rarer_compressions_and_predictors(dtype, options):
    """JPEG 2000, PNG, WebP and JPEG XL in a TIFF, and differences of integers and floats, change nothing."""
    pixels = np.dstack([GREY, GREY[::-1], 255 - GREY]).astype(dtype)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", **options)
    np.testing.assert_array_equal(decode_plane(file.getvalue(), "a.tif").values, pixels)


def test_pixels_that_are_left_out_are_told():
    """Sparse files have tiles without content: they are 0, and a remark tells how many."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiles = iter([np.full((16, 16), 7, np.uint8), None, None, np.full((16, 16), 9, np.uint8)])
        tiff.write(tiles, shape=(32, 32), dtype="u1", tile=(16, 16), metadata=None)
    plane = decode_plane(file.getvalue(), "a.tif")
    assert plane.values[::16, ::16].tolist() == [[7, 0], [0, 9]]
    assert plane.remarks == ("2 of its 4 strips or tiles are not stored, and read as 0",)


def test_no_other_file_of_a_set_is_opened(tmp_path):
    """The metadata of an ImageJ or OME file may promise planes that are elsewhere, or nowhere: that is a stack."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([GREY] * 5), imagej=True)
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as tiff:
        end = tiff.pages[0].dataoffsets[0] + GREY.size
    one_page = file.getvalue()[:end]
    with pytest.raises(UserError, match=r"a\.tif"):
        decode_plane(one_page, "a.tif")
    dimensions = 'SizeX="43" SizeY="40" SizeZ="5" SizeC="1" SizeT="1" DimensionOrder="XYZCT" Type="uint8"'
    xml = f'<OME xmlns="o"><Image ID="I:0"><Pixels ID="P:0" {dimensions}><TiffData/></Pixels></Image></OME>'
    for description in (xml, "ImageJ=1.53t\nimages=5\nslices=5\n"):
        file = io.BytesIO()
        tifffile.imwrite(file, GREY, description=description.encode(), metadata=None, compression="zlib")
        with pytest.raises(UserError, match=r"a\.tif is a stack \(5 "):
            decode_plane(file.getvalue(), "a.tif")


def test_a_tiff_that_declares_no_photometry_is_refused():
    """Whether 0 is black or white is not guessed."""
    file = io.BytesIO()
    tifffile.imwrite(file, GREY, metadata=None)
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as tiff:
        tag = tiff.pages[0].tags[262]
    content = bytearray(file.getvalue())
    content[tag.offset : tag.offset + 2] = (60_000).to_bytes(2, "little")  # another, unknown tag
    with pytest.raises(UserError, match=r"a\.tif does not declare whether 0 is black or white"):
        decode_plane(bytes(content), "a.tif")


def test_thousands_of_damaged_files_end_no_process():
    """Each is a sentence: imagecodecs gives away a reference to None with each, and they must not be used up."""
    content, before = imagecodecs.png_encode(GREY)[:-30], sys.getrefcount(None)
    for _ in range(1000):
        with pytest.raises(UserError, match="cannot be read"):
            decode_plane(content, "a.png")
    assert sys.getrefcount(None) > before - 500
