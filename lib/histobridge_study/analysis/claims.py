"""The claims of the published study (arXiv 2412.02858), and two of ours, judged by the rows of our own runs.

Each claim is a function with its rule in the docstring: rows go in, a `Claim` comes out, and every number in its
evidence is composed from the rows. Verdicts rest on 95 % bootstrap intervals, mostly of differences in Dice between
two strategies on the same images (`inference.py`; of few subjects they are a sign, not a proof). An interval speaks
for a claim, against it, or leaves it open. Where rows are missing a claim may still be refuted; to hold, it needs
all the rows that its rule names.

"Best" of several rows is chosen by the mean over the same images that are then judged, on both sides alike. What the
published study calls TEM-MACAQUE has no public location; `tem-pns` stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

import pandas as pd

from histobridge.config import CONTROLS
from histobridge_study.analysis.comparisons import best_method, of_method, paired_values
from histobridge_study.analysis.statistics import Interval, drop_interval, mean_interval, rank_correlation
from histobridge_study.analysis.tables import CLASSES, image_values

HOLDS, REFUTED, UNDECIDED = "holds", "does not hold", "undecided"
FOR, AGAINST, OPEN, MISSING = "for", "against", "open", "missing"  # what one interval says
SAID = {FOR: "for it: ", AGAINST: "against it: ", OPEN: "left open by: ", MISSING: "rows are missing of: "}
PAIRS = ("tem-pns", "tem-sem", "tem-bf")  # by growing distance of the target from TEM
NEAR, MODERATE, FAR = PAIRS
PRETRAINED, ADAPTATION, TUTORSHIP = ("pretrained", "none"), ("adaptation", "syndiff"), ("tutorship", "syndiff")
REFINED, BOUND = ("refined", "syndiff"), ("supervised", "none")
FAILURE = 0.5  # a Dice below it: more than two wrong pixels for each right one
NEAR_BOUND = 0.95  # the share of the supervised Dice that `refined` is to reach
NEGLIGIBLE = 0.02  # a difference in Dice of no use to whoever corrects the labels by hand
FEWEST_CELLS = 6  # for a rank correlation


class Finding(NamedTuple):
    """One number with its interval: what it is called, as text, and as numbers (`low` NaN where rows are missing)."""

    name: str
    text: str
    interval: Interval


class Claim(NamedTuple):
    """A sentence, the numbers that speak to it, the verdict and its reason."""

    claim: str
    evidence: str
    verdict: str
    why: str


def claims(
    dice: pd.DataFrame, translation: pd.DataFrame, *, protocol: str = "transductive", split: str = "development"
) -> pd.DataFrame:
    """Judge all claims by the rows of one protocol and split; one row a claim.

    Parameters
    ----------
    dice, translation : DataFrame
        Rows of `dice.csv` and `translation.csv`.

    Returns
    -------
    DataFrame
        Text: `claim`, `evidence`, `verdict`, `why`.
    """
    dice, rows = (t[(t["protocol"] == protocol) & (t["split"] == split)] for t in (dice, translation))
    everything = image_values(dice)
    values = everything[everything["strategy"] != "refined"]  # the paper's claims are about the paper's strategies
    found = [
        tutorship_is_best(values, MODERATE),
        adaptation_can_be_best(values, FAR),
        *(pretrained_fails(values, pair) for pair in (MODERATE, FAR)),
        quality_falls_with_distance(values),
        reconstruction_follows_dice(values, rows),
        *(trivial_control_suffices(values, pair) for pair in PAIRS),
        *(refined_nears_the_bound(everything, pair) for pair in PAIRS),
    ]
    return pd.DataFrame(found, columns=Claim._fields)


# --- The claims: `values` are those of `tables.image_values` throughout -------------------------------------


def tutorship_is_best(values: pd.DataFrame, pair: str) -> Claim:
    """Judge "tutorship wins at moderate shift".

    Rule: the rivals of SynDiff's tutorship are SynDiff's adaptation and the pre-trained model. Holds if in both
    classes the intervals of its lead over both rivals lie above 0; does not hold if any lies below 0.
    """
    claim = f"Tutorship is the best strategy at moderate shift ({pair})."
    found = _leads(values, pair, TUTORSHIP, (ADAPTATION, PRETRAINED))
    return _all_must_agree(claim, found, _sign)


def adaptation_can_be_best(values: pd.DataFrame, pair: str) -> Claim:
    """Judge "adaptation can win at large shift".

    Rule: the rivals of SynDiff's adaptation are SynDiff's tutorship and the pre-trained model. "Can" asks for one
    class only: holds if in at least one class the intervals of its lead over both rivals lie above 0; does not hold
    if in each class at least one lies below 0.
    """
    claim = f"Adaptation can be the best strategy at large shift ({pair})."
    found = _leads(values, pair, ADAPTATION, (TUTORSHIP, PRETRAINED))
    stances = {c: _together([_sign(f.interval) for f in found if f.name.startswith(c)]) for c in CLASSES}
    if FOR in stances.values():
        return _claim(claim, found, HOLDS, stances, FOR)
    if set(stances.values()) == {AGAINST}:
        return _claim(claim, found, REFUTED, stances, AGAINST)
    return _claim(claim, found, UNDECIDED, stances, MISSING if MISSING in stances.values() else OPEN)


def pretrained_fails(values: pd.DataFrame, pair: str) -> Claim:
    """Judge "the pre-trained model fails on dissimilar targets", for one of them.

    Rule: to fail is a Dice below `FAILURE`. Holds if in both classes the interval of the mean lies below it; does not
    hold if in any class it lies above.
    """
    claim = f"The pre-trained model fails on a dissimilar target ({pair}): Dice below {FAILURE}."
    found = [_mean(_family(values, pair, c), c, PRETRAINED) for c in CLASSES]
    return _all_must_agree(claim, found, lambda i: _stance(i, i.high < FAILURE, i.low > FAILURE))


def quality_falls_with_distance(values: pd.DataFrame) -> Claim:
    """Judge "the farther the target, the worse the labels".

    Rule: the quality of a pair is the mean Dice of SynDiff's best strategy in a class. Holds if it falls from each
    pair to the next, in both classes: all four intervals of the drop lie above 0 (images of two pairs are drawn
    apart). Does not hold if any lies below 0.
    """
    claim = f"The farther the target, the worse the labels ({', '.join(PAIRS)})."
    steps = [(c, near, far) for c in CLASSES for near, far in pairwise(PAIRS)]
    return _all_must_agree(claim, [_drop(values, *step) for step in steps], _sign)


def reconstruction_follows_dice(values: pd.DataFrame, translation: pd.DataFrame) -> Claim:
    """Judge "a translator that reconstructs better labels better".

    Rule: a cell is a pair and translator; its Dice is the mean over classes, images and strategies that use it, its
    SSIM, PSNR and L1 the mean over images and both directions. Holds if the intervals (over cells) of Spearman's
    correlation of Dice with SSIM, with PSNR and with less L1 all lie above 0; does not hold if any lies below 0;
    undecided with fewer than `FEWEST_CELLS` cells. Cells of one pair share their images, so the intervals are rather
    too narrow.
    """
    claim = "Reconstruction metrics follow Dice over pairs and translators."
    keys = ["pair", "translator"]
    dice = values[values["strategy"] != "supervised"].groupby(keys)["dice"].mean()
    cells = translation.groupby(keys)[["ssim", "psnr", "l1"]].mean().join(dice, how="inner").dropna()
    if len(cells) < FEWEST_CELLS:
        return Claim(claim, "–", UNDECIDED, f"{len(cells)} cells of a pair and translator, {FEWEST_CELLS} are needed")
    sides = {"SSIM": cells["ssim"], "PSNR": cells["psnr"], "less L1": -cells["l1"]}
    found = [_correlation(f"rank correlation of Dice with {n}", x, cells["dice"]) for n, x in sides.items()]
    return _all_must_agree(claim, found, _sign)


def trivial_control_suffices(values: pd.DataFrame, pair: str) -> Claim:
    """Judge ours: "a trivial control equals the published method".

    Rule: SynDiff's best strategy against the best row without a learned translator (`CONTROLS`, the pre-trained model
    included), in each class. Holds if in both classes the interval of SynDiff's lead ends below `NEGLIGIBLE`: what it
    adds is nothing, or not worth a training. Does not hold if in any class it begins at `NEGLIGIBLE` or above.
    """
    claim = f"A trivial control equals the published method ({pair}): SynDiff leads by less than {NEGLIGIBLE}."
    found = [_lead_of_best(_family(values, pair, c), c) for c in CLASSES]
    return _all_must_agree(claim, found, lambda i: _stance(i, i.high < NEGLIGIBLE, i.low >= NEGLIGIBLE))


def refined_nears_the_bound(values: pd.DataFrame, pair: str) -> Claim:
    """Judge "without a label of U, `refined` comes near to a segmenter trained on labels of U", for one pair.

    Rule: near is `NEAR_BOUND` of the supervised Dice on the same images. Holds if in both classes the interval of the
    Dice of `refined` less that share of the bound's lies above 0; does not hold if any lies below.
    """
    claim = f"Refined labels reach {NEAR_BOUND:.0%} of the supervised bound ({pair})."
    return _all_must_agree(claim, [_lead_over_share(_family(values, pair, c), c) for c in CLASSES], _sign)


def _lead_over_share(family: pd.DataFrame, class_: str) -> Finding:
    pairs = paired_values(family, REFINED, BOUND)
    lead = mean_interval(pairs["one"] - NEAR_BOUND * pairs["other"], pairs.index.get_level_values("subject"))
    sides = f"refined {pairs['one'].mean():.3f} less {NEAR_BOUND} of {pairs['other'].mean():.3f}"
    name = f"{class_}: refined less {NEAR_BOUND} of the bound"
    return Finding(name, f"{class_}: {sides} = {_text(lead, '+.3f')}", lead)


# --- Numbers ------------------------------------------------------------------------------------------------


def _family(values: pd.DataFrame, pair: str, class_: str) -> pd.DataFrame:
    return values[(values["pair"] == pair) & (values["class"] == class_)]


def _leads(values: pd.DataFrame, pair: str, one: tuple, rivals: tuple[tuple, ...]) -> list[Finding]:
    return [_lead(_family(values, pair, c), c, one, rival) for c in CLASSES for rival in rivals]


def _lead(family: pd.DataFrame, class_: str, one: tuple[str, str], other: tuple[str, str]) -> Finding:
    """Return by how much `one` leads over `other` on the images that both have."""
    pairs = paired_values(family, one, other)
    lead = mean_interval(pairs["one"] - pairs["other"], pairs.index.get_level_values("subject"))
    sides = f"{_label(one)} {pairs['one'].mean():.3f} less {_label(other)} {pairs['other'].mean():.3f}"
    text = f"{class_}: {sides} = {_text(lead, '+.3f')}"
    return Finding(f"{class_}: {_label(one)} less {_label(other)}", text, lead)


def _lead_of_best(family: pd.DataFrame, class_: str) -> Finding:
    free = family[family["strategy"] != "supervised"]
    methods = best_method(free), best_method(free, CONTROLS)
    if None in methods:
        return Finding(f"{class_}: best of SynDiff less best control", "", mean_interval([], []))
    return _lead(free, class_, *methods)


def _mean(family: pd.DataFrame, class_: str, method: tuple[str, str]) -> Finding:
    rows = of_method(family, method)
    mean = mean_interval(rows["dice"], rows["subject"])
    name = f"{class_}: {_label(method)}"
    return Finding(name, f"{name} {_text(mean)}", mean)


def _drop(values: pd.DataFrame, class_: str, near: str, far: str) -> Finding:
    """Return by how much the Dice of SynDiff's best strategy falls from one pair to the next."""
    families = [_family(values, pair, class_) for pair in (near, far)]
    rows = [of_method(family, best_method(family) or ("", "")) for family in families]
    drop = drop_interval(*((of["dice"], of["subject"]) for of in rows))
    sides = f"{near} {rows[0]['dice'].mean():.3f} less {far} {rows[1]['dice'].mean():.3f}"
    return Finding(f"{class_}: {near} less {far}", f"{class_}: {sides} = {_text(drop, '+.3f')}", drop)


def _correlation(name: str, x: pd.Series, y: pd.Series) -> Finding:
    found = rank_correlation(x, y)
    return Finding(name, f"{name} {_text(found, '+.2f')}", found)


def _label(method: tuple[str, str]) -> str:
    strategy, translator = method
    return strategy if translator == "none" else f"{strategy} {translator}"


def _text(interval: Interval, form: str = ".3f") -> str:
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}] ({interval.resampled})"


# --- Verdicts -----------------------------------------------------------------------------------------------


def _stance(interval: Interval, supports: bool, contradicts: bool) -> str:
    if pd.isna(interval.low):
        return MISSING
    return FOR if supports else AGAINST if contradicts else OPEN


def _sign(interval: Interval) -> str:
    """Say what an interval means for a claim that its number is above 0."""
    return _stance(interval, interval.low > 0, interval.high < 0)


def _together(stances: Iterable[str]) -> str:
    """Return the stance of several that must agree: one against is enough, one missing or open leaves it so."""
    return next(stance for stance in (AGAINST, MISSING, OPEN, FOR) if stance in stances)


def _all_must_agree(claim: str, found: list[Finding], stance: Callable[[Interval], str]) -> Claim:
    stances = {finding.name: stance(finding.interval) for finding in found}
    decisive = _together(stances.values())
    verdict = {FOR: HOLDS, AGAINST: REFUTED}.get(decisive, UNDECIDED)
    return _claim(claim, found, verdict, stances, decisive)


def _claim(claim: str, found: list[Finding], verdict: str, stances: dict[str, str], decisive: str) -> Claim:
    """Write down a verdict, its evidence and which of the stances decided it."""
    evidence = "; ".join(finding.text for finding in found if not pd.isna(finding.interval.low)) or "–"
    names = [name for name, stance in stances.items() if stance == decisive]
    return Claim(claim, evidence, verdict, SAID[decisive] + ("all" if len(names) == len(stances) else ", ".join(names)))
