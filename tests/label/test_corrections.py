"""corrections and finetuning: whose a corrected mask is, what was edited, and a segmenter that learns from it."""

import math
import shutil

import numpy as np
import pytest

from histobridge.config import SegmenterSettings
from histobridge.errors import UserError
from histobridge.io.images import read_image, write_image
from histobridge.io.masks import encode_mask, write_mask
from histobridge.metrics.overlap import dice
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge_label.corrections import edit_table, edits, examples, read_corrections
from histobridge_label.export import Labelled, names, write_handoff
from histobridge_label.export.geojson import write_geojson
from histobridge_label.export.instances import fibre_labels
from histobridge_label.finetune import finetune

UM = 0.1
A, B = "sub-r_sample-a_SEM", "sub-r_sample-b_SEM"


def quiet(line):
    """Report nothing."""


@pytest.fixture(scope="module")
def labels():
    """Images and labels of two phantoms."""
    return {"a": phantom("sem", 0, (96, 110)), "b": phantom("sem", 1, (96, 110))}


@pytest.fixture
def handoff(labels, tmp_path):
    """Both handed off."""
    items = [
        Labelled(name, "r", i, m, np.zeros(m.shape, np.float32), UM, None, "SEM") for name, (i, m) in labels.items()
    ]
    return write_handoff(tmp_path / "handoff", items, {})


@pytest.fixture
def back(tmp_path):
    """The folder of corrected masks."""
    folder = tmp_path / "corrected"
    folder.mkdir()
    return folder


@pytest.fixture
def corrected(labels):
    """The label of `a` with its largest axon painted over."""
    mask = labels["a"][1].copy()
    numbers = fibre_labels(mask, UM)
    largest = np.bincount(numbers[mask == 2])[1:].argmax() + 1
    mask[(numbers == largest) & (mask == 2)] = 0
    return mask


# --- Whose it is ----------------------------------------------------------------------------------------


def test_a_corrected_mask_finds_its_image(handoff, back, corrected, labels):
    """By its name, in a sub-folder too; image, label before and pixel size come with it."""
    write_mask(back / "done" / f"{A}_seg-axonmyelin.png", corrected)
    (back / "notes.txt").write_text("passed over")
    (found,), strays = read_corrections(handoff.folder, back)
    assert (found.image, found.um_per_px, found.changed, strays) == (A, UM, True, [])
    np.testing.assert_array_equal(found.before, labels["a"][1])
    np.testing.assert_array_equal(found.after, corrected)
    assert found.image_file == handoff.file(A, ".png")


def test_the_name_of_the_users_file_will_do(handoff, back, corrected):
    """`a_seg-axonmyelin.png` for the file `a`, which was handed off under a name of BIDS."""
    write_mask(back / "a_seg-axonmyelin.png", corrected)
    assert [one.image for one in read_corrections(handoff.folder, back).found] == [A]


def test_a_name_that_two_files_had_is_nobodys(labels, tmp_path, back, corrected):
    """Two animals with an image `a` each: it must say which."""
    image, mask = labels["a"]
    doubt = np.zeros(mask.shape, np.float32)
    handoff = write_handoff(tmp_path / "h", [Labelled("a", s, image, mask, doubt, UM, None, "SEM") for s in "rs"], {})
    write_mask(back / "a_seg-axonmyelin.png", corrected)
    with pytest.raises(UserError, match=r"a_seg-axonmyelin\.png belongs to no image"):
        read_corrections(handoff.folder, back)


def test_masks_of_one_class_each_are_put_together(handoff, back, corrected):
    """As AxonDeepSeg keeps them; axon is on top where they overlap."""
    write_image(back / f"{A}_seg-axon.png", (corrected == 2).astype(float))
    write_image(back / f"{A}_seg-myelin.png", (corrected > 0).astype(float))
    (found,), _ = read_corrections(handoff.folder, back)
    np.testing.assert_array_equal(found.after, corrected)


def test_polygons_are_a_correction_too(handoff, back, corrected):
    """As QuPath exports them."""
    write_geojson(back / f"{A}_fibres.geojson", corrected, fibre_labels(corrected, UM))
    (found,), _ = read_corrections(handoff.folder, back)
    np.testing.assert_array_equal(found.after, corrected)


@pytest.mark.parametrize("ending", [names.COMBINED, names.FIBRES])
def test_in_a_copy_of_the_handoff_the_edited_file_counts(ending, handoff, back, corrected):
    """Whichever of the files of an image it is; an image that was left as it was is found, and is not changed."""
    shutil.copytree(handoff.folder, back, dirs_exist_ok=True)
    path = next(back.rglob(f"{A}{ending}"))
    path.unlink()
    if ending == names.COMBINED:
        write_mask(path, corrected)
    else:
        write_geojson(path, corrected, fibre_labels(corrected, UM))
    found, strays = read_corrections(handoff.folder, back)
    assert [(one.image, one.changed) for one in found] == [(A, True), (B, False)] and not strays
    np.testing.assert_array_equal(found[0].after, corrected)


def test_what_belongs_to_no_image_is_returned_with_near_names(handoff, back, corrected):
    """And the rest is done."""
    write_mask(back / f"{A}_seg-axonmyelin.png", corrected)
    write_mask(back / "sub-r_sample-c_SEM_seg-axonmyelin.png", corrected)
    write_mask(back / "zzz_seg-axonmyelin.png", corrected)
    found, strays = read_corrections(handoff.folder, back)
    assert [one.image for one in found] == [A]
    assert {s.file.name: set(s.near) for s in strays} == {
        "sub-r_sample-c_SEM_seg-axonmyelin.png": {A, B},
        "zzz_seg-axonmyelin.png": set(),
    }
    told = sorted(map(str, strays))
    assert "did you mean" in told[0] and A in told[0]
    assert told[1].endswith("zzz_seg-axonmyelin.png belongs to no image of the hand-off.")


def test_only_strays_are_refused(handoff, back, corrected):
    """With the first of them."""
    write_mask(back / "sub-r_sample-c_SEM_seg-axonmyelin.png", corrected)
    with pytest.raises(UserError, match=r"Nothing in .*sample-c.* belongs to no image of the hand-off; did you mean"):
        read_corrections(handoff.folder, back)


def test_a_mask_of_another_size_is_refused(handoff, back, corrected):
    """It names the file and both sizes; single masks alike."""
    write_mask(back / f"{A}_seg-axonmyelin.png", corrected[:50, :40])
    with pytest.raises(UserError, match=rf"{A}_seg-axonmyelin.png is 40 × 50 px, its image 110 × 96 px"):
        read_corrections(handoff.folder, back)
    (back / f"{A}_seg-axonmyelin.png").unlink()
    for ending in ("axon", "myelin"):
        write_image(back / f"{A}_seg-{ending}.png", np.zeros((50, 40)))
    with pytest.raises(UserError, match="is 40 × 50 px, its image 110 × 96 px"):
        read_corrections(handoff.folder, back)


def test_a_mask_of_other_values_is_refused(handoff, back, labels):
    """A grey image is no mask, nor is one of 0 and 1."""
    for image in (labels["a"][0], (labels["a"][1] > 0) / 255):
        write_image(back / f"{A}_seg-axonmyelin.png", image)
        with pytest.raises(UserError, match="is no mask of 0 background, 127 myelin, 255 axon"):
            read_corrections(handoff.folder, back)


def test_half_a_pair_is_refused(handoff, back, corrected, labels):
    """The myelin of before may no longer fit the axons of now; nor is it passed over where there is another file."""
    write_image(back / f"{A}_seg-axon.png", (corrected == 2).astype(float))
    for _ in range(2):
        with pytest.raises(UserError, match="mask of one class: put that of the other one beside it"):
            read_corrections(handoff.folder, back)
        write_mask(back / f"{A}_seg-axonmyelin.png", labels["a"][1])


def test_two_different_corrections_of_an_image_are_refused(handoff, back, corrected, labels):
    """Twice the same file name, by either name, or two kinds of file that disagree; two that agree are one."""
    write_mask(back / f"{A}_seg-axonmyelin.png", corrected)
    write_geojson(back / f"{A}_fibres.geojson", corrected, fibre_labels(corrected, UM))
    assert len(read_corrections(handoff.folder, back).found) == 1
    other = np.zeros_like(corrected)
    write_geojson(back / f"{A}_fibres.geojson", other, fibre_labels(other, UM))
    with pytest.raises(UserError, match="were both corrected, but differently"):
        read_corrections(handoff.folder, back)
    for again in (f"more/{A}_seg-axonmyelin.png", "a_seg-axonmyelin.png"):
        write_mask(back / again, corrected)
        with pytest.raises(UserError, match="are corrections of one image: keep one"):
            read_corrections(handoff.folder, back)
        (back / again).unlink()


def test_an_empty_or_missing_folder_is_told(handoff, back, tmp_path):
    """With the names that are looked for; a folder that is no hand-off alike."""
    for folder in (back, tmp_path / "no"):
        with pytest.raises(UserError, match=r"holds no corrected masks.*_seg-axonmyelin\.png"):
            read_corrections(handoff.folder, folder)
    with pytest.raises(UserError, match="no labels handed off"):
        read_corrections(back, back)


def test_the_handoff_itself_must_be_left_as_it_was(handoff, back, corrected):
    """Painted over in place, the label before is lost, and nothing could be measured."""
    with pytest.raises(UserError, match="is the hand-off itself"):
        read_corrections(handoff.folder, handoff.folder)
    write_mask(back / f"{B}_seg-axonmyelin.png", corrected)
    write_mask(handoff.file(A, names.COMBINED), corrected)
    with pytest.raises(UserError, match=r"_seg-axonmyelin\.png was edited, so that the label before is lost"):
        read_corrections(handoff.folder, back)


# --- What was edited ------------------------------------------------------------------------------------


def discs(*centres: tuple[int, int], radius: int = 6, shape=(60, 80)) -> np.ndarray:
    """Axons of a radius in sheaths of 3 px."""
    mask = np.zeros(shape, np.uint8)
    y, x = np.indices(shape)
    for value, size in ((1, radius + 3), (2, radius)):
        for row, column in centres:
            mask[np.hypot(y - row, x - column) <= size] = value
    return mask


def test_edits_are_counted():
    """One fibre stays, one is taken away, two are added, and one is moved by a pixel."""
    before = discs((15, 15), (15, 40), (40, 15))
    after = discs((15, 15), (40, 16), (40, 40), (40, 65))
    found = edits(before, after, UM)
    counts = {name: found[name] for name in ("fibres_before", "fibres_after", "added", "removed", "reshaped")}
    assert counts == {"fibres_before": 3, "fibres_after": 4, "added": 2, "removed": 1, "reshaped": 1}
    changed = np.count_nonzero(before != after)
    assert found["pixels_changed"] == changed and found["share_changed"] == changed / before.size
    assert found["area_changed_um2"] == pytest.approx(changed * 0.01)
    assert found["dice_axon"] == dice(before == 2, after == 2) < 0.7
    assert found["dice_myelin"] == dice(before == 1, after == 1)


def test_a_fibre_that_moved_too_far_is_another():
    """IoU below a half: one removed, one added, none reshaped."""
    found = edits(discs((15, 15)), discs((15, 23)), UM)
    assert (found["added"], found["removed"], found["reshaped"]) == (1, 1, 0)


def test_nothing_edited_is_nothing(labels):
    """All zero, and a Dice of 1; NaN for a class that is nowhere."""
    mask = labels["a"][1]
    found = edits(mask, mask.copy(), UM)
    assert not any(found[name] for name in ("pixels_changed", "share_changed", "added", "removed", "reshaped"))
    assert found["dice_axon"] == found["dice_myelin"] == 1 and found["fibres_before"] == found["fibres_after"] > 3
    nothing = np.zeros_like(mask)
    assert math.isnan(edits(nothing, nothing, UM)["dice_axon"])


def test_the_table_has_a_row_an_image(handoff, back, corrected, labels):
    """The painted over axon is one removed fibre; the image that was looked at and left is a row of zeros."""
    write_mask(back / f"{A}_seg-axonmyelin.png", corrected)
    write_mask(back / f"{B}_seg-axonmyelin.png", labels["b"][1])
    table = edit_table(read_corrections(handoff.folder, back).found).set_index("image")
    assert table[["added", "removed", "reshaped"]].values.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert table.at[A, "pixels_changed"] == np.count_nonzero(corrected != labels["a"][1])
    assert table.at[B, "dice_axon"] == 1 > table.at[A, "dice_axon"]


@pytest.mark.parametrize("um_per_px", [None, 0, -1])
def test_edits_want_a_pixel_size(um_per_px, labels):
    """None is guessed."""
    with pytest.raises(UserError, match="pixel size"):
        edits(labels["a"][1], labels["a"][1], um_per_px)


# --- What is learned ------------------------------------------------------------------------------------


def test_examples_are_at_the_pixel_size_of_the_segmenter(handoff, back, corrected):
    """Image and corrected mask keep each other's shape; intensities are stretched to 0..1."""
    write_mask(back / f"{A}_seg-axonmyelin.png", corrected)
    ((image, mask),) = examples(read_corrections(handoff.folder, back).found, 0.2)
    assert image.shape == mask.shape == (48, 55) and image.dtype == np.float32 and mask.dtype == np.uint8
    assert image.min() >= 0 and image.max() <= 1 and image.max() - image.min() > 0.8
    ((same, exact),) = examples(read_corrections(handoff.folder, back).found, UM)
    np.testing.assert_array_equal(exact, corrected)
    written = read_image(handoff.file(A, ".png"))
    assert np.corrcoef(same.ravel(), written.ravel())[0, 1] > 0.99


GREYS = np.array([0.5, 0.1, 0.9], np.float32)
OTHER_GREYS = np.array([0.5, 0.9, 0.1], np.float32)
SETTINGS = SegmenterSettings(steps=40, crop=48, batch=4, widths=(16, 16, 16, 16, 16, 16), lr=5e-3)


def painted(greys: np.ndarray, *seeds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images that show each class in one grey, with their masks."""
    found = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        mask = discs(*((r + rng.integers(-3, 4), c + rng.integers(-3, 4)) for r in (14, 44) for c in (14, 40, 66)))
        found.append((greys[mask], mask))
    return found


@pytest.fixture(scope="module")
def start():
    """A segmenter that knows one contrast only."""
    segmenter = Segmenter(SETTINGS)
    segmenter.fit(*map(list, zip(*painted(GREYS, 0, 1, 2), strict=True)), report=quiet)
    return segmenter


def mean_dice(segmenter: Segmenter, pairs) -> float:
    """Mean Dice of axon and myelin."""
    found = [(mask, segmenter.predict(image)) for image, mask in pairs]
    return float(np.nanmean([dice(mask == value, got == value) for mask, got in found for value in (1, 2)]))


def test_finetuning_learns_a_correction_and_leaves_the_start_alone(start):
    """One corrected image of another contrast is enough to read others like it."""
    test, before = painted(OTHER_GREYS, 8, 9), start.fingerprint
    learner = finetune(start, painted(OTHER_GREYS, 3), steps=40, report=quiet)
    assert mean_dice(start, test) < 0.3 < 0.8 < mean_dice(learner, test)
    assert start.fingerprint == before and start.settings.steps == 40
    assert learner.settings == start.settings


def test_no_step_changes_nothing_and_equal_seeds_learn_the_same(start):
    """It goes on from the very weights."""
    pair = painted(OTHER_GREYS, 3, 4)
    assert finetune(start, pair, steps=0, report=quiet).fingerprint == start.fingerprint
    one, two, three = (finetune(start, pair, steps=2, seed=seed, report=quiet).fingerprint for seed in (1, 1, 2))
    assert one == two != three


def test_finetuning_refuses_what_it_cannot_learn_from(start):
    """No image, and one smaller than a crop."""
    with pytest.raises(UserError, match="no corrected image to learn from"):
        finetune(start, [], steps=1)
    image, mask = painted(GREYS, 0)[0]
    with pytest.raises(UserError, match="smaller than a training crop"):
        finetune(start, [(image[:20], mask[:20])], steps=1)


def test_masks_are_written_as_they_are_encoded(back, corrected):
    """What the tests above call a corrected file is one."""
    write_mask(back / "m.png", corrected)
    np.testing.assert_array_equal((read_image(back / "m.png") * 255).round(), encode_mask(corrected))
