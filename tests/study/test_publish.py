"""collect.py and publish.py: tables hold what finished runs have left, and published cells are not lost by accident."""

import json

import pandas as pd
import pytest
from test_tables import round_trips
from test_tables import rows as dice_rows

from histobridge.errors import UserError
from histobridge.io.files import write_table
from histobridge.io.kept import seal
from histobridge_study.report import publish as publishing
from histobridge_study.report.collect import ROWS, collect, provenance_table
from histobridge_study.runs import open_run

SEM, PNS = ("tem-sem", "transductive"), ("tem-pns", "transductive")


def finish(out, *cells, dice=0.5, refined=True, fold=0, ablation=False, seed=0) -> None:
    """Leave finished stages of one fold of each pair and protocol: a translation, and two images of one Dice."""
    for pair, protocol in cells:
        parameters = {"pair": pair, "profile": "cpu", "protocol": protocol, "fold": fold, "seed": seed}
        run = open_run(parameters | {"out": str(out)})
        translate, label, refine = map(run.stage, ("02_translate", "03_label", "04_refine"))
        scored = dice_rows([dice, dice]).assign(pair=pair, protocol=protocol, fold=fold)
        whole = {"pair": pair, "protocol": protocol, "fold": run.translator_fold, "split": "development"}
        write_table(translate.folder / "translation.csv", round_trips(ssim=[dice], **whole))
        write_table(label.folder / "dice.csv", scored)
        if refined:
            rows = scored[:1].assign(strategy="refined", translator="syndiff")
            write_table(refine.folder / "refined.csv", rows)
            write_table(refine.folder / "trust.csv", pd.DataFrame([{**run.key, "ece": dice}]))
            if ablation:
                write_table(refine.folder / "ablation.csv", rows.assign(recipe="refined"))
                seal(refine.folder / "ablation.csv")
            refine.finish()
        translate.finish()
        label.finish()


def test_the_rows_of_all_finished_runs_are_joined(tmp_path):
    """Refined labels join the others where stage 04 has finished; a table that no run has left is empty."""
    finish(tmp_path, SEM, ablation=True)
    finish(tmp_path, SEM, fold=1, refined=False)
    finish(tmp_path, PNS, refined=False)
    found = collect("cpu", out=str(tmp_path))
    assert tuple(sorted(found.rows)) == tuple(sorted(ROWS))
    counts = found.rows["dice"].groupby(["pair", "strategy"]).size().to_dict()
    assert counts == {("tem-pns", "pretrained"): 2, ("tem-sem", "pretrained"): 4, ("tem-sem", "refined"): 1}
    assert len(found.rows["translation"]) == 3  # each fold has a translator of another seed
    assert len(found.rows["ablation"]) == 1 and found.rows["guidance"].empty
    stages = provenance_table(found.provenance).groupby("stage").size().to_dict()
    assert stages == {"02_translate": 3, "03_label": 3, "04_refine": 1}


def test_unfinished_and_other_runs_are_left_out(tmp_path):
    """Rows of another seed, or of a stage without a record, belong to no table; without any there is an error."""
    with pytest.raises(UserError, match="no finished runs below"):
        collect("cpu", out=str(tmp_path))
    finish(tmp_path, SEM)
    finish(tmp_path, SEM, seed=1, dice=0.9)
    finish(tmp_path, PNS, dice=0.9)
    for stage in ("03_label", "04_refine"):
        open_run({"pair": "tem-pns", "profile": "cpu", "out": str(tmp_path)}).stage(stage).record_file.unlink()
    assert set(collect("cpu", out=str(tmp_path)).rows["dice"]["dice"]) == {0.5}


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """A function that publishes the runs of a folder of `tmp_path`; what follows from the rows is left out."""
    monkeypatch.setattr(publishing, "recompute", lambda *_: None)
    (tmp_path / "reports").mkdir()

    def run(folder: str, **options) -> dict[str, pd.DataFrame]:
        collected = collect("cpu", out=str(tmp_path / folder))
        publishing.publish_runs(collected, tmp_path / "reports", tmp_path / "README.md", **options)
        return {path.stem: pd.read_csv(path) for path in (tmp_path / "reports").glob("*.csv")}

    return run


def contents(folder) -> dict:
    """Return the bytes of all files of a folder."""
    return {path: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("lost", [PNS, ("tem-sem", "inductive")])
def test_published_cells_are_lost_only_with_replace(publish, tmp_path, lost):
    """Runs without a published pair or protocol are refused, and nothing changes; `replace` lets it go."""
    finish(tmp_path / "before", SEM, lost)
    finish(tmp_path / "now", SEM, dice=0.75)
    publish("before")
    before = contents(tmp_path / "reports")
    with pytest.raises(UserError, match=rf"2 results.*{lost[0]} {lost[1]} development 0.*--replace"):
        publish("now")
    assert contents(tmp_path / "reports") == before
    assert set(publish("now", replace=True)["dice"]["dice"]) == {0.75}
    records = json.loads((tmp_path / "reports" / "provenance.json").read_text())
    assert {(record["pair"], record["protocol"]) for record in records} == {SEM}


def test_a_stage_that_is_lost_is_not_lost_in_silence(publish, tmp_path):
    """The rows of `refined` stay where its stage has not finished again, unless they may go."""
    finish(tmp_path / "runs", SEM)
    publish("runs")
    before = contents(tmp_path / "reports")
    open_run({"pair": "tem-sem", "profile": "cpu", "out": str(tmp_path / "runs")}).stage(
        "04_refine"
    ).record_file.unlink()
    for options, advice in (({}, "--replace"), ({"keep": True}, "run the study again")):
        with pytest.raises(UserError, match=rf"tem-sem transductive development 0 04_refine.*{advice}"):
            publish("runs", **options)
        assert contents(tmp_path / "reports") == before
    publish("runs", replace=True)


def test_rows_of_unknown_origin_are_not_recomputed(tmp_path):
    """Without provenance nothing is known about them."""
    finish(tmp_path / "runs", SEM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "recompute", lambda *_: None)
        collected = collect("cpu", out=str(tmp_path / "runs"))
        publishing.publish_runs(collected, tmp_path / "reports", tmp_path / "README.md")
    (tmp_path / "reports" / "provenance.json").unlink()
    with pytest.raises(UserError, match=r"holds no provenance\.json.*publish the runs again"):
        publishing.recompute(tmp_path / "reports", tmp_path / "README.md")


def test_what_is_published_comes_from_one_set_of_runs(publish, tmp_path):
    """All tables are replaced; one that the new runs have not left is removed."""
    finish(tmp_path / "before", SEM, ablation=True)
    finish(tmp_path / "now", SEM, PNS, dice=0.75)
    assert publish("before").keys() == {"dice", "translation", "trust", "ablation"}
    now = publish("now")
    assert now.keys() == {"dice", "translation", "trust"}
    assert set(now["dice"]["dice"]) == {0.75} and set(now["trust"]["pair"]) == {"tem-sem", "tem-pns"}


def test_folds_are_added_to_those_of_the_same_version(publish, tmp_path):
    """Cells that the new runs have are replaced, in all tables; a table that they lack stays for other cells alone."""
    finish(tmp_path / "before", SEM, PNS, ablation=True)
    finish(tmp_path / "now", SEM, dice=0.75)
    finish(tmp_path / "now", SEM, dice=0.75, fold=1)
    publish("before")
    now = publish("now", keep=True)
    dice = now["dice"].groupby(["pair", "fold"])["dice"].unique().map(list).to_dict()
    assert dice == {("tem-pns", 0): [0.5], ("tem-sem", 0): [0.75], ("tem-sem", 1): [0.75]}
    translated = now["translation"].groupby(["pair", "fold"])["ssim"].first().to_dict()
    assert translated == {("tem-pns", "seed0"): 0.5, ("tem-sem", "seed0"): 0.75, ("tem-sem", "seed1"): 0.75}
    assert set(now["ablation"]["pair"]) == {"tem-pns"} and len(now["trust"]) == 3
    before = contents(tmp_path / "reports")
    publish("now", keep=True)
    assert contents(tmp_path / "reports") == before


def test_runs_of_another_version_are_not_added_to(publish, tmp_path):
    """Nothing changes; the error names both versions."""
    finish(tmp_path / "before", SEM, PNS)
    finish(tmp_path / "now", SEM, dice=0.75)
    publish("before")
    file = tmp_path / "reports" / "provenance.json"
    records = json.loads(file.read_text())
    for record in records:
        record["libraries"]["histobridge"] = "0.1.0"
    file.write_text(json.dumps(records))
    before = contents(tmp_path / "reports")
    with pytest.raises(UserError, match=r"version 0\.1\.0, these are of version .*--replace instead"):
        publish("now", keep=True)
    assert contents(tmp_path / "reports") == before


def test_tables_and_plots_go_with_their_rows(tmp_path):
    """What follows from rows that are published no more would show older runs."""
    for name in ("ablation.png", "guidance_overview.csv", "agreement.csv", "dice.png"):
        (tmp_path / name).write_text("old")
    publishing._remove_stale({}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["dice.png"]


def test_published_again_nothing_changes(publish, tmp_path):
    """The same runs give the same bytes."""
    finish(tmp_path / "before", SEM, PNS, dice=1 / 3)
    publish("before")
    before = contents(tmp_path / "reports")
    publish("before")
    assert contents(tmp_path / "reports") == before
