"""The tables of the README: the main methods of each pair, with the best control, and speed as text."""

import pandas as pd
import pytest

from histobridge_study.analysis.tables import DICE_COLUMNS
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
    "pretrained": "0.200",
    "pretrained, with views and anatomy": "0.250",
    "best classical control": "0.600",
    "best of SynDiff's cycle, CycleGAN and CUT": "**0.900**",
    "adaptation with compact SynDiff": "0.400",
    "tutorship with compact SynDiff": "0.500",
    "refined with compact SynDiff": "0.700",
    "refined without SynDiff": "0.750",
    "supervised reference": "0.950",
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


def test_a_row_of_the_readme_shows_the_best_of_its_methods():
    """The best label-free Dice of those shown is bold; a row of which no pair has a method is left out."""
    table = readme_table(rows(), profile="cpu")
    found = dict(zip(table["method"], table["tem-sem"], strict=True))
    f1 = {name: "0.500" if name == "supervised reference" else "**0.500**" for name in SHOWN}
    assert found == {name: f"{dice} / {dice} / {f1[name]}" for name, dice in SHOWN.items()}
    assert list(found) == list(SHOWN)


def test_each_pair_has_a_column_of_the_readme():
    """The best is chosen, and bold, within a pair; a pair that lacks a method has a dash."""
    other = rows(pair="tem-bf", dice=0.5).query("strategy != 'refined'")
    table = readme_table(pd.concat([rows(), other]), profile="cpu").set_index("method")
    assert list(table) == ["tem-bf", "tem-sem"]
    assert table["tem-bf"]["pretrained"] == "**0.500** / **0.500** / **0.500**"
    assert table["tem-bf"]["refined without SynDiff"] == "–"


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
