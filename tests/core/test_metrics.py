"""Metrics of drawn shapes, whose values follow from counting or from closed forms."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from histobridge import metrics

SIZE = 128


def disc(centre: tuple[float, float], radius: float, *, size: int = SIZE) -> np.ndarray:
    """Return a boolean disc [size, size]."""
    down, right = np.mgrid[:size, :size]
    return np.hypot(down - centre[0], right - centre[1]) <= radius


def fibre(centre=(63.5, 63.5), *, axon: float = 20, sheath: float = 6, size: int = SIZE) -> np.ndarray:
    """Return a class mask of one axon in its sheath."""
    mask = np.where(disc(centre, axon + sheath, size=size), 1, 0).astype(np.uint8)
    mask[disc(centre, axon, size=size)] = 2
    return mask


def tissue(seed: int = 0, *, size: int = SIZE) -> np.ndarray:
    """Return a float32 image of dark-sheathed fibres at random places, softly focused."""
    random = np.random.default_rng(seed)
    image = np.full((size, size), 0.7)
    for _ in range(size**2 // 800):
        centre, radius = random.uniform(0, size, 2), random.uniform(4, 10)
        image[disc(centre, radius, size=size)] = 0.15
        image[disc(centre, 0.6 * radius, size=size)] = 0.6
    return ndimage.gaussian_filter(image, 1.0).astype(np.float32)


# --- Overlap --------------------------------------------------------------------------------------------


def test_dice_and_iou_of_shifted_squares_equal_the_counts():
    """Two 10 x 10 squares, 4 px apart: 60 shared of 100 + 100, of 140 in all."""
    true, predicted = np.zeros((2, 30, 30), dtype=bool)
    true[5:15, 5:15] = predicted[5:15, 9:19] = True
    assert metrics.dice(true, predicted) == pytest.approx(120 / 200)
    assert metrics.iou(true, predicted) == pytest.approx(60 / 140)


@pytest.mark.parametrize("shift", [0, 3, 10, 25, 60])
def test_iou_of_shifted_discs_follows_the_lens_formula(shift):
    """Two discs of radius 20 share the area of a lens, and Dice = 2 IoU / (1 + IoU)."""
    true, predicted = disc((64, 30), 20), disc((64, 30 + shift), 20)
    half = min(shift / 40, 1.0)
    lens = 2 * 20**2 * (np.arccos(half) - half * np.sqrt(1 - half**2))
    expected = lens / (2 * np.pi * 20**2 - lens)
    overlap = metrics.iou(true, predicted)
    assert overlap == pytest.approx(expected, abs=0.01)
    assert metrics.dice(true, predicted) == pytest.approx(2 * overlap / (1 + overlap))


@pytest.mark.parametrize("score", [metrics.dice, metrics.iou])
def test_empty_masks(score):
    """Two empty masks give NaN; one empty mask gives 0."""
    empty, full = np.zeros((8, 8), dtype=bool), np.ones((8, 8), dtype=bool)
    assert np.isnan(score(empty, empty))
    assert score(empty, full) == score(full, empty) == 0.0
    assert score(full, full) == 1.0


def test_arrays_that_do_not_fit_are_refused():
    """Different shapes, class masks instead of boolean ones and the 0/127/255 coding raise ValueError."""
    mask = fibre()
    with pytest.raises(ValueError, match="one shape"):
        metrics.dice(mask[1:] == 2, mask == 2)
    with pytest.raises(ValueError, match="Boolean"):
        metrics.iou(mask, mask)
    with pytest.raises(ValueError, match="0, 1 and 2 only"):
        metrics.class_scores(mask, mask * 127)
    with pytest.raises(ValueError, match="one shape"):
        metrics.class_swap(mask, mask[:, 1:])


# --- Classes and instances ------------------------------------------------------------------------------


def test_class_scores_of_a_fibre_that_lost_its_sheath():
    """The axon is perfect, the myelin is missed, and no myelin objects are counted."""
    true = fibre()
    myelin, axon = metrics.class_scores(true, np.where(true == 2, true, 0))
    counts = {"n_true": 1, "n_predicted": 1, "n_merged": 0}
    assert axon == {"class": "axon", "dice": 1.0, "iou": 1.0, **counts, "f1_50": 1.0}
    assert (myelin["class"], myelin["dice"], myelin["iou"]) == ("myelin", 0.0, 0.0)
    assert all(np.isnan(myelin[column]) for column in ("n_true", "n_predicted", "n_merged", "f1_50"))


def test_class_scores_of_background_are_nan_with_no_objects():
    """A pair of empty masks has NaN scores and zero axons."""
    empty = np.zeros((16, 16), dtype=np.uint8)
    _, axon = metrics.class_scores(empty, empty)
    assert np.isnan([axon["dice"], axon["iou"], axon["f1_50"]]).all()
    assert axon["n_true"] == axon["n_predicted"] == 0


def test_merged_axons_lie_by_more_than_half_in_one_predicted_axon():
    """Axons 1 and 2 are merged; 3 lies by half only in the same object, 4 is alone in its own, 5 is missed."""
    true = np.array([[1, 1, 1, 0, 2, 2, 2, 3, 3, 0, 4, 4, 0, 5]])
    predicted = np.array([[0, 7, 7, 7, 7, 7, 7, 7, 0, 0, 8, 8, 0, 0]])
    assert metrics.merged_axons(true, predicted) == 2
    assert metrics.merged_axons(true, true) == metrics.merged_axons(true, 0 * true) == 0
    with pytest.raises(ValueError, match="one shape"):
        metrics.merged_axons(true, predicted[:, 1:])


def test_axon_instances_keep_chains_of_corners_and_drop_specks():
    """Eight diagonal pixels are one axon, seven are a speck, and myelin is not an axon."""
    mask = np.zeros((30, 30), dtype=np.uint8)
    mask[np.arange(8), np.arange(8)] = 2
    mask[np.arange(7) + 15, np.arange(7)] = 2
    mask[20:, 20:] = 1
    labels = metrics.axon_instances(mask)
    assert np.count_nonzero(np.unique(labels)) == 1
    assert np.array_equal(labels > 0, (mask == 2) & (np.arange(30) < 8)[:, None])
    assert np.count_nonzero(np.unique(metrics.axon_instances(mask, min_px=7))) == 2


def test_a_hit_needs_the_threshold():
    """Squares that overlap by 2/3 (8 of 12 columns) are a hit up to that IoU and a miss above it."""
    true, predicted = np.zeros((2, 10, 20), dtype=int)
    true[:, 0:10], predicted[:, 2:12] = 1, 7
    assert metrics.instance_f1(true, predicted, threshold=8 / 12) == (1.0, 1.0, 1.0, 1, 0, 0)
    assert metrics.instance_f1(true, predicted, threshold=0.67) == (0.0, 0.0, 0.0, 0, 1, 1)
    with pytest.raises(ValueError, match="threshold"):
        metrics.instance_f1(true, predicted, threshold=0.0)


def test_a_split_object_is_one_hit_at_most():
    """Two exact halves both reach IoU 0.5, but a true object is matched only once."""
    true = np.ones((4, 4), dtype=int)
    halves = np.repeat([[1, 1, 2, 2]], 4, axis=0)
    match = metrics.instance_f1(true, halves)
    assert (match.tp, match.fp, match.fn) == (1, 1, 0)
    assert (match.f1, match.precision, match.recall) == pytest.approx((2 / 3, 1 / 2, 1))


def test_no_object_at_all_is_nan_and_one_sided_objects_are_zero():
    """Without any object the ratios are NaN; if all objects are missed or invented they are 0."""
    empty, one = np.zeros((5, 5), dtype=int), np.eye(5, dtype=int)
    assert np.isnan(metrics.instance_f1(empty, empty)[:3]).all()
    assert metrics.instance_f1(empty, one) == (0.0, 0.0, 0.0, 0, 1, 0)
    assert metrics.instance_f1(one, empty) == (0.0, 0.0, 0.0, 0, 0, 1)


@pytest.mark.parametrize("threshold", [0.05, 0.1, 0.15])
def test_hits_equal_the_dense_optimal_assignment(threshold):
    """At low thresholds, where matches compete, the number of hits equals that of the Hungarian method."""
    random = np.random.default_rng(1)
    true, predicted = (np.kron(random.integers(0, 9, (8, 8)), np.ones((2, 2), int)) for _ in range(2))
    predicted = np.where(random.random(true.shape) < 0.4, true, predicted)
    table = [
        [metrics.iou(true == t, predicted == p) for p in range(1, predicted.max() + 1)]
        for t in range(1, true.max() + 1)
    ]
    good = np.array(table) >= threshold
    assert good.sum() > good.any(axis=1).sum(), "the objects should compete"
    assert (
        metrics.instance_f1(true, predicted, threshold=threshold).tp
        == good[linear_sum_assignment(good, maximize=True)].sum()
    )


def test_a_thousand_instances_are_matched():
    """1024 squares, every fourth missing from the prediction: F1 = 2 x 768 / (1024 + 768)."""
    numbers = np.arange(1, 1025).reshape(32, 32)
    square = np.pad(np.ones((20, 20), dtype=int), 6)
    true = np.kron(numbers, square)
    predicted = np.kron(np.where(numbers % 4, 2000 - numbers, 0), square)
    match = metrics.instance_f1(true, predicted)
    assert (match.tp, match.fp, match.fn) == (768, 0, 256)
    assert match.f1 == pytest.approx(2 * 768 / (1024 + 768))


# --- Round trip -----------------------------------------------------------------------------------------


def test_round_trip_of_an_identical_image():
    """Identity is SSIM 1, PSNR infinite and L1 0."""
    image = tissue()
    assert metrics.ssim(image, image) == pytest.approx(1)
    assert metrics.psnr(image, image) == np.inf
    assert metrics.l1(image, image) == 0


def test_round_trip_of_constant_images_has_closed_forms():
    """Grey 0.4 against 0.5: L1 is 0.1, PSNR is 20 dB, and SSIM reduces to its luminance term."""
    dark, bright = np.full((32, 32), 0.4), np.full((32, 32), 0.5)
    assert metrics.l1(dark, bright) == pytest.approx(0.1)
    assert metrics.psnr(dark, bright) == pytest.approx(20)
    assert metrics.ssim(dark, bright) == pytest.approx((2 * 0.4 * 0.5 + 1e-4) / (0.4**2 + 0.5**2 + 1e-4))


def test_an_inverted_round_trip_has_negative_structure():
    """SSIM is negative when light and dark are exchanged and the mean stays."""
    chequered = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((4, 4)))
    assert metrics.ssim(chequered, 1 - chequered) < -0.9


# --- Offset ---------------------------------------------------------------------------------------------

REMAPPINGS = {
    "same": lambda image: image,
    "inverted": lambda image: 1 - image,
    "gamma": lambda image: np.clip(image, 0, 1) ** 0.5,
    "inverted, gamma, noise": lambda image: (
        np.clip(1 - image, 0, 1) ** 1.5 + np.random.default_rng(2).normal(0, 0.05, image.shape)
    ),
}


@pytest.mark.parametrize("remap", REMAPPINGS.values(), ids=REMAPPINGS)
@pytest.mark.parametrize("shift", [(0, 0), (0.5, 0), (2, 0), (-3, 1.5)])
def test_offset_is_the_shift_under_any_contrast(shift, remap):
    """A known shift is recovered to 0.1 px, and no shift to 0.05 px."""
    source = tissue()
    translated = remap(ndimage.shift(source, shift, mode="reflect"))
    down, right = metrics.offset_vector(source, translated)
    tolerance = 0.1 if any(shift) else 0.05
    assert (down, right) == pytest.approx(shift, abs=tolerance)
    assert metrics.offset_px(source, translated) == pytest.approx(np.hypot(*shift), abs=tolerance)


@pytest.mark.parametrize("seed", range(3))
def test_offset_survives_lost_detail(seed):
    """A shift is recovered to 0.1 px after a Gaussian blur of 3 px."""
    source = tissue(seed, size=256)
    translated = ndimage.gaussian_filter(ndimage.shift(source, (3, 0), mode="reflect"), 3)
    assert metrics.offset_px(source, translated) == pytest.approx(3, abs=0.1)


def test_offset_of_an_image_without_edges_is_nan():
    """A blank translation has no position, so its offset is not 0."""
    assert np.isnan(metrics.offset_px(tissue(), np.full((SIZE, SIZE), 0.5, np.float32)))


# --- Seam -----------------------------------------------------------------------------------------------


def smooth_noise(size: int = 512) -> np.ndarray:
    """Return a stationary random image without tile borders."""
    return ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(size, size)), 3, mode="wrap")


def test_a_seamless_image_has_seam_one():
    """Arbitrary borders are no steeper than the rest: 1 ± 5 %."""
    borders = range(0, 512, 32)
    assert metrics.seam(smooth_noise(), rows=borders, columns=borders) == pytest.approx(1, abs=0.05)


def test_a_jump_at_the_borders_is_detected_only_there():
    """Tiles of alternating brightness have a seam well above 1 at their borders, and none one row away."""
    image = smooth_noise()
    image[np.arange(512) // 64 % 2 == 1] += 4 * np.abs(np.diff(image, axis=0)).mean()
    assert metrics.seam(image, rows=range(64, 512, 64)) > 3
    assert metrics.seam(image, rows=range(65, 512, 64)) < 1.1
    assert metrics.seam(image, columns=range(64, 512, 64)) == pytest.approx(1, abs=0.1)


def test_seam_compares_along_one_direction():
    """Vertical stripes are steep across columns only, so they neither hide nor imitate a seam between rows."""
    stripes = np.tile([0.0, 1.0], (8, 4)) + 0.01 * np.arange(8)[:, None]
    assert metrics.seam(stripes, rows=[4]) == pytest.approx(1)
    stripes[4:] += 0.04
    assert metrics.seam(stripes, rows=[4]) == pytest.approx(5)


def test_seam_without_a_border_is_nan_and_one_outside_is_refused():
    """The edges of the image are not tile borders."""
    assert np.isnan(metrics.seam(smooth_noise(64), rows=[0, 64]))
    with pytest.raises(ValueError, match="lies outside"):
        metrics.seam(smooth_noise(64), columns=[65])


# --- Swapped classes and anatomy ------------------------------------------------------------------------


def test_class_swap_of_the_same_mask_is_zero():
    """Equal masks have no changed pixel."""
    assert metrics.class_swap(fibre(), fibre()) == (0, 0, 0)


def test_class_swap_distinguishes_exchanged_classes_from_lost_ones():
    """Exchanging axon and myelin changes the whole foreground; a lost sheath becomes background."""
    mask = fibre()
    exchanged = np.array([0, 2, 1], dtype=np.uint8)[mask]
    bare = np.where(mask == 2, mask, 0)
    foreground, myelin = np.mean(mask > 0), np.mean(mask == 1)
    assert metrics.class_swap(mask, exchanged) == pytest.approx((foreground, foreground, 0))
    assert metrics.class_swap(mask, bare) == pytest.approx((myelin, 0, myelin))


def test_enclosure_is_one_in_a_sheath_zero_without_and_half_in_half_a_sheath():
    """A ring of 3 px lies in a sheath of 6 px, in the background, or half in each."""
    whole = fibre()
    bare = np.where(whole == 2, whole, 0)
    half = np.where(np.arange(SIZE) < SIZE // 2, whole, bare)
    assert [metrics.enclosure(mask) for mask in (whole, bare, half)] == [1.0, 0.0, 0.5]


def test_enclosure_depends_on_the_width_of_the_ring():
    """A stripe with 2 px of myelin on either side fills a ring of 2 px, half of 4 px and a third of 6 px."""
    across = np.abs(np.arange(-20, 21))
    stripe = np.tile(np.select([across < 5, across < 7], [2, 1], 0).astype(np.uint8), (10, 1))
    shares = [metrics.enclosure(stripe, ring_px=ring_px) for ring_px in (2, 4, 6)]
    assert shares == pytest.approx([1, 1 / 2, 1 / 3])


def test_enclosure_without_an_axon_is_nan():
    """Without an axon, or without room for a ring, enclosure is NaN."""
    assert np.isnan(metrics.enclosure(np.ones((9, 9), dtype=np.uint8)))
    assert np.isnan(metrics.enclosure(np.full((9, 9), 2, dtype=np.uint8)))
