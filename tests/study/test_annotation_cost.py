"""annotation_cost.py: rows of corrections.csv become scores and edits by subject."""

import pandas as pd
import pytest

from histobridge_study import plotting
from histobridge_study.analysis.annotation_cost import cost_by_subject, cost_overview, images_saved

KEY = {"pair": "p", "protocol": "transductive", "split": "development"}


def row(start, corrected, image, dice, *, role="scored", edits=0, fold=0) -> dict:
    """One row of corrections.csv; the first letter of an image is its subject."""
    counts = {"added": edits, "removed": 1, "reshaped": 0, "pixels_changed": 100 * edits}
    scores = {"axon": dice, "myelin": dice, "f1_50": dice, "fibres": 9}
    named = {"start": start, "corrected": corrected, "role": role, "image": image, "subject": image[0]}
    return {**KEY, "fold": fold, **named, **scores, **counts}


def rows() -> pd.DataFrame:
    """Two subjects, of which one has two images; refined is better without any image than nothing with one."""
    table = []
    for start, first, then, edits in (("refined", 0.6, 0.8, 4), ("nothing", 0.0, 0.5, 9)):
        table += [row(start, 1, "x1", first, role="corrected", edits=edits)]
        table += [row(start, 2, "x2", first, role="corrected", edits=1)]
        table += [row(start, 0, image, first, edits=edits) for image in ("a1", "a2", "b1")]
        table += [row(start, 1, image, then, edits=2) for image in ("a1", "b1")]
        table += [row(start, 1, "a2", then + 0.1, edits=4), row(start, 2, "a1", 0.7, edits=0)]
    return pd.DataFrame(table)


def test_the_value_of_a_subject_is_the_mean_over_its_images():
    """A subject with two images counts once, and every correction still to be made is counted per image."""
    found = cost_by_subject(rows()).set_index(["start", "corrected", "subject"])
    assert found.loc[("refined", 1, "a"), ["dice", "fibres_to_correct", "pixels_to_correct"]].tolist() == pytest.approx(
        [0.85, 4, 300]
    )
    assert found.loc[("refined", 1, "b"), "dice"] == pytest.approx(0.8)


def test_the_images_of_a_fold_are_averaged_before_those_of_a_subject():
    """An image that two folds score counts as much as one that a single fold scores."""
    twice = pd.DataFrame([row("refined", 0, "a1", dice, fold=fold) for fold, dice in enumerate((0.2, 0.4))])
    once = pd.DataFrame([row("refined", 0, "a2", 0.9), row("refined", 1, "x1", 0.9, role="corrected")])
    assert cost_by_subject(pd.concat([twice, once]))["dice"].tolist() == pytest.approx([0.6])


def test_the_edits_that_were_made_add_up_over_the_corrected_images():
    """Without a corrected image none was made; two images cost what both cost."""
    found = cost_by_subject(rows()).groupby(["start", "corrected"])[["fibres_corrected", "pixels_corrected"]].first()
    assert found.loc["refined"].values.tolist() == [[0, 0], [5, 400], [7, 500]]
    assert found.loc["nothing"].values.tolist() == [[0, 0], [10, 900], [12, 1000]]


def test_the_images_that_refined_saves_are_counted():
    """Nothing reaches the 0.6 of refined with the second image; where it never does, the cell is empty."""
    subjects = cost_by_subject(rows())
    saved = images_saved(subjects).iloc[0]
    assert saved["dice"] == pytest.approx(0.6) and saved["images"] == 2
    assert images_saved(subjects[subjects["corrected"] < 2])["images"].isna().all()


def test_the_overview_has_a_row_for_each_number_of_images():
    """Means over subjects as text, with the number of subjects."""
    found = cost_overview(cost_by_subject(rows()))
    assert found[["start", "corrected"]].values.tolist() == [[s, n] for s in ("refined", "nothing") for n in (0, 1, 2)]
    assert found["axon"].tolist()[:2] == ["0.600", "0.825"] and found["subjects"].tolist()[:3] == [2, 2, 1]
    assert found["fibres to correct, per image"].tolist()[0] == "5.0"


def test_every_subject_has_a_thin_line_and_each_start_a_thick_one():
    """Three panels for one pair; the thick line is the mean over subjects."""
    figure = plotting.annotation_curves(cost_by_subject(rows()))
    assert len(figure.axes) == 3
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() > 2]
    assert len(thick) == 2 and len(figure.axes[0].lines) == 6
    assert thick[0].get_ydata().tolist() == pytest.approx([0.6, 0.825, 0.7])
