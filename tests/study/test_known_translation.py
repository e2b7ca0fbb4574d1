"""known_translation.py: what is drawn, and that the truth has no distance to itself."""

import numpy as np
import pytest

from histobridge.errors import UserError
from histobridge_study.analysis import known_translation as known


@pytest.fixture(scope="module")
def drawn():
    """Two images of each domain and one tissue in both, of 64 px."""
    return known.drawn_domains("sem", images=2, pairs=1, side=64)


class Truth:
    """A translator that knows the answer, or a shifted one."""

    def __init__(self, drawn, shift=0.0):
        self.answers = {"U": {a.tobytes(): b for a, b in drawn.pairs}}
        self.answers["L"] = {b.tobytes(): a for a, b in drawn.pairs}
        self.shift = shift

    def translate(self, image, to, *, seed=0):
        """Return the other image of the pair."""
        return self.answers[to][image.tobytes()] + np.float32(self.shift)


def test_a_pair_is_one_tissue_and_no_tissue_is_drawn_twice(drawn):
    """Inverted, SEM correlates with TEM of the same tissue far more than with that of another one."""
    (tem, sem) = drawn.pairs[0]
    same, other = (np.corrcoef(tem.ravel(), image.ravel())[0, 1] for image in (sem, drawn.target[0]))
    assert same < -0.4 < other - 0.2
    assert not any(np.array_equal(tem, image) for image in drawn.source)


def test_the_truth_has_no_distance_to_itself(drawn):
    """L1 is 0 and SSIM 1 for the truth; a shift by 0.1 has an L1 of 0.1, in both directions."""
    table = known.distances({"truth": Truth(drawn), "shifted": Truth(drawn, 0.1)}, drawn)
    mean = table.groupby("translator")[["l1", "ssim"]].mean()
    assert mean.loc["truth"].tolist() == [0, pytest.approx(1)]
    assert mean.loc["shifted", "l1"] == pytest.approx(0.1, abs=1e-6)
    assert sorted(table["direction"].unique()) == ["L->U", "U->L"]


def test_controls_have_the_polarity_of_the_modality(drawn):
    """SEM is compared with negatives, bright field with images as they are."""
    assert {"invert", "invert-histogram"} <= set(known.fitted_controls(drawn, "sem"))
    assert "histogram" in known.fitted_controls(drawn, "bf") and "invert" not in known.fitted_controls(drawn, "bf")


def test_variants_are_compared_with_the_controls(tmp_path, tiny_syndiff, monkeypatch):
    """Every variant has its minutes and what its critics tell apart; an unknown one is refused."""
    small = known.drawn_domains("bf", images=2, pairs=1, side=96)
    monkeypatch.setattr(known, "drawn_domains", lambda modality: small)
    rows = known.compare_variants(["compact", "random start of F"], tiny_syndiff, "bf", tmp_path)
    table = known.variant_overview(rows).set_index(["variant", "translator"])
    assert len(table) == 3 + 2 * 2
    assert table.loc["compact"][["minutes", "logit_gap_G"]].notna().all(axis=None)
    with pytest.raises(UserError, match="random start of F"):
        known.compare_variants(["best"], tiny_syndiff, "bf", tmp_path)
