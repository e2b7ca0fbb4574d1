"""Images and masks of a dataset share one pixel size, and every faulty file is refused in one sentence."""

from pathlib import Path

import numpy as np
import pytest

from histobridge.data.datasets import load_images, load_masks, subjects
from histobridge.data.manifest import Dataset, dataset_names, load_dataset
from histobridge.errors import UserError
from histobridge.io.files import sha256_of
from histobridge.io.images import write_image
from histobridge.io.masks import write_mask
from histobridge.phantom import phantom

ABOUT = ("title", "modality", "organism", "tissue", "availability", "citation", "licence")
RAMP = np.add.outer(np.arange(30), np.arange(40)).astype(np.float32) / 68
CLASSES = (np.indices((30, 40)).sum(0) // 8 % 3).astype(np.uint8)


def record(name: str, **changes) -> dict:
    """Return a record of a file `name` with its mask; `sealed` puts in the checksums."""
    fields = dict(path=f"images/{name}", sha256="0" * 64, bytes=1, mask=f"masks/{name}", mask_sha256="0" * 64)
    fields |= dict(mask_bytes=1, subject=name[0], um_per_px=0.2, width=40, height=30, split="development")
    return fields | changes


@pytest.fixture
def own(tmp_path):
    """A function that returns a dataset of two images and the data folder into which it has written them."""

    def describe(**changes):
        """Write the files and describe them."""
        records = [record("a.png", **changes), record("b.png")]
        dataset = Dataset(name="own", images=records, **dict.fromkeys(ABOUT, "x"))
        for folder, write, pixels in (("images", write_image, RAMP), ("masks", write_mask, CLASSES)):
            (tmp_path / "own" / folder).mkdir(parents=True)
            for name in ("a.png", "b.png"):
                write(tmp_path / "own" / folder / name, pixels)
        return sealed(dataset, tmp_path), tmp_path

    return describe


def sealed(dataset: Dataset, folder: Path) -> Dataset:
    """Return the dataset with the checksums of the files that are in the folder now."""

    def updated(one):
        files = {"sha256": one.path, "mask_sha256": one.mask}
        found = {name: folder / dataset.name / path for name, path in files.items() if path}
        return one.model_copy(update={name: sha256_of(path) for name, path in found.items() if path.exists()})

    return dataset.model_copy(update={"images": tuple(map(updated, dataset.images))})


def test_phantoms_need_no_files(tmp_path):
    """A procedural dataset gives the images and masks that `phantom` draws, float32 in 0..1."""
    whole = load_dataset("phantom-sem")
    three = whole.model_copy(update={"images": whole.images[:3]})
    samples, masks = (load(three, 0.1, tmp_path) for load in (load_images, load_masks))
    assert [(sample.name, sample.subject) for sample in samples][1:] == [("sem-a2", "sem-a"), ("sem-b1", "sem-b")]
    assert [sample.name for sample in samples] == list(masks)
    for sample in samples:
        assert sample.image.dtype == np.float32 and sample.image.shape == masks[sample.name].shape == (256, 256)
        assert sample.image.min() >= 0 and sample.image.max() <= 1
    image, mask = phantom("sem", 300)
    assert np.array_equal(samples[0].image, image) and np.array_equal(masks["sem-a1"], mask)


def test_another_pixel_size_is_another_grid(own):
    """Images and masks have the requested pixel size and the same field of view."""
    dataset, folder = own()
    for um_per_px, shape in ((0.2, (30, 40)), (0.1, (60, 80)), (0.4, (15, 20))):
        assert load_images(dataset, um_per_px, folder)[0].image.shape == shape
        mask = load_masks(dataset, um_per_px, folder)["a"]
        assert mask.shape == shape and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 1, 2}


def test_images_are_normalised(own):
    """Grey values are stretched to 0..1 whatever the range in the file."""
    dataset, folder = own()
    write_image(folder / "own/images/a.png", 0.4 + 0.2 * RAMP)
    dataset = sealed(dataset, folder)
    dim, bright = (sample.image for sample in load_images(dataset, 0.1, folder))
    assert dim.min() == 0 and dim.max() == 1
    np.testing.assert_allclose(dim, bright, atol=0.02)


def test_images_come_without_masks_being_read(own):
    """Images are loaded even if no mask file exists."""
    dataset, folder = own()
    for path in (folder / "own/masks").iterdir():
        path.unlink()
    assert [sample.name for sample in load_images(dataset, 0.2, folder)] == ["a", "b"]


def test_splits_are_kept_apart(own):
    """An image of the locked test is loaded only on request."""
    dataset, folder = own(split="locked-test")
    assert [sample.name for sample in load_images(dataset, 0.2, folder)] == ["b"]
    assert [sample.name for sample in load_images(dataset, 0.2, folder, split="locked-test")] == ["a"]
    assert list(load_masks(dataset, 0.2, folder)) == subjects(dataset) == ["b"]


def test_subjects_come_from_the_manifest_alone():
    """The subject of every development image is known before any file is downloaded."""
    found = subjects(load_dataset("phantom-bf"))
    assert sorted(set(found)) == ["bf-a", "bf-b", "bf-c", "bf-d", "bf-e"] and len(found) == 10


def test_names_are_unique():
    """No two images of a dataset share a name, so each mask belongs to one image."""
    for dataset in map(load_dataset, dataset_names()):
        names = [Path(image.key).stem for image in dataset.images]
        assert len(set(names)) == len(names), dataset.name


@pytest.mark.parametrize(("load", "folder"), [(load_images, "images"), (load_masks, "masks")])
def test_a_missing_file_names_the_command(own, load, folder):
    """A missing file is named, with the command that fetches it."""
    dataset, data = own()
    (data / "own" / folder / "b.png").unlink()
    with pytest.raises(UserError, match=rf"{folder}/b\.png is not here.*histobridge fetch own.*--mirror"):
        load(dataset, 0.2, data)


def test_a_constant_image_is_refused(own):
    """A constant image is refused by name."""
    dataset, folder = own()
    write_image(folder / "own/images/b.png", np.full((30, 40), 0.3))
    dataset = sealed(dataset, folder)
    with pytest.raises(UserError, match=r"images/b\.png is constant"):
        load_images(dataset, 0.2, folder)


def test_a_mask_of_another_size_is_refused(own):
    """A mask of another size than its image is refused with both sizes."""
    dataset, folder = own()
    write_mask(folder / "own/masks/a.png", CLASSES[:20])
    dataset = sealed(dataset, folder)
    with pytest.raises(UserError, match=r"images/a\.png is 40 × 30 px but its mask 40 × 20 px"):
        load_masks(dataset, 0.2, folder)


def test_a_mask_with_other_values_is_refused(own):
    """A mask with intermediate grey levels is refused by its path."""
    dataset, folder = own()
    write_image(folder / "own/masks/b.png", RAMP)
    dataset = sealed(dataset, folder)
    with pytest.raises(UserError, match=r"masks/b\.png is no mask"):
        load_masks(dataset, 0.2, folder)


def test_an_image_without_a_mask_is_loaded(own):
    """An unlabelled image is loaded as an image and left out of the masks."""
    dataset, folder = own(mask=None, mask_sha256=None, mask_bytes=None)
    assert len(load_images(dataset, 0.2, folder)) == 2
    assert len(load_masks(dataset, 0.2, folder)) == 1


def test_a_dataset_without_images_says_why(tmp_path):
    """TEM-MACAQUE lists no images, and the message states its availability."""
    macaque = load_dataset("tem-macaque")
    for ask in (lambda: load_images(macaque, 0.1, tmp_path), lambda: subjects(macaque)):
        with pytest.raises(UserError, match=r"'tem-macaque' lists no development images: \w+"):
            ask()


@pytest.mark.real
def test_real_images_and_masks_share_their_grid(mirror):
    """SEM at 0.4 µm/px: each image has its mask, both as large as the field of view says, sheaths brighter."""
    samples, masks = (load(load_dataset("sem"), 0.4, mirror) for load in (load_images, load_masks))
    records = [image for image in load_dataset("sem").images if image.split == "development"]
    assert [sample.subject for sample in samples] == subjects(load_dataset("sem"))
    for sample, described in zip(samples, records, strict=True):
        scale, mask = described.um_per_px / 0.4, masks[sample.name]
        assert sample.image.shape == mask.shape
        assert sample.image.shape == (round(described.height * scale), round(described.width * scale))
        assert sample.image[mask == 1].mean() > sample.image[mask == 2].mean() + 0.1
