"""The manifests of the package are valid, and a broken one is refused by name."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import pytest
import yaml

from histobridge.data.manifest import ImageRecord, dataset_names, load_dataset, packaged_manifests
from histobridge.errors import UserError

COUNTS = {"tem": (17, 4), "sem": (7, 3), "bf": (8, 4), "tem-pns": (45, 15)}
PHANTOMS = ["phantom-bf", "phantom-sem", "phantom-tem", "phantom-tem-other"]
CONTENT = {f"{role}/{n}.png": f"{role} {n}".encode() * 5000 for role in ("images", "masks") for n in "abc"}


def record(name: str, /, **changes) -> dict:
    """One line of a manifest for the image `name` of CONTENT."""
    image, mask = CONTENT[f"images/{name}.png"], CONTENT[f"masks/{name}.png"]
    line = {
        "path": f"images/{name}.png",
        "sha256": hashlib.sha256(image).hexdigest(),
        "bytes": len(image),
        "mask": f"masks/{name}.png",
        "mask_sha256": hashlib.sha256(mask).hexdigest(),
        "mask_bytes": len(mask),
        "subject": f"mouse-{name}",
        "um_per_px": 0.1,
        "width": 8,
        "height": 4,
        "split": "locked-test" if name == "c" else "development",
    }
    return {key: value for key, value in (line | changes).items() if value is not None}


def write_manifest(folder: Path, images: list[dict], **changes) -> Path:
    """Write `toy.yaml` into `folder`, which becomes a folder of manifests."""
    words = ("name", "title", "modality", "organism", "tissue", "availability", "citation", "licence")
    fields = dict.fromkeys(words, "toy") | {"images": images} | changes
    (folder / "toy.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    return folder


def toy(folder: Path, **changes):
    """Return a dataset of three images with masks, whose files are those of CONTENT."""
    return load_dataset("toy", folders=[write_manifest(folder, [record(n) for n in "abc"], **changes)])


# The shipped manifests


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_real_datasets_list_every_image_with_its_mask(name):
    """Each real dataset has the published number of images in each split, a mask for each, and an address."""
    dataset = load_dataset(name)
    split = Counter(image.split for image in dataset.images)
    assert (split["development"], split["locked-test"]) == COUNTS[name]
    assert len(dataset.files()) == 2 * sum(COUNTS[name])
    assert f"/{dataset.repository}/{dataset.commit}" in dataset.base_url


@pytest.mark.parametrize("name", ["tem", "sem", "tem-pns"])
def test_no_subject_is_on_both_sides_of_the_locked_test(name):
    """A subject belongs to one split; bf is the known exception and says so in its notes."""
    sides = {(image.subject, image.split) for image in load_dataset(name).images}
    assert len({subject for subject, _ in sides}) == len(sides)


def test_phantoms_are_unpaired():
    """Four procedural datasets of five subjects with two images each share neither a seed nor a subject."""
    images = [image for name in PHANTOMS for image in load_dataset(name).images]
    assert len(images) == len({image.seed for image in images}) == len({image.key for image in images}) == 40
    assert set(Counter(image.subject for image in images).values()) == {2}


def test_all_shipped_manifests_load():
    """The package holds the real datasets, the phantoms, and TEM-MACAQUE, which lists no images."""
    assert dataset_names() == sorted([*COUNTS, *PHANTOMS, "tem-macaque"])
    macaque = load_dataset("tem-macaque")
    assert macaque.images == () and macaque.url("x.png") is None


@pytest.mark.real
def test_manifests_agree_with_the_mirror_index(mirror):
    """Every row of the mirror's index is in a manifest with the same facts, and nothing else is."""
    with (mirror / "INDEX.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    listed = {
        (row["dataset"], row["path"], row["sha256"], int(row["bytes"]), row["role"], row["split"]) for row in rows
    }
    datasets = [load_dataset(name) for name in COUNTS]
    assert listed == {(one.name, *file) for one in datasets for file in one.files()}
    about = {
        (row["dataset"], row["path"]): (
            row["subject"],
            float(row["um_per_px"]),
            int(row["width"]),
            int(row["height"]),
        )
        for row in rows
    }
    for one in datasets:
        for image in one.images:
            facts = (image.subject, image.um_per_px, image.width, image.height)
            assert facts == about[one.name, image.path] == about[one.name, image.mask]


# Reading a manifest


def test_given_folders_come_first(tmp_path):
    """A manifest in a given folder takes precedence over later folders and the package; folders need not exist."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    own = [write_manifest(folder, [], title=folder.name) for folder in (first, second)]
    folders = [tmp_path / "missing", *own]
    (second / "sem.yaml").write_text((second / "toy.yaml").read_text().replace("name: toy", "name: sem"))
    assert load_dataset("toy", folders=folders).title == "first"
    assert load_dataset("sem", folders=folders).title == "second" and load_dataset("sem").title != "second"
    assert dataset_names(folders) == sorted([*dataset_names(), "toy"])
    with pytest.raises(UserError, match="no dataset 'toy'"):
        load_dataset("toy")


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"sha256": "abc"}, "images[0].sha256"),
        ({"split": "test"}, "images[0].split"),
        ({"um_per_px": None}, "images[0].um_per_px: Field required"),
        ({"um_per_px": 0}, "images[0].um_per_px"),
        ({"um_per_px": float("nan")}, "images[0].um_per_px"),
        ({"colour": "red"}, "images[0].colour"),
        ({"mask_sha256": None}, "images[0]: give all or none of mask"),
        ({"seed": 1, "name": "a"}, "images[0]: an image is either a file"),
        ({"width": None}, "images[0]: give all or none of width, height"),
        ({"path": None, "sha256": None, "bytes": None}, "images[0]: an image is either a file"),
        ({"path": "/images/a.png"}, "images[0].path"),
        ({"path": "images/../../a.png"}, "images[0].path"),
        ({"path": "C:/a.png"}, "images[0].path"),
        ({"mask": "..\\a.png"}, "images[0].mask"),
        ({"mask": "images/a.png"}, "'images/a.png' is listed twice"),
    ],
)
def test_a_bad_record_is_refused_by_name(tmp_path, changes, phrase):
    """Each broken rule is reported in one sentence that names the file and the field."""
    write_manifest(tmp_path, [record("a", **changes)])
    with pytest.raises(UserError) as caught:
        load_dataset("toy", folders=[tmp_path])
    assert "toy.yaml" in str(caught.value) and phrase in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_dataset_is_refused_by_name(tmp_path):
    """Duplicate images, files among drawings and a name other than the file's are refused."""
    for images, changes, phrase in [
        ([record("a"), record("b"), record("a")], {}, "'images/a.png' is listed twice"),
        ([record("a")], {"procedural": "sem"}, "a procedural dataset lists names and seeds"),
        ([record("a")], {"name": "other"}, "'other' must be the name of the file"),
        ([record("a")], {"base_url": "ftp://x/"}, "base_url"),
        ([{"name": "a1", "seed": 1, "subject": "a", "um_per_px": 1, "split": "development"}], {}, "needs its width"),
    ]:
        with pytest.raises(UserError, match=phrase):
            load_dataset("toy", folders=[write_manifest(tmp_path, images, **changes)])


def test_unknown_and_broken_manifests(tmp_path):
    """An unknown name lists the valid ones; broken YAML and an empty file name the file."""
    with pytest.raises(UserError, match=r"Valid: bf, phantom-bf, .*, tem-pns"):
        load_dataset("tme")
    for text in ("images: [", "", "- a"):
        (tmp_path / "toy.yaml").write_text(text)
        with pytest.raises(UserError, match=r"toy\.yaml"):
            load_dataset("toy", folders=[tmp_path])


def test_a_record_is_frozen_and_its_checksum_is_lower_case():
    """A checksum in capitals, as Windows prints it, is the same checksum; fields cannot be reassigned."""
    line = record("a")
    image = ImageRecord(**line | {"sha256": line["sha256"].upper()})
    assert image.sha256 == line["sha256"]
    with pytest.raises(ValueError, match="frozen"):
        image.subject = "mouse-b"


def test_addresses_are_quoted(tmp_path):
    """A space or a hash in a file name is quoted in the address."""
    assert toy(tmp_path, base_url="http://host/x").url("a b/#1.png") == "http://host/x/a%20b/%231.png"


def test_the_example_for_owners_of_tem_macaque_is_a_record():
    """The commented example line in its manifest has every field and is valid."""
    text = (packaged_manifests() / "tem-macaque.yaml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("#  - {"))
    (example,) = yaml.safe_load(line[1:].replace("<64 hex digits>", "ab" * 32))
    assert ImageRecord(**example).key == "images/m1_left.png" and set(example) == set(record("a"))
