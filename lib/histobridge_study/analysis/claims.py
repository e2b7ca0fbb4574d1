"""The claims of the published study (arXiv 2412.02858), and some of our own, tested on the rows of our runs.

Each claim is a function whose docstring states the rule. Subjects are the units, and most verdicts rest on 95 %
bootstrap intervals over subjects of differences in Dice between two methods on the same images (`statistics.py`; with
few subjects they are an indication, not a proof). An interval supports a claim, contradicts it, or leaves it open;
below five subjects there is no interval and no verdict: the numbers are descriptive. Where rows are missing a claim may
still be refuted; to hold, it needs all rows that its rule names.

"Best" of several methods is the highest mean over the subjects on which the claim is then tested, on both sides. The
set that the published study calls TEM-MACAQUE has no public location; `tem-pns` replaces it.
"""

from __future__ import annotations

from itertools import pairwise

import pandas as pd

from histobridge.config import MANY_SOURCES, REFINED
from histobridge_study.analysis.comparisons import best_method
from histobridge_study.analysis.evidence import (
    drop_between,
    family_of,
    gain_of_syndiff,
    lead_over,
    lead_over_best_control,
    mean_of,
    of_pair,
)
from histobridge_study.analysis.methods import (
    ADAPTATION,
    FAIR_REFERENCE,
    NEGATIVE_OR_MATCHED,
    OTHER_LEARNED,
    PLAIN_STRATEGIES,
    PRETRAINED,
    PUBLISHED_STRATEGIES,
    TUTORSHIP,
    WITH_SYNDIFF,
)
from histobridge_study.analysis.statistics import Interval, rank_correlation
from histobridge_study.analysis.tables import CLASSES, image_values
from histobridge_study.analysis.verdicts import (
    HOLDS,
    REFUTED,
    UNDECIDED,
    Claim,
    Evidence,
    above_zero,
    all_must_support,
    decided,
    evidence_text,
    outcome,
    strongest,
    weakest,
)

PAIRS = ("tem-pns", "tem-sem", "tem-bf")  # by growing distance of the target from TEM
NEAR, MODERATE, FAR = PAIRS
FAILURE = 0.5  # Dice below which there are more than two wrong pixels for each right one
NEAR_REFERENCE = 0.95  # share of the Dice of the fair reference that `refined` is to reach
NEGLIGIBLE = 0.02  # difference in Dice that does not matter to an annotator who corrects the labels
WORTHWHILE = 0.005  # gain in the mean Dice of both classes for which SynDiff stays in the default recipe
ENOUGH_PAIRS = 2  # of three, on which it must gain that
MIN_CELLS = 6  # for a rank correlation


def claims(
    dice: pd.DataFrame, translation: pd.DataFrame, *, protocol: str = "transductive", split: str = "development"
) -> pd.DataFrame:
    """Test all claims on the rows of one protocol and split.

    Parameters
    ----------
    dice, translation : DataFrame
        Rows of `dice.csv` and `translation.csv`.

    Returns
    -------
    DataFrame
        Text, one row for each claim: `claim`, `evidence`, `verdict`, `why`.
    """
    dice, translation = (t[(t["protocol"] == protocol) & (t["split"] == split)] for t in (dice, translation))
    values = image_values(dice)
    plain = values[values["strategy"].isin(PLAIN_STRATEGIES)]  # the paper's claims concern the paper's strategies
    found = [
        tutorship_is_best(plain, MODERATE),
        adaptation_can_be_best(plain, FAR),
        *(pretrained_fails(plain, pair) for pair in (MODERATE, FAR)),
        quality_falls_with_distance(plain),
        reconstruction_follows_dice(plain, translation),
        *(trivial_control_suffices(plain, pair) for pair in PAIRS),
        *(adaptation_is_not_behind(plain, pair) for pair in PAIRS),
        *(tutorship_is_not_behind(plain, pair) for pair in PAIRS),
        *(refined_nears_the_reference(values, pair) for pair in PAIRS),
        syndiff_earns_its_place(values),
    ]
    return pd.DataFrame(found, columns=Claim._fields)


# --- The claims: `values` are those of `tables.image_values` ------------------------------------------------


def tutorship_is_best(values: pd.DataFrame, pair: str) -> Claim:
    """Test "tutorship wins at moderate shift".

    Rule: the rivals of SynDiff's tutorship are SynDiff's adaptation and the pre-trained model. Holds if in both
    classes the intervals of its lead over both rivals lie above 0; does not hold if any lies below 0.
    """
    leads = [lead_over(values, pair, c, TUTORSHIP, rival) for c in CLASSES for rival in (ADAPTATION, PRETRAINED)]
    return all_must_support(f"Tutorship is the best strategy at moderate shift ({pair}).", leads, above_zero)


def adaptation_can_be_best(values: pd.DataFrame, pair: str) -> Claim:
    """Test "adaptation can win at large shift".

    Rule: the rivals of SynDiff's adaptation are SynDiff's tutorship and the pre-trained model. One class is enough:
    holds if in at least one class the intervals of its lead over both rivals lie above 0; does not hold if in each
    class at least one lies below 0.
    """
    by_class, evidence = {}, []
    for class_ in CLASSES:
        leads = [lead_over(values, pair, class_, ADAPTATION, rival) for rival in (TUTORSHIP, PRETRAINED)]
        by_class[class_] = weakest(above_zero(lead.interval) for lead in leads)
        evidence += leads
    claim = f"Adaptation can be the best strategy at large shift ({pair})."
    return decided(claim, evidence, by_class, strongest(by_class.values()))


def pretrained_fails(values: pd.DataFrame, pair: str) -> Claim:
    """Test "the pre-trained model fails on dissimilar targets", on one of them.

    Rule: failure is a Dice below `FAILURE`. Holds if in both classes the interval of the mean lies below it; does not
    hold if in any class it lies above.
    """
    claim = f"The pre-trained model fails on a dissimilar target ({pair}): Dice below {FAILURE}."
    means = [mean_of(values, pair, c, PRETRAINED) for c in CLASSES]
    return all_must_support(claim, means, lambda i: outcome(i, i.high < FAILURE, i.low > FAILURE))


def quality_falls_with_distance(values: pd.DataFrame) -> Claim:
    """Test "the farther the target, the worse the labels".

    Rule: the quality of a pair is the mean Dice of SynDiff's best strategy in a class. Holds if it falls from each
    pair to the next in both classes: all four intervals of the drop lie above 0 (the subjects of two pairs are drawn
    independently). Does not hold if any lies below 0.
    """
    drops = [drop_between(values, c, near, far) for c in CLASSES for near, far in pairwise(PAIRS)]
    return all_must_support(f"The farther the target, the worse the labels ({', '.join(PAIRS)}).", drops, above_zero)


def reconstruction_follows_dice(values: pd.DataFrame, translation: pd.DataFrame) -> Claim:
    """Test "a translator that reconstructs better labels better".

    Rule: a cell is a pair and translator. Its Dice is the mean over classes, images and the strategies that use it; its
    SSIM, PSNR and L1 are means over images and both directions. Holds if the intervals (over cells) of Spearman's
    correlation of Dice with SSIM, with PSNR and with less L1 all lie above 0; does not hold if any lies below 0;
    undecided with fewer than `MIN_CELLS` cells. Cells of one pair share their images, so the intervals are too narrow.
    """
    claim = "Reconstruction metrics follow Dice over pairs and translators."
    keys = ["pair", "translator"]
    dice = values[values["strategy"].isin((PRETRAINED[0], *PUBLISHED_STRATEGIES))].groupby(keys)["dice"].mean()
    cells = translation.groupby(keys)[["ssim", "psnr", "l1"]].mean().join(dice, how="inner").dropna()
    if len(cells) < MIN_CELLS:
        return Claim(claim, "–", UNDECIDED, f"{len(cells)} cells of a pair and translator, {MIN_CELLS} are needed")
    metrics = {"SSIM": cells["ssim"], "PSNR": cells["psnr"], "less L1": -cells["l1"]}
    found = {f"rank correlation of Dice with {n}": rank_correlation(x, cells["dice"]) for n, x in metrics.items()}
    evidence = [Evidence(name, f"{name} {i.text('+.2f')}", i) for name, i in found.items()]
    return all_must_support(claim, evidence, above_zero)


def trivial_control_suffices(values: pd.DataFrame, pair: str) -> Claim:
    """Test our claim "a trivial control equals the published method".

    Rule: SynDiff's best strategy is compared in each class with the best method of one view without a learned
    translator (`CONTROLS`, including the pre-trained model). Holds if in both classes the interval of SynDiff's lead
    ends below `NEGLIGIBLE`: the gain is absent or not worth the training. Does not hold if in any class it begins at
    `NEGLIGIBLE` or above.
    """
    claim = f"A trivial control equals the published method ({pair}): SynDiff leads by less than {NEGLIGIBLE}."
    leads = [lead_over_best_control(values, pair, c) for c in CLASSES]
    return all_must_support(claim, leads, lambda i: outcome(i, i.high < NEGLIGIBLE, i.low >= NEGLIGIBLE))


def adaptation_is_not_behind(values: pd.DataFrame, pair: str) -> Claim:
    """Test our claim "adaptation with SynDiff is no longer behind the negative or matched greys".

    Rule: the rival is the better of adaptation with the negative and with matched grey values, in each class. See
    `_not_behind`.
    """
    adaptations = values[values["strategy"] == ADAPTATION[0]]
    rivals = {c: best_method(family_of(adaptations, pair, c), NEGATIVE_OR_MATCHED) for c in CLASSES}
    leads = [lead_over(values, pair, c, ADAPTATION, rivals[c] or ("adaptation", "a control")) for c in CLASSES]
    claim = f"Adaptation with SynDiff is not behind that with the negative or matched greys ({pair})."
    return all_must_support(claim, leads, _not_behind)


def tutorship_is_not_behind(values: pd.DataFrame, pair: str) -> Claim:
    """Test our claim "SynDiff teaches at least as well as the other learned translators".

    Rule: the rivals are tutorship with SynDiff's own cycle generators, with CycleGAN and with CUT. See `_not_behind`.
    """
    leads = [lead_over(values, pair, c, TUTORSHIP, (TUTORSHIP[0], t)) for c in CLASSES for t in OTHER_LEARNED]
    claim = f"Tutorship with SynDiff is not behind that with its cycle, CycleGAN and CUT ({pair})."
    return all_must_support(claim, leads, _not_behind)


def refined_nears_the_reference(values: pd.DataFrame, pair: str) -> Claim:
    """Test our claim "without labels of U, `refined` comes near to a segmenter trained on labels of U".

    Rule: the fair reference has as many steps, as many views and the same anatomy as `refined`. `refined` with many
    sources is tested or, where a pair has none, the better of `refined` with and without SynDiff. Near is
    `NEAR_REFERENCE` of the reference's Dice on the same images. Holds if in both classes the interval of the Dice of
    `refined` less that share lies above 0; does not hold if any lies below.
    """
    many, one = (of_pair(values[values["strategy"] == strategy], pair) for strategy in (MANY_SOURCES, REFINED))
    refined = many if len(many) else one
    method = best_method(refined, set(refined["translator"])) or WITH_SYNDIFF
    leads = [lead_over(values, pair, c, method, FAIR_REFERENCE, share=NEAR_REFERENCE) for c in CLASSES]
    claim = f"Refined labels reach {NEAR_REFERENCE:.0%} of the fair supervised reference ({pair})."
    return all_must_support(claim, leads, above_zero)


def syndiff_earns_its_place(values: pd.DataFrame) -> Claim:
    """Decide whether SynDiff stays in the default recipe of `refined`.

    Rule: the gain on a pair is the mean over subjects of the Dice of `refined` with SynDiff less that without it, on
    the same images, averaged over both classes. SynDiff stays (the claim holds) if the gain is at least `WORTHWHILE` on
    at least `ENOUGH_PAIRS` of the three pairs. The rule is a decision and no inference: it takes the means, also of
    fewer than five subjects, and the evidence shows how far they carry.
    """
    gains = [gain_of_syndiff(values, pair) for pair in PAIRS]
    # Rounding, so that a gain of just as much as is asked for counts.
    known = {gain.name: round(gain.interval.value, 9) for gain in gains if not pd.isna(gain.interval.value)}
    gained = [pair for pair, gain in known.items() if gain >= WORTHWHILE]
    open_pairs = len(PAIRS) - len(known)
    claim = f"SynDiff improves refined labels by at least {WORTHWHILE} on {ENOUGH_PAIRS} or more of {len(PAIRS)} pairs."
    if len(gained) >= ENOUGH_PAIRS:
        verdict = HOLDS
    else:
        verdict = REFUTED if len(gained) + open_pairs < ENOUGH_PAIRS else UNDECIDED
    why = f"gained on {', '.join(gained) or 'none'} of {len(known)} pairs that have run"
    return Claim(claim, evidence_text(gains), verdict, why)


def _not_behind(interval: Interval) -> str:
    """Holds if the interval of the lead reaches 0 and begins above -`NEGLIGIBLE`; does not hold if it lies below 0."""
    return outcome(interval, interval.high >= 0 and interval.low > -NEGLIGIBLE, interval.high < 0)
