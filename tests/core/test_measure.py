"""measure.py: mask files of a user become a table of fibres and one of images; no pixel size is guessed."""

import numpy as np
import pandas as pd
import pytest

from histobridge.io.images import write_image
from histobridge.io.masks import write_mask
from histobridge.measure import measure_files, measure_masks
from histobridge.metrics.morphometrics import fibre_summary, fibres
from histobridge.phantom import phantom


@pytest.fixture
def mask_file(tmp_path):
    """A drawn mask, 128 x 128 px, as a user might bring it, and its classes."""
    mask = phantom("sem", 5, (128, 128))[1]
    write_mask(tmp_path / "mine.png", mask)
    return tmp_path / "mine.png", mask


def test_masks_are_named_in_both_tables():
    """Columns that name a mask come first, in both tables; a thinner sheath is measured thinner."""
    mask = phantom("sem", 5, (128, 128))[1]
    thinner = mask * ~((mask == 1) & (np.roll(mask, 1, 0) == 0))
    single, whole = measure_masks([({"image": "a", "n": 1}, mask), ({"image": "b", "n": 2}, thinner)], 0.1)
    assert single.columns[:2].tolist() == whole.columns[:2].tolist() == ["image", "n"]
    thick, thin = whole.set_index("image").loc["a"], whole.set_index("image").loc["b"]
    assert thin["myelin_thickness_um_mean"] < thick["myelin_thickness_um_mean"]
    assert thin["avf"] == thick["avf"] and thin["mvf"] < thick["mvf"]
    assert single.groupby("image").size().to_dict() == {"a": thick["n_fibres"], "b": thin["n_fibres"]}


def test_a_mask_file_is_measured_by_the_command_line(histobridge, mask_file, tmp_path):
    """fibres.csv and summary.csv hold what the library measures, and the summary is printed."""
    path, mask = mask_file
    code, out, _ = histobridge("measure", path, path, "--um-per-px", 0.1, "--to", tmp_path / "out")
    assert code == 0 and "mine.png" in out.replace("\n", "") and "g-ratio" in out
    table = fibres(mask, 0.1)
    found = pd.read_csv(tmp_path / "out" / "fibres.csv")
    assert len(found) == 2 * len(table)
    np.testing.assert_allclose(found["g_ratio"][: len(table)], table["g_ratio"], atol=1e-5)
    one, other = pd.read_csv(tmp_path / "out" / "summary.csv").to_dict("records")
    assert {**one, "remark": ""} == {**other, "remark": ""}
    assert one["density_per_mm2"] == pytest.approx(fibre_summary(mask, table, 0.1)["density_per_mm2"])


def test_an_empty_mask_is_measured_too(tmp_path):
    """Without a fibre both tables are written, with the columns of fibres.csv."""
    files = [tmp_path / "none.png", tmp_path / "none-either.png"]
    for file in files:
        write_mask(file, np.zeros((40, 40), np.uint8))
    assert measure_files(files, 0.1, tmp_path)[0]["n_fibres"].tolist() == [0, 0]
    found = pd.read_csv(tmp_path / "fibres.csv")
    assert len(found) == 0 and {"mask", "g_ratio"} <= set(found)


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (["mine.png"], ["pixel size", "--um-per-px"]),
        (["mine.png", "--um-per-px", "0"], ["none is guessed", "mine.png"]),
        (["mine.png", "--um-per-px", "nan"], ["none is guessed"]),
        (["gone.png", "--um-per-px", "0.1"], ["gone.png cannot be read"]),
        (["grey.png", "--um-per-px", "0.1"], ["grey.png is no mask of 0 background, 127 myelin, 255 axon"]),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(histobridge, mask_file, tmp_path, monkeypatch, options, messages):
    """The message names the file and says what to do, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    write_image("grey.png", np.linspace(0, 1, 400).reshape(20, 20))
    code, out, err = histobridge("measure", *options)
    assert code == 2 and "Traceback" not in err
    assert all(message in out + err for message in messages)
    assert not (tmp_path / "measured").exists()
