"""scale: the pixel size at which new images look like the labelled ones, and warnings of a wrong one."""

import numpy as np
import pytest

from histobridge.io.images import write_image
from histobridge.phantom import phantom
from histobridge_label.inspect_folder import scan_folder
from histobridge_label.scale import (
    AXON_PX,
    SourceImages,
    axon_size_warnings,
    scale_warnings,
    structure_size_px,
    suggest_pixel_size,
    training_pixel_size,
    typical_axon_px,
)


def quiet(line):
    """Report nothing."""


@pytest.fixture(scope="module")
def source():
    """Three phantoms of TEM."""
    drawn = [phantom("tem", seed, (192, 192)) for seed in (50, 51, 52)]
    images = {str(number): image for number, (image, _) in enumerate(drawn)}
    return SourceImages("phantom-tem", 0.1, images, typical_axon_px(mask for _, mask in drawn))


def images_of(folder, modality, um_per_px, stated=None):
    """Two phantoms drawn at one pixel size; another one may be stated."""
    folder.mkdir(exist_ok=True)
    for seed in (60, 61):
        write_image(folder / f"{modality}{seed}.png", phantom(modality, seed, (256, 256), um_per_px)[0])
    return scan_folder(folder, stated or um_per_px, report=quiet).images


@pytest.mark.parametrize("modality", ["tem", "sem", "bf"])
@pytest.mark.parametrize("um_per_px", [0.05, 0.1])
def test_the_suggestion_is_near_the_true_scale_at_any_pixel_size(tmp_path, source, modality, um_per_px):
    """Drawn fibres have one size in µm, so 0.1 µm/px is right; the suggestion is within a factor of 1.7."""
    suggestion = suggest_pixel_size(source, images_of(tmp_path, modality, um_per_px))
    assert 0.1 / 1.7 < suggestion.um_per_px < 0.1 * 1.7


@pytest.mark.parametrize("factor", [0.25, 4])
def test_a_wrong_pixel_size_does_not_change_what_the_networks_see(tmp_path, source, factor):
    """The suggestion is wrong by the same factor, so that images have the same size in px."""
    right = suggest_pixel_size(source, images_of(tmp_path / "right", "sem", 0.1))
    wrong = suggest_pixel_size(source, images_of(tmp_path / "wrong", "sem", 0.1, stated=0.1 * factor))
    assert wrong.um_per_px / right.um_per_px == pytest.approx(factor, rel=0.02)
    assert f"{wrong.um_per_px * source.axon_px:.2g} µm" in wrong.text  # the implied axon diameter


def test_structures_larger_than_the_largest_sigma_are_measured():
    """An image enlarged eight times has structures eight times as large."""
    image = phantom("tem", 50, (160, 160))[0]
    enlarged = np.kron(image, np.ones((8, 8), np.float32))
    assert structure_size_px(enlarged) / structure_size_px(image) == pytest.approx(8, rel=0.25)


def test_axons_of_another_size_give_a_warning_with_a_better_pixel_size(source):
    """At half and at twice the scale; none at the right scale, and none without axons."""
    masks = [phantom("sem", seed, (192, 192))[1] for seed in (60, 61)]
    assert scale_warnings(typical_axon_px(masks), source.axon_px, 0.1) == []
    (warning,) = scale_warnings(typical_axon_px(mask[::2, ::2] for mask in masks), source.axon_px, 0.2)
    assert "--work-at`, now 0.2" in warning and warning.endswith("labels would be better.")
    assert 0.08 < float(warning.split(" µm/px")[0].split()[-1]) < 0.12
    enlarged = (np.kron(mask, np.ones((2, 2), np.uint8)) for mask in masks)
    (warning,) = scale_warnings(typical_axon_px(enlarged), source.axon_px, 0.05)
    assert "--work-at`, now 0.05" in warning and warning.endswith("it would be faster.")
    assert scale_warnings(typical_axon_px([np.zeros((8, 8), np.uint8)]), source.axon_px, 0.1) == []


@pytest.mark.parametrize(
    ("axon_um", "source_axon_um", "words"),
    [
        (2.0, 1.9, None),
        (float("nan"), 1.9, None),
        (0.7, 1.9, "differ so"),
        (4.5, 1.9, "differ so"),
        (9.0, 6.0, "is the pixel"),
        (0.1, 0.1, "is the pixel"),
    ],
)
def test_axons_of_implausible_or_different_size_give_a_warning(axon_um, source_axon_um, words):
    """Outside of the range of myelinated axons, or far from the labelled ones."""
    warnings = axon_size_warnings(axon_um, source_axon_um)
    assert len(warnings) == (words is not None)
    assert not warnings or words in warnings[0]


@pytest.mark.parametrize("um_per_px", [0.1, 0.05])
def test_at_the_training_pixel_size_the_typical_axon_has_a_fixed_size(um_per_px):
    """`AXON_PX`, at whatever pixel size the masks are given."""
    masks = [phantom("tem", seed, (256, 256), um_per_px)[1] for seed in (50, 51)]
    at = training_pixel_size(masks, um_per_px)
    assert typical_axon_px(masks) * um_per_px / at == pytest.approx(AXON_PX, rel=1e-3)
