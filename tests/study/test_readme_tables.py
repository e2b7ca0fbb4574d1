"""The tables of the README: the main methods of each pair, with the best control, and speed as text."""

import pandas as pd
import pytest

from histobridge_study.analysis.tables import DICE_COLUMNS, FIBRE_F1
from histobridge_study.report.readme_tables import readme_table, speed_overview

DICE = {
    ("pretrained", "none"): 0.2,
    ("randomised", "none"): 0.99,
    ("pretrained-anatomy", "invert"): 0.25,
    ("adaptation", "invert"): 0.3,
    ("tutorship", "invert"): 0.6,
    ("tutorship", "histogram"): 0.5,
    ("adaptation", "cycle"): 0.9,
    ("tutorship", "cut"): 0.1,
    ("adaptation", "syndiff"): 0.4,
    ("tutorship", "syndiff"): 0.5,
    ("refined", "syndiff"): 0.7,
    ("refined", "invert-histogram"): 0.75,
    ("supervised", "none"): 0.8,
    ("reference", "none"): 0.95,
}
SHOWN = {
    "pretrained (tutorship none)": "0.200",
    "pretrained-anatomy with invert": "0.250",
    "adaptation with SynDiff's cycle": "**0.900",
    "adaptation with compact SynDiff": "0.400",
    "tutorship with invert": "0.600",
    "tutorship with compact SynDiff": "0.500",
    "refined without SynDiff": "0.750",
    "refined with compact SynDiff": "0.700",
    "supervised reference, 4 images": "0.950",
}


def rows(**others) -> pd.DataFrame:
    """Return rows of one image and both classes for every method."""
    base = dict.fromkeys(DICE_COLUMNS, 0) | {"pair": "tem-sem", "protocol": "transductive", "split": "development"}
    base |= {"image": "a", "f1_50": 0.5, "masks": 4}
    found = [
        {
            **dict.fromkeys(DICE_COLUMNS, 0),
            **base,
            "strategy": s,
            "translator": t,
            "class": c,
            "dice": dice,
            "f1_50": 0.5,
        }
        for (s, t), dice in DICE.items()
        for c in ("axon", "myelin")
    ]
    return pd.DataFrame(found).assign(**others)


def test_the_readme_shows_the_best_control_and_the_best_other_translator():
    """Each is one row, whatever its strategy; the best label-free Dice of those shown is bold."""
    table = readme_table(rows(), profile="cpu")
    found = dict(zip(table["method"], table["axon"], strict=True))
    assert found == {name: f"{dice} (1 subject){dice[:2] if dice[0] == '*' else ''}" for name, dice in SHOWN.items()}
    assert list(found) == list(SHOWN)
    assert table.columns.tolist() == ["pair", "method", "axon", "myelin", FIBRE_F1]


@pytest.mark.parametrize("other", [{"protocol": "inductive"}, {"split": "locked-test"}])
def test_the_readme_shows_one_protocol_and_split(other):
    """Rows of another protocol or split are left out."""
    pd.testing.assert_frame_equal(readme_table(pd.concat([rows(), rows(dice=0.1, **other)])), readme_table(rows()))


def test_the_speed_table_has_a_row_for_each_counted_stage():
    """Parts of stages, and stages without counted arithmetic, are left out."""
    bench = pd.DataFrame({
        "stage": ["translation", "translation", "data"],
        "part": ["whole", "a step", "read"],
        "gflop": [100.0, 25.0, float("nan")],
        "per_second": [1.493, 6.0, 60.0],
        "unit": "megapixels",
        "share_of_peak": [0.488, 0.488, float("nan")],
        "times_plain": [2.08, 2.08, float("nan")],
        "peak_memory_gib": [0.8, 0.8, 0.4],
    })  # fmt: skip
    assert speed_overview(bench).values.tolist() == [["translation", "1.49 megapixels/s", "49%", "2.1", "0.8"]]
