"""beyond.py: what notebook 05 keeps, writes and says, from labellers that know the truth or a part of it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from histobridge.cache import digest
from histobridge.metrics.calibration import TEMPERATURE
from histobridge.metrics.review import review_order
from histobridge.strategies.refined import RECIPES
from histobridge_study.analysis.tables import DICE_COLUMNS
from histobridge_study.runs import Run, open_run
from histobridge_study.stages import refine as beyond
from histobridge_study.stages.refine import STAGE, ablate, ablate_runs, mistakes, refined_labels, trust_tables

KEYS = ["pair", "protocol", "split", "fold"]
BLIND = (slice(64), slice(64))  # the uppermost left tile


class Knows:
    """A labeller that knows the truth but for one tile, in which it errs at every pixel and is less sure."""

    def __init__(self, run: Run, *, blind: tuple = BLIND, sure: float = 0.4):
        truth = run.target_masks()
        self.known = {digest(sample.image): truth[sample.name] for sample in run.scored_images()}
        self.blind, self.sure, self.asked = blind, sure, 0
        self.fingerprint = f"knows all but {blind}"
        self.folder = f"by-{digest(self.fingerprint)[:8]}"

    def label(self, image):
        """Return the mask and the probabilities."""
        self.asked += 1
        mask = self.known[digest(image)].copy()
        mask[self.blind] = (mask[self.blind] + 1) % 3
        certain = np.eye(3, dtype=np.float32)[mask].transpose(2, 0, 1)
        unsure = self.sure * certain + (1 - self.sure) / 2 * (1 - certain)
        certain[:, *self.blind] = unsure[:, *self.blind]
        return mask, certain

    def predict(self, image):
        """Return the mask alone."""
        return self.label(image)[0]


@pytest.fixture
def run(tmp_path):
    """An inductive run of a drawn pair, whose fold scores some images."""
    return open_run({"pair": "phantom-sem", "profile": "smoke", "protocol": "inductive", "out": str(tmp_path)})


def test_labels_and_maps_are_kept_and_read_back(run):
    """The second time nobody is asked; what is returned is what is kept, so both times are alike."""
    knows = Knows(run)
    first, images = refined_labels(run, knows), run.scored_images()
    assert knows.asked == len(images) == len(first[0]) > 1
    again = refined_labels(run, knows)
    assert knows.asked == len(images)
    for before, after in zip(first, again, strict=True):
        assert before.keys() == after.keys() == {sample.name for sample in images}
        assert all(np.array_equal(before[name], after[name]) for name in before)
    kept = {kind: run.results / kind / "refined-syndiff" for kind in ("pseudo_labels", "uncertainty")}
    assert all({path.stem for path in folder.glob("*.png")} == first[0].keys() for folder in kept.values())


def test_a_lost_map_is_made_again_and_another_labeller_labels_anew(run):
    """One image without its map is labelled once more; labels of another labeller are not taken for this one's."""
    knows, n = Knows(run), len(run.scored_images())
    masks, _ = refined_labels(run, knows)
    next((run.results / "uncertainty" / "refined-syndiff").glob("*.png")).unlink()
    refined_labels(run, knows)
    assert knows.asked == n + 1
    other = Knows(run, blind=(slice(0), slice(0)))
    found, _ = refined_labels(run, other)
    assert other.asked == n and not any(np.array_equal(masks[name], found[name]) for name in masks)


def test_maps_show_how_sure_the_label_is(run):
    """Nothing where it is certain; in the tile one minus the softened 0.4, to the 8 bits of a PNG."""
    _, unsure = refined_labels(run, Knows(run))
    shown, others = 0.4 ** (1 / TEMPERATURE), 2 * 0.3 ** (1 / TEMPERATURE)
    for values in unsure.values():
        np.testing.assert_allclose(values[BLIND], others / (shown + others), atol=1 / 255)
        assert values[64:].max() == values[:, 64:].max() == 0


def test_mistakes_are_where_the_label_shows_another_class(run, monkeypatch):
    """The whole tile, and nothing else; images without an expert mask have none to be judged by."""
    masks, _ = refined_labels(run, Knows(run))
    wrong = mistakes(run, masks)
    assert wrong.keys() == masks.keys()
    for errors in wrong.values():
        assert errors.dtype == bool and errors[BLIND].all() and errors.sum() == 64 * 64
    name, *_ = masks
    known = {name: run.target_masks()[name]}
    monkeypatch.setattr(Run, "target_masks", lambda *_, **__: known)
    assert list(mistakes(run, masks)) == [name]


def test_trust_of_a_labeller_that_knows_where_it_errs(run):
    """Its errors are where it is unsure: no area under the curve, all errors in the first tenth of the tiles."""
    masks, unsure = refined_labels(run, Knows(run))
    order = review_order(unsure)
    tables = trust_tables(run, unsure, mistakes(run, masks), order)
    (trust,) = tables["trust"].to_dict("records")
    confidence = 1 - np.mean([values[BLIND].mean() for values in unsure.values()])
    assert trust["wrong"] == pytest.approx(1 / 16)
    assert trust["ece"] == pytest.approx(confidence / 16, abs=1e-4)  # never right in the tile, always right elsewhere
    assert trust["ause"] == pytest.approx(0, abs=1e-12)
    assert (trust["held_by_first_tenth"], trust["most_possible"]) == (1, 1)


def test_trust_is_written_with_its_run(run):
    """Three files that hold what is returned, each row with pair, protocol, split and fold."""
    masks, unsure = refined_labels(run, Knows(run))
    tables = trust_tables(run, unsure, mistakes(run, masks), review_order(unsure))
    columns = {"reliability": ["bin", "n", "confident", "right"], "sparsification": ["removed", "error", "oracle"]}
    columns["trust"] = ["ece", "ause", "held_by_first_tenth", "most_possible", "wrong"]
    assert tables.keys() == columns.keys()
    for name, table in tables.items():
        assert table.columns.tolist() == KEYS + columns[name]
        assert table[KEYS].drop_duplicates().values.tolist() == [["phantom-sem", "inductive", "development", 0]]
        pd.testing.assert_frame_equal(pd.read_csv(run.results / f"{name}.csv"), table)
    assert tables["reliability"]["n"].sum() == sum(mask.size for mask in masks.values())


CONTROLS = {"syndiff": SimpleNamespace(sign=1), "histogram": None}


@pytest.fixture
def recipes(monkeypatch):
    """Let every recipe know the truth but for a tile, the larger the later it comes; what was asked for, in order."""
    asked = []

    def of(run, translators, name):
        asked.append(name)
        side = 32 * list(RECIPES).index(name)
        return Knows(run, blind=(slice(side), slice(side)))

    monkeypatch.setattr(beyond, "refined", of)
    return asked


def test_an_ablation_scores_every_recipe(run, recipes):
    """A row an image and class of each, in the order of the recipes; the first knows all, each next a little less."""
    found, n = ablate(run, CONTROLS), 2 * len(run.scored_images())
    assert recipes == list(RECIPES)
    assert set(found.columns) == {*DICE_COLUMNS, "recipe", "git_commit", "settings_hash"}
    assert found["recipe"].tolist() == [name for name in RECIPES for _ in range(n)]
    assert set(zip(found["strategy"], found["translator"], strict=True)) == {("refined", "syndiff")}
    dice = found.groupby("recipe", sort=False)["dice"].mean()
    assert dice.iloc[0] == 1 and dice.is_monotonic_decreasing and dice.is_unique
    pd.testing.assert_frame_equal(pd.read_csv(run.results / "ablation.csv"), found)


def test_an_ablation_that_is_there_is_not_made_again(run, recipes, monkeypatch):
    """The file is told each time, the recipes are trained the first time only."""
    monkeypatch.setattr(beyond, "trained_translators", lambda run: CONTROLS)
    file = run.results / "ablation.csv"
    run.finish(STAGE)
    for _ in range(2):
        assert list(ablate_runs([run])) == [(run, file)]
    assert recipes == list(RECIPES) and file.exists()
    file.write_text(file.read_text().replace(run.settings_hash(STAGE), "of before"))
    list(ablate_runs([run]))
    assert recipes == 2 * list(RECIPES)


def test_a_recipe_that_nothing_can_be_made_of_is_left_out(run, recipes):
    """A study without the control that matches grey values has no students without SynDiff."""
    ablate(run, {"syndiff": CONTROLS["syndiff"]})
    assert recipes == [name for name in RECIPES if name != "without SynDiff"]
