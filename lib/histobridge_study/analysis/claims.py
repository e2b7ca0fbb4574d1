"""The claims of the published study (arXiv 2412.02858), and two of our own, tested on the rows of our runs.

Each claim is a function whose docstring states the rule. Most verdicts rest on 95 % bootstrap intervals of differences
in Dice between two methods on the same images (`statistics.py`; with few subjects they are an indication, not a proof).
An interval supports a claim, contradicts it, or leaves it open. Where rows are missing a claim may still be refuted; to
hold, it needs all rows that its rule names.

"Best" of several methods is the highest mean over the images on which the claim is then tested, on both sides. The set
that the published study calls TEM-MACAQUE has no public location; `tem-pns` replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

import pandas as pd

from histobridge.config import CONTROLS
from histobridge_study.analysis.comparisons import best_method, method_rows, paired_dice
from histobridge_study.analysis.statistics import Interval, difference_interval, mean_interval, rank_correlation
from histobridge_study.analysis.tables import CLASSES, Method, image_values

HOLDS, REFUTED, UNDECIDED = "holds", "does not hold", "undecided"
SUPPORTS, CONTRADICTS, OPEN, MISSING = "for it", "against it", "left open by", "rows are missing of"
VERDICTS = {SUPPORTS: HOLDS, CONTRADICTS: REFUTED, OPEN: UNDECIDED, MISSING: UNDECIDED}
PAIRS = ("tem-pns", "tem-sem", "tem-bf")  # by growing distance of the target from TEM
NEAR, MODERATE, FAR = PAIRS
PRETRAINED, ADAPTATION, TUTORSHIP = ("pretrained", "none"), ("adaptation", "syndiff"), ("tutorship", "syndiff")
REFINED, BOUND = ("refined", "syndiff"), ("supervised", "none")
FAILURE = 0.5  # Dice below which there are more than two wrong pixels for each right one
NEAR_BOUND = 0.95  # share of the supervised Dice that `refined` is to reach
NEGLIGIBLE = 0.02  # difference in Dice that does not matter to an annotator who corrects the labels
MIN_CELLS = 6  # for a rank correlation


class Evidence(NamedTuple):
    """One number with its name, as text, and with its interval, whose `low` is NaN if rows are missing."""

    name: str
    text: str
    interval: Interval


class Claim(NamedTuple):
    """A statement, the numbers behind the verdict, the verdict and its reason, as text."""

    claim: str
    evidence: str
    verdict: str
    why: str


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
    published = values[values["strategy"] != "refined"]  # the paper's claims concern the paper's strategies
    found = [
        tutorship_is_best(published, MODERATE),
        adaptation_can_be_best(published, FAR),
        *(pretrained_fails(published, pair) for pair in (MODERATE, FAR)),
        quality_falls_with_distance(published),
        reconstruction_follows_dice(published, translation),
        *(trivial_control_suffices(published, pair) for pair in PAIRS),
        *(refined_nears_the_bound(values, pair) for pair in PAIRS),
    ]
    return pd.DataFrame(found, columns=Claim._fields)


# --- The claims: `values` are those of `tables.image_values` ------------------------------------------------


def tutorship_is_best(values: pd.DataFrame, pair: str) -> Claim:
    """Test "tutorship wins at moderate shift".

    Rule: the rivals of SynDiff's tutorship are SynDiff's adaptation and the pre-trained model. Holds if in both
    classes the intervals of its lead over both rivals lie above 0; does not hold if any lies below 0.
    """
    leads = [_lead(values, pair, c, TUTORSHIP, rival) for c in CLASSES for rival in (ADAPTATION, PRETRAINED)]
    return _all_must_support(f"Tutorship is the best strategy at moderate shift ({pair}).", leads, _above_zero)


def adaptation_can_be_best(values: pd.DataFrame, pair: str) -> Claim:
    """Test "adaptation can win at large shift".

    Rule: the rivals of SynDiff's adaptation are SynDiff's tutorship and the pre-trained model. One class is enough:
    holds if in at least one class the intervals of its lead over both rivals lie above 0; does not hold if in each
    class at least one lies below 0.
    """
    by_class, evidence = {}, []
    for class_ in CLASSES:
        leads = [_lead(values, pair, class_, ADAPTATION, rival) for rival in (TUTORSHIP, PRETRAINED)]
        by_class[class_] = _weakest(_above_zero(lead.interval) for lead in leads)
        evidence += leads
    decisive = next(outcome for outcome in (SUPPORTS, MISSING, OPEN, CONTRADICTS) if outcome in by_class.values())
    claim = f"Adaptation can be the best strategy at large shift ({pair})."
    return _claim(claim, evidence, by_class, decisive)


def pretrained_fails(values: pd.DataFrame, pair: str) -> Claim:
    """Test "the pre-trained model fails on dissimilar targets", on one of them.

    Rule: failure is a Dice below `FAILURE`. Holds if in both classes the interval of the mean lies below it; does not
    hold if in any class it lies above.
    """
    claim = f"The pre-trained model fails on a dissimilar target ({pair}): Dice below {FAILURE}."
    means = [_mean(values, pair, c, PRETRAINED) for c in CLASSES]
    return _all_must_support(claim, means, lambda i: _outcome(i, i.high < FAILURE, i.low > FAILURE))


def quality_falls_with_distance(values: pd.DataFrame) -> Claim:
    """Test "the farther the target, the worse the labels".

    Rule: the quality of a pair is the mean Dice of SynDiff's best strategy in a class. Holds if it falls from each
    pair to the next in both classes: all four intervals of the drop lie above 0 (the images of two pairs are drawn
    independently). Does not hold if any lies below 0.
    """
    drops = [_drop(values, c, near, far) for c in CLASSES for near, far in pairwise(PAIRS)]
    return _all_must_support(f"The farther the target, the worse the labels ({', '.join(PAIRS)}).", drops, _above_zero)


def reconstruction_follows_dice(values: pd.DataFrame, translation: pd.DataFrame) -> Claim:
    """Test "a translator that reconstructs better labels better".

    Rule: a cell is a pair and translator. Its Dice is the mean over classes, images and the strategies that use it; its
    SSIM, PSNR and L1 are means over images and both directions. Holds if the intervals (over cells) of Spearman's
    correlation of Dice with SSIM, with PSNR and with less L1 all lie above 0; does not hold if any lies below 0;
    undecided with fewer than `MIN_CELLS` cells. Cells of one pair share their images, so the intervals are too narrow.
    """
    claim = "Reconstruction metrics follow Dice over pairs and translators."
    keys = ["pair", "translator"]
    dice = values[values["strategy"] != "supervised"].groupby(keys)["dice"].mean()
    cells = translation.groupby(keys)[["ssim", "psnr", "l1"]].mean().join(dice, how="inner").dropna()
    if len(cells) < MIN_CELLS:
        return Claim(claim, "–", UNDECIDED, f"{len(cells)} cells of a pair and translator, {MIN_CELLS} are needed")
    metrics = {"SSIM": cells["ssim"], "PSNR": cells["psnr"], "less L1": -cells["l1"]}
    found = {f"rank correlation of Dice with {n}": rank_correlation(x, cells["dice"]) for n, x in metrics.items()}
    evidence = [Evidence(name, f"{name} {_text(i, '+.2f')}", i) for name, i in found.items()]
    return _all_must_support(claim, evidence, _above_zero)


def trivial_control_suffices(values: pd.DataFrame, pair: str) -> Claim:
    """Test our claim "a trivial control equals the published method".

    Rule: SynDiff's best strategy is compared in each class with the best method without a learned translator
    (`CONTROLS`, including the pre-trained model). Holds if in both classes the interval of SynDiff's lead ends below
    `NEGLIGIBLE`: the gain is absent or not worth the training. Does not hold if in any class it begins at `NEGLIGIBLE`
    or above.
    """
    claim = f"A trivial control equals the published method ({pair}): SynDiff leads by less than {NEGLIGIBLE}."
    leads = [_lead_over_best_control(values, pair, c) for c in CLASSES]
    return _all_must_support(claim, leads, lambda i: _outcome(i, i.high < NEGLIGIBLE, i.low >= NEGLIGIBLE))


def refined_nears_the_bound(values: pd.DataFrame, pair: str) -> Claim:
    """Test our claim "without labels of U, `refined` comes near to a segmenter trained on labels of U".

    Rule: near is `NEAR_BOUND` of the supervised Dice on the same images. Holds if in both classes the interval of the
    Dice of `refined` less that share of the bound's lies above 0; does not hold if any lies below.
    """
    leads = [_lead(values, pair, c, REFINED, BOUND, share=NEAR_BOUND) for c in CLASSES]
    return _all_must_support(
        f"Refined labels reach {NEAR_BOUND:.0%} of the supervised bound ({pair}).", leads, _above_zero
    )


# --- Evidence -----------------------------------------------------------------------------------------------


def _family(values: pd.DataFrame, pair: str, class_: str) -> pd.DataFrame:
    return values[(values["pair"] == pair) & (values["class"] == class_)]


def _mean(values: pd.DataFrame, pair: str, class_: str, method: Method) -> Evidence:
    rows = method_rows(_family(values, pair, class_), method)
    mean = mean_interval(rows["dice"], rows["subject"])
    name = f"{class_}: {_label(method)}"
    return Evidence(name, f"{name} {_text(mean)}", mean)


def _lead(values: pd.DataFrame, pair: str, class_: str, one: Method, other: Method, *, share: float = 1) -> Evidence:
    """Return the Dice of `one` less (a share of) that of `other`, on the images that both have."""
    pairs = paired_dice(_family(values, pair, class_), one, other)
    lead = mean_interval(pairs["one"] - share * pairs["other"], pairs.index.get_level_values("subject"))
    means = f"{pairs['one'].mean():.3f}", f"{pairs['other'].mean():.3f}"
    if share == 1:
        name, text = f"{_label(one)} less {_label(other)}", f"{_label(one)} {means[0]} less {_label(other)} {means[1]}"
    else:
        name, text = f"{one[0]} less {share} of the bound", f"{one[0]} {means[0]} less {share} of {means[1]}"
    return Evidence(f"{class_}: {name}", f"{class_}: {text} = {_text(lead, '+.3f')}", lead)


def _lead_over_best_control(values: pd.DataFrame, pair: str, class_: str) -> Evidence:
    label_free = values[values["strategy"] != "supervised"]
    family = _family(label_free, pair, class_)
    syndiff, control = best_method(family), best_method(family, CONTROLS)
    if syndiff is None or control is None:
        return Evidence(f"{class_}: best of SynDiff less best control", "", mean_interval([], []))
    return _lead(label_free, pair, class_, syndiff, control)


def _drop(values: pd.DataFrame, class_: str, near: str, far: str) -> Evidence:
    """Return by how much the Dice of SynDiff's best strategy falls from one pair to the next."""
    families = [_family(values, pair, class_) for pair in (near, far)]
    rows = [method_rows(family, best_method(family) or ("", "")) for family in families]
    drop = difference_interval(*((of["dice"], of["subject"]) for of in rows))
    text = f"{near} {rows[0]['dice'].mean():.3f} less {far} {rows[1]['dice'].mean():.3f}"
    return Evidence(f"{class_}: {near} less {far}", f"{class_}: {text} = {_text(drop, '+.3f')}", drop)


def _label(method: Method) -> str:
    strategy, translator = method
    return strategy if translator == "none" else f"{strategy} {translator}"


def _text(interval: Interval, form: str = ".3f") -> str:
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}] ({interval.resampled})"


# --- Verdicts -----------------------------------------------------------------------------------------------


def _outcome(interval: Interval, supports: bool, contradicts: bool) -> str:
    if pd.isna(interval.low):
        return MISSING
    return SUPPORTS if supports else CONTRADICTS if contradicts else OPEN


def _above_zero(interval: Interval) -> str:
    """Return the outcome for a claim that the number is above 0."""
    return _outcome(interval, interval.low > 0, interval.high < 0)


def _weakest(outcomes: Iterable[str]) -> str:
    """Return the outcome of several that must all support a claim: one that contradicts is enough to refute it."""
    outcomes = set(outcomes)
    return next(outcome for outcome in (CONTRADICTS, MISSING, OPEN, SUPPORTS) if outcome in outcomes)


def _all_must_support(claim: str, evidence: list[Evidence], outcome: Callable[[Interval], str]) -> Claim:
    """Return a claim whose verdict is the weakest outcome of its evidence."""
    outcomes = {item.name: outcome(item.interval) for item in evidence}
    return _claim(claim, evidence, outcomes, _weakest(outcomes.values()))


def _claim(claim: str, evidence: list[Evidence], outcomes: dict[str, str], decisive: str) -> Claim:
    """Return a claim with its evidence, the verdict of the decisive outcome, and what had that outcome."""
    text = "; ".join(item.text for item in evidence if not pd.isna(item.interval.low)) or "–"
    names = [name for name, outcome in outcomes.items() if outcome == decisive]
    reason = "all" if len(names) == len(outcomes) else ", ".join(names)
    return Claim(claim, text, VERDICTS[decisive], f"{decisive}: {reason}")
