"""What a folder of images holds: every file is accounted for, and what is wrong with one costs that one alone."""

import json
import os
import re
import shutil
import socket
import unicodedata

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile

from histobridge.display import page
from histobridge.io.images import read_image, write_image
from histobridge.io.masks import read_mask, write_mask
from histobridge.phantom import phantom
from histobridge_label import labelling
from histobridge_label.export import names, read_handoff, write
from histobridge_label.find_images import find_images
from histobridge_label.image_file import ImageFile, grey_levels
from histobridge_label.model import Model
from histobridge_label.pipeline import label_folder

IMAGE, MASK = phantom("sem", 80, (128, 128))


@pytest.fixture
def folder(tmp_path):
    """A folder of one image, called good.png."""
    write_image(tmp_path / "images" / "good.png", IMAGE)
    return tmp_path / "images"


@pytest.fixture
def applied(histobridge, labelled, tmp_path):
    """Apply the model to a folder; return exit code, what was printed, the hand-off and images.csv by file."""

    def apply(folder, *options, out=None, um_per_px=0.1):
        out = out or tmp_path / "out"
        code, text, err = histobridge("apply", labelled[0], folder, "--um-per-px", um_per_px, "--out", out, *options)
        assert "Traceback" not in err, err
        handoff = read_handoff(out / "handoff") if (out / "handoff").exists() else None
        table = pd.read_csv(out / "images.csv").set_index("file") if (out / "images.csv").exists() else None
        return code, text + err, handoff, table

    return apply


def refuse(*_, **__):
    """What must not be reached."""
    pytest.fail("work was begun")


def counts(text) -> tuple[int, ...]:
    """The numbers at the end of a command: all files, used, skipped, of no concern."""
    return tuple(map(int, re.search(r"(\d+) files: (\d+) used, (\d+) skipped, (\d+) of no concern", text).groups()))


def files_below(folder) -> int:
    """How many entries there are that are no folders."""
    return sum(len(files) for _, _, files in os.walk(folder))


# --- Every file is accounted for (rows 6 and 12) --------------------------------------------------------


UNREADABLE = ["vsi", "czi", "nd2", "lif", "lsm", "jp2", "btf", "ims", "webp", "qptiff", "mrxs", "scn", "dv", "heic"]
UNREADABLE += ["bmp", "gif", "svs", "xyz", "zip"]


def test_every_file_that_cannot_be_read_is_told(applied, folder):
    """Row 12: whatever its ending, known or not; the good image is labelled, and the exit code is 2."""
    for ending in UNREADABLE:
        (folder / f"a.{ending}").write_bytes(b"of a microscope")
    (folder / "noending").write_bytes(imagecodecs.png_encode(np.eye(9, dtype=np.uint8)))
    for whole in ("b.ome.zarr", "c.zarr", "d.n5"):
        (folder / whole / "0").mkdir(parents=True)
        (folder / whole / "0" / "chunk.png").write_bytes(b"")
    code, text, handoff, table = applied(folder)
    assert code == 2 and handoff.images["name"].tolist() == ["good"]
    skipped = table[table["image"].isna()]["remark"]
    assert set(skipped.index) == {*(f"a.{e}" for e in UNREADABLE), "noending", "b.ome.zarr", "c.zarr", "d.n5"}
    assert "looks like a PNG: rename it" in skipped["noending"]
    assert counts(text) == (len(skipped) + 1, 1, len(skipped), 0)


def test_what_is_known_to_be_harmless_is_counted_and_no_fault(applied, folder):
    """Row 12: sidecars, tables, texts, hidden files, derivatives, and the results of earlier runs."""
    for name in ("a.json", "b.tsv", "c.csv", "d.txt", "README", "LICENSE", "e.docx", "f.html", "Thumbs.db", ".hidden"):
        (folder / name).write_text("{}")
    (folder / ".git" / "objects").mkdir(parents=True)
    (folder / ".git" / "objects" / "0a").write_bytes(b"")
    write_image(folder / "derivatives" / "a_seg.png", IMAGE)
    code, text, _, _ = applied(folder, out=folder / "labels")
    assert code == 0 and counts(text)[1:3] == (1, 0)
    code, text, _, _ = applied(folder, out=folder / "more")
    assert code == 0 and counts(text)[1:3] == (1, 0) and "of an earlier run" in text
    assert counts(text)[0] == counts(text)[1] + counts(text)[3] >= files_below(folder / "labels")


MASK_NAMES = [
    "img_0_mask.png", "img_0_seg.png", "img_0-labels.tif", "img_0.mask.png", "img_0_gt.png", "img_0_cp_masks.png",
    "img_0_seg-axonmyelin.tif", "img_0_seg-axon.png", "mask_img_0.png", "masks/img_0.png", "IMG_0_Mask_1.PNG",
]  # fmt: skip


def test_masks_beside_images_are_told_and_not_labelled(applied, folder):
    """Row 12: by their names, or because they hold a handful of grey values."""
    shutil.move(folder / "good.png", folder / "img_0.png")
    for name in MASK_NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
        (tifffile.imwrite if name.endswith("tif") else write_image)(folder / name, IMAGE)
    write_mask(folder / "other.png", MASK)
    code, text, handoff, table = applied(folder)
    assert code == 2 and handoff.images["name"].tolist() == ["img_0"]
    skipped = table[table["image"].isna()]["remark"]
    assert set(skipped.index) == {*MASK_NAMES, "other.png"}
    assert all("mask of img_0.png" in skipped[name] for name in MASK_NAMES)
    assert "3 grey values only: a mask?" in skipped["other.png"]
    assert counts(text) == (len(MASK_NAMES) + 2, 1, len(MASK_NAMES) + 1, 0)


def test_a_name_like_that_of_a_mask_is_an_image_where_no_other_has_its_name(folder):
    """Row 12: only the name beside its image makes a mask."""
    for name in ("b_seg.png", "rat_gt/c.png", "labels/d.png"):
        write_image(folder / name, IMAGE)
    images, account = find_images(folder)
    assert len(images) == 4 and account.skipped == {}


def test_links_are_followed_and_broken_ones_told(applied, folder, tmp_path):
    """Row 6: links to folders and files are used, circles end, and what was not fetched is listed."""
    elsewhere = tmp_path / "elsewhere"
    write_image(elsewhere / "far.png", IMAGE[::-1])
    (folder / "linked").symlink_to(elsewhere)
    (folder / "again").symlink_to(elsewhere)
    (elsewhere / "circle").symlink_to(folder)
    (folder / "file.png").symlink_to(elsewhere / "far.png")
    (folder / "annexed.png").symlink_to("../.git/annex/objects/x")
    (folder / "itself").symlink_to("itself")
    os.mkfifo(folder / "pipe.png")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "s.png"))
    code, text, handoff, table = applied(folder)
    assert code == 2 and len(handoff.images) == 3
    skipped = table[table["image"].isna()]["remark"]
    assert set(skipped.index) == {"annexed.png", "itself", "pipe.png", "s.png"}
    assert "not fetched?" in skipped["annexed.png"] and "no regular file" in skipped["pipe.png"]
    assert counts(text) == (9, 3, 4, 2) and "2 linked again" in text


def test_a_folder_that_cannot_be_opened_is_told(applied, folder, monkeypatch):
    """Row 6: root may open every folder, so a stand-in refuses."""
    (folder / "locked").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    code, text, handoff, _ = applied(folder)
    assert code == 2 and "cannot be opened (Permission denied)" in text and len(handoff.images) == 1


# --- Names (rows 1, 11 and 33) --------------------------------------------------------------------------


def test_any_name_is_labelled(applied, folder):
    """Rows 1, 11 and 33: bytes that are no UTF-8, `$`, markup, HTML, formulas, CJK, both forms of an accent."""
    accents = [unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
    odd = ["cost $5 and $6.png", "$\\frac{.png", "[red]x[/red].png", "<b>b&amp;.png", "=1+1.png", "a\nb\x1b[31m.png",
           "图像.png", "-rf.png", "A.png", "a.png", *accents, "n" * 251 + ".png"]  # fmt: skip
    for number, name in enumerate(odd):
        write_image(folder / name, np.roll(IMAGE, number))
    shutil.copy(folder / "a.png", os.fsencode(folder) + b"/caf\xe9.png")
    code, text, handoff, _ = applied(folder, "--modality", "SEM")
    assert code == 0, text
    assert counts(text) == (len(odd) + 2, len(odd) + 2, 0, 0)
    found = handoff.images["name"]
    assert len({unicodedata.normalize("NFC", name).casefold() for name in found}) == len(odd) + 2
    assert all(len(name.encode()) <= 110 and name.isprintable() for name in found)
    for image in handoff.images["image"]:
        assert read_mask(handoff.file(image, names.COMBINED))[0].shape == IMAGE.shape
    html = (handoff.folder.parent / "report.html").read_text()
    assert "<b>b&amp;" not in html and "\x1b" not in html + text


def test_long_folders_and_names_make_names_that_fit(applied, folder):
    """Row 11: a folder of 111 letters and a name of 156; every file is handed off."""
    for end in "ab":
        write_image(folder / ("f" * 111) / f"{'n' * 151}{end}.png", IMAGE)
    code, text, handoff, _ = applied(folder, "--modality", "SEM")
    assert code == 0 and len(set(handoff.images["image"])) == 3, text
    assert all(len(name) < 160 for name in os.listdir(handoff.folder / handoff.images["folder"].iloc[0]))


def test_results_with_too_long_a_path_are_refused_before_any_work(applied, folder, tmp_path, monkeypatch):
    """Row 11: the composed names are known before the first image is labelled."""
    monkeypatch.setattr(Model, "label", refuse)
    out = tmp_path
    while len(str(out)) < 3700:
        out = out / ("d" * 200)
    out = out / ("e" * (3940 - len(str(out))))
    code, text, _, _ = applied(folder, out=out)
    assert code == 2 and ("too long" in text), text


# --- Sizes, memory and disk (rows 2 and 30) -------------------------------------------------------------


@pytest.mark.parametrize(("um_per_px", "size"), [(100, "128000 × 128000 px"), (5, "6400 × 6400"), (0.0001, "0 × 0 px")])
def test_a_pixel_size_in_another_unit_is_refused_before_any_work(applied, folder, um_per_px, size, monkeypatch):
    """Row 2: one sentence names the size that would result, and suspects nm or mm."""
    monkeypatch.setattr(Model, "label", refuse)
    code, text, handoff, _ = applied(folder, um_per_px=um_per_px)
    assert code == 2 and handoff is None and size in text and "in nm or mm?" in text


ODD_SCALES = [[100], [5], [0.0001], [0.1, "--work-at", 100], [0.1, "--work-at", 0.0001], [100, "--work-at", 100]]


@pytest.mark.parametrize("options", ODD_SCALES)
def test_odd_scales_are_refused_before_training(histobridge, folder, source, tmp_path, options, monkeypatch):
    """Row 2: a suggested scale that implies impossible axons too."""
    monkeypatch.setattr("histobridge_label.pipeline.train_model", refuse)
    given = ["--source-manifest", source, "--profile", "smoke", "--yes", "--out", tmp_path / "out"]
    code, _, err = histobridge("label", folder, *given, "--um-per-px", *options)
    assert code == 2 and "in nm or mm?" in err, err


def test_one_image_of_an_odd_size_costs_itself(histobridge, labelled, folder, tmp_path):
    """Row 2: among good ones; here its sidecar gives nm as µm."""
    write_image(folder / "wrong.png", IMAGE[::-1])
    for name, size in (("good", 0.1), ("wrong", 100)):
        (folder / f"{name}.json").write_text(json.dumps({"PixelSize": size, "PixelSizeUnits": "um"}))
    code, out, _ = histobridge("apply", labelled[0], folder, "--out", tmp_path / "out")
    assert code == 2 and counts(out) == (4, 1, 1, 2) and "wrong.png would have 128000 × 128000 px" in out
    assert read_handoff(tmp_path / "out" / "handoff").images["name"].tolist() == ["good"]


@pytest.mark.parametrize(("bound", "what"), [("free_memory", "of memory"), ("shutil.disk_usage", "will be written")])
def test_too_little_memory_or_disk_is_told_before_any_work(applied, folder, bound, what, monkeypatch):
    """Row 30: the need is estimated from the size of each image."""
    few = type("usage", (), {"free": 1000})()
    monkeypatch.setattr(f"histobridge.io.limits.{bound}", lambda *_: few if "disk" in bound else 300_000)
    monkeypatch.setattr(Model, "label", refuse)
    code, text, _, _ = applied(folder)
    assert code == 2 and what in text, text


def test_an_image_that_is_too_large_for_the_memory_costs_itself(applied, folder, monkeypatch):
    """Row 30: the smaller one is labelled."""
    write_image(folder / "large.png", np.tile(IMAGE, (3, 3)))
    need = 128 * 128 * labelling.WORKING_BYTES
    monkeypatch.setattr("histobridge_label.labelling.check_memory", checked_against(2 * need))
    code, text, handoff, _ = applied(folder)
    assert code == 2 and handoff.images["name"].tolist() == ["good"] and "large.png needs about" in text


def checked_against(free):
    """`check_memory` of a machine with that much memory."""
    from histobridge.io import limits

    def check(needed, what):
        if needed > free:
            raise limits.UserError(f"{what} needs about {needed} of memory")

    return check


def test_grey_values_are_counted_without_sorting():
    """Row 30: up to a few, in any order, over blocks of rows."""
    rng = np.random.default_rng(0)
    for count in (1, 2, 5, 9):
        image = rng.integers(0, count, (1000, 7)).astype(np.float32)
        assert grey_levels(image, 8) == min(8, count)


# --- A fault at any step (row 31) -----------------------------------------------------------------------


@pytest.fixture
def pair(folder):
    """Two images: good.png and bad.png."""
    write_image(folder / "bad.png", IMAGE[:, ::-1])
    return folder


@pytest.mark.parametrize("change", ["changed", "gone"])
@pytest.mark.parametrize("step", ["label_images", "hand_off"])
def test_an_image_that_changes_after_the_look_costs_itself(applied, pair, change, step, monkeypatch):
    """Row 31: whether before it is labelled or before it is handed off; no label is kept under another's hash."""
    work = getattr(labelling, step)

    def after_a_change(*arguments, **options):
        (pair / "bad.png").unlink()
        if change == "changed":
            write_image(pair / "bad.png", IMAGE[::-1])
        return work(*arguments, **options)

    monkeypatch.setattr(labelling, step, after_a_change)
    code, text, handoff, table = applied(pair)
    assert code == 2 and handoff.images["name"].tolist() == ["good"] and counts(text) == (2, 1, 1, 0)
    assert ("has changed since it was looked at" if change == "changed" else "bad.png") in table.at["bad.png", "remark"]
    monkeypatch.undo()
    if change == "changed":
        assert "bad.png" in (handoff.folder.parent / "report.html").read_text()


STEPS = {"read": (ImageFile, "at_scale"), "hand-off": (labelling, "resize_mask"), "page": (page, "grey_webp")}
STEPS |= {"polygons": (write, "write_geojson"), "measures": (labelling, "measure_masks")}


@pytest.mark.parametrize("step", STEPS)
def test_a_fault_at_any_step_costs_the_image_alone(applied, pair, step, monkeypatch):
    """The other one is labelled, handed off, measured and shown."""
    module, function = STEPS[step]
    work, calls = getattr(module, function), []

    def first_fails(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 1:
            raise RuntimeError("odd")
        return work(*arguments, **options)

    monkeypatch.setattr(module, function, first_fails)
    code, text, handoff, table = applied(pair)
    assert code == 2 and counts(text) == (2, 1, 1, 0) and "(RuntimeError: odd)" in text
    assert table["image"].notna().sum() == 1 and len(handoff.images) == (2 if step in ("measures", "page") else 1)
    assert len(list(handoff.folder.rglob("*_seg-axonmyelin.png"))) == len(handoff.images)
    assert ".set-aside" not in text


def test_nothing_that_can_be_used_is_one_sentence(applied, tmp_path):
    """It names the first fault."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.czi").write_bytes(b"x")
    code, text, handoff, _ = applied(tmp_path / "images")
    assert code == 2 and handoff is None
    assert "None of the 1 files in" in text and "a.czi" in text and "export it as TIFF or PNG" in text


# --- What is kept (row 14) ------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["swap", "cut", "flip"])
@pytest.mark.parametrize("name", ["mask.png", "uncertainty.png"])
def test_a_kept_label_that_does_not_fit_is_made_anew_and_told(applied, pair, damage, name):
    """Rows 14 and 15: swapped with another image's, cut, or of other content."""
    _, _, handoff, _ = applied(pair)
    out = handoff.folder.parent
    kept = sorted((out / "cache" / "labels").glob(f"*/{name}"))
    before = [path.read_bytes() for path in kept]
    if damage == "swap":
        kept[0].write_bytes(before[1] + b" ")
    else:
        kept[0].write_bytes(before[0][: len(before[0]) // 2] if damage == "cut" else before[0][:-9] + b"x" * 9)
    code, text, _, _ = applied(pair)
    assert code == 0 and "made anew" in text
    assert [read_image(path).tolist() for path in kept] == [imagecodecs_image(content) for content in before]


def imagecodecs_image(content) -> list:
    """The grey values of a PNG as `read_image` returns them."""
    return (imagecodecs.png_decode(content).astype(np.float32) / 255).tolist()


def test_a_labeller_that_does_not_fit_is_made_anew_and_told(labelled, images, options, tmp_path, capsys):
    """Rows 14, 15 and 25: a segmenter of other weights under its name, and one with a flipped bit."""
    out = shutil.copytree(labelled[0], tmp_path / "copy")
    (record,) = (out / "cache" / "models").glob("refined-*/labeller.json")
    (segmenter,) = record.parent.glob("segmenter-*.pt")
    whole = segmenter.read_bytes()
    other = next(path for path in (out / "cache" / "models").glob("segmenter-*/model.pt") if path.read_bytes() != whole)
    for content in (other.read_bytes(), whole[:-9] + b"x" * 9, b""):
        segmenter.write_bytes(content)
        label_folder(images, out, options, um_per_px=0.1)
        assert segmenter.read_bytes() == whole and "made anew" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "[]", '{"um_per_px": "x", "source": 1, "pixel_sizes": []}', '{"half'])
def test_a_broken_record_of_the_scale_is_ignored(labelled, content, tmp_path):
    """Row 16: the scale is settled anew."""
    from histobridge_label.settled_scale import settled_scale

    (tmp_path / "settled.json").write_text(content)
    assert settled_scale(tmp_path, type("source", (), {"facts": 1}), []) is None


def test_drafts_of_killed_runs_are_swept(applied, folder, tmp_path):
    """Row 32: at the start of a command."""
    old = tmp_path / "out" / "cache" / ".draft-0123"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    applied(folder)
    assert not old.exists()


def test_a_folder_of_many_images_is_looked_at(folder):
    """Row 30: thousands of entries are sorted without a quadratic step."""
    for number in range(5000):
        (folder / f"i{number}.png").write_bytes(b"")
        (folder / f"i{number}_mask.png").write_bytes(b"")
    images, account = find_images(folder)
    assert len(images) == 5001 and len(account.skipped) == 5000
