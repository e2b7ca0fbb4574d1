"""BIDS: which JSON files describe an image, in names of our own and in those of published datasets."""

import importlib.util
import json
import random
from pathlib import Path

import pytest

from histobridge.data.bids import SidecarIndex
from histobridge.data.manifest import ImageRecord, load_dataset
from histobridge.errors import UserError

FIRST = "sub-m1/micr/sub-m1_sample-1_TEM.png"
SECOND = "sub-m1/micr/sub-m1_sample-2_TEM.png"
THIRD = "sub-m2/micr/sub-m2_sample-1_TEM.png"
SIDECARS = {
    "TEM.json": {"PixelSize": [0.05, 0.05], "PixelSizeUnits": "um"},
    "sub-m1/micr/sub-m1_TEM.json": {"PixelSize": [100, 100], "PixelSizeUnits": "nm", "BodyPart": "BRAIN"},
    "sub-m1/micr/sub-m1_sample-2_TEM.json": {"PixelSize": [0.2, 0.2, 1], "PixelSizeUnits": "um"},
    "sub-m1/micr/sub-m1_SEM.json": {"PixelSize": [9, 9], "PixelSizeUnits": "um"},
    "dataset_description.json": {"Name": "drawn", "BIDSVersion": "1.9.0"},
}


@pytest.fixture(scope="module")
def script():
    """The script that writes the manifest of a dandiset, as a module; the archive is not asked."""
    path = Path(__file__).parents[2] / "data_manifest" / "dandi" / "list_dandiset.py"
    spec = importlib.util.spec_from_file_location("list_dandiset", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_nearer_json_file_takes_precedence(script):
    """A file for the sample overrides one for the subject, which overrides one at the root."""
    assert SidecarIndex(sorted(SIDECARS)).sidecars_of(SECOND) == [
        "TEM.json",
        "sub-m1/micr/sub-m1_TEM.json",
        "sub-m1/micr/sub-m1_sample-2_TEM.json",
    ]
    assert [script.pixel_size(path, SIDECARS) for path in (FIRST, SECOND, THIRD)] == [0.1, 0.2, 0.05]


def test_a_json_file_of_another_image_does_not_apply():
    """Files of another subject, sample, modality or a deeper folder do not describe the image."""
    others = ["sub-m2/micr/sub-m2_TEM.json", "sub-m1_sample-3_TEM.json", "sub-m1/micr/sub-m1_SEM.json"]
    deeper = "sub-m1/micr/x/sub-m1_TEM.json"
    assert SidecarIndex([*others, deeper, "dataset_description.json"]).sidecars_of(FIRST) == []


def test_the_index_finds_what_a_comparison_of_all_with_all_finds():
    """For random names, the files found are those in a folder above with the suffix and only entities of the image."""
    draw = random.Random(0)

    def name(suffix):
        folders = "/".join(draw.choices("ab", k=draw.randrange(3)))
        entities = [
            f"{key}-{draw.randrange(3)}" for key in draw.sample(["sub", "ses", "run", "acq"], draw.randrange(5))
        ]
        return f"{folders}/{'_'.join([*entities, draw.choice(['SEM', 'TEM'])])}{suffix}".lstrip("/")

    jsons, found = {name(".json") for _ in range(300)}, 0
    for image in (name(".png") for _ in range(300)):
        *entities, suffix = Path(image).stem.split("_")
        applying = {
            json
            for json in jsons
            if Path(json).parent in Path(image).parents
            and Path(json).stem.split("_")[-1] == suffix
            and set(Path(json).stem.split("_")[:-1]) <= set(entities)
        }
        listed = SidecarIndex(jsons).sidecars_of(image)
        assert set(listed) == applying and len(listed) == len(applying)
        found += len(applying)
    assert found > 300


@pytest.mark.parametrize(("size", "unit"), [(0.00493, "um"), (0.00493, "µm"), (4.93, "nm"), (4.93e-6, "mm")])
def test_units_become_micrometres(script, size, unit):
    """The same pixel size in four units is exactly the same number."""
    assert script.pixel_size(FIRST, {"TEM.json": {"PixelSize": [size, size], "PixelSizeUnits": unit}}) == 0.00493


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"PixelSize": None}, "no usable PixelSize"),
        ({"PixelSize": ["0.1", "0.1"]}, "no usable PixelSize"),
        ({"PixelSize": [0, 0]}, "no usable PixelSize"),
        ({"PixelSize": [0.1, 0.2]}, "0.1 × 0.2 um: only square"),
        ({"PixelSizeUnits": "inch"}, "no PixelSizeUnits of .*um.* .inch."),
    ],
)
def test_an_uncertain_pixel_size_is_refused(script, fields, message):
    """Neither a size, nor a unit, nor the side of a pixel is guessed."""
    with pytest.raises(UserError, match=message):
        script.pixel_size(FIRST, {"TEM.json": {"PixelSize": [0.1, 0.1], "PixelSizeUnits": "um"} | fields})


@pytest.mark.parametrize("name", ["sem", "tem"])
def test_the_rules_fit_the_published_names(script, name):
    """In two published BIDS datasets the rules give the record of every image, its mask included."""
    for image in load_dataset(name).images:
        files = {image.path: (image.sha256, image.bytes), image.mask: (image.mask_sha256, image.mask_bytes)}
        sidecars = {f"{image.path.split('_')[-1][:3]}.json": {"PixelSize": image.um_per_px, "PixelSizeUnits": "um"}}
        found = ImageRecord(**script.image_record(image.path, files, sidecars))
        assert found == image.model_copy(update={"width": None, "height": None, "split": "development"})
        assert script.IMAGE.fullmatch(image.path) and not script.IMAGE.fullmatch(image.mask)


@pytest.mark.real
@pytest.mark.parametrize("name", ["sem", "tem"])
def test_the_rules_fit_the_published_json_files(script, mirror, name):
    """The JSON files beside the real images give the pixel sizes of the manifests."""
    jsons = {file.relative_to(mirror / name).as_posix(): file for file in (mirror / name).rglob("*.json")}
    fields = {path: json.loads(file.read_text(encoding="utf-8")) for path, file in jsons.items()}
    for image in load_dataset(name).images:
        if image.split == "development":
            assert script.pixel_size(image.path, fields) == image.um_per_px
