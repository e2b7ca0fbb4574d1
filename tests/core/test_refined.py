"""refined.py: which students are trained on what, in which order, and how their labels are combined."""

from types import SimpleNamespace

import numpy as np
import pytest
from test_metrics import disc, fibre

from histobridge import refine
from histobridge.metrics.calibration import uncertainty
from histobridge.segmenter import Segmenter
from histobridge.strategies.refined import (
    BACKGROUND_WEIGHT,
    Labeller,
    Sizes,
    adjusted,
    axon_diameter_px,
    measure_sizes,
    teachers,
)
from histobridge.strategies.tta import LEAST_ZOOM, MOST_ZOOM, SMALL_AXON_ZOOM, View, final_views

SIDE = 96
FIBRE = fibre((47.5, 47.5), axon=15, size=SIDE)
EXAMPLES = [(np.full((SIDE, SIDE), grey, np.float32), FIBRE) for grey in (0.2, 0.4)]
IMAGES = [np.full((SIDE, SIDE), grey, np.float32) for grey in (0.7, 0.8, 0.9)]


class Adds:
    """A translator that adds a grey value."""

    def __init__(self, grey: float, sign: int = 1):
        self.grey, self.sign = grey, sign

    def translate(self, image, to, *, seed=0):
        """Return the image of U."""
        assert to == "U"
        return image + np.float32(self.grey + seed)


class Finds:
    """A segmenter that finds the same mask, or the same probabilities, in every image."""

    def __init__(self, mask: np.ndarray | None = None, *, everywhere: tuple = (), name: str = "one"):
        self.mask, self.everywhere, self.fingerprint = mask, everywhere, f"{name} {everywhere}"

    def probabilities(self, image):
        """Return probabilities [3, H, W], at the size of the image."""
        if self.everywhere:
            return np.broadcast_to(np.array(self.everywhere, np.float32)[:, None, None], (3, *image.shape))
        rows, columns = (np.arange(side) * len(self.mask) // side for side in image.shape)
        return np.eye(3, dtype=np.float32)[self.mask[np.ix_(rows, columns)]].transpose(2, 0, 1)


class Fit:
    """A `fit` that trains nothing: it numbers its students, which find one mask, and notes what it was given."""

    def __init__(self, mask: np.ndarray = FIBRE):
        self.mask, self.calls = mask, []

    def __call__(self, examples, start=None):
        """Return the next student."""
        self.calls.append(SimpleNamespace(examples=examples, start=start))
        return Finds(self.mask, name=f"student {len(self.calls)}")

    @property
    def greys(self) -> list[list[float]]:
        """The grey value of each image of each call."""
        return [[round(float(image[0, 0]), 3) for image, _ in call.examples] for call in self.calls]


def test_students_come_first_and_each_round_continues_from_the_one_before():
    """One student a translator from no start; the first round continues from the first, the next from the round."""
    fit = Fit()
    labeller = refine(EXAMPLES, IMAGES, [Adds(0.0), Adds(0.1)], fit, rounds=2)
    starts = [call.start and call.start.fingerprint for call in fit.calls]
    assert starts == [None, None, "student 1 ()", "student 3 ()"]
    assert [segmenter.fingerprint for segmenter in labeller.segmenters] == ["student 4 ()"]


def test_a_round_learns_from_all_translations_and_from_labelled_images_of_u():
    """Translations of L keep the masks of L; images of U get what the students find in them."""
    fit = Fit(np.roll(FIBRE, 3, axis=0))
    refine(EXAMPLES, IMAGES, [Adds(0.0), Adds(0.1)], fit, rounds=1, augment=False, seed=1)
    of_l = [[1.2, 1.4], [1.3, 1.5]]  # each translated with seed 1
    assert fit.greys == [*of_l, [*of_l[0], *of_l[1], 0.7, 0.8, 0.9]]
    masks = [mask for _, mask in fit.calls[-1].examples]
    assert all(mask is FIBRE for mask in masks[:4])
    assert all(np.array_equal(mask, fit.mask) for mask in masks[4:])


def test_expert_masks_of_u_are_among_the_labels_from_the_start():
    """With them it is a reference: every student and every round learns from them, beside the pseudo labels."""
    fit, expert = Fit(), np.roll(FIBRE, 5, axis=1)
    refine(EXAMPLES, IMAGES[1:], [Adds(0.0)], fit, masked=[(IMAGES[0], expert)], rounds=1, augment=False)
    assert fit.greys == [[0.2, 0.4, 0.7], [0.2, 0.4, 0.7, 0.8, 0.9]]
    assert all(call.examples[2][1] is expert for call in fit.calls)


def test_a_student_without_and_one_with_other_microscopes_vote():
    """Either learns again in its round what its kind has learned; the second starts from the vote of all students."""
    fit, others = Fit(), [(np.full_like(IMAGES[0], 0.3), FIBRE)]
    labeller = refine(EXAMPLES, IMAGES[2:], [Adds(0.0), Adds(0.1)], fit, others=others, rounds=1, augment=False)
    first, second = [0.2, 0.4], [0.3, 0.5]
    alone, further = [*first, *second, 0.9], [*first, *second, 0.3, 0.9]
    assert fit.greys == [first, second, alone, [*first, 0.3], [*second, 0.3], further]
    starts = [call.start and call.start.fingerprint for call in fit.calls]
    assert starts == [None, None, "student 1 ()", None, None, "student 1 ()"]
    assert [segmenter.fingerprint for segmenter in labeller.segmenters] == ["student 3 ()", "student 6 ()"]


def test_without_a_round_every_student_has_one_vote():
    """None counts twice, although both kinds vote."""
    fit, others = Fit(), [(np.full_like(IMAGES[0], 0.3), FIBRE)]
    labeller = refine(EXAMPLES, IMAGES[2:], [Adds(0.0), Adds(0.1)], fit, others=others, rounds=0)
    assert len(labeller.segmenters) == len(set(labeller.segmenters)) == 4


def test_the_size_of_axons_of_l_decides_the_zoom_beside_other_microscopes():
    """Those of other microscopes may be larger or smaller."""
    large = [(image, fibre((48, 48), axon=24, size=SIDE)) for image, _ in EXAMPLES]
    zooms = [refine(EXAMPLES, IMAGES, [Adds(0.0)], Fit(), others=o, rounds=0).views[1].zoom for o in ([], large)]
    assert zooms == [1, 1]


def test_without_unlabelled_images_nothing_is_enlarged():
    """Where every image has a mask there is no pseudo label, and the zoom stays at 1."""
    labeller = refine(EXAMPLES, [], [Adds(0.0)], Fit(), masked=[(IMAGES[0], FIBRE)], rounds=1)
    assert [view.zoom for view in labeller.views] == [1, 1, SMALL_AXON_ZOOM] and labeller.axon_px == 0


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_the_number_of_rounds_is_an_argument(rounds):
    """Without a round, both students label together."""
    fit = Fit()
    labeller = refine(EXAMPLES, IMAGES, [Adds(0.0), Adds(0.1)], fit, rounds=rounds)
    assert len(fit.calls) == 2 + rounds and len(labeller.segmenters) == (1 if rounds else 2)


def test_the_switches_of_the_ablation_take_one_piece_each():
    """One view without augmentation, and the mask of the network without anatomy."""
    switches = ({}, {"augment": False}, {"anatomy": False}, {"background_weight": 1.0})
    found = [refine(EXAMPLES, IMAGES, [Adds(0.0)], Fit(), rounds=1, **off) for off in switches]
    assert [len(labeller.views) for labeller in found] == [3, 1, 3, 3] and found[1].views == (View(),)
    assert [labeller.anatomy for labeller in found] == [True, True, False, True]
    assert [labeller.background_weight for labeller in found] == [BACKGROUND_WEIGHT] * 3 + [1]


def test_self_training_sees_background_as_probable_as_it_is():
    """With half the weight the fibre would have become a pseudo label; in the final label it does."""
    seen = []

    def fit(examples, start=None):
        seen.append(examples)
        return Finds(everywhere=(0.6, 0.4, 0.0))

    labeller = refine(EXAMPLES, IMAGES, [Adds(0.0)], fit, rounds=1, anatomy=False)
    assert not any(mask.any() for _, mask in seen[-1][-len(IMAGES) :]) and (labeller.predict(IMAGES[0]) == 1).all()


@pytest.mark.parametrize(("sign", "matched"), [(1, "histogram"), (-1, "invert-histogram")])
def test_teachers_are_syndiff_and_the_control_of_its_sign(sign, matched):
    """Grey values are matched in the contrast that SynDiff has; a missing control is left out."""
    by_name = {name: Adds(0.0, sign) for name in ("none", "histogram", "invert-histogram", "syndiff")}
    names = {id(translator): name for name, translator in by_name.items()}

    def chosen(**switches):
        return [names[id(translator)] for translator in teachers(by_name, **switches)]

    assert chosen() == ["syndiff", matched]
    assert chosen(syndiff=False) == [matched]
    assert chosen(matched=False) == ["syndiff"]
    del by_name[matched]
    assert chosen() == ["syndiff"]


# --- Zoom -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [8, 10, 12, 20])
def test_the_zoom_makes_axons_of_u_as_large_as_those_of_l(radius):
    """The diameter in the masks of L over that of the disc found in U, within limits."""
    drawn = fibre((48, 48), axon=radius, size=SIDE)
    labeller = refine(EXAMPLES, IMAGES, [Adds(0.0)], Fit(drawn), rounds=0)
    expected = np.clip(axon_diameter_px([FIBRE]) / axon_diameter_px([drawn]), LEAST_ZOOM, MOST_ZOOM)
    assert [view.zoom for view in labeller.views] == pytest.approx([1, expected, SMALL_AXON_ZOOM], abs=0.006)
    assert labeller.axon_px == axon_diameter_px([drawn])


def test_any_labeller_can_be_made_one_for_labels():
    """The zoom is that of the axons it finds to those it has learned from; segmenters and anatomy stay."""
    plain = Labeller((Finds(fibre((48, 48), axon=12, size=SIDE)),), anatomy=False)
    sizes = measure_sizes(plain, EXAMPLES, IMAGES)
    of_u = axon_diameter_px([plain.predict(IMAGES[0])])
    assert sizes == Sizes(round(axon_diameter_px([FIBRE]) / of_u, 2), of_u)
    labeller = adjusted(plain, EXAMPLES, IMAGES)
    assert labeller == Labeller(plain.segmenters, final_views(sizes.zoom), False, BACKGROUND_WEIGHT, of_u)


def test_without_an_axon_nothing_is_enlarged():
    """Students that find only background leave the zoom at 1."""
    labeller = refine(EXAMPLES, IMAGES, [Adds(0.0)], Fit(np.zeros((SIDE, SIDE), np.uint8)), rounds=0)
    assert [view.zoom for view in labeller.views] == [1, 1, SMALL_AXON_ZOOM] and labeller.axon_px == 0


def test_the_diameter_is_that_of_a_circle_of_equal_area():
    """It is the median over the axons of all masks (here squares of 16, 36 and 100 px), and a speck is no axon."""
    masks = np.zeros((2, 40, 40), np.uint8)
    masks[0, 2:6, 2:6] = masks[0, 20:30, 20:30] = masks[1, 2:8, 2:8] = 2
    masks[1, 30, 30:37] = 2
    assert axon_diameter_px(masks) == pytest.approx(2 * np.sqrt(36 / np.pi))
    assert axon_diameter_px([np.where(disc((64, 64), 20), 2, 0).astype(np.uint8)]) == pytest.approx(40, abs=0.2)


def test_no_axon_has_no_diameter():
    """The diameter is NaN, without a warning."""
    assert np.isnan(axon_diameter_px([np.zeros((9, 9), np.uint8), np.ones((9, 9), np.uint8)]))


# --- Labeller ---------------------------------------------------------------------------------------------------------


def test_segmenters_are_averaged():
    """The mean of the probabilities decides where two segmenters disagree."""
    labeller = Labeller((Finds(everywhere=(0.5, 0.5, 0.0)), Finds(everywhere=(0.2, 0.6, 0.2))), anatomy=False)
    image = np.zeros((6, 8), np.float32)
    expected = np.broadcast_to([[[0.35]], [[0.55]], [[0.1]]], (3, 6, 8))
    np.testing.assert_allclose(labeller.probabilities(image), expected, rtol=1e-6)
    mask = labeller.predict(image)
    assert mask.dtype == np.uint8 and (mask == 1).all()


def test_background_has_a_weight():
    """Half of it, and probabilities still sum to 1."""
    labeller = Labeller((Finds(everywhere=(0.6, 0.4, 0.0)),), anatomy=False, background_weight=0.5)
    image = np.zeros((6, 8), np.float32)
    np.testing.assert_allclose(labeller.probabilities(image)[:, 0, 0], [0.3 / 0.7, 0.4 / 0.7, 0], rtol=1e-6)
    assert (labeller.predict(image) == 1).all()


@pytest.mark.parametrize(("background", "unstable"), [(0.1, 0), (0.45, 0.5), (0.55, 0.5), (0.9, 0)])
def test_a_label_is_uncertain_where_another_weight_of_background_changes_it(background, unstable):
    """Half of the uncertainty is the share of the labels with twice and half the weight that show another class."""
    labeller = Labeller((Finds(everywhere=(background, 1 - background, 0.0)),), anatomy=False)
    image = np.zeros((6, 8), np.float32)
    mask, uncertain = labeller.label(image)
    np.testing.assert_array_equal(mask, labeller.predict(image))
    alone = uncertainty(labeller.probabilities(image), mask)
    assert uncertain.dtype == np.float32 and uncertain.shape == (6, 8)
    np.testing.assert_allclose(uncertain, (alone + unstable) / 2, rtol=1e-5)


def test_anatomy_knows_the_size_of_axons():
    """A fibre of a fifth of the usual diameter goes."""
    small = fibre((20, 20), axon=4, size=40)
    image = np.zeros((40, 40), np.float32)
    assert (Labeller((Finds(small),)).predict(image) == 2).any()
    assert not Labeller((Finds(small),), axon_px=40.0).predict(image).any()


def test_anatomy_corrects_the_mask_alone():
    """An axon without a sheath goes, and a pixel that anatomy changed is the most uncertain."""
    bare = np.where(disc((20, 20), 8, size=40), 2, 0).astype(np.uint8)
    image = np.zeros((40, 40), np.float32)
    (tidied, one), (raw, two) = (Labeller((Finds(bare),), anatomy=anatomy).label(image) for anatomy in (True, False))
    assert (tidied == 0).all()
    np.testing.assert_array_equal(raw, bare)
    assert one[bare == 2].min() > 0.45 and two.max() < 0.05


def test_the_fingerprint_depends_on_all_that_decides_a_label():
    """Segmenters, views, anatomy, the weight of background and the size of axons."""
    one, other = Finds(everywhere=(1, 0, 0)), Finds(everywhere=(0, 1, 0))
    labellers = [Labeller((one,)), Labeller((other,)), Labeller((one, other)), Labeller((one,), anatomy=False)]
    labellers.append(Labeller((one,), views=(View(), View(1.2))))
    labellers += [Labeller((one,), background_weight=0.5), Labeller((one,), axon_px=0.5)]
    assert len({labeller.fingerprint for labeller in labellers}) == 7
    assert Labeller((Finds(everywhere=(1, 0, 0)),)).fingerprint == labellers[0].fingerprint


def test_a_saved_labeller_labels_alike(tmp_path, tiny_segmenter, drawn):
    """Everything that decides a label comes back from a folder and a plain dictionary."""
    segmenters = tuple(Segmenter(tiny_segmenter, seed=seed) for seed in (0, 1))
    labeller = Labeller(segmenters, (View(), View(1.2, 1, True)), False, 0.5, 12.25)
    loaded = Labeller.load(tmp_path, labeller.save(tmp_path))
    assert loaded.fingerprint == labeller.fingerprint
    image = drawn["sem"][0][0]
    np.testing.assert_array_equal(loaded.predict(image), labeller.predict(image))
