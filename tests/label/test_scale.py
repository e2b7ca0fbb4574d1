"""own.scale: the pixel size at which two domains are alike, and what looks like a wrong one."""

import numpy as np
import pytest

from histobridge.io.images import write_image
from histobridge.phantom import phantom
from histobridge_label import scale
from histobridge_label.inspect_folder import look
from histobridge_label.scale import AXON_PX, Side, off_scale, source_side, structure_px, suggest, typical_px, unlike


def quiet(line):
    """Report nothing."""


@pytest.fixture(scope="module")
def labelled():
    """Three drawn TEM images."""
    drawn = [phantom("tem", seed, (192, 192)) for seed in (50, 51, 52)]
    axon = typical_px(mask for _, mask in drawn)
    return Side("phantom-tem", 0.1, {str(n): image for n, (image, _) in enumerate(drawn)}, axon)


def images_of(folder, modality, um_per_px, stated=None):
    """Images of a modality, drawn at one pixel size, of which another one may be stated."""
    for seed in (60, 61):
        write_image(folder / f"{modality}{seed}.png", phantom(modality, seed, (256, 256), um_per_px)[0])
    return look(folder, stated or um_per_px, report=quiet).images


@pytest.mark.parametrize("modality", ["tem", "sem", "bf"])
@pytest.mark.parametrize("um_per_px", [0.05, 0.1])
def test_the_suggestion_is_near_the_true_scale_whatever_the_pixels(tmp_path, labelled, modality, um_per_px):
    """Drawn fibres have one size in µm, so 0.1 µm/px is right; the suggestion is within a factor of 1.7."""
    found = suggest(labelled, images_of(tmp_path, modality, um_per_px))
    assert 0.1 / 1.7 < found.um_per_px < 0.1 * 1.7


@pytest.mark.parametrize("wrong", [0.25, 4])
def test_a_wrong_pixel_size_does_not_change_what_the_networks_see(tmp_path, labelled, wrong):
    """The suggestion is wrong by the same factor, so that images come out at the same size in px."""
    (tmp_path / "right").mkdir()
    right = suggest(labelled, images_of(tmp_path / "right", "sem", 0.1))
    found = suggest(labelled, images_of(tmp_path, "sem", 0.1, stated=0.1 * wrong))
    assert found.um_per_px / right.um_per_px == pytest.approx(wrong, rel=0.02)
    assert f"{found.um_per_px * labelled.axon_px:.2g} µm" in found.text  # what the typical axon would have


def test_structures_larger_than_the_window_are_seen_from_farther_off():
    """The size of an enlarged image is enlarged by as much."""
    image = phantom("tem", 50, (160, 160))[0]
    enlarged = np.kron(image, np.ones((8, 8), np.float32))
    assert structure_px(enlarged) / structure_px(image) == pytest.approx(8, rel=0.25)


def test_axons_of_another_size_than_those_of_l_are_told_with_a_better_scale(labelled):
    """At half the scale the axons have half the size; at the right one nothing is said."""
    masks = [phantom("sem", seed, (192, 192))[1] for seed in (60, 61)]
    assert off_scale(masks, labelled.axon_px, 0.1) == []
    (told,) = off_scale([mask[::2, ::2] for mask in masks], labelled.axon_px, 0.2)
    assert "--work-at`, now 0.2" in told
    assert 0.08 < float(told.split(" µm/px")[0].split()[-1]) < 0.12
    assert told.endswith("labels would be better.")
    (told,) = off_scale([np.kron(mask, np.ones((2, 2), np.uint8)) for mask in masks], labelled.axon_px, 0.05)
    assert "--work-at`, now 0.05" in told and told.endswith("it would be faster.")
    assert off_scale([np.zeros((8, 8), np.uint8)], labelled.axon_px, 0.1) == []


@pytest.mark.parametrize(
    ("axon_um", "of_l", "told"),
    [
        (2.0, 1.9, ""),
        (0.7, 1.9, "differ so"),
        (4.5, 1.9, "differ so"),
        (9.0, 6.0, "is the pixel"),
        (0.1, 0.1, "is the pixel"),
    ],
)
def test_an_axon_of_implausible_size_is_told(axon_um, of_l, told):
    """Outside of what is known of myelinated axons, or far from L."""
    found = unlike(axon_um, of_l)
    assert bool(found) == bool(told)
    assert not found or told in " ".join(found[0].split())


def test_the_source_comes_at_the_scale_of_the_study_or_of_its_axons(tmp_path, monkeypatch):
    """0.1 µm/px for the phantoms of study.yaml; another dataset at that at which its typical axon has `AXON_PX`."""
    side = source_side("phantom-tem", tmp_path)
    assert side.um_per_px == 0.1 and len(side.images) == 10
    monkeypatch.setattr(scale, "load_study", lambda: type("Study", (), {"pairs": {}}))
    found = source_side("phantom-tem", tmp_path)
    assert found.axon_px == pytest.approx(AXON_PX, rel=0.1)
