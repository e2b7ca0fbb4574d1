"""Each claim holds, is refuted or stays undecided on constructed rows, as its rule states."""

import itertools

import numpy as np
import pandas as pd
import pytest

from histobridge_study.analysis.claims import (
    FAR,
    MODERATE,
    NEAR,
    PAIRS,
    adaptation_can_be_best,
    adaptation_is_not_behind,
    claims,
    pretrained_fails,
    quality_falls_with_distance,
    reconstruction_follows_dice,
    refined_nears_the_reference,
    syndiff_earns_its_place,
    trivial_control_suffices,
    tutorship_is_best,
    tutorship_is_not_behind,
)
from histobridge_study.analysis.tables import CLASSES, DICE_COLUMNS, image_values
from histobridge_study.analysis.verdicts import DESCRIPTIVE, HOLDS, REFUTED, UNDECIDED

METHODS = {"tutor": ("tutorship", "syndiff"), "adapt": ("adaptation", "syndiff"), "pre": ("pretrained", "none")}
METHODS |= {"invert": ("adaptation", "invert"), "cycle": ("adaptation", "cycle"), "fair": ("reference", "none")}
METHODS |= {
    "refined": ("refined", "syndiff"),
    "plain": ("refined", "invert-histogram"),
    "plain+": ("refined", "histogram"),
    "many": ("many-sources", "histogram"),
}
METHODS |= {f"by {name}": ("tutorship", name) for name in ("cycle", "cyclegan", "cut")}
NOISE = np.array([0.06, -0.05, 0.04, -0.06, 0.05, -0.03])  # added to six subjects: a lead that is not significant
SMALL = np.array([0.01, 0.03, 0.01, 0.03, 0.01, 0.03])  # a lead of about 0.02


def rows(pair: str, dice: dict[str, object], classes=CLASSES, folds=(0, 1)) -> pd.DataFrame:
    """Return rows of six images of six subjects in two folds: one Dice, or one for each image, of each method."""
    found = [
        {"pair": pair, "strategy": METHODS[method][0], "translator": METHODS[method][1], "class": c, "fold": fold}
        | {"image": f"image{i}", "subject": f"subject{i}", "dice": value}
        for method, values in dice.items()
        for c, fold in itertools.product(classes, folds)
        for i, value in enumerate(np.broadcast_to(values, 6))
    ]
    table = pd.DataFrame(found).assign(protocol="transductive", split="development")
    return table.reindex(columns=DICE_COLUMNS)


def values(*parts) -> pd.DataFrame:
    """Return the image values of parts (pair, Dice by method, and optionally classes)."""
    return image_values(pd.concat([rows(*part) for part in parts]))


@pytest.mark.parametrize(
    ("axon", "myelin", "verdict"),
    [
        ({"tutor": 0.7, "adapt": 0.6, "pre": 0.2}, {"tutor": 0.7, "adapt": 0.6, "pre": 0.2}, HOLDS),
        ({"tutor": 0.7, "adapt": 0.6, "pre": 0.2}, {"tutor": 0.6, "adapt": 0.7, "pre": 0.2}, REFUTED),
        ({"tutor": 0.7, "adapt": 0.6, "pre": 0.8}, {"tutor": 0.7, "adapt": 0.6, "pre": 0.2}, REFUTED),
        ({"tutor": 0.7, "adapt": 0.6, "pre": 0.2}, {"tutor": 0.7, "adapt": 0.7 + NOISE, "pre": 0.2}, UNDECIDED),
        ({"tutor": 0.7, "adapt": 0.6, "pre": 0.2}, {"tutor": 0.7, "adapt": 0.6}, UNDECIDED),
        ({"tutor": 0.6, "adapt": 0.7}, {"tutor": 0.6, "adapt": 0.7}, REFUTED),  # the missing row cannot change this
    ],
)
def test_tutorship_is_best_in_both_classes_over_both_rivals(axon, myelin, verdict):
    """One lost comparison refutes the claim; an open or missing one leaves it undecided."""
    found = tutorship_is_best(values(("p", axon, ["axon"]), ("p", myelin, ["myelin"])), "p")
    assert found.verdict == verdict


BEST = {"adapt": 0.7, "tutor": 0.6, "pre": 0.2}
WORSE = {"adapt": 0.6, "tutor": 0.7, "pre": 0.2}
WORSE_THAN_PRETRAINED = {"adapt": 0.6, "tutor": 0.5, "pre": 0.7}
LEVEL = {"adapt": 0.7, "tutor": 0.7 + NOISE, "pre": 0.2}


@pytest.mark.parametrize(
    ("axon", "myelin", "verdict"),
    [
        (BEST, BEST, HOLDS),
        (BEST, WORSE, HOLDS),
        (LEVEL, BEST, HOLDS),
        (WORSE, WORSE, REFUTED),
        (WORSE, WORSE_THAN_PRETRAINED, REFUTED),
        (WORSE, LEVEL, UNDECIDED),
        (LEVEL, LEVEL, UNDECIDED),
        (WORSE, {"adapt": 0.7, "tutor": 0.6}, UNDECIDED),
    ],
)
def test_adaptation_can_be_best_in_one_class(axon, myelin, verdict):
    """A win in one class is enough for the claim; it is refuted by a defeat in each."""
    found = adaptation_can_be_best(values(("p", axon, ["axon"]), ("p", myelin, ["myelin"])), "p")
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("axon", "myelin", "verdict"),
    [
        (0.2, 0.49, HOLDS),
        (0.2, 0.51, REFUTED),
        (0.6, 0.7, REFUTED),
        (0.2, 0.5 + NOISE, UNDECIDED),
        (0.2, np.nan, UNDECIDED),
    ],
)
def test_the_pretrained_model_fails_below_a_half(axon, myelin, verdict):
    """Both classes must fail; one that works refutes the claim."""
    found = pretrained_fails(values(("p", {"pre": axon}, ["axon"]), ("p", {"pre": myelin}, ["myelin"])), "p")
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("near", "moderate", "far", "verdict"),
    [
        (0.8, 0.7, 0.6, HOLDS),
        (0.6, 0.7, 0.5, REFUTED),
        (0.8, 0.6, 0.7, REFUTED),
        (0.8, 0.7, 0.7 + NOISE, UNDECIDED),
    ],
)
def test_quality_falls_from_pair_to_pair(near, moderate, far, verdict):
    """Both steps must go down; a step up refutes. Only the better of SynDiff's strategies counts."""
    parts = [
        (pair, {"tutor": dice, "adapt": 0.1, "fair": 0.9, "cycle": 0.9, "pre": 0.9})
        for pair, dice in zip(PAIRS, (near, moderate, far), strict=True)
    ]
    assert quality_falls_with_distance(values(*parts)).verdict == verdict


def test_a_missing_pair_leaves_the_order_open_unless_the_others_contradict():
    """With two of three pairs the claim is undecided if they fall and refuted if they rise."""
    for far, verdict in ((0.6, UNDECIDED), (0.8, REFUTED)):
        found = quality_falls_with_distance(values((MODERATE, {"tutor": 0.7}), (FAR, {"tutor": far})))
        assert found.verdict == verdict
    assert NEAR in found.claim


def round_trips(pair: str, **ssim: float) -> pd.DataFrame:
    """Return rows of translation.csv: two images, both directions, one SSIM; PSNR rises and L1 falls with it."""
    found = [
        {"pair": pair, "translator": translator, "direction": d, "image": i, "ssim": s, "psnr": 40 * s, "l1": 1 - s}
        for translator, s in ssim.items()
        for d in ("L->U", "U->L")
        for i in "ab"
    ]
    return pd.DataFrame(found).assign(protocol="transductive", split="development", fold="pair")


@pytest.mark.parametrize(
    ("ssim", "verdict"),
    [
        (lambda dice: dice, HOLDS),
        (lambda dice: 1 - dice, REFUTED),
        (lambda dice: (7 * dice * 10) % 4 / 4, UNDECIDED),
    ],
)
def test_reconstruction_follows_dice_if_ranks_agree(ssim, verdict):
    """Nine cells in the same order hold, in the opposite order refute, in a mixed order stay undecided."""
    dice = np.arange(1, 10).reshape(3, 3) / 10
    found = values(
        *((p, dict(zip(("pre", "invert", "cycle"), d, strict=True))) for p, d in zip(PAIRS, dice, strict=True))
    )
    trips = [
        round_trips(p, **dict(zip(("none", "invert", "cycle"), map(ssim, d), strict=True)))
        for p, d in zip(PAIRS, dice, strict=True)
    ]
    assert reconstruction_follows_dice(found, pd.concat(trips)).verdict == verdict


def test_a_rank_correlation_needs_cells():
    """Five cells are too few and six are enough; a reference is not a cell."""
    methods = {"pre": 0.1, "invert": 0.2, "cycle": 0.3, "fair": 0.9}
    trips = [round_trips(pair, none=0.1, invert=0.2, cycle=0.3) for pair in PAIRS[:2]]
    found, both = values(*((pair, methods) for pair in PAIRS[:2])), pd.concat(trips)
    assert reconstruction_follows_dice(found, both).verdict == HOLDS
    five = reconstruction_follows_dice(found, both[~((both["pair"] == NEAR) & (both["translator"] == "none"))])
    assert five.verdict == UNDECIDED
    assert five.why.startswith("5 cells")


@pytest.mark.parametrize(
    ("tutor", "invert", "pre", "verdict"),
    [
        (0.7, 0.7, 0.2, HOLDS),
        (0.71, 0.7, 0.2, HOLDS),  # significantly ahead, but by a negligible amount
        (0.6, 0.7, 0.2, HOLDS),
        (0.7, 0.3, 0.8, HOLDS),  # the pre-trained model is a control too
        (0.73, 0.7, 0.2, REFUTED),
        (0.7 + SMALL, 0.7, 0.2, UNDECIDED),  # significantly ahead, but perhaps by a negligible amount
        (0.7 + NOISE, 0.7, 0.2, UNDECIDED),
        (0.7, np.nan, np.nan, UNDECIDED),
    ],
)
def test_a_trivial_control_equals_unless_syndiff_is_ahead_by_more_than_is_negligible(tutor, invert, pre, verdict):
    """SynDiff's best is compared with the best control; `cycle`, which is learned, and references are not controls."""
    methods = {"tutor": tutor, "adapt": 0.1, "invert": invert, "pre": pre, "cycle": 0.95, "fair": 0.95}
    assert trivial_control_suffices(values(("p", methods)), "p").verdict == verdict


def test_one_class_ahead_refutes_a_control():
    """The claim is refuted if SynDiff is ahead in one class only."""
    equal, ahead = {"tutor": 0.7, "invert": 0.7}, {"tutor": 0.7, "invert": 0.5}
    found = trivial_control_suffices(values(("p", equal, ["axon"]), ("p", ahead, ["myelin"])), "p")
    assert found.verdict == REFUTED
    assert found.why == "against it: myelin: tutorship syndiff less adaptation invert"


NEAR_ENOUGH, TOO_FAR = 0.95 * 0.8 + 0.01, 0.95 * 0.8 - 0.01


@pytest.mark.parametrize(
    ("axon", "myelin", "verdict"),
    [
        ({"refined": NEAR_ENOUGH, "fair": 0.8}, {"refined": 0.9, "fair": 0.8}, HOLDS),
        ({"refined": NEAR_ENOUGH, "fair": 0.8}, {"refined": TOO_FAR, "fair": 0.8}, REFUTED),
        ({"refined": NEAR_ENOUGH, "fair": 0.8}, {"refined": 0.95 * 0.8 + NOISE, "fair": 0.8}, UNDECIDED),
        ({"refined": NEAR_ENOUGH, "fair": 0.8}, {"refined": 0.9}, UNDECIDED),
        ({"refined": TOO_FAR, "fair": 0.8}, {"fair": 0.8}, REFUTED),  # the missing row cannot change this
        ({"tutor": 0.9, "fair": 0.8}, {"tutor": 0.9, "fair": 0.8}, UNDECIDED),
        ({"refined": TOO_FAR, "plain": 0.8, "fair": 0.8}, {"refined": TOO_FAR, "plain": 0.8, "fair": 0.8}, HOLDS),
        ({"many": TOO_FAR, "plain": 0.8, "fair": 0.8}, {"many": 0.8, "plain": 0.8, "fair": 0.8}, REFUTED),
    ],
)
def test_refined_is_near_at_a_share_of_the_fair_reference_in_both_classes(axon, myelin, verdict):
    """A class below 0.95 of it refutes; many sources count or, without any, the better of with and without SynDiff."""
    found = refined_nears_the_reference(values(("p", axon, ["axon"]), ("p", myelin, ["myelin"])), "p")
    assert found.verdict == verdict


def test_refined_and_the_reference_are_compared_on_the_images_of_both():
    """An image that the reference has not scored is left out."""
    found = values(("p", {"refined": [0.1, *[0.8] * 5], "fair": [np.nan, *[0.8] * 5]}))
    near = refined_nears_the_reference(found, "p")
    assert near.verdict == HOLDS
    assert near.evidence.startswith("axon: refined syndiff 0.800 less 0.95 of reference 0.800 = +0.040 ")
    assert "(5 subjects)" in near.evidence


@pytest.mark.parametrize(
    ("syndiff", "invert", "verdict"),
    [
        (0.75, 0.7, HOLDS),
        (0.7, 0.7, HOLDS),
        (0.7 + SMALL - 0.02, 0.7, HOLDS),
        (0.69, 0.7, REFUTED),
        (0.7 + NOISE, 0.7, UNDECIDED),  # it may be behind by more than matters
        (0.7, np.nan, UNDECIDED),
    ],
)
def test_not_behind_is_level_or_ahead(syndiff, invert, verdict):
    """An interval that lies below 0 refutes; to hold, it may not reach below a difference that matters."""
    found = adaptation_is_not_behind(values(("p", {"adapt": syndiff, "invert": invert})), "p")
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("rivals", "verdict"),
    [
        ({"by cycle": 0.7, "by cyclegan": 0.6, "by cut": 0.5}, HOLDS),
        ({"by cycle": 0.7, "by cyclegan": 0.75, "by cut": 0.5}, REFUTED),
        ({"by cycle": 0.7}, UNDECIDED),  # the others have not run
    ],
)
def test_the_tutorship_of_syndiff_has_three_learned_rivals(rivals, verdict):
    """Its own cycle generators, CycleGAN and CUT; one that teaches better refutes the claim."""
    assert tutorship_is_not_behind(values(("p", {"tutor": 0.7} | rivals)), "p").verdict == verdict


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ((0.005, 0.005, -0.1), HOLDS),  # two of three are enough, and just as much is asked for
        ((0.0049, 0.005, 0.0), REFUTED),
        ((0.01, 0.01, None), HOLDS),  # the third pair cannot change it
        ((0.01, None, 0.0), UNDECIDED),
        ((0.0, 0.0, None), REFUTED),
        ((None, None, None), UNDECIDED),
    ],
)
def test_syndiff_earns_its_place_on_two_of_three_pairs(gains, verdict):
    """The gain is the mean of both classes; the control of matched greys is that of the polarity of the pair."""
    parts = [
        (pair, {"refined": 0.7 + gain, control: 0.7})
        for pair, gain, control in zip(PAIRS, gains, ("plain+", "plain", "plain+"), strict=True)
        if gain is not None
    ]
    found = values(*parts) if parts else values((NEAR, {"tutor": 0.7}))
    assert syndiff_earns_its_place(found).verdict == verdict


def test_the_rule_averages_classes_and_counts_subjects_equally():
    """+0.02 axon and -0.01 myelin gain 0.005; a subject with a hundred images weighs no more than one with one."""
    pairs = [(pair, {"refined": 0.72, "plain": 0.7}, ["axon"]) for pair in PAIRS]
    pairs += [(pair, {"refined": 0.69, "plain": 0.7}, ["myelin"]) for pair in PAIRS]
    assert syndiff_earns_its_place(values(*pairs)).verdict == HOLDS
    lopsided = [(pair, {"refined": [0.69, 0.69, 0.69, 0.72, 0.72, 0.72], "plain": 0.7}) for pair in PAIRS]
    found = values(*lopsided)
    assert syndiff_earns_its_place(found).verdict == HOLDS
    crowded = found.assign(subject=found["subject"].replace({f"subject{n}": "subject3" for n in (4, 5)}))
    assert syndiff_earns_its_place(crowded).verdict == REFUTED  # three subjects lose, one gains


@pytest.mark.parametrize("pre", [0.1, 0.9])
def test_below_five_subjects_there_is_no_verdict(pre):
    """Whatever the numbers, they are descriptive, and the evidence shows their range."""
    few = values(("p", {"tutor": [0.7, 0.8, 0.9, *[np.nan] * 3], "adapt": 0.6, "pre": pre, "invert": 0.2}))
    for found in (tutorship_is_best(few, "p"), trivial_control_suffices(few, "p")):
        assert found.verdict == DESCRIPTIVE
        assert found.why.startswith("too few subjects for: ")
    assert "= +0.200 (3 subjects, +0.100 to +0.300)" in tutorship_is_best(few, "p").evidence
    assert pretrained_fails(few.dropna(), "p").verdict != DESCRIPTIVE  # the pre-trained model has scored all six


def test_a_pair_with_few_subjects_leaves_the_order_descriptive():
    """Three subjects of one pair are too few; the other pairs may contradict the claim all the same."""
    few = {"tutor": [0.5, 0.5, 0.5, *[np.nan] * 3]}
    assert quality_falls_with_distance(
        values((NEAR, {"tutor": 0.8}), (MODERATE, {"tutor": 0.7}), (FAR, few))
    ).verdict == (DESCRIPTIVE)
    assert quality_falls_with_distance(
        values((NEAR, {"tutor": 0.6}), (MODERATE, {"tutor": 0.7}), (FAR, few))
    ).verdict == (REFUTED)


def test_evidence_is_composed_from_the_rows():
    """The evidence shows the means of the rows and the number of subjects."""
    for tutor, adapt, text in (
        (0.7, 0.6, "0.700 less {} 0.600 = +0.100"),
        (0.31, 0.42, "0.310 less {} 0.420 = -0.110"),
    ):
        found = tutorship_is_best(values(("p", {"tutor": tutor, "adapt": adapt, "pre": 0.1})), "p")
        expected = "axon: tutorship syndiff " + text.format("adaptation syndiff")
        assert found.evidence.startswith(expected)
        assert "(6 subjects)" in found.evidence


def test_the_reason_names_what_decided():
    """The reason lists the comparisons that are open or missing."""
    level = tutorship_is_best(values(("p", {"tutor": 0.7, "adapt": 0.7 + NOISE, "pre": 0.2})), "p")
    leads = [f"{c}: tutorship syndiff less adaptation syndiff" for c in CLASSES]
    assert level.why == "left open by: " + ", ".join(leads)
    lacking = tutorship_is_best(values(("p", {"tutor": 0.7, "adapt": 0.6})), "p")
    assert lacking.why == "rows are missing of: " + ", ".join(
        lead.replace("adaptation syndiff", "pretrained") for lead in leads
    )
    assert tutorship_is_best(values(("p", {"tutor": 0.7, "adapt": 0.6, "pre": 0.2})), "p").why == "for it: all"


def test_without_rows_every_claim_is_undecided():
    """Empty tables give undecided claims without evidence."""
    found = claims(rows("p", {"pre": 0.1})[:0], round_trips("p", none=1.0)[:0])
    assert set(found["verdict"]) == {UNDECIDED}
    assert set(found["evidence"]) == {"–"}


def test_each_claim_is_tested_on_its_pair():
    """Each verdict follows from the rows of the pair that the claim names."""
    good = {"tutor": 0.7, "adapt": 0.6, "pre": 0.3, "invert": 0.4}
    parts = [
        rows(NEAR, good | {"tutor": 0.8, "pre": 0.8}),
        rows(MODERATE, good),
        rows(FAR, good | {"tutor": 0.5, "pre": 0.55}),
    ]
    found = claims(pd.concat(parts), round_trips(NEAR, none=1.0))
    assert found["verdict"].tolist() == [
        *(HOLDS, HOLDS),  # tutorship on SEM, adaptation on BF
        *(HOLDS, REFUTED),  # the pre-trained model fails on SEM, not on BF
        *(HOLDS, UNDECIDED),  # 0.8, 0.7, 0.6; a single cell of reconstruction
        *(HOLDS, REFUTED, REFUTED),  # trivial controls
        *(HOLDS, HOLDS, HOLDS),  # adaptation is not behind the negative
        *[UNDECIDED] * 3,  # no other learned translator has run
        *[UNDECIDED] * 4,  # `refined` has not run
    ]


def test_rows_of_refined_and_anatomy_change_no_claim_of_the_paper():
    """They affect only their own claims."""
    methods = {"tutor": 0.7, "adapt": 0.6, "pre": 0.3, "invert": 0.4, "fair": 0.8}
    trips = pd.concat([round_trips(pair, none=0.1, invert=0.2, syndiff=0.3) for pair in PAIRS])
    without = claims(pd.concat([rows(pair, methods) for pair in PAIRS]), trips)
    for dice, verdict in ((0.99, HOLDS), (0.01, REFUTED)):
        found = claims(pd.concat([rows(pair, methods | {"refined": dice}) for pair in PAIRS]), trips)
        pd.testing.assert_frame_equal(found[:-4], without[:-4])
        assert found["verdict"][-4:].tolist() == [*[verdict] * 3, UNDECIDED]
    assert [pair in claim for pair, claim in zip(PAIRS, found["claim"][-4:-1], strict=True)] == [True] * 3


def test_other_protocols_and_splits_stay_out():
    """Rows of another split or protocol do not affect the verdicts."""
    study = rows(MODERATE, {"tutor": 0.7, "adapt": 0.6, "pre": 0.3})
    other = rows(MODERATE, {"tutor": 0.1, "adapt": 0.6, "pre": 0.3})
    trips = round_trips(MODERATE, none=1.0)
    for change in ({"protocol": "inductive"}, {"split": "locked-test"}):
        both = pd.concat([study, other.assign(**change)])
        assert claims(both, trips)["verdict"][0] == HOLDS
        assert claims(both, trips, **change)["verdict"][0] == REFUTED
