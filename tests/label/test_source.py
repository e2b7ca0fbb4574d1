"""The labelled source: by name or manifest, with its masks and files, or one sentence about what is missing."""

import json

import numpy as np
import pytest
import yaml

from histobridge.classes import AXON, MYELIN
from histobridge.data.manifest import load_dataset
from histobridge.data.transfer import TransferError
from histobridge.errors import UserError
from histobridge_label.source import load_source


def test_missing_files_are_an_error_that_names_the_source(tmp_path, monkeypatch):
    """Nothing in the folder, no mirror, no network."""

    def offline(*_):
        raise TransferError("no network")

    monkeypatch.setattr("histobridge.data.download._download", offline)
    with pytest.raises(UserError, match="files of tem cannot be had"):
        load_source("tem", None, tmp_path / "data", None)


def test_a_source_without_masks_is_an_error(tmp_path):
    """Nothing can be learned from it."""
    bare = json.loads(load_dataset("sem").model_dump_json(exclude_none=True)) | {"name": "bare"}
    bare["images"] = [{k: v for k, v in one.items() if "mask" not in k} for one in bare["images"]]
    (tmp_path / "bare.yaml").write_text(yaml.safe_dump(bare))
    with pytest.raises(UserError, match="'bare' has no masks"):
        load_source("tem", tmp_path / "bare.yaml", tmp_path, None)


@pytest.mark.parametrize(("shown", "missing"), [(MYELIN, "hold no axon"), (AXON, "hold no myelin")])
def test_a_source_needs_both_classes(shown, missing, tmp_path, monkeypatch):
    """Without sheaths every axon would be removed from every label."""
    monkeypatch.setattr("histobridge_label.source._fetch", lambda *_: None)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = shown
    monkeypatch.setattr("histobridge_label.source.load_masks", lambda *_, **__: {"a": mask})
    sem = json.loads(load_dataset("sem").model_dump_json(exclude_none=True)) | {"name": "mine"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(sem))
    with pytest.raises(UserError, match=f"The masks of mine {missing}"):
        load_source("tem", tmp_path / "mine.yaml", tmp_path, None)


@pytest.mark.parametrize("name", ["small-tem.yml", "nowhere.yaml"])
def test_a_manifest_that_cannot_be_read_is_an_error(tmp_path, name):
    """It must be a file that ends in .yaml."""
    (tmp_path / "small-tem.yml").touch()
    with pytest.raises(UserError, match=r"There is no manifest .*ends in \.yaml"):
        load_source("tem", tmp_path / name, tmp_path, None)


def test_a_drawn_source_needs_no_files(tmp_path, monkeypatch):
    """`phantom` is short for drawn TEM."""
    monkeypatch.setattr("histobridge_label.source.load_images", lambda *_, **__: [])  # drawing takes seconds
    monkeypatch.setattr("histobridge_label.source.load_masks", lambda *_, **__: {})
    assert load_source("phantom", None, tmp_path, None).dataset.name == "phantom-tem" and not any(tmp_path.iterdir())


@pytest.mark.real
def test_the_files_of_a_source_come_from_the_data_folder_or_a_mirror(tmp_path, mirror):
    """What the mirror has is copied to the data folder."""
    assert len(load_source("tem", None, tmp_path, mirror).examples) > 10
    assert len(load_source("tem", None, tmp_path, None).examples) > 10
