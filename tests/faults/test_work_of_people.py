"""What people have done is never lost: `import`, hand-offs and taught models, as faults that users reported."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile

from histobridge.io.images import write_image
from histobridge.io.masks import encode_mask, write_mask
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge.strategies import Labeller
from histobridge.translators import SynDiff
from histobridge_label.corrections import read_corrections
from histobridge_label.export import Labelled, complete_handoff, edited_files, names, read_handoff, write_handoff
from histobridge_label.export.geojson import write_geojson
from histobridge_label.export.instances import fibre_labels
from histobridge_label.finetune import learn_from, save_or_keep
from histobridge_label.model import Model

UM = 0.1
A, B = "sub-r_sample-a_SEM", "sub-r_sample-b_SEM"
LABELS = {"a": phantom("sem", 0, (96, 110)), "b": phantom("sem", 1, (96, 110))}


def labelled(name="a", given=None):
    """An image for a hand-off, called `given`."""
    image, mask = LABELS[name]
    return Labelled(given or name, "r", image, mask, np.zeros(mask.shape, np.float32), UM, None, "SEM")


@pytest.fixture
def handoff(tmp_path):
    """A hand-off of two images."""
    return write_handoff(tmp_path / "handoff", [labelled("a"), labelled("b")], {})


@pytest.fixture
def returned(tmp_path):
    """The folder of corrections."""
    (tmp_path / "corrected").mkdir()
    return tmp_path / "corrected"


@pytest.fixture
def corrected():
    """The label of `a` without its upper half."""
    mask = LABELS["a"][1].copy()
    mask[:48] = 0
    return mask


@pytest.fixture
def import_(histobridge, handoff, returned, tmp_path):
    """Import what was returned; return exit code, what was printed, and the table of edits by image."""

    def run(*options):
        code, out, err = histobridge("import", handoff.folder, returned, "--to", tmp_path / "edits", *options)
        assert "Traceback" not in err
        table = tmp_path / "edits" / "edits.csv"
        return code, out + err, pd.read_csv(table, index_col="image") if table.exists() else None

    return run


def changed(mask, name="a") -> int:
    """How many pixels differ from the label."""
    return np.count_nonzero(mask != LABELS[name][1])


# --- Names of corrected files ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        f"{A}_seg-axonmyelin.tif",
        f"{A}_SEG-AXONMYELIN.PNG",
        f"{A}_seg-axonmyelin copy.png",
        f"{A}_seg-axonmyelin copy 2.TIF",
        f"{A}_seg-axonmyelin (1).png",
        f"{A}_seg-axonmyelin - Copy (2).png",
        f"{A}_seg-axonmyelin - Kopie.png",
        f"Copy of {A}_seg-axonmyelin.png",
        "a_seg-axonmyelin copie.tiff",
    ],
)
def test_a_correction_is_found_under_any_name_that_a_system_gives_it(name, import_, returned, corrected):
    """Row 7: TIFF, capitals, and what systems add to copies."""
    tifffile.imwrite(returned / "mask", encode_mask(corrected))
    if not name.casefold().endswith(("tif", "tiff")):
        (returned / "mask").unlink()
        write_mask(returned / "mask", corrected)
    (returned / "mask").rename(returned / name)
    code, printed, table = import_()
    assert code == 0 and table.at[A, "pixels_changed"] == changed(corrected), printed
    assert "1 files: 1 used, 0 skipped, 0 of no concern" in printed


def test_every_file_is_used_skipped_or_of_no_concern(import_, handoff, returned, corrected):
    """Row 7 and 6: the numbers add up; a folder that is a link is read, and circles and dangling links end."""
    shutil.copytree(handoff.folder, returned / "copy")
    write_mask(returned / "copy" / "sub-r" / "micr" / f"{A}_seg-axonmyelin.png", corrected)
    elsewhere = returned.parent / "elsewhere"
    write_mask(elsewhere / f"{B}_seg-axonmyelin.TIF", np.zeros_like(corrected))
    (returned / "linked").symlink_to(elsewhere)
    (returned / "circle").symlink_to(returned)
    (returned / "annexed.png").symlink_to("nowhere")
    (returned / "cells.npy").write_bytes(b"x")
    (returned / "notes.txt").write_text("x")
    (returned / ".DS_Store").write_text("x")
    code, printed, table = import_()
    assert code == 2 and table["pixels_changed"].tolist() == [changed(corrected), changed(corrected * 0, "b")]
    assert "2 used, 2 skipped" in printed and "annexed.png: it is a link to nothing" in printed
    assert "cells.npy: not recognised: corrections keep the names" in printed
    on_disk = sum(path.is_file() for path in (returned / "copy").rglob("*"))
    assert f"{on_disk + 6} files: 2 used, 2 skipped, {on_disk + 2} of no concern" in printed


def test_an_empty_mask_counts_though_another_image_has_an_empty_one_too(import_, returned, tmp_path, handoff):
    """Row 7: unchanged is what equals the file of the same name, not any file of the hand-off."""
    empty = replace(labelled("b"), mask=np.zeros_like(LABELS["b"][1]))
    write_handoff(handoff.folder, [labelled("a"), empty], {})
    write_mask(returned / f"{A}_seg-axonmyelin.png", empty.mask)
    code, _, table = import_()
    assert code == 0 and table.at[A, "pixels_changed"] == changed(empty.mask) > 0


def test_fibres_removed_from_an_instance_map_are_removed(import_, returned, handoff):
    """Row 7: renumbering changes no class, and 0 is background."""
    numbers = tifffile.imread(handoff.file(A, names.INSTANCES))
    expected = np.where(numbers == 2, 0, LABELS["a"][1])
    tifffile.imwrite(returned / f"{A}_instances.tif", np.where(numbers == 2, 0, numbers * 2).astype(np.uint16))
    code, _, table = import_()
    assert code == 0 and table.at[A, "pixels_changed"] == changed(expected) > 0 and table.at[A, "removed"] == 1


def test_fibres_added_to_an_instance_map_are_refused(import_, returned, handoff):
    """Row 7: nothing says which of their pixels are axon; other images are read."""
    numbers = tifffile.imread(handoff.file(A, names.INSTANCES))
    numbers[tuple(np.argwhere(LABELS["a"][1] == 0)[0])] = 99
    tifffile.imwrite(returned / f"{A}_instances.tif", numbers)
    write_mask(returned / f"{B}_seg-axonmyelin.png", LABELS["a"][1])
    code, printed, table = import_()
    assert code == 2 and table.index.tolist() == [B] and "draw new fibres in the combined mask" in printed


# --- Polygons -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [lambda name: name, lambda name: f" {name.lower()} ", lambda name: {"names": [name]}])
def test_classes_of_qupath_are_read_in_every_form(form, import_, returned, corrected):
    """Row 5: text, an object with `name`, an object with `names`; in a file with a mark of byte order."""
    path = returned / f"{A}_fibres.json"
    write_geojson(path, corrected, fibre_labels(corrected, UM))
    content = json.loads(path.read_text())
    for feature in content["features"]:
        feature["properties"]["classification"] = form(feature["properties"]["classification"]["name"])
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    code, _, table = import_()
    assert code == 0 and table.at[A, "pixels_changed"] == changed(corrected)


POINTS = [[0, 0], [4, 0], [4, 4]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ({"features": [3]}, "no GeoJSON of features"),
        ([{"geometry": None, "properties": {"classification": "Axon"}}], "the shape None"),
        ([{"geometry": {"type": "Polygon", "coordinates": [POINTS]}}], "the class None"),
        ([{"geometry": {"type": "Polygon", "coordinates": [POINTS]}, "properties": {"classification": 5}}], "class 5"),
        *(
            ([{"geometry": {"type": "Polygon", "coordinates": c}, "properties": {"classification": "Axon"}}], "no list")
            for c in ([[["0", 0], *POINTS]], [[[float("nan"), 0], *POINTS]], [[[1e400, 0], *POINTS]], [[]], 7)
        ),
    ],
)
def test_polygons_of_another_form_cost_one_sentence_and_one_file(content, message, import_, returned, corrected):
    """Rows 5 and 29."""
    path = returned / f"{A}_fibres.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    write_mask(returned / f"{B}_seg-axonmyelin.png", corrected)
    code, printed, table = import_()
    assert code == 2 and message in printed and table.index.tolist() == [B]


# --- Hand-offs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"files_sha256": 3}', '{"files_sha256": {"../x": "a"}}'])
def test_a_handoff_whose_record_is_broken_is_set_aside_whole(content, handoff, import_, returned, corrected, capsys):
    """Row 16: nobody knows which of its files people edited, so none is overwritten."""
    write_mask(returned / f"{A}_seg-axonmyelin.png", corrected)
    write_mask(handoff.file(A, names.COMBINED), corrected)
    path = handoff.folder / names.PROVENANCE
    path.unlink() if content is None else path.write_text(content)
    code, printed, _ = import_()
    assert code == 2 and "again" in printed
    capsys.readouterr()
    again = write_handoff(handoff.folder, [labelled("a"), labelled("b")], {})
    aside = handoff.folder.with_name("handoff.set-aside")
    assert edited_files(again) == [] and "handoff.set-aside" in capsys.readouterr().out
    assert (aside / handoff.name_of(A, names.COMBINED)).read_bytes() != again.file(A, names.COMBINED).read_bytes()


@pytest.mark.parametrize("table", [names.IMAGES, names.REVIEW_ORDER, names.DESCRIPTION, f"sub-r/micr/{A}.json"])
@pytest.mark.parametrize("content", ["", "image\nx", None])
def test_a_broken_or_missing_table_is_written_again_and_edits_stay(table, content, handoff, corrected, capsys):
    """Rows 16 and 27: only what is missing is written."""
    before = (handoff.folder / table).read_bytes()
    write_mask(handoff.file(A, names.COMBINED), corrected)
    edited = handoff.file(A, names.COMBINED).read_bytes()
    (handoff.folder / table).unlink() if content is None else (handoff.folder / table).write_text(content)
    handoff.file(B, names.FIBRES).unlink()
    again = complete_handoff(handoff.folder, [labelled("a"), labelled("b")])
    assert (handoff.folder / table).read_bytes() == before and handoff.file(B, names.FIBRES).exists()
    assert handoff.file(A, names.COMBINED).read_bytes() == edited
    assert edited_files(again) == [handoff.name_of(A, names.COMBINED)]
    assert "written again" in capsys.readouterr().out
    assert not list(handoff.folder.parent.glob(".draft-*"))


@pytest.mark.parametrize("name", ["=1+1", "'=x", "+a", "tab\tand\nline", '@x,"y"', "001", "NA"])
def test_names_are_text_in_the_table_of_images(name, tmp_path):
    """Row 33: no cell is a formula, and a name comes back as it was, control characters as escapes."""
    handoff = write_handoff(tmp_path / "h", [labelled("a", name)], {})
    (found,) = read_handoff(handoff.folder).images["name"]
    assert found == name.replace("\t", "\\t").replace("\n", "\\n")
    cells = (handoff.folder / names.IMAGES).read_text().splitlines()[1].split("\t")
    assert not any(cell.strip('"').startswith(("=", "+", "-", "@")) for cell in cells)


# --- Models ---------------------------------------------------------------------------------------------


@pytest.fixture
def model(tiny_segmenter, tiny_syndiff):
    """An untrained model."""
    return Model(Labeller((Segmenter(tiny_segmenter),)), UM, 20.0, SynDiff(tiny_syndiff, sign=1), False, {"seed": 1})


@pytest.fixture
def taught(model, handoff, returned, corrected, tmp_path):
    """The folder of a model that has learned a lesson; and the model."""
    home = tmp_path / "out" / "model"
    model.save(home)
    write_mask(returned / f"{A}_seg-axonmyelin.png", corrected)
    learn_from(home, read_corrections(handoff.folder, returned).matched, steps=2)
    return home, Model.load(home)


@pytest.mark.parametrize("file", ["model.json", "segmenter-*.pt", "syndiff-*.pt"])
def test_a_model_that_is_not_as_it_was_written_is_never_used(file, taught, histobridge, import_, tmp_path):
    """Rows 16 and 25: a flipped bit, another model's file, a cut; `apply` and `import` say what to run."""
    home, model = taught
    path = max(
        home.glob(file), key=lambda found: found.name == f"segmenter-{model.labeller.segmenters[0].fingerprint}.pt"
    )
    content = path.read_bytes()
    middle = len(content) // 2
    for broken in (content[:middle], b"", content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]):
        path.write_bytes(broken)
        for command in ("apply", home, tmp_path, "--out", tmp_path / "o", "--um-per-px", UM), ():
            code, printed = histobridge(*command)[::2] if command else import_("--finetune", home)[:2]
            assert code == 2 and "run the `histobridge label` that made it again" in printed
    path.write_bytes(content)
    Model.load(home)


def test_weights_under_the_name_of_others_are_never_used(model, taught, histobridge, tmp_path):
    """Row 25: a file that is whole, but another model's."""
    home, learned = taught
    one, other = (f"segmenter-{m.labeller.segmenters[0].fingerprint}.pt" for m in (model, learned))
    shutil.copy(home / one, home / other)
    code, _, err = histobridge("apply", home, tmp_path, "--out", tmp_path / "o", "--um-per-px", UM)
    assert code == 2 and "is not whole" in err


def test_a_new_training_learns_again_what_people_taught(model, taught, tiny_segmenter, capsys):
    """Row 26: the same training and lessons give the same model; another training learns them too; all is told."""
    home, learned = taught
    assert save_or_keep(home, model).fingerprint == learned.fingerprint
    (home / "model.json").write_text("")
    assert save_or_keep(home, model).fingerprint == learned.fingerprint
    other = replace(model, labeller=Labeller((Segmenter(tiny_segmenter, seed=9),)))
    again = save_or_keep(home, other)
    assert again.first_fingerprint == other.fingerprint != again.fingerprint == Model.load(home).fingerprint
    assert again.facts["lessons"][0]["corrected"] == [A]
    assert f"learns again what people have corrected: {A}" in capsys.readouterr().out


@pytest.mark.parametrize("lost", ["lesson.json", f"{A}_mask.png"])
def test_a_taught_model_stays_if_its_lessons_are_lost(lost, model, taught, capsys):
    """Row 26: never silently replaced."""
    home, learned = taught
    path = home / "lessons" / "01" / lost
    path.write_bytes(path.read_bytes()[:-3])
    assert save_or_keep(home, replace(model, um_per_px=0.2)).fingerprint == learned.fingerprint
    assert "stays in use" in capsys.readouterr().out


def test_an_image_too_small_to_learn_from_costs_only_itself(model, handoff, returned, tmp_path, import_):
    """It stands in the table of edits, and the model learns from the others."""
    model.save(tmp_path / "model")
    small = Labelled(
        "s", "r", *(part[:20, :20] for part in LABELS["a"]), np.zeros((20, 20), np.float32), UM, None, "SEM"
    )
    write_handoff(handoff.folder, [labelled("a"), small], {})
    for name, shape in ((A, (96, 110)), ("sub-r_sample-s_SEM", (20, 20))):
        write_mask(returned / f"{name}_seg-axonmyelin.png", np.zeros(shape, np.uint8))
    code, printed, table = import_("--finetune", tmp_path / "model", "--steps", 1)
    assert code == 2 and len(table) == 2 and "nothing was learned from it" in printed
    assert f"has learned from 1 corrected image(s): {A}" in printed


def test_a_grey_image_as_a_mask_costs_only_itself(import_, returned, corrected):
    """Row 4 and JPEG: what has other levels is refused, and the others are read."""
    write_image(returned / f"{A}_seg-axonmyelin.png", LABELS["a"][0])
    write_mask(returned / f"{B}_seg-axonmyelin.png", corrected)
    code, printed, table = import_()
    assert code == 2 and table.index.tolist() == [B] and "is no mask of" in printed
