"""Faults of single files, as users meet them: codings of masks, odd TIFFs, huge images, sidecars."""

import io
import json
import struct
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile

from histobridge.io import limits
from histobridge.io.images import read_image
from histobridge.io.masks import encode_mask, write_mask
from histobridge.phantom import phantom
from histobridge_label.export import Labelled, names, write_handoff
from histobridge_label.inspect_folder import scan_folder

UM = 0.1


@pytest.fixture(scope="module")
def tissue():
    """A drawn image float32 and its mask, 96 × 110 px."""
    return phantom("sem", 0, (96, 110))


@pytest.fixture
def images(tmp_path):
    """An empty folder for images."""
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def scan(folder, um_per_px=UM):
    """Look at a folder, as `label` and `apply` do before they train or label."""
    return scan_folder(folder, um_per_px, report=lambda line: None)


def label(histobridge, folder, out):
    """Start to label a folder whose images are all refused: nothing is trained."""
    return histobridge("label", folder, "--um-per-px", UM, "--out", out, "--source", "phantom", "--yes")


def similar(found, image):
    """Correlation of grey values."""
    return np.corrcoef(found.ravel(), np.asarray(image).ravel())[0, 1]


# --- Masks ----------------------------------------------------------------------------------------------


def test_an_edit_by_transparency_is_an_edit(histobridge, tissue, tmp_path):
    """Row 3: where a corrected mask was erased to transparent, its label is gone."""
    image, mask = tissue
    content = Labelled("a", "r", image, mask, np.zeros(mask.shape, np.float32), UM, None, "SEM")
    handoff = write_handoff(tmp_path / "handoff", [content], {})
    pixels = np.dstack([encode_mask(mask)] * 3 + [np.full(mask.shape, 255, np.uint8)])
    pixels[:48, :, 3] = 0
    (tmp_path / "corrected").mkdir()
    corrected = tmp_path / "corrected" / f"{handoff.images['image'][0]}{names.COMBINED}"
    corrected.write_bytes(imagecodecs.png_encode(pixels))
    code, _, _ = histobridge("import", handoff.folder, corrected.parent, "--to", tmp_path / "edits")
    edits = pd.read_csv(tmp_path / "edits" / "edits.csv").iloc[0]
    erased = mask * (np.arange(96) >= 48)[:, None]
    assert code == 0
    assert edits["pixels_changed"] == (mask != erased).sum() > 1000


@pytest.mark.parametrize("levels", [(0, 1, 2), (0, 85, 170)])
def test_a_sparse_mask_in_another_coding_is_measured_like_one_of_127_and_255(histobridge, tissue, tmp_path, levels):
    """Row 4: in a large image with few fibres, the coding is recognised and told."""
    mask = np.pad(tissue[1], 500)
    write_mask(tmp_path / "usual.png", mask)
    (tmp_path / "other.png").write_bytes(imagecodecs.png_encode(np.array(levels, np.uint8)[mask]))
    files = [tmp_path / "usual.png", tmp_path / "other.png"]
    code, told, _ = histobridge("measure", *files, "--um-per-px", UM, "--to", tmp_path)
    usual, other = pd.read_csv(tmp_path / "summary.csv").drop(columns=["mask", "remark"]).to_dict("records")
    assert code == 0 and usual["n_fibres"] > 3 and other == pytest.approx(usual, nan_ok=True)
    assert "other.png: its levels {}, {}, {} were read as background, myelin, axon".format(*levels) in told


@pytest.mark.parametrize(
    ("levels", "named"), [((0, 1, 1), "mostly 1"), ((0, 85, 85), "mostly 85"), ((0, 50, 200), "50, 200")]
)
def test_a_sparse_mask_of_unknown_levels_is_refused(histobridge, tissue, tmp_path, levels, named):
    """Row 4: however small their share of the image, levels that could mean several things are named."""
    (tmp_path / "m.png").write_bytes(imagecodecs.png_encode(np.array(levels, np.uint8)[np.pad(tissue[1], 500)]))
    code, told, _ = histobridge("measure", tmp_path / "m.png", "--um-per-px", UM, "--to", tmp_path)
    assert code == 2 and "m.png" in told and named in told and "write 0, 127 and 255" in told


# --- Photometry and channels ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["u1", "u2", "i1", "i2", "i4", "f2", "f4", "f8"])
def test_white_as_zero_is_turned_in_every_sample_format(tissue, images, kind):
    """Row 8: signed and floating-point TIFFs with MinIsWhite look like the image, not like noise or its negative."""
    image = tissue[0]
    stored = 700 * (1 - image) if kind[0] == "f" else np.iinfo(kind).max * (0.9 - 0.8 * image)
    if kind[0] == "i":  # the range of signed integers, whose middle is the middle grey
        stored = 2 * (stored - np.iinfo(kind).max / 2)
    tifffile.imwrite(images / "a.tif", stored.astype(kind), photometric="miniswhite", metadata=None)
    (found,) = scan(images).images
    assert similar(found.read(), image) > 0.999


def test_colour_tables_of_16_bits_are_read_in_full(tissue, images):
    """Row 8: an index of 16 bits, and a table that holds more than 8 bits, or 8 bits in the low bytes."""
    image = tissue[0]
    for name, table in {"full": np.arange(65536), "low": np.arange(65536) // 256}.items():
        pixels = (65535 * image).astype(np.uint16)
        colours = np.stack([table.astype(np.uint16)] * 3)
        tifffile.imwrite(images / f"{name}.tif", pixels, photometric="palette", colormap=colours)
    found = {one.name: one for one in scan(images).images}
    assert {name: one.stored_as for name, one in found.items()} == {"full": "16-bit colour", "low": "8-bit colour"}
    assert all(similar(one.read(), image) > 0.999 for one in found.values())


@pytest.mark.parametrize("bits", [1, 2, 4, 12])
def test_white_is_that_of_the_declared_bits(tissue, images, bits):
    """Row 8, sibling: 12 bits in a container of 16 do not look like a dark image of 16 bits."""
    full_scale = 2**bits - 1
    pixels = np.rint(full_scale * tissue[0]).astype(np.uint8 if bits < 9 else np.uint16)
    how = {"bitspersample": bits, "photometric": "minisblack", "metadata": None}
    tifffile.imwrite(images / "a.tif", pixels.astype(bool) if bits == 1 else pixels, **how)
    np.testing.assert_allclose(read_image(images / "a.tif"), pixels / full_scale, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 3, 4, 5])
def test_channels_are_not_dropped_as_alpha(histobridge, tissue, images, tmp_path, channels):
    """Row 9: extra samples that no one declares to be alpha are planes, and the file is refused."""
    pixels = np.dstack([(255 * tissue[0]).astype(np.uint8)] * channels)
    rgb = {"photometric": "rgb" if channels > 3 else "minisblack", "planarconfig": "contig"}
    extra = ["unspecified"] * (channels - (3 if channels > 3 else 1))
    tifffile.imwrite(images / "a.tif", pixels, extrasamples=extra, **rgb)
    code, _, told = label(histobridge, images, tmp_path / "out")
    assert code == 2 and f"holds several planes ({channels} channels" in told


# --- Stacks and sets ------------------------------------------------------------------------------------


def ome_set(folder, planes, pages_each=1):
    """Write an OME set of one file for each plane (or a few); each names all files of the set."""
    files = [f"z{number}.ome.tif" for number in range(len(planes) // pages_each)]
    height, width = planes[0].shape
    data = "".join(
        f'<TiffData FirstZ="{z}" FirstC="0" FirstT="0" IFD="{z % pages_each}" PlaneCount="1">'
        f'<UUID FileName="{files[z // pages_each]}">urn:uuid:{z // pages_each}</UUID></TiffData>'
        for z in range(len(planes))
    )
    for number, name in enumerate(files):
        xml = (
            f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{number}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
            f'SizeX="{width}" SizeY="{height}" SizeZ="{len(planes)}" SizeC="1" SizeT="1" PhysicalSizeX="0.1">'
            f'<Channel ID="Channel:0"/>{data}</Pixels></Image></OME>'
        )
        with tifffile.TiffWriter(folder / name) as tiff:
            for z in range(number * pages_each, (number + 1) * pages_each):
                tiff.write(planes[z], description=xml.encode() if z % pages_each == 0 else None, metadata=None)


def test_a_file_of_an_ome_set_is_the_plane_that_it_holds(tissue, images):
    """Row 10: each file of a set is read alone; if others are missing, a remark names them."""
    planes = [np.roll((255 * tissue[0]).astype(np.uint8), 20 * z, axis=1) for z in range(4)]
    ome_set(images, planes)
    found = scan(images, None)
    assert [one.um_per_px for one in found.images] == [0.1] * 4
    assert all(similar(one.read(), plane) > 0.999 for one, plane in zip(found.images, planes, strict=True))
    assert not any("missing" in warning for warning in found.warnings)
    for number in range(3):
        (images / f"z{number}.ome.tif").unlink()
    found = scan(images, None)
    (last,) = found.images
    assert similar(last.read(), planes[3]) > 0.999
    assert any("missing beside it: z0.ome.tif, z1.ome.tif, z2.ome.tif" in warning for warning in found.warnings)


def test_a_stack_of_a_set_is_refused_with_the_missing_files(histobridge, tissue, images, tmp_path):
    """Row 10: two pages are a stack; what is missing of the set is named."""
    ome_set(images, [(255 * tissue[0]).astype(np.uint8)] * 4, pages_each=2)
    (images / "z0.ome.tif").unlink()
    code, _, told = label(histobridge, images, tmp_path / "out")
    assert code == 2 and "z1.ome.tif is a stack (2 pages, axes ZYX; of its set are missing: z0.ome.tif)" in told


@pytest.mark.parametrize("axes", ["ZYX", "TCZYX", "RYX", "QYX", "SYX"])
def test_dimensions_of_size_one_are_no_stack(tissue, images, axes):
    """Row 10: whatever one plane's axes are called, it is one plane."""
    pixels = (255 * tissue[0]).astype(np.uint8).reshape(*[1] * (len(axes) - 2), 96, 110)
    metadata = {"axes": axes} if axes != "SYX" else None
    tifffile.imwrite(images / "a.tif", pixels, photometric="minisblack", metadata=metadata)
    (found,) = scan(images).images
    assert similar(found.read(), tissue[0]) > 0.999


# --- Size -----------------------------------------------------------------------------------------------


def huge_png(side):
    """A small PNG that declares to be huge: its memory would be taken before its pixels are found to be missing."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(side + 1))) + chunk(b"IEND", b"")


def huge_tiff(side):
    """A TIFF of one compressed strip of zeros."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(
            iter([zlib.compress(bytes(9))]), shape=(side, side), dtype="u1", compression="zlib", rowsperstrip=side
        )
    return file.getvalue()


@pytest.mark.parametrize(("name", "write", "needed"), [("a.png", huge_png, 3.7), ("a.tif", huge_tiff, 4.1)])
def test_a_small_file_of_a_huge_image_is_refused_before_memory_is_taken(
    histobridge, images, tmp_path, monkeypatch, name, write, needed
):
    """Row 30: 20,000 × 20,000 px need some GiB (a strip of all rows more); where 2 are free, none is taken."""
    (images / name).write_bytes(write(20_000))
    monkeypatch.setattr(limits, "free_memory", lambda: 2 * 2**30)
    tracemalloc.start()
    code, _, told = label(histobridge, images, tmp_path / "out")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == 2 and f"{name} needs about {needed} GiB of memory, and 2 GiB are free" in told
    assert peak < 2e8


def test_reading_takes_few_times_the_memory_of_the_image(images):
    """Row 30: an 8-bit image needs five bytes a pixel: one for itself, four for its grey values; colour a few more."""
    for name, channels, most in (("grey.png", 1, 6), ("colour.png", 3, 12)):
        pixels = np.zeros((1500, 1500, channels), np.uint8).squeeze()
        (images / name).write_bytes(imagecodecs.png_encode(pixels))
        tracemalloc.start()
        read_image(images / name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most * 1500**2


def test_each_sidecar_of_a_folder_is_read_once(tissue, images, monkeypatch):
    """Row 30: a look at many images reads as many sidecars, not the square of it."""
    pixels, reads = imagecodecs.png_encode((255 * tissue[0][:32, :32]).astype(np.uint8)), []
    for number in range(200):
        stem = images / f"sub-1_sample-{number}_SEM"
        stem.with_suffix(".png").write_bytes(pixels)
        stem.with_suffix(".json").write_text(json.dumps({"PixelSize": 0.1 + number, "PixelSizeUnits": "um"}))
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text: reads.append(text) or loads(text))
    found = scan(images, None)
    assert {one.name: one.um_per_px for one in found.images} == {
        f"sub-1_sample-{number}_SEM": 0.1 + number for number in range(200)
    }
    assert len(reads) == 200


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"PixelSize": {}}', '{"PixelSize": 1, "PixelSizeUnits": []}'])
def test_an_odd_sidecar_costs_its_image_a_sentence(histobridge, tissue, images, tmp_path, text):
    """Row 29 and 30: deeply nested JSON, lists and wrong types end in a sentence that names the sidecar."""
    (images / "a.png").write_bytes(imagecodecs.png_encode((255 * tissue[0]).astype(np.uint8)))
    (images / "a.json").write_text(text)
    code, _, told = histobridge("label", images, "--out", tmp_path / "out", "--source", "phantom", "--yes")
    assert code == 2 and "a.json" in told and "Traceback" not in told


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s9--0.tif\n", "git annex get"),
        (b"", "is empty"),
    ],
)
def test_what_was_not_fetched_is_told_so(histobridge, images, tmp_path, content, sentence):
    """Row 6, sibling: a pointer instead of the content says how to get it."""
    (images / "a.tif").write_bytes(content)
    code, _, told = label(histobridge, images, tmp_path / "out")
    assert code == 2 and sentence in told
