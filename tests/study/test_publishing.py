"""publishing.py: what is published was made by the settings beside it, and stays until it is made anew."""

import json

import pandas as pd
import pytest
from test_tables import round_trips
from test_tables import rows as dice_rows

from histobridge.errors import UserError
from histobridge.io.files import write_table
from histobridge_study.report import publish as publishing
from histobridge_study.report.publish import refuse_stale, still_valid
from histobridge_study.runs import open_run


def record(stage: str, *, pair: str = "tem-sem", protocol: str = "transductive", **changes) -> dict:
    """What a stage that finished just now says of itself."""
    run = open_run({"pair": pair, "profile": "cpu", "fold": 1, "protocol": protocol})
    return {"stage": stage, "settings_hash": run.settings_hash(stage), **run.provenance(), **changes}


def test_runs_of_other_settings_are_not_published():
    """A run that study.yaml would not repeat is named, with the stage; the others are not."""
    refuse_stale([record("02_translate"), record("03_label")])
    stale = record("03_label", settings_hash="of before")
    with pytest.raises(UserError, match=r"now: tem-sem transductive fold 1 \(03_label\)\. Run"):
        refuse_stale([record("02_translate"), stale])
    with pytest.raises(UserError, match="other settings"):
        refuse_stale([record("03_label", seed=1)])


# --- What is published stays ------------------------------------------------------------------------------

NEW = ("tem-sem", "transductive")


def finish(out, *cells: tuple[str, str], dice: float, beyond: bool = True, fold: int = 0, added=False) -> None:
    """Leave one finished fold of each pair and protocol, with a translation and two images of one Dice.

    `added` leaves an ablation too.
    """
    for pair, protocol in cells:
        run = open_run({"pair": pair, "profile": "cpu", "protocol": protocol, "out": str(out), "fold": fold})
        cell, scored = {"pair": pair, "protocol": protocol}, dice_rows([dice, dice])
        scored = scored.assign(**cell, fold=fold)
        write_table(run.results / "dice.csv", scored)
        whole = {"fold": run.translator_key, "split": "development", **cell}
        write_table(run.shared / "translation.csv", round_trips(ssim=[dice], **whole))
        if beyond:
            refined = scored[:1].assign(strategy="refined", translator="syndiff")
            write_table(run.results / "refined.csv", refined)
            write_table(run.results / "trust.csv", pd.DataFrame([{**run.key, "ece": dice}]))
            run.finish("04_refine")
        if added:
            told = {"recipe": "refined", "git_commit": "abc", "settings_hash": run.settings_hash("04_refine")}
            write_table(run.results / "ablation.csv", scored.assign(**told))
        run.finish("02_translate")
        run.finish("03_label")


@pytest.fixture
def publish_in(tmp_path, monkeypatch):
    """A function that publishes the runs of a folder of `tmp_path`; what follows from the rows is left out."""
    monkeypatch.setattr(publishing, "recompute", lambda *_: None)
    (tmp_path / "reports").mkdir()

    def publish(folder: str) -> dict[str, pd.DataFrame]:
        publishing.publish_runs(tmp_path / folder / "cpu", tmp_path / "reports", tmp_path / "README.md")
        return {path.stem: pd.read_csv(path) for path in (tmp_path / "reports").glob("*.csv")}

    return publish


def published_cells(tmp_path) -> list[tuple[str, str]]:
    """The pairs and protocols that reports/provenance.json names, in order."""
    records = json.loads((tmp_path / "reports" / "provenance.json").read_text())
    return list(dict.fromkeys((record["pair"], record["protocol"]) for record in records))


def of(table: pd.DataFrame, cell: tuple[str, str]) -> pd.DataFrame:
    """The rows of a pair and protocol."""
    return table[(table["pair"] == cell[0]) & (table["protocol"] == cell[1])].reset_index(drop=True)


@pytest.mark.parametrize("other", [("tem-pns", "transductive"), ("tem-sem", "inductive")])
def test_what_has_no_new_run_stays_published(publish_in, tmp_path, other):
    """A pair, or protocol, that is run again is replaced in every table; the other keeps its rows as they were."""
    finish(tmp_path / "before", NEW, other, dice=0.5)
    finish(tmp_path / "now", NEW, dice=0.75)
    before, now = publish_in("before"), publish_in("now")
    assert before.keys() == now.keys() == {"dice", "translation", "trust"}
    for name, column in (("dice", "dice"), ("translation", "ssim"), ("trust", "ece")):
        pd.testing.assert_frame_equal(of(now[name], other), of(before[name], other))
        assert set(of(before[name], NEW)[column]) == {0.5} and set(of(now[name], NEW)[column]) == {0.75}
        assert len(now[name]) == len(before[name])
    assert published_cells(tmp_path) == [other, NEW]


def test_a_fold_that_is_run_again_replaces_that_fold(publish_in, tmp_path):
    """The others keep their rows; what serves all folds is replaced as a whole."""
    for fold in (0, 1):
        finish(tmp_path / "before", NEW, dice=0.5, fold=fold)
    finish(tmp_path / "now", NEW, dice=0.75, fold=1)
    publish_in("before")
    now = publish_in("now")
    assert now["dice"].groupby("fold")["dice"].unique().map(list).to_dict() == {0: [0.5], 1: [0.75]}
    assert now["trust"].set_index("fold")["ece"].to_dict() == {0: 0.5, 1: 0.75}
    assert now["translation"]["ssim"].tolist() == [0.75]
    records = json.loads((tmp_path / "reports" / "provenance.json").read_text())
    stages = ["02_translate", "03_label", "04_refine"]
    assert sorted((r["stage"], r["fold"]) for r in records if r["fold"]) == [(stage, 1) for stage in stages]
    assert sorted(r["stage"] for r in records if not r["fold"]) == stages[1:]


def test_what_was_added_to_a_run_stays_until_it_is_added_anew(publish_in, tmp_path):
    """An ablation takes hours: a run without one leaves the published rows, which say of which commit they are."""
    finish(tmp_path / "before", NEW, dice=0.5, added=True)
    finish(tmp_path / "without", NEW, dice=0.75)
    finish(tmp_path / "with", NEW, dice=0.25, added=True)
    before, without, with_ = map(publish_in, ("before", "without", "with"))
    pd.testing.assert_frame_equal(before["ablation"], without["ablation"])
    assert set(without["dice"]["dice"]) == {0.75}
    assert set(with_["ablation"]["dice"]) == {0.25} and len(with_["ablation"]) == len(before["ablation"])


def test_what_was_added_to_labels_of_other_settings_goes(publish_in, tmp_path):
    """It would contradict the table of Dice: in the published rows, and in a run whose settings have changed since."""
    finish(tmp_path / "before", NEW, dice=0.5, added=True)
    finish(tmp_path / "without", NEW, dice=0.75)
    assert "ablation" in publish_in("before")
    for file in (tmp_path / "reports" / "ablation.csv", *(tmp_path / "before").rglob("ablation.csv")):
        rows = pd.read_csv(file)
        rows.assign(settings_hash="of before").to_csv(file, index=False)
    assert "ablation" not in publish_in("without")
    assert "ablation" not in publish_in("before")


def test_published_again_nothing_changes(publish_in, tmp_path):
    """The same runs a second time give the same bytes."""
    finish(tmp_path / "before", NEW, ("tem-pns", "transductive"), dice=1 / 3)
    publish_in("before")
    files = {path: path.read_bytes() for path in (tmp_path / "reports").iterdir()}
    publish_in("before")
    assert {path: path.read_bytes() for path in (tmp_path / "reports").iterdir()} == files


def test_what_other_settings_made_does_not_stay(publish_in, tmp_path):
    """One stale stage of a fold takes all its rows with it; those of others stay, and those it was made from."""
    gone, stays = ("tem-pns", "transductive"), ("tem-bf", "transductive")
    finish(tmp_path / "before", NEW, gone, stays, dice=0.5)
    finish(tmp_path / "now", NEW, dice=0.75)
    publish_in("before")
    file = tmp_path / "reports" / "provenance.json"
    records = json.loads(file.read_text())
    next(r for r in records if (r["pair"], r["stage"]) == ("tem-pns", "04_refine"))["settings_hash"] = "of before"
    file.write_text(json.dumps(records))
    now = publish_in("now")
    assert set(now.pop("translation")["pair"]) == {"tem-bf", "tem-pns", "tem-sem"}
    assert all(set(table["pair"]) == {"tem-bf", "tem-sem"} for table in now.values())
    assert set(published_cells(tmp_path)) == {gone, stays, NEW}


def test_dice_of_refined_join_the_others(publish_in, tmp_path):
    """Rows of notebook 05 stand in the table of Dice where it has run, and are not missed where it has not."""
    finish(tmp_path / "runs", NEW, dice=0.5)
    finish(tmp_path / "runs", ("tem-pns", "transductive"), dice=0.5, beyond=False)
    found = publish_in("runs")["dice"]
    assert found.groupby(["pair", "strategy"]).size().to_dict() == {
        ("tem-pns", "pretrained"): 2,
        ("tem-sem", "pretrained"): 2,
        ("tem-sem", "refined"): 1,
    }


def test_one_stale_stage_takes_its_cell_with_it():
    """A stage of the same fold goes too; another protocol is judged for itself."""
    stays = record("02_translate", protocol="inductive")
    stale = [record("03_label", pair="tem-bf"), record("04_refine", pair="tem-bf", settings_hash="of before")]
    assert still_valid([stays, *stale]) == [stays]


def test_another_profile_does_not_replace_what_is_published(publish_in, tmp_path):
    """Its rows would stand for nothing beside those of the other; nothing is touched."""
    finish(tmp_path / "before", NEW, dice=0.5)
    publish_in("before")
    file = tmp_path / "reports" / "provenance.json"
    file.write_text(file.read_text().replace('"profile": "cpu"', '"profile": "gpu"'))
    content = file.read_text()
    with pytest.raises(UserError, match="holds profile gpu"):
        publish_in("before")
    assert file.read_text() == content
