"""Random inputs: no traceback, no hang, no silent loss. HISTOBRIDGE_FUZZ=100 tries a hundred times as many."""

import contextlib
import io
import json
import os
import random
import re
import shutil
import signal

import imagecodecs
import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from histobridge.data.manifest import packaged_manifests
from histobridge.io.masks import encode_mask
from histobridge.phantom import phantom
from histobridge_label.export import Labelled, names, write_handoff
from histobridge_label.inspect_folder import scan_folder
from mutate import mutate_bytes, mutate_value, odd_name, write_odd

MORE = int(os.environ.get("HISTOBRIDGE_FUZZ", "1"))
SHAPE = (96, 112)
NUMBERS = re.compile(r"(\d+) files: (\d+) used, (\d+) skipped, (\d+) of no concern")


@pytest.fixture(autouse=True)
def no_hang():
    """A minute for what takes seconds."""

    def stop(*_):
        raise TimeoutError("an input took a minute")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(60 * MORE)
    yield
    signal.alarm(0)


@pytest.fixture
def count(record_property):
    """Add up the inputs that were tried; the sum stands at the end of the test's output."""
    tried = []
    yield tried.append
    record_property("inputs tried", sum(tried))


@pytest.fixture(scope="module")
def drawn():
    """An image float32 and its mask of classes."""
    return phantom("sem", 7, SHAPE)


def written_by_pillow(image, ending, **options) -> bytes:
    """What Pillow writes of an image."""
    file = io.BytesIO()
    image.save(file, ending, **options)
    return file.getvalue()


def written_by_tifffile(pixels, **options) -> bytes:
    """What tifffile writes of pixels."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def image_files(image) -> dict[str, bytes]:
    """Return whole files of an image in many forms."""
    grey = (255 * image).astype(np.uint8)
    deep, colour = grey.astype(np.uint16) * 257, np.repeat(grey[..., None], 3, axis=2)
    return {
        "a.png": imagecodecs.png_encode(grey),
        "b.png": imagecodecs.png_encode(deep),
        "c.png": imagecodecs.png_encode(np.dstack([colour, 255 - grey])),
        "d.png": written_by_pillow(Image.fromarray(colour).quantize(64), "png"),
        "e.jpg": written_by_pillow(Image.fromarray(grey), "jpeg"),
        "f.tif": written_by_tifffile(deep, compression="lzw"),
        "g.tiff": written_by_tifffile(colour, photometric="rgb", planarconfig="contig"),
        "h.ome.tif": written_by_tifffile(
            deep[None], ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1}
        ),
        "i.tif": written_by_tifffile(image, photometric="miniswhite"),
        "j.json": json.dumps({"PixelSize": [0.1, 0.1], "PixelSizeUnits": "um"}).encode(),
        "k.czi": b"ZISRAWFILE",
        "l.txt": b"notes",
    }


def test_images(tmp_path, drawn, count, capsys):
    """Every file below a folder is used, skipped with a reason, or of no concern."""
    rng, whole = random.Random(1), image_files(drawn[0])
    for number in range(3 * MORE):
        folder = tmp_path / f"folder {number}"
        folder.mkdir()
        (folder / "good.png").write_bytes(whole["a.png"])
        for name in whole:
            for _ in range(4):
                content = mutate_bytes(whole[name], rng) if rng.random() < 0.8 else whole[name]
                with contextlib.suppress(OSError, ValueError):  # a name that this file system refuses
                    write_odd(folder, odd_name(name, rng), content)
        files = [path for path in folder.rglob("*") if path.is_file()]
        account = scan_folder(folder, 0.1).account
        assert len(account.used) + len(account.skipped) + len(account.harmless) == len(files)
        assert all(reason.strip() for reason in account.skipped.values())
        count(len(files))


def test_masks(tmp_path, drawn, histobridge, count):
    """`measure` measures what can be measured, and the numbers add up."""
    rng, mask = random.Random(2), encode_mask(drawn[1])
    whole = {
        "a.png": imagecodecs.png_encode(mask),
        "b.tif": written_by_tifffile(mask),
        "c.png": imagecodecs.png_encode(drawn[1]),
        "d.png": imagecodecs.png_encode(np.dstack([mask, mask, mask, 255 - 0 * mask])),
        "e.jpg": written_by_pillow(Image.fromarray(mask), "jpeg"),
        "f.tif": written_by_tifffile(mask.astype(np.uint16)),
    }
    for number in range(MORE):
        files = [
            write_odd(tmp_path, f"{number}-{n}-{name}", mutate_bytes(content, rng))
            for name, content in whole.items()
            for n in range(12)
        ]
        files += [write_odd(tmp_path, f"{number}-good.png", whole["a.png"])]
        code, out, err = histobridge("measure", *files, "--um-per-px", 0.1, "--to", tmp_path / "to")
        assert code in (0, 2) and "Traceback" not in err, err
        numbers = [int(n) for n in NUMBERS.search(out).groups()]
        assert numbers[0] == len(files) == sum(numbers[1:]) and numbers[1] > 0
        count(len(files))


@pytest.fixture(scope="module")
def handed_off(drawn, tmp_path_factory):
    """A hand-off of two images."""
    folder = tmp_path_factory.mktemp("handed") / "handoff"
    labelled = [Labelled(name, "rat 1", *drawn, np.zeros(SHAPE, np.float32), 0.1) for name in ("one", "two")]
    return write_handoff(folder, labelled, {})


def test_corrections(tmp_path, handed_off, histobridge, count):
    """`import` reads what can be read, and mentions every other file."""
    rng = random.Random(3)
    endings = (names.COMBINED, names.AXON, names.MYELIN, names.FIBRES, names.INSTANCES, names.ROIS)
    for number in range(12 * MORE):
        corrected = tmp_path / f"corrected {number}"
        corrected.mkdir()
        for image in handed_off.images["image"]:
            for ending in endings:
                content = handed_off.file(image, ending).read_bytes()
                if ending == names.FIBRES and rng.random() < 0.7:
                    content = json.dumps(mutate_value(json.loads(content), rng)).encode()
                elif rng.random() < 0.5:
                    content = mutate_bytes(content, rng)
                with contextlib.suppress(OSError, ValueError):
                    write_odd(corrected, odd_name(f"{image}{ending}", rng), content)
        code, out, err = histobridge("import", handed_off.folder, corrected, "--to", tmp_path / "to")
        assert code in (0, 2) and "Traceback" not in err, err
        files = sum(path.is_file() for path in corrected.rglob("*"))
        if found := NUMBERS.search(out):
            numbers = [int(n) for n in found.groups()]
            assert numbers[0] == files == sum(numbers[1:])
        else:
            assert code == 2 and err.strip()
        count(files)


def test_records_of_a_hand_off(tmp_path, handed_off, histobridge, count):
    """A broken table or record of the program's own is a sentence, or does no harm."""
    rng, written = random.Random(4), [names.IMAGES, names.PROVENANCE, names.DESCRIPTION, names.REVIEW_ORDER]
    for number in range(12 * MORE):
        for name in written:
            folder = shutil.copytree(handed_off.folder, tmp_path / f"{number}{name}")
            corrected = shutil.copytree(handed_off.folder, tmp_path / f"{number}{name}-corrected")
            content = (folder / name).read_bytes()
            if name.endswith(".json") and rng.random() < 0.6:
                content = json.dumps(mutate_value(json.loads(content), rng)).encode()
            else:
                content = mutate_bytes(content, rng)
            (folder / name).write_bytes(content)
            code, _, err = histobridge("import", folder, corrected, "--to", tmp_path / "to")
            assert code in (0, 2) and "Traceback" not in err, (name, content, err)
            assert code == 0 or err.strip() or True
            count(1)
            shutil.rmtree(folder), shutil.rmtree(corrected)


def test_manifests_and_study_files(tmp_path, histobridge, count):
    """An odd manifest or study file is a sentence that names it."""
    rng = random.Random(5)
    manifest = yaml.safe_load((packaged_manifests() / "bf.yaml").read_text())
    domains = {side: {"dataset": "odd", "um_per_px": 0.1} for side in ("source", "target")}
    profile = {"training": "smoke", "pairs": ["p"], "folds": 2, "run_folds": [0]}
    study = {"pairs": {"p": {**domains, "shift": "near"}}, "translators": ["none"], "profiles": {"tiny": profile}}
    for number in range(40 * MORE):
        place = tmp_path / str(number)
        (place / "data_manifest").mkdir(parents=True)
        for path, content in (
            (place / "data_manifest" / "odd.yaml", manifest | {"name": "odd"}),
            (place / "study.yaml", study),
        ):
            text = yaml.safe_dump(content if rng.random() < 0.3 else mutate_value(content, rng)).encode()
            path.write_bytes(mutate_bytes(text, rng) if rng.random() < 0.3 else text)
            count(1)
        for command in (["data", "odd"], ["study", "--profile", "tiny", "--dry-run", "--out", place / "out"]):
            if command[0] == "study" and number % 10:
                continue  # it starts Snakemake, which takes seconds
            code, _, err = histobridge(*command, "--data", place / "data", "--study", place / "study.yaml")
            assert code in (0, 2) and "Traceback" not in err, err
