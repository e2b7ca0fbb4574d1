"""The figures of the paper, drawn from finished runs: nothing is trained, and no real image leaves the runs."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from histobridge.errors import UserError
from histobridge.segmenter import Segmenter
from histobridge.translators.syndiff import SynDiff
from histobridge_study import plotting
from histobridge_study.config import DomainAt
from histobridge_study.grid import Grid
from histobridge_study.plotting.examples import NO_DATA, NOT_RUN
from histobridge_study.report import paper_figures
from histobridge_study.stages.label import write_labels

VALUES = [0.9, 0.1, 0.5, 0.2, 0.8, 0.3, 0.7, 0.05, 0.95, 0.6]  # the third image has the median, the first is better
METHODS = (("pretrained", "none"), ("adaptation", "syndiff"), ("tutorship", "syndiff"))


def flat_tissue(modality, seed, shape, um_per_px):
    """In place of drawn tissue: an image of one grey that depends on its seed, and a mask of three stripes."""
    stripes = (np.arange(shape[1]) * 3 // shape[1]).astype(np.uint8)
    return np.full(shape, (seed % 100) / 100, np.float32), np.tile(stripes, (shape[0], 1))


def flat_translation(image, to, seed):
    """In place of a translation: one grey for each domain."""
    return np.full(image.shape, {"U": 0.2, "L": 0.8}[to], np.float32)


def dice_rows(run) -> pd.DataFrame:
    """Rows of `dice.csv` of all images and methods."""
    rows = [
        {**run.key, "strategy": s, "translator": t, "image": sample.name, "subject": "a", "class": name, "dice": value}
        for s, t in METHODS
        for sample, value in zip(run.data.target_images, VALUES, strict=True)
        for name in ("axon", "myelin")
    ]
    return pd.DataFrame(rows)


def translation_rows(run) -> pd.DataFrame:
    """Rows of `translation.csv` of all images in both directions."""
    rows = [
        {
            **run.key,
            "fold": "pair",
            "translator": "syndiff",
            "direction": direction,
            "image": sample.name,
            "ssim": value,
        }
        for direction, samples in (("L->U", run.data.source_images), ("U->L", run.data.target_images))
        for sample, value in zip(samples, VALUES, strict=True)
    ]
    return pd.DataFrame(rows).assign(psnr=20.0, l1=0.1)


@pytest.fixture
def out(tmp_path, monkeypatch):
    """A folder in which phantom-sem has finished stages 02 and 03."""
    monkeypatch.setattr("histobridge.data.datasets.phantom", flat_tissue)
    translators = {"syndiff": SimpleNamespace(translate=flat_translation)}
    monkeypatch.setattr(paper_figures, "trained_translators", lambda run: translators)
    run = Grid("smoke", out=str(tmp_path)).run("phantom-sem", "transductive", 0)
    translate, label = run.stage("02_translate"), run.stage("03_label")
    write_labels(label, dict.fromkeys(METHODS, run.data.target_masks))
    for stage, name, rows in ((label, "dice", dice_rows(run)), (translate, "translation", translation_rows(run))):
        stage.folder.mkdir(parents=True, exist_ok=True)
        rows.to_csv(stage.folder / f"{name}.csv", index=False)
        stage.finish()
    return str(tmp_path)


def pictures(figure) -> list[np.ndarray]:
    """The pictures on a figure, in order."""
    return [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]


def test_figures_show_the_median_images_and_train_nothing(out, tmp_path, monkeypatch):
    """Figures 2 to 4 come from the files of a finished run; pairs that have not run are named."""
    saved = {}
    monkeypatch.setattr(plotting, "save_figure", lambda figure, path: saved.update({path.name: figure}) or (path,))
    monkeypatch.setattr(Segmenter, "fit", None)
    monkeypatch.setattr(SynDiff, "fit", None)
    paths = paper_figures.write("smoke", tmp_path / "figures", out=out)
    expected = ["strategies-phantom-sem", "translations-phantom", "pseudo_labels-phantom"]
    assert paths == [tmp_path / "figures" / name for name in expected]
    title = saved["translations-phantom"].get_suptitle()
    assert title == "Without an example: phantom-tem-other (not run), phantom-bf (not run)"
    greys = [float(picture.mean()) for picture in pictures(saved["translations-phantom"])]
    assert greys == pytest.approx([0.02, 0.2, 0.02, 0.8], abs=0.005)  # the third images, and their translations
    assert len(pictures(saved["pseudo_labels-phantom"])) == 6


def test_an_example_names_source_and_target_alone(out):
    """Also where the pair has further labelled sets."""
    run = Grid("smoke", out=out).run("phantom-sem", "transductive", 0)
    pair = run.pair.model_copy(update={"others": (DomainAt(dataset="phantom-bf", um_per_px=0.1),)})
    run = replace(run, study=run.study.model_copy(update={"pairs": {"phantom-sem": pair}}))
    example = paper_figures.example(run, dice_rows(run), translation_rows(run))
    assert example.names == ("phantom-tem", "phantom-sem")


def test_real_images_stay_below_the_runs(tmp_path):
    """Figures of a finished real pair are refused elsewhere; without any finished run there is nothing to draw."""
    with pytest.raises(UserError, match="no finished runs"):
        paper_figures.write("cpu", tmp_path / "figures", out=str(tmp_path))
    run = Grid("cpu", out=str(tmp_path / "runs")).run("tem-sem", "transductive", 0)
    for stage in ("02_translate", "03_label"):
        run.stage(stage).folder.mkdir(parents=True)
        run.stage(stage).finish()
    with pytest.raises(UserError, match="tem-sem show real images, which are never committed"):
        paper_figures.write("cpu", tmp_path / "elsewhere", out=str(tmp_path / "runs"))


def test_a_pair_without_an_example_has_a_reason():
    """A pair whose images are not available differs from one that has not run, and a phantom pair from a real one."""
    grid = Grid("cpu")
    assert paper_figures.why_missing(grid, "tem-macaque") == NO_DATA
    assert paper_figures.why_missing(grid, "tem-sem") == paper_figures.why_missing(grid, "phantom-bf") == NOT_RUN
    assert [paper_figures.kind_of(grid, pair) for pair in ("tem-sem", "phantom-bf")] == ["real", "phantom"]


def test_the_typical_image_is_the_median():
    """Of an even number it is the lower of the middle two; undefined Dice is left out."""
    rows = pd.DataFrame({"image": list("aabcde"), "dice": [0.9, 0.7, 0.1, 0.5, math.nan, 0.6]})
    assert paper_figures.typical_image(rows, "dice") == "c"
    assert paper_figures.typical_image(rows[rows["image"] != "b"], "dice") == "e"
