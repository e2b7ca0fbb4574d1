"""review: the tiles of a hand-off, what was said of them, and corrections where import finds them."""

import numpy as np
import pandas as pd
import pytest

from histobridge.errors import UserError
from histobridge.io.files import write_table
from histobridge.io.masks import read_mask, write_mask
from histobridge_label.corrections import read_corrections
from histobridge_label.export import names, read_handoff
from histobridge_napari.corrections import corrected_folder, read_label, write_correction
from histobridge_napari.review import DONE, OPEN, SKIPPED, TABLE, Review

A, B = "sub-r_sample-a_SEM", "sub-r_sample-b_SEM"


@pytest.fixture
def handoff(labels):
    """The hand-off, which may be changed."""
    return read_handoff(labels / "handoff")


def test_the_walk_follows_the_order_of_review(handoff, tmp_path):
    """The first tile is the most uncertain of all images; before the first and after the last there is none."""
    review = Review(handoff, tmp_path)
    uncertainty = [tile.uncertainty for tile in review.tiles]
    assert uncertainty == sorted(uncertainty, reverse=True) and review.current.image == B
    assert len(review.tiles) == review.number_of_tiles(A) + review.number_of_tiles(B) == 6 + 4
    assert review.move(-1) == review.tiles[0] and review.move(1) == review.tiles[1]
    assert review.move(100) == review.tiles[-1]


def test_what_is_said_of_a_tile_is_kept(handoff, tmp_path):
    """Another session goes on with the first open tile; what was skipped does not come back by itself."""
    review = Review(handoff, tmp_path / "corrected")
    first, second, third, *_ = review.tiles
    assert review.say(DONE) == second and review.say(SKIPPED) == third
    again = Review(handoff, tmp_path / "corrected")
    assert again.current == third
    assert [again.state(tile) for tile in (first, second, third)] == [DONE, SKIPPED, OPEN]
    assert (again.count(DONE), again.count(SKIPPED), again.count(DONE, A)) == (1, 1, 0)
    again.move(-1)
    assert again.say(DONE) == third and again.count(SKIPPED) == 0


def test_after_the_last_open_tile_the_walk_stays(handoff, tmp_path):
    """Open tiles before the current one come first; if none is left, the current one is shown again."""
    review = Review(handoff, tmp_path)
    review.move(100)
    assert review.say(DONE) == review.tiles[0]
    for _ in range(9):
        review.say(DONE)
    assert review.count(OPEN) == 0 and review.current == review.tiles[-2]
    assert Review(handoff, tmp_path).current == review.tiles[0]


def test_tiles_of_an_image_that_was_labelled_anew_are_open_again(handoff, tmp_path):
    """What was said of the others holds."""
    review = Review(handoff, tmp_path)
    for _ in review.tiles:
        review.say(DONE)
    handoff.provenance["files_sha256"][handoff.name_of(A, names.COMBINED)] = "0" * 64
    assert (Review(handoff, tmp_path).count(DONE, A), Review(handoff, tmp_path).count(DONE, B)) == (0, 4)


def test_a_table_of_another_form_is_refused(handoff, tmp_path):
    """The sentence names the file and what to do."""
    (tmp_path / TABLE).write_text("notes")
    with pytest.raises(UserError, match=r"reviewed\.csv is not as it was written .*: rename it"):
        Review(handoff, tmp_path)


@pytest.mark.parametrize("change", ["no column", "another image", "no row", "words"])
def test_an_order_of_another_form_is_refused(change, handoff, tmp_path):
    """The sentence says to write the hand-off again."""
    path = handoff.folder / names.REVIEW_ORDER
    table = pd.read_csv(path)
    changed = {
        "no column": table.drop(columns="top_px"),
        "another image": table.assign(image="sub-x"),
        "no row": table[:0],
        "words": table.astype({"top_px": object}).assign(top_px="above"),
    }
    write_table(path, changed[change])
    with pytest.raises(UserError, match=r"review_order\.csv .*run the command that wrote the hand-off again"):
        Review(handoff, tmp_path)


# --- Corrections ----------------------------------------------------------------------------------------


def test_a_correction_is_read_back_exactly_and_found_by_import(handoff, tmp_path):
    """Beside the hand-off, with its name; the table of tiles in the same folder is of no concern to import."""
    folder = corrected_folder(handoff)
    mask = read_label(handoff, folder, A).copy()
    np.testing.assert_array_equal(mask, read_mask(handoff.file(A, names.COMBINED))[0])
    mask[:20, :30] = np.random.default_rng(0).integers(0, 3, (20, 30))
    write_correction(folder, A, mask.astype(np.int64))
    np.testing.assert_array_equal(read_label(handoff, folder, A), mask)
    Review(handoff, folder).say(DONE)
    (found,), account = read_corrections(handoff.folder, folder)
    assert found.image == A and found.changed and account.exit_code == 0
    np.testing.assert_array_equal(found.after, mask)


def test_labels_that_are_no_class_are_refused(tmp_path):
    """Nothing is written, and the sentence says what to paint with."""
    with pytest.raises(UserError, match="has 2 pixels of the label 7, which is no class: paint them with 1"):
        write_correction(tmp_path, A, np.array([[0, 7, 7, 2]]))
    assert not list(tmp_path.iterdir())


def test_a_correction_of_another_size_is_refused(handoff, tmp_path):
    """As import refuses it."""
    write_mask(tmp_path / f"{A}{names.COMBINED}", np.zeros((5, 6), np.uint8))
    with pytest.raises(UserError, match="is 130 × 96 px but its mask 6 × 5 px"):
        read_label(handoff, tmp_path, A)
