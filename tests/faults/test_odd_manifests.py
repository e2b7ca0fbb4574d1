"""An odd manifest is one sentence; a file that is not that of the manifest is never used."""

import hashlib

import numpy as np
import pytest
import yaml

from histobridge.data.datasets import load_images
from histobridge.data.manifest import load_dataset
from histobridge.errors import UserError
from histobridge.io.images import write_image
from histobridge.io.masks import write_mask
from histobridge.phantom import phantom
from histobridge_label.source import load_source

WORDS = ("name", "title", "modality", "organism", "tissue", "availability", "citation", "licence")
RECORD = {"path": "a.png", "sha256": "0" * 64, "bytes": 1, "subject": "a", "um_per_px": 0.1, "split": "development"}


def manifest(*images, **changes) -> str:
    """Return the text of a manifest of images."""
    return yaml.safe_dump(dict.fromkeys(WORDS, "toy") | {"images": list(images)} | changes)


MERGES = "a: &a0 {" + ", ".join(f"k{i}: 1" for i in range(9)) + "}\n"
MERGES += "".join(f"b{n}: &a{n + 1}\n  <<: [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9))
LAUGHS = "a: &a0 [lol]\n" + "".join(f"b{n}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9))

ODD = {
    "empty": b"",
    "list": b"- a",
    "merges without end": MERGES.encode(),
    "laughs": (LAUGHS + manifest()).encode(),
    "laughing images": (LAUGHS + manifest().replace("images: []", "images: *a9")).encode(),
    "deep": b"[" * 5000,
    "tab": b"name:\ttoy\n\tx: 1",
    "NUL": b"name: t\0y",
    "no UTF-8": b"name: \xff\xfe",
    "twice": (manifest() + "licence: other\n").encode(),
    "number": manifest(name=123).encode(),
    "true": manifest(name=True).encode(),
    "path as name": manifest(name="../../x").encode(),
    "no such day": b"name: 2020-99-99",
    "huge number": b"name: " + b"9" * 5000,
    "bytes inf": manifest(RECORD | {"bytes": float("inf")}).encode(),
    "bytes nan": manifest(RECORD | {"bytes": float("nan")}).encode(),
    "bytes huge": manifest(RECORD | {"bytes": 10**30}).encode(),
    "bytes true": manifest(RECORD | {"bytes": True}).encode(),
    "size true": manifest(RECORD | {"um_per_px": True}).encode(),
    "subject date": manifest(RECORD).replace("subject: a", "subject: 2020-01-31").encode(),
    "control": manifest(RECORD | {"path": "a\x1b.png"}).encode(),
    "long": manifest(RECORD | {"path": "a" * 200 + ".png"}).encode(),
    "case": manifest(RECORD, RECORD | {"path": "x/A.png"}).encode(),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_manifest_is_one_sentence(histobridge, tmp_path, odd):
    """Rows 16 and 29 for manifests: the sentence names the file, without a traceback."""
    (tmp_path / "toy.yaml").write_bytes(ODD[odd])
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images/a.png", np.random.default_rng(0).random((64, 64)))
    code, _, err = histobridge(
        "label", tmp_path / "images", "--um-per-px", 0.1, "--out", tmp_path / "out", "--yes",
        "--source-manifest", tmp_path / "toy.yaml", "--profile", "smoke", "--data", tmp_path,
    )  # fmt: skip
    assert code == 2 and "Traceback" not in err and "toy.yaml" in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("path", ["a b/#1 %41?.png", "ünï/图.png", "it's [x] {y} $(z) & =1.png", "-a.png", ".b.png"])
def test_odd_but_legal_paths_are_kept(tmp_path, path):
    """They are read as they are, and quoted in addresses."""
    (tmp_path / "toy.yaml").write_text(manifest(RECORD | {"path": path}, base_url="http://h"))
    dataset = load_dataset("toy", folders=[tmp_path])
    assert dataset.images[0].path == path and dataset.url(path).isascii() and " " not in dataset.url(path)


def own_source(folder, names="abcd"):
    """Write images and masks, and a manifest of them; return its path."""
    records = []
    for number, name in enumerate(names):
        image, mask = phantom("tem", number, (160, 160))
        record = RECORD | {"path": f"{name}.png", "mask": f"{name}-m.png"}
        (folder / "toy").mkdir(exist_ok=True)
        write_image(folder / "toy" / record["path"], image)
        write_mask(folder / "toy" / record["mask"], mask)
        if name == "b":
            write_mask(folder / "toy" / record["mask"], mask[:80])
        if name == "c":
            (folder / "toy" / record["path"]).write_bytes(b"no image")
        for part, prefix in (("path", ""), ("mask", "mask_")):
            content = (folder / "toy" / record[part]).read_bytes()
            record |= {f"{prefix}sha256": hashlib.sha256(content).hexdigest(), f"{prefix}bytes": len(content)}
        records.append(record)
    (folder / "toy.yaml").write_text(manifest(*records))
    return folder / "toy.yaml"


def test_a_bad_image_of_ones_own_source_costs_itself(tmp_path):
    """A mask of another size and a broken image are skipped with the reason; the others teach."""
    source = load_source("", own_source(tmp_path), tmp_path, None)
    assert list(source.images) == list(source.masks) == ["a", "d"] and len(source.examples) == 2
    assert set(source.account.skipped) == {"b.png", "c.png"} and sorted(source.account.used) == ["a.png", "d.png"]


def test_a_source_of_bad_images_alone_is_refused(tmp_path):
    """One sentence gives the first reason."""
    with pytest.raises(UserError, match="None of the 2 labelled images of toy can be used"):
        load_source("", own_source(tmp_path, "bc"), tmp_path, None)


def test_a_file_that_was_replaced_is_not_used(tmp_path):
    """Row 24: what is read is compared with the manifest, and the sentence says what to do."""
    file = own_source(tmp_path, "ad")
    dataset = load_dataset("toy", folders=[file.parent])
    assert len(load_images(dataset, 0.1, tmp_path)) == 2
    write_image(tmp_path / "toy/a.png", phantom("tem", 9, (160, 160))[0])
    with pytest.raises(UserError, match=r"a\.png is not the file of the manifest.*Move it away.*histobridge fetch toy"):
        load_images(dataset, 0.1, tmp_path)
