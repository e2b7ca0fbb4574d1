"""The main job on real images, as long as it takes: marked slow and real, for whoever has the images and the time."""

import pandas as pd
import pytest

from histobridge.batch import run_fold
from histobridge.manifest import fetch, load_dataset
from histobridge.study import Parameters

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pair", ["tem-pns", "tem-bf"])
def test_near_and_far_targets_keep_their_contrast(mirror, tmp_path, pair, seed):
    """Where L and U share their polarity, no SynDiff strategy is worse than the pre-trained model by over 0.02 Dice."""
    for name in ("tem", pair.removeprefix("tem-") if pair == "tem-bf" else pair):
        fetch(load_dataset(name), tmp_path / "data", mirror=mirror, splits=("development",))
    run = run_fold(
        Parameters(pair=pair, profile="cpu", seed=seed, out=str(tmp_path / "runs"), data=str(tmp_path / "data"))
    )
    rows = pd.read_csv(run.results / "dice.csv")
    dice = rows.groupby(["strategy", "translator", "class"])["dice"].mean()
    for strategy in ("adaptation", "tutorship"):
        for tissue in ("axon", "myelin"):
            assert dice[strategy, "syndiff", tissue] > dice["pretrained", "none", tissue] - 0.02
