"""polarity.py: anatomy chooses the sign, and a translation that swaps classes is refused."""

import numpy as np
import pandas as pd
import pytest

from histobridge.errors import UserError
from histobridge.phantom import draw_geometry, render
from histobridge.strategies import polarity
from histobridge.strategies.polarity import (
    INVERT,
    KEEP,
    PolarityError,
    check_translation,
    choose_sign,
    contrast_kept,
    evidence,
)

TISSUE = draw_geometry(0, (160, 160))
MISTAKEN = np.array([0, 2, 1], dtype=np.uint8)[TISSUE.mask]
"""What a segmenter of TEM finds in a negative: it takes dark axons for myelin and light sheaths for axons."""


def imaged(modality: str) -> list[np.ndarray]:
    """Return three images of the tissue in one modality."""
    return [render(TISSUE, modality, seed) for seed in range(3)]


def tem_segmenter(image: np.ndarray) -> np.ndarray:
    """Return class probabilities of a segmenter that knows outlines and has learned on TEM that sheaths are dark."""
    sheaths_are_dark = image[TISSUE.mask == 1].mean() < image[TISSUE.mask == 2].mean()
    return probabilities(TISSUE.mask if sheaths_are_dark else MISTAKEN)


def probabilities(mask: np.ndarray, *, sure: float = 0.8) -> np.ndarray:
    """Return probabilities [3, H, W] that give the class of a mask the probability `sure`."""
    return np.where(mask == np.arange(3)[:, None, None], sure, (1 - sure) / 2).astype(np.float32)


def found(keep: list[float], invert: list[float]) -> pd.DataFrame:
    """Return evidence with these enclosures, one an image."""
    values = {KEEP: keep, INVERT: invert}
    return pd.DataFrame([{"image": i, "sign": s, "enclosure": e} for s in values for i, e in enumerate(values[s])])


GOOD, BAD = found([0.9], [0.4]), found([0.4], [0.9])


@pytest.mark.parametrize(("modality", "sign"), [("tem", KEEP), ("tem-other", KEEP), ("bf", KEEP), ("sem", INVERT)])
def test_anatomy_chooses_the_sign(modality, sign):
    """Dark sheaths (TEM, another TEM, bright field) keep the contrast; bright sheaths (SEM) invert it."""
    assert choose_sign(evidence(tem_segmenter, imaged(modality))) == sign


def test_evidence_is_of_each_image_and_its_negative():
    """There is one row an image and sign; enclosure, confidence and areas are those of the predicted mask."""
    table = evidence(tem_segmenter, iter(imaged("tem")[:2]))
    assert table[["image", "sign"]].values.tolist() == [[0, 1], [0, -1], [1, 1], [1, -1]]
    kept, inverted = (table[table["sign"] == sign].iloc[0] for sign in (KEEP, INVERT))
    assert kept["enclosure"] > 0.8 > 0.6 > inverted["enclosure"]
    assert kept["confidence"] == pytest.approx(0.8, abs=1e-6)
    areas = [(TISSUE.mask == value).mean() for value in (1, 2)]
    assert kept[["myelin", "axon"]].tolist() == pytest.approx(areas)
    assert inverted[["axon", "myelin"]].tolist() == pytest.approx(areas)


def test_evidence_is_taken_from_the_middle(monkeypatch):
    """Of a large image only the central square is segmented, a small or thin one as far as it reaches."""
    monkeypatch.setattr(polarity, "SIDE", 6)
    seen = []

    def segment(image):
        seen.append(image)
        return probabilities(np.zeros(image.shape, np.uint8))

    large = np.arange(120, dtype=np.float32).reshape(10, 12) / 119
    evidence(segment, [large, large[:3], large[:3, :4]])
    np.testing.assert_array_equal(seen[0], large[2:8, 3:9])
    np.testing.assert_array_equal(seen[1], 1 - seen[0])
    assert [piece.shape for piece in seen[2::2]] == [(3, 6), (3, 4)]


def test_the_better_enclosed_sign_wins_on_the_mean():
    """Means over images are compared, not majorities; equal means keep the contrast."""
    assert choose_sign(found([0.6, 0.6, 0.1], [0.5, 0.5, 0.5])) == INVERT
    assert choose_sign(found([0.6, 0.6, 0.5], [0.5, 0.5, 0.5])) == KEEP
    assert choose_sign(found([0.5], [0.5])) == KEEP


def test_no_axon_is_no_enclosure():
    """An image without a predicted axon counts as 0, not as missing: an empty mask cannot win."""
    assert choose_sign(found([0.5, 0.5], [0.7, np.nan])) == KEEP
    assert choose_sign(found([np.nan], [0.1])) == INVERT
    assert choose_sign(found([np.nan], [np.nan])) == KEEP


def test_contrast_kept_is_a_correlation():
    """1 for the image itself at any gain and offset, -1 for its negative, 0 for noise."""
    image, noise = imaged("tem")[0], np.random.default_rng(0).random((160, 160))
    kept = [contrast_kept(image, other) for other in (0.5 * image + 0.2, 1 - image, noise)]
    assert kept == pytest.approx([1, -1, 0], abs=0.02)


@pytest.mark.parametrize("sign", [KEEP, INVERT])
def test_a_translation_of_the_right_polarity_passes(sign):
    """A translation that keeps, or inverts, as the evidence asked for is accepted."""
    image, other = imaged("tem")[:2]
    right = image if sign == KEEP else 1 - image
    check_translation(sign, [(image, 0.9 * right), (other, other if sign == KEEP else 1 - other)], GOOD)


@pytest.mark.parametrize(("sign", "word"), [(KEEP, "keep"), (INVERT, "invert")])
def test_a_flipped_translation_is_refused(sign, word):
    """The opposite contrast is a `UserError` that names the expected one."""
    image = imaged("tem")[0]
    flipped = 1 - image if sign == KEEP else image
    with pytest.raises(PolarityError, match=f"should {word} the contrast.*classes are swapped") as error:
        check_translation(sign, [(image, flipped)], GOOD)
    assert isinstance(error.value, UserError)


def test_the_median_translation_decides():
    """One wrong pair among three is accepted, two are refused."""
    image = imaged("tem")[0]
    right, wrong = (image, image), (image, 1 - image)
    check_translation(KEEP, [right, wrong, right], GOOD)
    with pytest.raises(PolarityError):
        check_translation(KEEP, [wrong, wrong, right], GOOD)


def test_worse_anatomy_than_the_negative_is_refused():
    """Translations whose negatives are better anatomy are refused, unless somebody has stated the polarity."""
    image = imaged("tem")[0]
    with pytest.raises(PolarityError, match="negatives of the translations"):
        check_translation(KEEP, [(image, image)], BAD)
    check_translation(KEEP, [(image, image)], BAD, stated=True)
    with pytest.raises(PolarityError, match="classes are swapped"):
        check_translation(KEEP, [(image, 1 - image)], BAD, stated=True)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_translation_that_shows_nothing_is_refused():
    """A collapsed translator gives one grey, which correlates with nothing."""
    image = imaged("tem")[0]
    with pytest.raises(PolarityError):
        check_translation(KEEP, [(image, np.full_like(image, 0.5))], found([np.nan], [np.nan]))
