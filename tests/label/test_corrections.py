"""corrections: which image a corrected file belongs to, and which mask it holds."""

import shutil

import numpy as np
import pytest

from histobridge.errors import UserError
from histobridge.io.images import read_image, write_image
from histobridge.io.masks import write_mask
from histobridge.phantom import phantom
from histobridge_label.corrections import Correction, read_corrections, training_examples
from histobridge_label.edits import edit_table
from histobridge_label.export import Labelled, names, write_handoff
from histobridge_label.export.geojson import write_geojson
from histobridge_label.export.instances import fibre_labels
from histobridge_label.export.rois import write_rois

UM = 0.1
A, B = "sub-r_sample-a_SEM", "sub-r_sample-b_SEM"


@pytest.fixture(scope="module")
def labels():
    """Images and labels of two phantoms."""
    return {"a": phantom("sem", 0, (96, 110)), "b": phantom("sem", 1, (96, 110))}


def labelled(name, subject, image, mask) -> Labelled:
    """An image for a hand-off, with an uncertainty of 0."""
    return Labelled(name, subject, image, mask, np.zeros(mask.shape, np.float32), UM, None, "SEM")


@pytest.fixture
def handoff(labels, tmp_path):
    """A hand-off of both images."""
    return write_handoff(tmp_path / "handoff", [labelled(name, "r", *labels[name]) for name in labels], {})


@pytest.fixture
def returned(tmp_path):
    """The folder of corrected masks."""
    folder = tmp_path / "corrected"
    folder.mkdir()
    return folder


@pytest.fixture
def corrected(labels):
    """The label of `a` without its largest axon."""
    mask = labels["a"][1].copy()
    numbers = fibre_labels(mask, UM)
    largest = np.bincount(numbers[mask == 2])[1:].argmax() + 1
    mask[(numbers == largest) & (mask == 2)] = 0
    return mask


# --- Which image a file belongs to ----------------------------------------------------------------------


def test_a_corrected_mask_is_matched_by_name(handoff, returned, corrected, labels):
    """Also in a sub-folder. Image, label before and pixel size come from the hand-off; other files are ignored."""
    write_mask(returned / "done" / f"{A}_seg-axonmyelin.png", corrected)
    (returned / "notes.txt").write_text("ignored")
    (found,), account = read_corrections(handoff.folder, returned)
    assert (found.image, found.um_per_px, found.changed) == (A, UM, True)
    assert list(account.used) == [found.file] and account.harmless == {returned / "notes.txt": "text or table"}
    np.testing.assert_array_equal(found.before, labels["a"][1])
    np.testing.assert_array_equal(found.after, corrected)
    assert found.image_file == handoff.file(A, ".png")


def test_the_name_of_the_users_file_is_accepted(handoff, returned, corrected):
    """`a_seg-axonmyelin.png` for the file `a`, which has a BIDS name in the hand-off."""
    write_mask(returned / "a_seg-axonmyelin.png", corrected)
    assert [found.image for found in read_corrections(handoff.folder, returned).matched] == [A]


def test_a_file_name_that_two_images_had_is_ambiguous(labels, tmp_path, returned, corrected):
    """Two animals with an image `a` each: the name of the hand-off is needed."""
    items = [labelled("a", subject, *labels["a"]) for subject in "rs"]
    handoff = write_handoff(tmp_path / "two", items, {})
    write_mask(returned / "a_seg-axonmyelin.png", corrected)
    with pytest.raises(UserError, match=r"a_seg-axonmyelin\.png belongs to no image"):
        read_corrections(handoff.folder, returned)


def test_files_of_no_image_are_returned_with_similar_names(handoff, returned, corrected):
    """The other files are read all the same."""
    write_mask(returned / f"{A}_seg-axonmyelin.png", corrected)
    write_mask(returned / "sub-r_sample-c_SEM_seg-axonmyelin.png", corrected)
    write_mask(returned / "zzz_seg-axonmyelin.png", corrected)
    matched, account = read_corrections(handoff.folder, returned)
    assert [found.image for found in matched] == [A]
    close, far = (account.skipped[path] for path in sorted(account.skipped))
    assert "did you mean" in close and A in close and B in close
    assert far == "zzz_seg-axonmyelin.png belongs to no image of the hand-off."


def test_a_folder_without_a_single_match_is_refused(handoff, returned, corrected):
    """The message names the first file and similar images."""
    write_mask(returned / "sub-r_sample-c_SEM_seg-axonmyelin.png", corrected)
    with pytest.raises(UserError, match=r"(?s)Nothing in .*sample-c.* belongs to no image .*; did you mean"):
        read_corrections(handoff.folder, returned)


def test_an_empty_or_missing_folder_is_refused(handoff, returned, tmp_path):
    """The message lists the expected names; a folder that is not a hand-off is refused as well."""
    for folder in (returned, tmp_path / "no"):
        with pytest.raises(UserError, match=r"holds no corrected masks.*_seg-axonmyelin\.png"):
            read_corrections(handoff.folder, folder)
    with pytest.raises(UserError, match="no labels handed off"):
        read_corrections(returned, returned)


def test_what_was_edited_in_the_handoff_itself_is_listed(handoff, returned, corrected, labels):
    """The label before is lost, so that edits of that image cannot be measured; those of other images are."""
    with pytest.raises(UserError, match="is the hand-off itself"):
        read_corrections(handoff.folder, handoff.folder)
    for image in (A, B):
        write_mask(returned / f"{image}_seg-axonmyelin.png", corrected)
    write_mask(handoff.file(A, names.COMBINED), corrected)
    matched, account = read_corrections(handoff.folder, returned)
    assert [found.image for found in matched] == [B]
    assert "what was there before is lost" in account.skipped[returned / f"{A}_seg-axonmyelin.png"]
    assert "was edited in the hand-off itself: move it to" in account.skipped[handoff.file(A, names.COMBINED)]


# --- Which mask it holds --------------------------------------------------------------------------------


def test_two_single_masks_are_combined(handoff, returned, corrected):
    """Axon is on top where they overlap."""
    write_image(returned / f"{A}_seg-axon.png", (corrected == 2).astype(float))
    write_image(returned / f"{A}_seg-myelin.png", (corrected > 0).astype(float))
    (found,), _ = read_corrections(handoff.folder, returned)
    np.testing.assert_array_equal(found.after, corrected)


@pytest.mark.parametrize("ending", [names.COMBINED, names.FIBRES, names.ROIS])
def test_in_a_copy_of_the_handoff_the_edited_file_counts(ending, handoff, returned, corrected):
    """Whether it is a mask, polygons or ROIs; an image without edits is found and not changed."""
    shutil.copytree(handoff.folder, returned, dirs_exist_ok=True)
    path = next(returned.rglob(f"{A}{ending}"))
    path.unlink()
    if ending == names.COMBINED:
        write_mask(path, corrected)
    else:
        write = {names.FIBRES: write_geojson, names.ROIS: write_rois}[ending]
        write(path, corrected, fibre_labels(corrected, UM))
    matched, account = read_corrections(handoff.folder, returned)
    assert [(found.image, found.changed) for found in matched] == [(A, True), (B, False)] and not account.skipped
    assert list(account.used) == [path]
    assert not any("numbers of fibres were changed" in reason for reason in account.harmless.values())
    np.testing.assert_array_equal(matched[0].after, corrected)


def test_a_mask_of_another_size_is_refused(handoff, returned, corrected):
    """A combined mask and single masks; the message names the file and both sizes."""
    write_mask(returned / f"{A}_seg-axonmyelin.png", corrected[:50, :40])
    with pytest.raises(UserError, match=rf"(?s){A}_seg-axonmyelin.png is 40 × 50 px, its image 110 × 96 px"):
        read_corrections(handoff.folder, returned)
    (returned / f"{A}_seg-axonmyelin.png").unlink()
    for ending in ("axon", "myelin"):
        write_image(returned / f"{A}_seg-{ending}.png", np.zeros((50, 40)))
    with pytest.raises(UserError, match="is 40 × 50 px, its image 110 × 96 px"):
        read_corrections(handoff.folder, returned)


def test_a_mask_of_other_values_is_refused(handoff, returned, labels):
    """A grey image is not a mask, and neither is one of 0 and 1."""
    for image in (labels["a"][0], (labels["a"][1] > 0) / 255):
        write_image(returned / f"{A}_seg-axonmyelin.png", image)
        with pytest.raises(UserError, match="is no mask of 0 background, 127 myelin, 255 axon"):
            read_corrections(handoff.folder, returned)


def test_one_single_mask_alone_is_refused(handoff, returned, corrected, labels):
    """Also beside a combined mask, because the edit could be lost."""
    write_image(returned / f"{A}_seg-axon.png", (corrected == 2).astype(float))
    for _ in range(2):
        with pytest.raises(UserError, match="mask of one class: put that of the other one beside it"):
            read_corrections(handoff.folder, returned)
        write_mask(returned / f"{A}_seg-axonmyelin.png", labels["a"][1])


def test_two_different_corrections_of_one_image_are_refused(handoff, returned, corrected):
    """A mask and polygons that disagree, or two files with one ending; those that agree are accepted."""
    write_mask(returned / f"{A}_seg-axonmyelin.png", corrected)
    write_geojson(returned / f"{A}_fibres.geojson", corrected, fibre_labels(corrected, UM))
    assert len(read_corrections(handoff.folder, returned).matched) == 1
    for duplicate in (f"more/{A}_seg-axonmyelin.png", "a_seg-axonmyelin.png"):
        write_mask(returned / duplicate, corrected)
        ((found,), account) = read_corrections(handoff.folder, returned)
        assert found.changed and account.exit_code == 0
    other = np.zeros_like(corrected)
    write_geojson(returned / f"{A}_fibres.geojson", other, fibre_labels(other, UM))
    with pytest.raises(UserError, match="were both corrected, but differently"):
        read_corrections(handoff.folder, returned)


# --- What becomes of corrections ------------------------------------------------------------------------


def test_the_table_of_edits_has_one_row_per_image(handoff, returned, corrected, labels):
    """The missing axon is one removed fibre; an image returned without edits is a row of zeros."""
    write_mask(returned / f"{A}_seg-axonmyelin.png", corrected)
    write_mask(returned / f"{B}_seg-axonmyelin.png", labels["b"][1])
    table = edit_table(read_corrections(handoff.folder, returned).matched).set_index("image")
    assert table[["added", "removed", "reshaped"]].values.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert table.at[A, "pixels_changed"] == np.count_nonzero(corrected != labels["a"][1])
    assert table.at[B, "dice_axon"] == 1 > table.at[A, "dice_axon"]


def test_training_examples_have_the_pixel_size_of_the_segmenter(handoff, returned, corrected):
    """Image and mask have the same shape; grey values are those of the hand-off, which were labelled."""
    write_mask(returned / f"{A}_seg-axonmyelin.png", corrected)
    matched = read_corrections(handoff.folder, returned).matched
    ((image, mask),) = training_examples(matched, 0.2)
    assert image.shape == mask.shape == (48, 55) and image.dtype == np.float32 and mask.dtype == np.uint8
    assert image.min() >= 0 and image.max() <= 1 and image.max() - image.min() > 0.7
    ((image, mask),) = training_examples(matched, UM)
    np.testing.assert_array_equal(mask, corrected)
    np.testing.assert_array_equal(image, read_image(handoff.file(A, ".png")))


def test_a_dim_part_of_a_section_stays_dim(handoff, returned, corrected):
    """It was stretched with the whole section, and labelled so; an even part teaches background."""
    dim = 0.2 + 0.1 * read_image(handoff.file(A, ".png"))
    write_image(handoff.file(A, ".png"), dim)
    ((image, _),) = training_examples([Correction(A, handoff.file(A, ".png"), corrected, corrected, UM)], UM)
    np.testing.assert_allclose(image, dim, atol=1 / 255)
