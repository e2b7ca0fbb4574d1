"""rois: axons and outer borders as ROIs of ImageJ, from which the mask can be read back."""

import hashlib
import zipfile

import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi, roiread
from skimage.draw import polygon2mask
from test_geojson import HARD, UM, drawing

from histobridge.errors import UserError
from histobridge.phantom import phantom
from histobridge_label.export.geojson import COLOURS
from histobridge_label.export.instances import fibre_labels
from histobridge_label.export.rois import read_rois, write_rois


def read_back(mask, path) -> np.ndarray:
    """A mask written and read again."""
    write_rois(path, mask, fibre_labels(mask, UM))
    return read_rois(path, mask.shape)


def zipped(path, *rois):
    """A zip as the ROI Manager saves it."""
    with zipfile.ZipFile(path, "w") as archive:
        for roi in rois:
            archive.writestr(f"{roi.name}.roi", roi.tobytes())
    return path


def drawn(name, points, kind=ROI_TYPE.POLYGON) -> ImagejRoi:
    """A ROI as somebody draws it in Fiji."""
    roi = ImagejRoi.frompoints(np.array(points), name=name)
    roi.roitype = kind
    return roi


@pytest.mark.parametrize("mask", HARD.values(), ids=HARD)
def test_hard_masks_are_read_back_exactly(mask, tmp_path):
    """Holes, touching corners and an empty mask."""
    np.testing.assert_array_equal(read_back(mask, tmp_path / "a.zip"), mask)


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_read_back_exactly(seed, tmp_path):
    """Noise contains every kind of corner."""
    mask = np.random.default_rng(seed).integers(0, 3, (40, 37)).astype(np.uint8)
    np.testing.assert_array_equal(read_back(mask, tmp_path / "a.zip"), mask)


def test_roifile_reads_the_axon_and_the_outer_border_of_each_fibre(tmp_path):
    """By name, with the colours of the figures; each outlines the pixels of its fibre, and equal masks equal files."""
    mask = phantom("sem", 4, (150, 173))[1]
    fibres = fibre_labels(mask, UM)
    write_rois(tmp_path / "a.zip", mask, fibres)
    found = {roi.name: roi for roi in roiread(tmp_path / "a.zip")}
    for number in range(1, fibres.max() + 1):
        axon, outer = found[f"fibre {number} axon"], found[f"fibre {number} outer"]
        for roi, inside, class_name in ((axon, mask == 2, "Axon"), (outer, mask > 0, "Myelin")):
            assert tuple(roi.stroke_color[1:]) == tuple(COLOURS[class_name])
            outlines = roi.coordinates(multi=True)
            odd = sum(polygon2mask(mask.shape, outline[:, ::-1] - 0.5) for outline in outlines) % 2
            np.testing.assert_array_equal(odd == 1, (fibres == number) & inside)
    write_rois(tmp_path / "b.zip", mask, fibres)
    one, two = (hashlib.sha256((tmp_path / name).read_bytes()).digest() for name in ("a.zip", "b.zip"))
    assert one == two


def test_rois_drawn_in_fiji_are_read(tmp_path):
    """Rectangle, oval and polygon; the axon is on top whatever the order; areas end at the border of the image."""
    outer = drawn("new outer", [(0, 0), (4, 4)], ROI_TYPE.RECT)
    outer.left, outer.top, outer.right, outer.bottom = -3, -3, 3, 3
    outer.integer_coordinates, outer.n_coordinates = None, 0
    axon = drawn("Axon-2", [(0, 0), (2, 0), (2, 2), (0, 2)])
    path = zipped(tmp_path / "a.zip", axon, outer)
    np.testing.assert_array_equal(read_rois(path, (4, 4)), drawing("aam.", "aam.", "mmm.", "...."))
    disc = drawn("axon", [(0, 0), (8, 8)], ROI_TYPE.OVAL)
    disc.left, disc.top, disc.right, disc.bottom = 1, 1, 9, 9
    disc.integer_coordinates, disc.n_coordinates = None, 0
    (tmp_path / "disc.roi").write_bytes(disc.tobytes())
    y, x = np.indices((10, 10)) + 0.5
    distance = np.hypot(y - 5, x - 5)
    found = read_rois(tmp_path / "disc.roi", (10, 10)) == 2
    assert found[distance < 3.5].all() and not found[distance > 4.5].any()  # within a pixel


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "which is no ROI of ImageJ"),
        (drawn("0012-0034", [(0, 0), (2, 0), (2, 2)]).tobytes(), "called '0012-0034': name each ROI as an axon"),
        (drawn("axon or outer", [(0, 0), (2, 0), (2, 2)]).tobytes(), "called 'axon or outer'"),
        (drawn("axon", [(0, 0), (2, 0)], ROI_TYPE.POLYLINE).tobytes(), "which is a polyline: draw areas"),
        (drawn("axon", [(0.0, np.nan), (2, 0), (2, 2)]).tobytes(), "no list of points"),
        (drawn("axon", [(0, 0), (2, 0), (2, 2)]).tobytes()[:70], "no ROI of ImageJ"),
        (None, "cannot be read as ROIs"),
    ],
)
def test_files_that_hold_no_mask_are_refused(content, message, tmp_path):
    """The message names the file and says what to do."""
    if content is not None:
        (tmp_path / "a_rois.roi").write_bytes(content)
    with np.errstate(invalid="ignore"), pytest.raises(UserError, match=message) as refused:
        read_rois(tmp_path / "a_rois.roi", (5, 5))
    assert "a_rois.roi" in str(refused.value)


def test_a_zip_without_rois_is_refused_and_an_empty_one_is_an_empty_mask(tmp_path):
    """The ROI file zipped once more would else read as a mask from which every fibre was removed."""
    inner, outer = zipped(tmp_path / "RoiSet.zip", drawn("axon", [(0, 0), (2, 0), (2, 2)])), tmp_path / "a_rois.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, inner.name)
    with pytest.raises(UserError, match=r"a_rois\.zip holds files, but no ROIs"):
        read_rois(outer, (5, 5))
    assert not read_rois(zipped(tmp_path / "empty.zip"), (5, 5)).any()


def test_a_zip_that_unpacks_to_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    """Before it is unpacked."""
    monkeypatch.setattr("histobridge.io.limits.free_memory", lambda: 10)
    path = zipped(tmp_path / "a.zip", drawn("axon", [(0, 0), (2, 0), (2, 2)]))
    with pytest.raises(UserError, match="of memory"):
        read_rois(path, (5, 5))
