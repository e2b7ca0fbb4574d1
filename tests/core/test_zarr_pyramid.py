"""zarr_pyramid: what is written is OME-Zarr 0.4 for the package `ome-zarr`, and for the reader of this library."""

import numpy as np
import pytest

from histobridge.io.zarr_image import open_zarr
from histobridge.io.zarr_pyramid import create_image, create_label, first_of_four, mean_of_four

COLOURS = {"Myelin": (1, [0, 114, 178]), "Axon": (2, [230, 159, 0])}


@pytest.fixture
def written(tmp_path):
    """An image of 601 × 1030 px with labels of classes and of 70000 fibres, and their arrays."""
    draws = np.random.default_rng(0)
    grey, classes = draws.integers(0, 256, (601, 1030), np.uint8), draws.integers(0, 3, (601, 1030), np.uint8)
    image = create_image(tmp_path / "a.ome.zarr", grey.shape, 0.05, "a")
    label = create_label(image, "axon-myelin", np.uint8, 0.05, COLOURS)
    fibres = create_label(image, "fibres", np.uint32, 0.05)
    image.finest[:], label.finest[:], fibres.finest[:] = grey, classes, 70_000
    image.finish(mean_of_four)
    label.finish(first_of_four)
    fibres.finish(first_of_four)
    return tmp_path / "a.ome.zarr", grey, classes


def test_the_reader_of_the_package_ome_zarr_shows_image_labels_and_colours(written):
    """Names, levels, scales and the colour of each class arrive."""
    reader = pytest.importorskip("ome_zarr.reader", reason="the package ome-zarr is not installed")
    from ome_zarr.io import parse_url

    path, grey, classes = written
    nodes = {node.metadata.get("name"): node for node in reader.Reader(parse_url(path))()}
    image, label, fibres = nodes["a"], nodes["axon-myelin"], nodes["fibres"]
    assert [level.shape for level in image.data] == [(601, 1030), (301, 515), (151, 258), (76, 129)]
    np.testing.assert_array_equal(image.data[0].compute(), grey)
    np.testing.assert_array_equal(label.data[0].compute(), classes)
    assert fibres.data[-1].compute().max() == 70_000
    assert label.metadata["color"] == {1: [0, 114 / 255, 178 / 255, 1], 2: [230 / 255, 159 / 255, 0, 1]}
    assert label.metadata["properties"] == {1: {"class": "Myelin"}, 2: {"class": "Axon"}}
    assert [axis["unit"] for axis in image.metadata["axes"]] == ["micrometer"] * 2
    scales = [level[0]["scale"] for level in image.metadata["coordinateTransformations"]]
    assert scales == [[0.05] * 2, [0.1] * 2, [0.2] * 2, [0.4] * 2]


def test_the_metadata_pass_the_models_of_ome_zarr(written):
    """The schema of version 0.4, of images and of labels."""
    models = pytest.importorskip("ome_zarr_models.v04", reason="the package ome-zarr-models is not installed")
    import zarr

    image = models.Image.from_zarr(zarr.open_group(written[0], mode="r"))
    assert image.labels.attributes.labels == ["axon-myelin", "fibres"]


def test_what_is_written_can_be_read_at_every_level(written):
    """A level is the means, or the first, of 2 by 2 pixels of the finer one, with its pixel size."""
    path, grey, classes = written
    everything = slice(None), slice(None)
    coarse = open_zarr(path, 1)
    assert coarse.declared_size.um_per_px == 0.1
    expected = grey[:600].astype(float).reshape(300, 2, 515, 2).mean((1, 3))
    assert np.abs(coarse.read(everything)[:300] - expected).max() <= 0.5
    label = open_zarr(path / "labels" / "axon-myelin", 1)
    np.testing.assert_array_equal(label.read(everything), classes[::2, ::2])
