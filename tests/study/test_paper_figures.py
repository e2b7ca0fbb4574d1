"""The paper's figures, gathered from finished runs: nothing is trained, no real image enters the repository."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from histobridge.errors import UserError
from histobridge.segmenter import Segmenter
from histobridge.translators.syndiff import SynDiff
from histobridge_study import plotting as figures
from histobridge_study.config import ROOT, load_study
from histobridge_study.grid import Plan
from histobridge_study.plotting.examples import NO_DATA, NOT_RUN
from histobridge_study.report import paper_figures as gallery
from histobridge_study.runs import open_run
from histobridge_study.stages.label import all_pseudo_labels
from histobridge_study.stages.translate import fit_controls, train_syndiff, trained_translators, translated


def words_of(figure) -> list[str]:
    """All that is written on a figure."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def shown(figure) -> list[np.ndarray]:
    """The pictures on a figure, in order."""
    return [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]


def flat_tissue(modality, seed, shape, um_per_px):
    """In place of grown tissue: an image of one grey that tells its seed, and three stripes of a mask."""
    stripes = (np.arange(shape[1]) * 3 // shape[1]).astype(np.uint8)
    return np.full(shape, (seed % 100) / 100, np.float32), np.tile(stripes, (shape[0], 1))


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A folder in which phantom-sem has been run by models that learn nothing and answer with one grey or class."""
    monkeypatch.setattr("histobridge.data.datasets.phantom", flat_tissue)
    monkeypatch.setattr(Segmenter, "fit", lambda *_, **__: None)
    monkeypatch.setattr(Segmenter, "predict", lambda self, image: np.full(image.shape, self.seed % 3, np.uint8))
    monkeypatch.setattr(SynDiff, "fit", lambda *_, **__: pd.DataFrame({"step": [0]}))
    grey = {"U": 0.2, "L": 0.8}
    monkeypatch.setattr(SynDiff, "translate", lambda _, image, to, seed: np.full(image.shape, grey[to], np.float32))
    places = {"out": str(tmp_path / "runs"), "data": str(tmp_path / "data")}
    run = open_run({"pair": "phantom-sem", "profile": "smoke", **places})
    source, target = run.source_images(), run.target_images()
    train_syndiff(run, 1, source, target)
    fit_controls(run, source, target)
    syndiff = trained_translators(run)["syndiff"]
    translated(run, syndiff, source, "U")
    all_pseudo_labels(run, {"syndiff": syndiff})
    write_rows(run, [s.name for s in source], [s.name for s in target])
    for stage in ("02_translate", "03_label"):
        run.finish(stage)
    return tmp_path / "runs"


def write_rows(run, source: list[str], target: list[str]) -> None:
    """Write dice.csv and translation.csv in which the first image is the best and the third has the median."""
    value = [0.9, 0.1, 0.5, 0.2, 0.8, 0.3, 0.7, 0.05, 0.95, 0.6]
    key = {"pair": run.parameters.pair, "protocol": "transductive", "split": "development"}
    rows = [
        {**key, "fold": 0, "strategy": s, "translator": t, "image": name, "subject": "a", "class": c, "dice": score}
        for s, t in (("pretrained", "none"), ("adaptation", "syndiff"), ("tutorship", "syndiff"))
        for name, score in zip(target, value, strict=True)
        for c in ("axon", "myelin")
    ]
    pd.DataFrame(rows).to_csv(run.results / "dice.csv", index=False)
    rows = [
        {**key, "fold": "pair", "translator": "syndiff", "direction": direction, "image": name, "ssim": score}
        for direction, names in (("L->U", source), ("U->L", target))
        for name, score in zip(names, value, strict=True)
    ]
    pd.DataFrame(rows).assign(psnr=20.0, l1=0.1).to_csv(run.shared / "translation.csv", index=False)


def test_the_gallery_draws_what_is_finished_and_trains_nothing(finished, tmp_path, monkeypatch):
    """Figures 1 to 4 come from the files of the run, of the median images; other drawn pairs are notes."""
    saved = {}
    monkeypatch.setattr(figures, "save", lambda figure, path: saved.update({path.name: figure}) or (path,))
    monkeypatch.setattr(Segmenter, "fit", None)
    monkeypatch.setattr(Segmenter, "predict", None)
    monkeypatch.setattr(SynDiff, "translate", None)
    paths = gallery.write(finished, "smoke", tmp_path / "figures", data=tmp_path / "data")
    expected = ["method", "strategies-phantom-sem", "translations-phantom", "pseudo_labels-phantom"]
    assert paths == [tmp_path / "figures" / name for name in expected]
    notes = [word for word in words_of(saved["translations-phantom"]) if ":" in word and "phantom" in word]
    assert notes == ["phantom-tem-other: not run", "phantom-bf: not run"]
    greys = [float(picture.mean()) for picture in shown(saved["translations-phantom"])]
    assert greys == pytest.approx([0.02, 0.2, 0.02, 0.8], abs=0.005)  # the third images, and their translations
    assert len(shown(saved["pseudo_labels-phantom"])) == 6


def test_real_images_do_not_enter_the_repository(tmp_path):
    """With a real pair finished, figures go below the runs or outside the repository; without any run to nowhere."""
    with pytest.raises(UserError, match="no finished runs"):
        gallery.write(tmp_path, "cpu", tmp_path / "figures")
    run = open_run({"pair": "tem-sem", "profile": "cpu", "out": str(tmp_path)})
    for stage in ("02_translate", "03_label"):
        run.finish(stage)
    with pytest.raises(UserError, match="tem-sem show real images, which are never committed"):
        gallery.write(tmp_path, "cpu", ROOT / "reports")


def test_a_run_of_other_settings_is_not_drawn(tmp_path, monkeypatch):
    """Its segmenters are not those of now: they would be trained."""
    given = {"pair": "phantom-sem", "profile": "smoke", "out": str(tmp_path)}
    run = open_run(given)
    for stage in ("02_translate", "03_label"):
        run.finish(stage)
    assert gallery.finished_run(**given).parameters == run.parameters
    monkeypatch.setattr("histobridge_study.runs.Run.settings_hash", lambda *_: "of other settings")
    assert gallery.finished_run(**given) is None


def test_a_missing_pair_says_why():
    """Images that nobody can have are told from a pair that was not run; drawn pairs from real ones."""
    plan, pairs = Plan("cpu"), load_study().pairs
    assert gallery.why_missing(plan, "tem-macaque") == NO_DATA
    assert gallery.why_missing(plan, "tem-sem") == gallery.why_missing(plan, "phantom-bf") == NOT_RUN
    assert (gallery.kind_of(pairs["tem-sem"]), gallery.kind_of(pairs["phantom-bf"])) == ("real", "phantom")


def test_the_typical_image_is_the_median():
    """Neither the best nor the worst; of an even number the lower of the middle two; undefined Dice is left out."""
    rows = pd.DataFrame({"image": list("aabcde"), "dice": [0.9, 0.7, 0.1, 0.5, math.nan, 0.6]})
    assert gallery.typical(rows, "dice") == "c"
    assert gallery.typical(rows[rows["image"] != "b"], "dice") == "e"
