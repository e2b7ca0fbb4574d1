"""The polarity guard on drawn tissue: TEM -> another TEM keeps the contrast, TEM -> SEM inverts it, and stays there."""

import numpy as np
import pytest

from histobridge.config import SegmenterSettings, SynDiffSettings
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge.strategies.polarity import INVERT, KEEP, check_translation, choose_sign, evidence
from histobridge.translators.syndiff import SynDiff

SMALL = SynDiffSettings(steps=30, crop=48, batch=4, width=16, multipliers=(1, 2), cycle_width=16, critic_width=16)
QUICK = SegmenterSettings(steps=120, crop=96, batch=4, widths=(16, 16, 32, 32, 64, 16), blank=0.0)


def drawn(modality, seed, n=4):
    """Return images and masks of drawn tissue, 192 px a side."""
    return zip(*(phantom(modality, 1000 * seed + k, (192, 192)) for k in range(n)), strict=True)


@pytest.fixture(scope="module")
def judges():
    """Source segmenters by seed, each trained once on its own drawn TEM."""
    made = {}

    def polarity_segmenter(seed):
        if seed not in made:
            images, masks = drawn("tem", seed)
            made[seed] = Segmenter(QUICK, seed=seed)
            made[seed].fit(list(images), list(masks))
        return made[seed]

    return polarity_segmenter


def guarded_training(polarity_segmenter, seed, target, sign):
    """Choose the sign without labels, train from it, and check the trained translator in both directions."""
    source, _ = drawn("tem", seed)
    away, _ = drawn(target, seed + 500)
    assert choose_sign(evidence(polarity_segmenter(seed).probabilities, away)) == sign
    translator = SynDiff(SMALL, sign=sign, seed=seed)
    translator.fit(list(source), list(away))
    to_l = [translator.translate(image, "L") for image in away]
    to_u = [translator.translate(image, "U") for image in source]
    pairs = [*zip(away, to_l, strict=True), *zip(source, to_u, strict=True)]
    check_translation(sign, pairs, evidence(polarity_segmenter(seed).probabilities, to_l))
    correlations = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
    assert min(sign * c for c in correlations) > 0.5


CASES = [("tem-other", KEEP), ("sem", INVERT)]


@pytest.mark.parametrize(("target", "sign"), CASES)
def test_the_guard_finds_and_keeps_the_polarity(judges, target, sign):
    """In both senses, by one judge."""
    guarded_training(judges, 0, target, sign)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 13))
@pytest.mark.parametrize(("target", "sign"), [*CASES, ("bf", KEEP)])
def test_the_guard_finds_and_keeps_the_polarity_from_twelve_seeds(judges, seed, target, sign):
    """From twelve further seeds, and for bright field too."""
    guarded_training(judges, seed, target, sign)
