"""Measuring masks of runs and of users: nothing is trained, nothing measured twice, nothing guessed."""

import json

import numpy as np
import pandas as pd
import pytest

from histobridge.io.masks import write_mask
from histobridge.metrics.morphometrics import fibre_summary, fibres
from histobridge.phantom import phantom
from histobridge_study.analysis.bland_altman import MEASURES
from histobridge_study.config import ROOT
from histobridge_study.report.collect import collect_measured, collect_provenance
from histobridge_study.report.publish import recompute
from histobridge_study.runs import open_run
from histobridge_study.stages.label import dice_rows
from histobridge_study.stages.measure import is_measured, kept_labels, measure_files

KEYS = ["pair", "protocol", "split", "fold", "strategy", "translator", "image", "subject"]
WAYS = [("pretrained", "none"), ("adaptation", "invert-histogram")]


@pytest.fixture
def mask_file(tmp_path):
    """A drawn mask, 128 × 128 px, as a user might bring it, and its classes."""
    mask = phantom("sem", 5, (128, 128))[1]
    write_mask(tmp_path / "mine.png", mask)
    return tmp_path / "mine.png", mask


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One place of datasets for all tests, so that their images are drawn once; nothing is written there."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def run(tmp_path, data):
    """A finished run whose pseudo labels are the expert masks, the second time without the uppermost myelin."""
    places = {"out": str(tmp_path / "runs"), "data": str(data)}
    run = open_run({"pair": "phantom-sem", "profile": "smoke", **places})
    truth = dict(list(run.target_masks().items())[:3])
    thinner = {name: mask * ~((mask == 1) & (np.roll(mask, 1, 0) == 0)) for name, mask in truth.items()}
    labels = dict(zip(WAYS, (truth, thinner), strict=True))
    for method, masks in labels.items():
        for name, mask in masks.items():
            write_mask(run.results / "pseudo_labels" / "-".join(method) / f"{name}.png", mask)
    dice_rows(run, labels).to_csv(run.results / "dice.csv", index=False)
    run.finish("03_label")
    return run


def command(run) -> list[str]:
    """The command that measures the runs of the fixture's folder."""
    return ["measure", "--profile", "smoke", "--out", run.parameters.out, "--data", run.parameters.data]


def test_a_run_is_measured_with_its_expert_masks(run):
    """Labels equal to the expert masks measure the same, thinner sheaths are thinner; files hold what is returned."""
    single, whole = measure_labels(run, kept_labels(run))
    assert whole.groupby(["strategy", "translator"]).size().to_dict() == dict.fromkeys([("expert", "none"), *WAYS], 3)
    for table, name in ((single, "fibres"), (whole, "morphometrics")):
        assert table.columns[: len(KEYS)].tolist() == KEYS
        pd.testing.assert_frame_equal(pd.read_csv(run.results / f"{name}.csv"), table)
    thick, same, thin = (whole[whole["strategy"] == s][list(MEASURES)].mean() for s in ("expert", *dict(WAYS)))
    assert same.tolist() == thick.tolist()
    assert thin["myelin_thickness_um_mean"] < thick["myelin_thickness_um_mean"]
    assert thin["avf"] == thick["avf"] and thin["mvf"] < thick["mvf"]
    assert (single.groupby(["strategy", "image"]).size() >= 20).all()


def test_the_command_measures_finished_runs_once(run, histobridge):
    """A second time nothing is done; labels that were scored again since are measured again."""
    mark = run.mark("03_label")
    assert not is_measured(mark)
    code, told, _ = histobridge(*command(run))
    assert code == 0 and "[1/1] phantom-sem transductive development fold 0: 9 masks measured" in told
    assert is_measured(mark)
    assert "measured before, skipped" in histobridge(*command(run))[1]
    _, told, said = histobridge(*command(run), "--json")
    assert json.loads(told)[0]["masks"] is None and "measured before, skipped" in said
    scored = run.results / "dice.csv"
    pd.read_csv(scored).assign(dice=0.25).to_csv(scored, index=False)
    assert "9 masks measured" in histobridge(*command(run))[1]


def test_collect_knows_what_is_measured(run):
    """Before: an empty table for notebook 04; after: the rows."""
    folder = run.folder.parent.parent
    assert len(collect_measured(folder)) == 0
    measure_labels(run, kept_labels(run))
    assert len(collect_measured(folder)) == 9
    assert [record["stage"] for record in collect_provenance(folder)] == ["03_label"]


def test_pairs_can_be_chosen(run, histobridge):
    """Runs of other pairs are left alone."""
    assert histobridge(*command(run), "--pair", "phantom-bf")[:2] == (0, "")
    assert not is_measured(run.mark("03_label"))
    assert "9 masks measured" in histobridge(*command(run), "--pair", "phantom-sem")[1]


def test_a_run_of_other_settings_is_refused(run, histobridge):
    """Its pixel size may have been another one."""
    mark = run.mark("03_label")
    mark.write_text(mark.read_text().replace(run.settings_hash("03_label"), "of before"))
    code, _, err = histobridge(*command(run))
    assert code == 2 and "other settings than study.yaml has now" in err and "Traceback" not in err


def test_published_measurements_recompute_to_their_table_and_figure(run, tmp_path):
    """With reports/morphometrics.csv `recompute` writes agreement.csv and the figure, without it neither."""
    reports = tmp_path / "reports"
    reports.mkdir()
    for name in ("dice.csv", "translation.csv", "provenance.json"):
        (reports / name).write_bytes((ROOT / "reports" / name).read_bytes())
    (reports / "README.md").touch()
    recompute(reports, reports / "README.md")
    assert not list(reports.glob("agreement.*"))
    rows = measure_labels(run, kept_labels(run))[1].assign(pair="tem-sem")
    rows["strategy"] = rows["strategy"].replace({"pretrained": "refined"})
    rows["translator"] = rows["translator"].where(rows["strategy"] != "refined", "syndiff")
    rows.to_csv(reports / "morphometrics.csv", index=False)
    recompute(reports, reports / "README.md")
    assert {path.suffix for path in reports.glob("agreement.*")} == {".csv", ".png", ".svg"}
    table = pd.read_csv(reports / "agreement.csv")
    assert set(table["strategy"]) == {"refined", "adaptation"}
    assert set(table[table["strategy"] == "refined"]["bias"]) == {0.0}


# --- Masks of a user --------------------------------------------------------------------------------------


def test_a_mask_file_is_measured_by_the_command_line(histobridge, mask_file, tmp_path):
    """fibres.csv and summary.csv hold what the library measures, and the fibre_summary is shown."""
    path, mask = mask_file
    code, told, _ = histobridge("measure", path, path, "--um-per-px", 0.1, "--to", tmp_path / "out")
    assert code == 0 and "mine.png" in told.replace("\n", "") and "g-ratio" in told
    table = fibres(mask, 0.1)
    found = pd.read_csv(tmp_path / "out" / "fibres.csv")
    assert len(found) == 2 * len(table)
    np.testing.assert_allclose(found["g_ratio"][: len(table)], table["g_ratio"], atol=1e-5)
    one, other = pd.read_csv(tmp_path / "out" / "summary.csv").to_dict("records")
    assert one == other
    assert one["density_per_mm2"] == pytest.approx(fibre_summary(mask, table, 0.1)["density_per_mm2"])


def test_an_empty_mask_is_measured_too(tmp_path):
    """No fibre at all: both tables are there, and the columns of fibres.csv."""
    for name in ("none.png", "none-either.png"):
        write_mask(tmp_path / name, np.zeros((40, 40), np.uint8))
    whole = measure_files([tmp_path / "none.png", tmp_path / "none-either.png"], 0.1, tmp_path)
    assert whole["n_fibres"].tolist() == [0, 0]
    found = pd.read_csv(tmp_path / "fibres.csv")
    assert len(found) == 0 and {"mask", "g_ratio"} <= set(found)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["mine.png"], ["pixel size", "--um-per-px"]),
        (["mine.png", "--um-per-px", "0"], ["none is guessed", "mine.png"]),
        (["mine.png", "--um-per-px", "nan"], ["none is guessed"]),
        (["gone.png", "--um-per-px", "0.1"], ["gone.png cannot be read"]),
        (["grey.png", "--um-per-px", "0.1"], ["grey.png is no mask of 0 background, 127 myelin, 255 axon"]),
        (["--um-per-px", "0.1"], ["--um-per-px", "name them too"]),
        (["--profile", "warp"], ["no profile 'warp'"]),
        (["--out", "nowhere"], ["no finished runs", "histobridge run"]),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(histobridge, mask_file, tmp_path, monkeypatch, options, told):
    """The message says what is wrong and what to do, and nothing is written."""
    from histobridge.io.images import write_image

    monkeypatch.chdir(tmp_path)
    write_image("grey.png", np.linspace(0, 1, 400).reshape(20, 20))
    code, _, err = histobridge("measure", *options)
    assert code == 2
    assert "Traceback" not in err and len(err.strip().splitlines()) == 1
    for part in told:
        assert part in err
    assert not (tmp_path / "measured").exists()
