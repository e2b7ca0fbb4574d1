"""A finished run is handed off, and what is handed off can be drawn."""

import numpy as np
import pandas as pd
import pytest

from histobridge.errors import UserError
from histobridge.io.masks import encode_mask, read_mask, write_mask
from histobridge.phantom import phantom
from histobridge_label.export import names, read_handoff
from histobridge_label.export.instances import fibre_labels
from histobridge_study import plotting as figures

UM = 0.1


def test_the_panel_shows_each_export():
    """The mask in the grey levels of its file, one colour per fibre, and polygons on pixel edges."""
    image, mask = phantom("sem", 4, (150, 173))
    uncertain = np.random.default_rng(0).random(mask.shape).astype(np.float32)
    figure = figures.handoff_panel(image, mask, uncertain, um_per_px=UM, side=100)
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 5
    middle = (slice(25, 125), slice(36, 136))
    np.testing.assert_allclose(shown[1] * 255, encode_mask(mask[middle]))
    labels = fibre_labels(mask, UM)[middle]
    assert len(np.unique(shown[2].reshape(-1, 3), axis=0)) == len(np.unique(labels))
    assert (shown[2][labels == 0] == 0).all()
    np.testing.assert_array_equal(shown[4], uncertain[middle])
    corners = [path.vertices for drawn in figure.axes[3].collections for path in drawn.get_paths()]
    assert len(corners) > 20 and all((xy % 1 == 0.5).all() for xy in corners)
    with pytest.raises(UserError, match="'uncertainty' has shape"):
        figures.handoff_panel(image, mask, uncertain[:9], um_per_px=UM)


def test_a_finished_run_is_handed_off_and_corrections_come_back(finished, in_a_process, histobridge, tmp_path):
    """The hand-off holds the labels of the run; an edit is measured, and an unmatched file sets the exit code."""
    out, ended, _ = finished
    assert in_a_process("handoff", out, "--fold", 0).returncode == 0, ended.stdout
    (folder,) = (out / "tiny" / "phantom-sem" / "transductive" / "development" / "fold0").glob("04_refine-*")
    handoff, labels = read_handoff(folder / "handoff"), folder / "labels" / "refined-syndiff"
    for row in handoff.images.itertuples():
        handed_off = read_mask(handoff.file(row.image, names.COMBINED))[0]
        assert (handed_off == read_mask(labels / f"{row.name}.png")[0]).all()
    first = handoff.images["image"][0]
    mask = read_mask(handoff.file(first, names.COMBINED))[0]
    mask[:8, :8] = 3 - np.maximum(mask[:8, :8], 1)  # changes the class of every pixel
    for name in (first, "nobody"):
        write_mask(tmp_path / "corrected" / f"{name}{names.COMBINED}", mask)
    code, printed, _ = histobridge("import", handoff.folder, tmp_path / "corrected", "--to", tmp_path)
    assert code == 2 and "nobody" in printed
    assert pd.read_csv(tmp_path / "edits.csv")["pixels_changed"].tolist() == [64]
