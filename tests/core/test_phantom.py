"""Phantoms: each modality has the contrast of real images, and equal seeds give equal masks."""

from dataclasses import fields

import numpy as np
import pytest
from scipy import ndimage

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.errors import UserError
from histobridge.io.images import normalise
from histobridge.phantom import RENDERERS, draw_geometry, phantom, render


@pytest.fixture(scope="module")
def tissue():
    """Return one cross section of 40 µm × 40 µm, drawn once for this file; treated as read-only."""
    return draw_geometry(0, (400, 400))


def class_means(image, mask):
    """Return the mean grey value of background, myelin and axon."""
    return [image[mask == value].mean() for value in (BACKGROUND, MYELIN, AXON)]


def test_same_seed_gives_identical_bits(tissue):
    """Every rendering repeats bit for bit."""
    for modality in RENDERERS:
        assert np.array_equal(render(tissue, modality, 1), render(tissue, modality, 1))


def test_other_seeds_give_other_noise(tissue):
    """The seed of the rendering changes the image of one and the same tissue."""
    for modality in RENDERERS:
        assert np.abs(render(tissue, modality, 1) - render(tissue, modality, 2)).mean() > 0.01


def test_two_modalities_of_one_seed_share_the_mask():
    """Equal seeds give a pair: different images of the same tissue."""
    images = {modality: phantom(modality, 4, (80, 80)) for modality in RENDERERS}
    reference = images["tem"]
    for modality, (image, mask) in images.items():
        assert np.array_equal(mask, reference[1])
        assert modality == "tem" or not np.array_equal(image, reference[0])


def test_rendering_leaves_the_geometry_alone():
    """A renderer does not change the geometry."""
    geometry = draw_geometry(2, (64, 64))
    before = {field.name: np.copy(getattr(geometry, field.name)) for field in fields(geometry)}
    for modality in RENDERERS:
        render(geometry, modality, 0)
    for name, value in before.items():
        assert np.array_equal(getattr(geometry, name), value), name


@pytest.mark.parametrize("modality", RENDERERS)
@pytest.mark.parametrize("shape", [(64, 64), (48, 131), (8, 8)])
def test_contract_of_image_and_mask(modality, shape):
    """An image is float32 in 0..1, a mask uint8 in 0..2, both of the requested shape, odd ones included."""
    image, mask = phantom(modality, 3, shape)
    assert image.shape == mask.shape == shape
    assert (image.dtype, mask.dtype) == (np.float32, np.uint8)
    assert image.min() >= 0 and image.max() <= 1
    assert set(np.unique(mask)) <= {0, 1, 2}


@pytest.mark.parametrize("modality", RENDERERS)
@pytest.mark.parametrize("um_per_px", [0.05, 0.1, 0.217])
def test_sign_of_the_contrast(modality, um_per_px):
    """Myelin is darker than axon and background in TEM and bright field, brighter in SEM, for every seed."""
    sign = -1 if modality == "sem" else 1
    geometry = draw_geometry(8, (192, 192), um_per_px)
    for seed in range(5):
        background, myelin, axon = class_means(render(geometry, modality, seed), geometry.mask)
        assert sign * (axon - myelin) > 0.2
        assert sign * (background - myelin) > 0.1


@pytest.mark.parametrize(("modality", "real"), [("bf", (0.65, 0.20, 0.68)), ("tem-other", (0.56, 0.15, 0.57))])
def test_class_means_are_those_of_real_images(modality, real):
    """Background, myelin and axon are on average as grey as in the development images of bf and tem-pns."""
    tissues = [draw_geometry(seed, (192, 192)) for seed in range(12)]
    means = [class_means(normalise(render(one, modality, seed)), one.mask) for seed, one in enumerate(tissues)]
    assert np.mean(means, axis=0) == pytest.approx(real, abs=0.05)


@pytest.mark.parametrize("modality", ["bf", "tem-other"])
def test_axons_are_stained_unequally(tissue, modality):
    """The grey value differs between axons far more than in SEM."""
    core = np.where(tissue.axon_depth > 0.5, tissue.labels, 0)
    numbers = np.unique(core)[1:]
    spread = {one: np.std(ndimage.mean(render(tissue, one, 0), core, numbers)) for one in (modality, "sem")}
    assert spread[modality] > 0.06 and spread[modality] > 2 * spread["sem"]


def test_renderings_of_one_modality_differ_in_brightness(tissue):
    """Images of one modality differ in contrast and brightness, as those of a real microscope do."""
    for modality in RENDERERS:
        means = [class_means(render(tissue, modality, seed), tissue.mask) for seed in range(6)]
        assert (np.std(means, axis=0) > 0.005).all(), modality


def test_tem_shows_small_axons_as_grey_as_large_ones(tissue):
    """The background holds structures that look like axons but have no sheath."""
    tem = render(tissue, "tem", 0)
    _, myelin, axon = class_means(tem, tissue.mask)
    assert abs(tem[tissue.small_depth > 0.2].mean() - axon) < 0.35 * (axon - myelin)


def test_tem_shows_organelles_dark(tissue):
    """Mitochondria are darker than the axon in which they lie."""
    tem, organelle, axon = render(tissue, "tem", 0), tissue.organelle_depth > 0, tissue.mask == AXON
    assert tem[organelle & axon].mean() < tem[axon & ~organelle].mean() - 0.1


def test_unknown_modality_lists_the_valid_ones():
    """An unknown modality is refused with the valid names, before any tissue is drawn."""
    for call in (lambda: phantom("xray", 0), lambda: render(draw_geometry(0, (16, 16)), "xray", 0)):
        with pytest.raises(UserError, match="bf, sem, tem, tem-other"):
            call()
