"""postprocess.py: drawn fibres, whole and broken, whose right mask is known."""

import numpy as np
import pytest
from test_metrics import SIZE, disc, fibre

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.metrics.instances import axon_instances, enclosure
from histobridge.phantom import phantom
from histobridge.strategies.postprocess import (
    LEAST_DIAMETER,
    SHEATH_REACH,
    enclosures,
    postprocess,
    with_filled_sheaths,
    without_bare_axons,
    without_loose_myelin,
)

across = np.arange(SIZE)
EVERY = (postprocess, without_bare_axons, with_filled_sheaths)


def bare(mask: np.ndarray) -> np.ndarray:
    """Return the mask without its myelin."""
    return np.where(mask == MYELIN, BACKGROUND, mask).astype(np.uint8)


def half_found(whole: np.ndarray, share: float) -> np.ndarray:
    """Return the mask of a fibre with an axon 40 px wide, of whose width only a share is found."""
    return np.where((whole == AXON) & (across > 43.5 + 40 * share), BACKGROUND, whole).astype(np.uint8)


def four_that_touch() -> tuple[np.ndarray, np.ndarray]:
    """Return four fibres at the corners of a square, whose sheaths touch, and the star between them, bool."""
    fibres = [fibre((down, right), axon=14, sheath=6) for down in (44, 84) for right in (44, 84)]
    mask, star = np.max(fibres, axis=0), np.zeros((SIZE, SIZE), dtype=bool)
    star[44:85, 44:85] = mask[44:85, 44:85] == BACKGROUND
    return mask, star


# --- Axons without a sheath -----------------------------------------------------------------------------


def test_a_bare_axon_goes_and_a_sheathed_one_stays():
    """The bare one becomes background, and nothing else changes."""
    sheathed, other = fibre((32, 32), axon=10), bare(fibre((90, 90), axon=10))
    np.testing.assert_array_equal(without_bare_axons(sheathed + other), sheathed)


@pytest.mark.parametrize(("edge", "stays"), [(64, True), (60, False)])
def test_half_a_sheath_is_enough(edge, stays):
    """Myelin left of the middle of an axon encloses half of it; with a little less the axon is removed."""
    whole = fibre()
    half = np.where(across < edge, whole, bare(whole))
    assert (enclosures(half, axon_instances(half))[1] >= 0.5) == stays
    assert (without_bare_axons(half) == AXON).any() == stays


def test_a_speck_is_no_axon_even_in_a_sheath():
    """Seven pixels are a speck, eight are an axon, as `metrics` counts them."""
    mask = np.full((20, 40), MYELIN, dtype=np.uint8)
    mask[5, 5:12] = mask[5, 25:33] = AXON
    found = without_bare_axons(mask)
    assert (found[:, :20] != AXON).all() and (found == AXON).sum() == 8


def test_enclosures_are_those_of_each_axon_alone():
    """A whole sheath, half of one and none, far apart: each axon has the `metrics.enclosure` of its own mask."""
    cut = np.where(across < 100, fibre((25, 100), axon=10), bare(fibre((25, 100), axon=10)))
    parts = [fibre((25, 25), axon=10), cut, bare(fibre((90, 64), axon=10))]
    together = np.max(parts, axis=0)
    found = enclosures(together, axon_instances(together))
    assert found.tolist() == [1, *(pytest.approx(enclosure(part)) for part in parts)]
    assert found[1] == 1 and found[2] < 0.6 and found[3] == 0


def test_a_ring_ends_where_a_neighbour_is_nearer():
    """Of the 2 px of myelin between two axons, each ring holds one."""
    mask = np.zeros((1, 20), dtype=np.uint8)
    mask[0, 4:8] = mask[0, 10:14] = AXON
    mask[0, 8:10] = MYELIN
    assert enclosures(mask, axon_instances(mask, min_px=1)).tolist() == [1, 1 / 4, 1 / 4]


# --- Sheaths that hold half an axon ---------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_an_axon_found_by_half_is_completed(share):
    """What a round closed sheath encloses becomes axon, up to the sheath."""
    np.testing.assert_array_equal(postprocess(half_found(fibre(), share)), fibre())


def test_a_hole_in_an_axon_is_closed():
    """A vacuole is part of its axon."""
    np.testing.assert_array_equal(
        postprocess(np.where(disc((60, 60), 6), BACKGROUND, fibre()).astype(np.uint8)), fibre()
    )


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_an_inside_with_too_little_axon_is_left_alone(share):
    """A ring of myelin around background, with less than a fifth of axon in it, is not filled."""
    mask = half_found(fibre(), share)
    np.testing.assert_array_equal(with_filled_sheaths(mask), mask)


def test_the_star_between_touching_sheaths_is_left_alone():
    """It is enclosed and half of it is called axon, but no axon has that shape."""
    mask, star = four_that_touch()
    mask[star & (across < 64)] = AXON
    np.testing.assert_array_equal(with_filled_sheaths(mask), mask)


def test_an_open_sheath_encloses_nothing():
    """Through a gap in the sheath the inside is connected with the background, which is not filled."""
    mask = half_found(fibre(), 0.5)
    mask[60:68, 80:] = BACKGROUND
    np.testing.assert_array_equal(with_filled_sheaths(mask), mask)


def test_without_any_sheath_nothing_is_enclosed():
    """An image that is half axon, without myelin, is not filled, and the bare half goes."""
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[:20] = AXON
    np.testing.assert_array_equal(with_filled_sheaths(mask), mask)
    assert (postprocess(mask) == BACKGROUND).all()


# --- All of it ------------------------------------------------------------------------------------------


def test_an_axon_that_the_border_cuts_stays():
    """The ring outside the image does not count, and the visible part is completed."""
    cut = fibre()[:, 60:]
    for step in EVERY:
        np.testing.assert_array_equal(step(cut), cut)
    np.testing.assert_array_equal(postprocess(half_found(fibre(), 0.8)[:, 60:]), cut)


@pytest.mark.parametrize("step", EVERY)
@pytest.mark.parametrize("value", [BACKGROUND, MYELIN])
def test_a_mask_without_an_axon_stays(step, value):
    """Background alone and myelin alone come back as they are."""
    mask = np.full((30, 20), value, dtype=np.uint8)
    np.testing.assert_array_equal(step(mask), mask)


@pytest.mark.parametrize("step", EVERY)
def test_the_input_is_not_changed(step):
    """The result is a new uint8 mask."""
    mask = half_found(fibre(), 0.5) + bare(fibre((15, 15), axon=5))
    before = mask.copy()
    found = step(mask)
    assert found.dtype == np.uint8 and not np.shares_memory(found, mask)
    np.testing.assert_array_equal(mask, before)


@pytest.mark.parametrize("seed", range(4))
def test_true_masks_hardly_change(seed):
    """In drawn tissue, where every axon has a sheath, at most 5 pixels in 1000 change, and none the second time."""
    mask = phantom("sem", seed, (192, 192))[1]
    found = postprocess(mask)
    assert (found != mask).mean() < 0.005
    np.testing.assert_array_equal(postprocess(found), found)


# --- Usual sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("radius", "stays"), [(6, False), (8, True)])
def test_an_axon_far_smaller_than_usual_goes_with_its_sheath(radius, stays):
    """Diameters of 12 and 16 px beside a usual one of 42: a third is 14. Without a usual diameter both stay."""
    small, large = fibre((30, 30), axon=radius), fibre((80, 80), axon=21)
    both = np.maximum(small, large)
    np.testing.assert_array_equal(postprocess(both), both)
    tidied = postprocess(both, axon_px=42.0)
    assert (tidied[:50, :50] == AXON).any() == stays and 12 < 42 * LEAST_DIAMETER < 16
    np.testing.assert_array_equal(tidied[50:, 50:], both[50:, 50:])


def test_myelin_far_from_every_axon_goes():
    """A band of myelin across the image stays as far as a sheath could reach."""
    mask = fibre((64, 30), axon=10, sheath=4)
    mask[60:68, 40:] = MYELIN
    tidied = postprocess(mask, axon_px=20.0)
    across_band = np.flatnonzero(tidied[64, 41:] == MYELIN) + 41
    assert across_band.max() == np.flatnonzero(mask[64] == AXON).max() + 20 * SHEATH_REACH
    np.testing.assert_array_equal(tidied[:, :40], mask[:, :40])
    assert not without_loose_myelin(bare(mask) * 0 + np.uint8(MYELIN), reach_px=9).any()
