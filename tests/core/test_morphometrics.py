"""Fibres of drawn discs and rings, whose measures are known from their radii.

A pixel belongs to a disc if its centre lies inside the circle. For all integer radii up to 40 px around the centre of a
pixel, the worst case, the diameter from the counted area is wrong by at most a third of a pixel.
"""

import time

import numpy as np
import pytest

from histobridge.errors import UserError
from histobridge.metrics.instances import axon_instances
from histobridge.metrics.morphometrics import (
    FIBRE_COLUMNS,
    SHEATH,
    aggregate_g_ratio,
    fibre_instances,
    fibre_summary,
    fibres,
    min_axon_px,
)
from histobridge.phantom import draw_geometry

THIRD = 1 / 3  # of a pixel: the error of a diameter
MEANS = ["axon_diameter_um_mean", "fibre_diameter_um_median", "g_ratio_sd"]


def draw(*rings: tuple[float, float, float, float], size: int = 160) -> np.ndarray:
    """Return a mask of fibres (down, right, radius of the axon, radius of the fibre), all myelin under all axons."""
    down, right = np.mgrid[:size, :size]
    mask = np.zeros((size, size), dtype=np.uint8)
    for value, column in ((1, 3), (2, 2)):
        for ring in rings:
            mask[np.hypot(down - ring[0], right - ring[1]) <= ring[column]] = value
    return mask


@pytest.mark.parametrize("um_per_px", [0.05, 0.1, 2.0])
@pytest.mark.parametrize(("axon", "fibre"), [(12, 20), (30, 40), (8, 30)])
def test_a_ring_has_the_measures_of_its_circles(axon, fibre, um_per_px):
    """Diameters are twice the radii, the thickness is their difference, the g-ratio their ratio, areas are pi r²."""
    (ring,) = fibres(draw((80, 70, axon, fibre)), um_per_px).to_dict("records")
    axon_um, fibre_um = axon * um_per_px, fibre * um_per_px
    third = THIRD * um_per_px
    assert ring["axon_diameter_um"] == pytest.approx(2 * axon_um, abs=third)
    assert ring["fibre_diameter_um"] == pytest.approx(2 * fibre_um, abs=third)
    assert ring["myelin_thickness_um"] == pytest.approx(fibre_um - axon_um, abs=third)
    assert ring["g_ratio"] == pytest.approx(axon / fibre, abs=THIRD / fibre)
    assert ring["axon_area_um2"] == pytest.approx(np.pi * axon_um**2, abs=np.pi * axon_um * third)
    assert ring["fibre_area_um2"] == pytest.approx(np.pi * fibre_um**2, abs=np.pi * fibre_um * third)
    assert ring["myelin_area_um2"] == pytest.approx(ring["fibre_area_um2"] - ring["axon_area_um2"])
    # An outline of pixels is estimated from its steps: good to 5 % whatever the size.
    assert ring["axon_perimeter_um"] == pytest.approx(2 * np.pi * axon_um, rel=0.05)
    assert (ring["x_px"], ring["y_px"]) == pytest.approx((70, 80))
    assert ring["eccentricity"] < 0.1 and ring["solidity"] > 0.9
    assert not ring["image_border_touching"]


def test_an_ellipse_has_its_eccentricity_and_a_crescent_is_not_solid():
    """Semi-axes of 40 and 24 px give eccentricity 0.8. A disc with a bite of half its radius is less solid."""
    down, right = np.mgrid[:160, :160] - 80
    ellipse = np.where((down / 24) ** 2 + (right / 40) ** 2 <= 1, 2, 0).astype(np.uint8)
    assert fibres(ellipse, 0.1)["eccentricity"].item() == pytest.approx(0.8, abs=0.01)
    bitten = np.where((np.hypot(down, right) <= 40) & (np.hypot(down, right - 25) > 20), 2, 0).astype(np.uint8)
    assert fibres(bitten, 0.1)["solidity"].item() < 0.85 < 0.95 < fibres(ellipse, 0.1)["solidity"].item()


def test_touching_fibres_are_divided_at_the_neck_between_them():
    """A thick fibre and a thin one that touch keep their own sheaths, though one sheath is four times as large."""
    thick, thin = (80, 60, 20, 35), (80, 106, 8, 12)
    apart = fibres(draw(thick, (80, 130, 8, 12)), 0.1)
    touching = fibres(draw(thick, thin), 0.1)
    assert len(touching) == 2
    for column in ("fibre_diameter_um", "g_ratio", "myelin_thickness_um"):
        assert touching[column].tolist() == pytest.approx(apart[column].tolist(), rel=0.03), column


def test_a_shared_sheath_is_divided_completely_and_evenly():
    """Two equal axons in one block of myelin get half of it each; no pixel is lost or counted twice."""
    mask = np.zeros((60, 120), dtype=np.uint8)
    mask[10:50, 10:110] = 1
    mask[22:38, 25:41] = mask[22:38, 79:95] = 2
    labels = fibre_instances(mask, axon_instances(mask))
    table = fibres(mask, 1.0)
    assert table["myelin_area_um2"].sum() == np.count_nonzero(mask == 1)
    assert table["myelin_area_um2"].tolist() == pytest.approx([np.count_nonzero(mask == 1) / 2] * 2, rel=0.01)
    assert np.array_equal(labels > 0, mask > 0)
    assert set(labels[:, :50].ravel()) == {0, labels[30, 30]}


def test_myelin_without_an_axon_counts_only_in_the_area_fraction():
    """An isolated piece of myelin adds to the MVF but to no sheath."""
    mask = draw((60, 60, 10, 15))
    before = fibres(mask, 0.1)
    mask[120:140, 120:140] = 1
    after = fibres(mask, 0.1)
    assert after.equals(before)
    found = fibre_summary(mask, after, 0.1)["mvf"] * mask.size
    assert found == pytest.approx(400 + 100 * before["myelin_area_um2"].sum())


def test_fibres_at_the_border_are_flagged_and_left_out_of_the_means():
    """A fibre whose sheath reaches the last row is flagged; density and area fractions include it, means do not."""
    mask = draw((80, 80, 12, 20), (159 - 25, 40, 20, 25), (60, 0, 10, 14))
    table = fibres(mask, 0.1).sort_values("y_px")
    assert table["image_border_touching"].tolist() == [True, False, True]
    assert not axon_instances(mask)[-1].any()
    numbers = fibre_summary(mask, table, 0.1)
    assert (numbers["n_fibres"], numbers["n_measured"]) == (3, 1)
    assert numbers["axon_diameter_um_mean"] == pytest.approx(2.4, abs=0.1 * THIRD)
    assert np.isnan(numbers["axon_diameter_um_sd"])
    assert numbers["density_per_mm2"] == pytest.approx(3 / (16e-3) ** 2)
    assert numbers["avf"] == np.mean(mask == 2)


def test_an_axon_without_myelin_is_counted_separately():
    """It has a diameter but no g-ratio, and does not enter the density or the means."""
    mask = draw((40, 40, 12, 20), (110, 110, 25, 0))
    table = fibres(mask, 0.1)
    bare = table.iloc[1]
    assert bare["axon_diameter_um"] == pytest.approx(5, abs=0.1 * THIRD)
    assert bare["myelin_area_um2"] == 0
    assert bare[SHEATH].isna().all()
    numbers = fibre_summary(mask, table, 0.1)
    assert (numbers["n_fibres"], numbers["n_unmyelinated"], numbers["n_measured"]) == (1, 1, 1)
    assert numbers["axon_diameter_um_mean"] == pytest.approx(2.4, abs=0.1 * THIRD)
    assert numbers["density_per_mm2"] == pytest.approx(1 / (16e-3) ** 2)


def test_an_empty_mask_has_no_fibres():
    """The table has no rows but all columns; counts, density and fractions are 0, means are NaN."""
    mask = np.zeros((50, 40), dtype=np.uint8)
    table = fibres(mask, 0.1)
    assert table.columns.tolist() == FIBRE_COLUMNS and len(table) == 0
    numbers = fibre_summary(mask, table, 0.1)
    assert [numbers[n] for n in ("n_fibres", "n_unmyelinated", "n_measured", "density_per_mm2", "mvf", "avf")] == [
        0
    ] * 6
    assert np.isnan([numbers[name] for name in (*MEANS, "aggregate_g_ratio")]).all()


def test_means_medians_and_deviations_are_those_of_the_single_fibres():
    """Axons with radii of 10, 14 and 30 px have mean 18, median 14 and sample SD 10.6 px."""
    mask = draw((30, 30, 10, 14), (30, 110, 14, 20), (110, 70, 30, 40))
    numbers = fibre_summary(mask, fibres(mask, 1.0), 1.0)
    found = [numbers[f"axon_diameter_um_{how}"] / 2 for how in ("mean", "median", "sd")]
    assert found == pytest.approx([18, 14, np.std([10, 14, 30], ddof=1)], abs=THIRD)


def test_specks_are_dropped_as_in_axon_instances():
    """The axons are those of `axon_instances`; at small pixel sizes a disc below 0.2 µm is a speck too."""
    mask = draw((50, 50, 10, 15), (120, 120, 3, 6))
    mask[5:7, 5:8] = 2  # 6 px
    assert len(fibres(mask, 0.1)) == len(np.unique(axon_instances(mask))) - 1 == 2
    assert len(fibres(mask, 0.02)) == 1  # radius 3 px is a disc of 0.12 µm
    assert min_axon_px(0.1) == min_axon_px(0.2) == 8
    assert min_axon_px(0.02) == pytest.approx(np.pi * 5**2, abs=1)


def test_the_aggregate_g_ratio_follows_the_formula():
    """Equal rings have one g-ratio, individually and in aggregate; AVF 0.3 and MVF 0.4 give 0.6547."""
    mask = draw((40, 40, 15, 25), (40, 120, 15, 25), (120, 80, 15, 25))
    numbers = fibre_summary(mask, fibres(mask, 0.1), 0.1)
    assert numbers["aggregate_g_ratio"] == pytest.approx(0.6, abs=THIRD / 25)
    assert numbers["aggregate_g_ratio"] == pytest.approx(numbers["g_ratio_mean"])
    assert aggregate_g_ratio(mvf=0.4, avf=0.3) == pytest.approx((0.3 / 0.7) ** 0.5)
    assert aggregate_g_ratio(mvf=0, avf=0.3) == 1
    assert np.isnan(aggregate_g_ratio(mvf=0.4, avf=0))


@pytest.mark.parametrize("um_per_px", [None, 0, -0.1, float("nan"), float("inf"), "0.1"])
def test_a_missing_or_absurd_pixel_size_is_refused(um_per_px):
    """No pixel size is guessed, not even for an empty mask."""
    mask = np.zeros((9, 9), dtype=np.uint8)
    with pytest.raises(UserError, match="none is guessed"):
        fibres(mask, um_per_px)
    with pytest.raises(UserError, match="none is guessed"):
        fibre_summary(mask, fibres(mask, 0.1), um_per_px)


def test_a_mask_in_the_levels_of_a_file_is_refused():
    """The coding 0/127/255 is not a class mask."""
    with pytest.raises(ValueError, match="0, 1 and 2 only"):
        fibres(draw((80, 80, 10, 20)) * np.uint8(127), 0.1)


@pytest.mark.parametrize("seed", range(3))
def test_a_phantom_is_measured_as_it_was_drawn(seed):
    """The diameters of every fibre equal those of the geometry that drew the mask."""
    tissue = draw_geometry(seed, (256, 256), 0.1)
    table = fibres(tissue.mask, 0.1)
    owner = tissue.labels[table["y_px"].round().astype(int), table["x_px"].round().astype(int)]
    once = np.isin(owner, [number for number in np.unique(owner) if np.sum(owner == number) == 1]) & (owner > 0)
    assert once.sum() > 30
    for number, fibre in zip(owner[once], table[once].to_dict("records"), strict=True):
        inside = tissue.labels == number
        axon, whole = (0.01 * np.count_nonzero(inside & of) for of in (tissue.mask == 2, tissue.mask > 0))
        assert fibre["axon_diameter_um"] == pytest.approx(2 * np.sqrt(axon / np.pi), rel=0.01)
        assert fibre["fibre_diameter_um"] == pytest.approx(2 * np.sqrt(whole / np.pi), rel=0.01)


def test_time_grows_with_the_fibres_not_with_their_square():
    """Four times as many fibres take at most eight times as long: the median of three, in processor time."""
    one = draw((16, 16, 8, 12), size=32)

    def seconds(side: int) -> float:
        mask, took = np.tile(one, (side, side)), []
        for _ in range(3):
            begun = time.process_time()
            assert fibre_summary(mask, fibres(mask, 0.1), 0.1)["n_fibres"] == side**2
            took.append(time.process_time() - begun)
        return np.median(took)

    assert seconds(32) < 8 * seconds(16)
