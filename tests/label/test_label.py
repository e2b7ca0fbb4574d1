"""The label tool: from a folder of images to a model, labels and a page, and back again with corrections."""

import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import typer

from drawn_files import SIDE, draw
from histobridge.cache import Cache
from histobridge.config import training_profile
from histobridge.data.manifest import load_dataset
from histobridge.data.status import FileStatus
from histobridge.errors import UserError
from histobridge.io.files import file_lock
from histobridge.io.images import read_image, write_image
from histobridge.io.masks import read_mask, write_mask
from histobridge.items import Account
from histobridge.metrics.overlap import mean_dice
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge.strategies import Labeller
from histobridge.strategies.sources import axons_are_bright
from histobridge.translators import SynDiff
from histobridge_label import cli, labelling, page, pipeline, settled_scale
from histobridge_label.export import edited_files, names, read_handoff, read_provenance
from histobridge_label.finetune import finetune_model, learn_from
from histobridge_label.inspect_folder import scan_folder
from histobridge_label.model import Model
from histobridge_label.pipeline import LabelOptions, apply_model, images_to_learn_from, label_folder
from histobridge_label.source import load_further, load_source
from histobridge_label.train import ModelTraining, train_model

MAIN = "import histobridge_label.cli; from histobridge.cli import main; main()"


def quiet(line):
    """Report nothing."""


@pytest.fixture
def copied(labelled, tmp_path):
    """A copy of all results, to be changed."""
    return shutil.copytree(labelled[0], tmp_path / "copy")


def test_every_result_is_written_and_fits_the_files(labelled, images):
    """Table, pictures, model, hand-off at the size of each file, measures, page; no image was skipped."""
    out, done = labelled
    for name in ("images.csv", "contact_sheet.png", "scale.png", "model/model.json", "fibres.csv", "report.html"):
        assert (out / name).stat().st_size > 0
    table = done.handoff.images.set_index("name")
    assert set(table.index) == {"a80", "b81", "c82"} and done.account.skipped == {}
    assert table.loc["b81", "source"] == str(images / "b81.tif")
    for image in table["image"]:
        assert read_mask(done.handoff.file(image, names.COMBINED))[0].shape == (SIDE, SIDE)
        assert read_image(done.handoff.file(image, names.UNCERTAINTY)).shape == (SIDE, SIDE)
    told = done.handoff.provenance
    assert told["strategy"] == "refined-invert-histogram" and told["source"]["dataset"] == "small-tem"
    assert told["minutes"] > 0 and told["labelled_at_um_per_px"] == 0.1
    assert len(pd.read_csv(out / "morphometrics.csv")) == 3


def test_the_same_command_repeats_nothing(labelled, images, options, monkeypatch):
    """Nothing is trained, labelled, written or asked twice: the scale is remembered."""
    out, done = labelled
    files = [*(out / "cache").rglob("*.png"), *(out / "cache").rglob("model.pt"), *done.handoff.folder.rglob("*.png")]
    before = {path: path.stat().st_mtime_ns for path in files}
    monkeypatch.setattr(Segmenter, "fit", None)
    monkeypatch.setattr(SynDiff, "fit", None)
    monkeypatch.setattr("histobridge_label.train.refine", pytest.fail)
    again = label_folder(images, out, options._replace(work_at=None), um_per_px=0.1, confirm=pytest.fail)
    assert len(before) > 20 and before == {path: path.stat().st_mtime_ns for path in files}
    assert again.handoff.images.equals(done.handoff.images)


def test_by_default_no_translator_is_trained(labelled):
    """The model holds none, and the page does not speak of a translation."""
    out, done = labelled
    assert Model.load(out).translator is None and not list((out / "model").glob("syndiff-*"))
    assert not (out / "cache" / "models" / "syndiff").exists()
    assert "ranslation" not in re.sub("<script.*?</script>", "", done.page.read_text(), flags=re.S)
    assert not done.handoff.provenance["provenance"]["translate"]


def test_a_scale_is_remembered_for_the_same_images_and_source(labelled, images):
    """Another pixel size, or another source, needs another scale."""
    out = labelled[0]
    settled = json.loads((out / "settled.json").read_text())
    assert settled["um_per_px"] == 0.1 and settled["source"]["dataset"] == "small-tem" and settled["profile"] == "smoke"
    same, other = (SimpleNamespace(facts=facts) for facts in (settled["source"], {"dataset": "tem"}))
    assert settled_scale.settled_scale(out, same, scan_folder(images, 0.1, report=quiet).images) == 0.1
    assert settled_scale.settled_scale(out, same, scan_folder(images, 0.2, report=quiet).images) is None
    assert settled_scale.settled_scale(out, other, scan_folder(images, 0.1, report=quiet).images) is None


def test_interrupted_labelling_continues_with_the_next_image(labelled, images, tmp_path, monkeypatch):
    """No image is labelled twice."""
    model, found, cache = Model.load(labelled[0]), scan_folder(images, 0.1, report=quiet).images, Cache(tmp_path)
    seen, label = [], Model.label

    def until_killed(model, image):
        seen.append(image)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return label(model, image)

    monkeypatch.setattr(Model, "label", until_killed)
    with pytest.raises(KeyboardInterrupt):
        labelling.label_images(model, found, cache, report=quiet)
    labels = labelling.label_images(model, found, cache, report=quiet)
    assert len(seen) == 4 and all(label.mask.exists() and label.uncertainty.exists() for label in labels)


def test_a_changed_image_is_labelled_again(labelled, tmp_path):
    """A label belongs to the content of a file, not to its name."""
    model, folder, cache = Model.load(labelled[0]), draw(tmp_path / "images", seeds=(80,)), Cache(tmp_path / "cache")
    before = labelling.label_images(model, scan_folder(folder, 0.1, report=quiet).images, cache, report=quiet)[0]
    write_image(folder / "a80.png", phantom("sem", 99, (SIDE, SIDE))[0])
    after = labelling.label_images(model, scan_folder(folder, 0.1, report=quiet).images, cache, report=quiet)[0]
    assert before.mask != after.mask and (read_mask(before.mask)[0] != read_mask(after.mask)[0]).any()


def test_images_to_learn_from_are_large_enough_and_not_too_many(images, monkeypatch):
    """Many images are thinned evenly; if all are too small, the message says what to do."""
    found, smoke = scan_folder(images, 0.1, report=quiet).images, training_profile("smoke")
    assert images_to_learn_from(found, smoke, 0.1) == found
    monkeypatch.setattr(pipeline, "MOST_PX", 2 * SIDE * SIDE)
    assert images_to_learn_from(found, smoke, 0.1) == [found[0], found[2]]
    with pytest.raises(UserError, match=r"None of 3 images has 64 px a side at 0\.5 µm/px"):
        images_to_learn_from(found, smoke, 0.5)


def test_a_second_process_and_a_folder_that_cannot_be_written_are_refused(images, options, tmp_path):
    """Before anything else is done."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Could not write"):
        label_folder(images, tmp_path / "file" / "out", options, um_per_px=0.1)
    with file_lock(tmp_path / "out" / ".lock"), pytest.raises(UserError, match="Another process is"):
        label_folder(images, tmp_path / "out", options, um_per_px=0.1)


def test_a_read_only_folder_is_an_error(images, options, tmp_path, monkeypatch):
    """Root may write anywhere, so a stand-in refuses."""
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o555)
    if os.geteuid() == 0:

        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.write_text", refuse)
    with pytest.raises(UserError, match=r"Could not write .*Permission denied"):
        label_folder(images, out, options, um_per_px=0.1)


def test_images_without_any_fibre_are_named(labelled, tmp_path):
    """They are labelled and measured all the same."""
    folder = draw(tmp_path / "more", seeds=(83,))
    write_image(folder / "noise.png", 0.5 + 0.01 * np.random.default_rng(0).standard_normal((SIDE, SIDE)))
    model = Model.load(labelled[0])
    blind = Model(Blind(model.labeller), model.um_per_px, model.axon_px, facts=model.facts)
    found = scan_folder(folder, 0.1, report=quiet).images
    labels = labelling.label_images(blind, found, Cache(tmp_path / "cache"), report=quiet)
    handoff = labelling.hand_off(blind, labels, tmp_path / "out", modality=None, provenance={})
    assert "No fibre was found in a83, noise." in labelling.warnings_about(blind, labels, handoff)
    measured = labelling.measure_handoff(handoff, labels, tmp_path / "out", Account())
    assert measured["n_fibres"].tolist() == [0, 0]


def test_a_handoff_is_written_anew_if_a_label_or_a_subject_is_another(labelled, tmp_path, monkeypatch):
    """Also where the model and the images are the same."""
    folder, model = draw(tmp_path / "more", seeds=(83,)), Model.load(labelled[0])

    def hand_off(subject):
        found = [replace(image, subject=subject) for image in scan_folder(folder, 0.1, report=quiet).images]
        labels = labelling.label_images(model, found, Cache(tmp_path / "cache"), report=quiet)
        handoff = labelling.hand_off(model, labels, tmp_path / "out", modality=None, provenance={})
        return read_provenance(handoff.folder)["labels"]

    first = hand_off("a")
    assert hand_off("a") == first != hand_off("b")
    monkeypatch.setattr(labelling, "TRIED_WEIGHTS", (3.0,))
    assert hand_off("a") != first


class Blind(Labeller):
    """A labeller that sees background everywhere."""

    def __init__(self, of):
        super().__init__(of.segmenters)

    def label(self, image):
        """Return nothing but background, for sure."""
        return np.zeros(image.shape, np.uint8), np.zeros(image.shape, np.float32)


def test_apply_trains_nothing(labelled, tmp_path, monkeypatch):
    """Further images are labelled by the model; an unreadable file is skipped and listed."""
    monkeypatch.setattr(Segmenter, "fit", None)
    folder = draw(tmp_path / "more", seeds=(90, 91))
    (folder / "broken.png").write_bytes(b"\x89PNG")
    done = apply_model(labelled[0], folder, tmp_path / "out", um_per_px=0.1, modality="SEM")
    assert done.handoff.images["image"].tolist() == ["sub-more_sample-a90_SEM", "sub-more_sample-b91_SEM"]
    assert [path.name for path in done.account.skipped] == ["broken.png"]
    assert "broken.png" in done.page.read_text()


def test_labels_have_the_pixel_size_of_the_file(labelled, tmp_path):
    """Half the pixel size: the model sees the image at its own scale, and the mask has twice the pixels."""
    fine = phantom("sem", 84, (200, 260), um_per_px=0.05)[0]
    (tmp_path / "fine").mkdir()
    write_image(tmp_path / "fine" / "a.png", fine)
    done = apply_model(labelled[0] / "model", tmp_path / "fine", tmp_path / "out", um_per_px=0.05)
    (image,) = done.handoff.images["image"]
    assert read_mask(done.handoff.file(image, names.COMBINED))[0].shape == (200, 260)
    assert read_mask(next((tmp_path / "out" / "cache").rglob("mask.png")))[0].shape == (100, 130)
    assert done.handoff.images["um_per_px"].tolist() == [0.05]


def test_one_image_is_enough(options, tmp_path):
    """A section of a whole nerve is one file; a remark says that all rests on it."""
    done = label_folder(draw(tmp_path / "one", seeds=(80,)), tmp_path / "out", options, um_per_px=0.1)
    assert len(done.handoff.images) == 1 and any("rests on it alone" in told for told in done.remarks)


def test_a_stated_polarity_reaches_the_training(histobridge, images, options, tmp_path, monkeypatch):
    """The words of the command line become signs; another word is an error."""
    seen = []

    def train(training, *_, **__):
        seen.append(training.polarity)
        raise UserError("Seen enough.")

    monkeypatch.setattr(pipeline, "train_model", train)
    given = ["--um-per-px", 0.1, "--source-manifest", options.source_manifest, "--profile", "smoke", "--work-at", 0.1]
    for polarity in ("auto", "keep", "invert", "up"):
        code, _, err = histobridge("label", images, *given, "--out", tmp_path / polarity, "--polarity", polarity)
        assert code == 2
    assert seen == ["auto", 1, -1] and "no polarity 'up'" in err


@pytest.fixture
def training(labelled, images, options):
    """The training behind the labelled folder; all of it is remembered."""
    source = load_source("", options.source_manifest, options.data, None)
    arrays = [labelling.at_scale(image, 0.1) for image in scan_folder(images, 0.1, report=quiet).images]
    return ModelTraining(source.examples, arrays, training_profile("smoke"), Cache(labelled[0] / "cache"))


@pytest.fixture(scope="module")
def translated(images, options, tmp_path_factory):
    """The same images, labelled with a translator."""
    out = tmp_path_factory.mktemp("place") / "translated"
    return out, label_folder(images, out, options._replace(translate=True), um_per_px=0.1)


@pytest.fixture
def translating(training, translated):
    """The training behind the folder that was labelled with a translator; all of it is remembered."""
    profile = LabelOptions(profile="smoke", translate=True).training
    return replace(training, profile=profile, cache=Cache(translated[0] / "cache"))


@pytest.mark.parametrize("method", ["tutorship syndiff", "adaptation syndiff", "pretrained none"])
def test_the_recommended_method_labels(translating, method, monkeypatch):
    """With --guide the model uses the method with the best score, whichever it is."""
    training, methods = translating, translating.methods
    scored = pd.DataFrame([{"strategy": m[0], "translator": m[1], "anatomy": " ".join(m) == method} for m in methods])
    scored = scored.assign(**dict.fromkeys(("agreement", "confidence", "round_trip", "likeness", "reverse"), 0.5))
    monkeypatch.setattr(ModelTraining, "label_free_scores", lambda self: scored.assign(enclosure=0.9))
    monkeypatch.setattr(ModelTraining, "check", lambda self: None)
    model = train_model(training, 0.1, {}, guide=True, begin=quiet)
    assert model.facts["strategy"] == method.replace(" ", "-") and model.facts["advice"].startswith("Use ")
    assert model.of_translations == method.startswith("adaptation") and not model.labeller.anatomy


MATCHED = [("pretrained", "none"), ("tutorship", "invert-histogram"), ("refined", "invert-histogram")]
LEARNED = [*MATCHED[:2], ("adaptation", "syndiff"), ("tutorship", "syndiff"), ("refined", "syndiff")]


@pytest.mark.parametrize(("kind", "methods"), [("training", MATCHED), ("translating", LEARNED)])
def test_every_method_of_a_model_is_scored_once(kind, methods, request, monkeypatch):
    """Methods of SynDiff exist where it was trained. The scores are remembered."""
    training = request.getfixturevalue(kind)
    scored = training.label_free_scores(report=quiet)
    assert list(zip(scored["strategy"], scored["translator"], strict=True)) == methods
    monkeypatch.setattr("histobridge.strategies.label_free.scores", pytest.fail)
    assert training.label_free_scores(report=quiet).equals(scored)


def test_with_a_translator_two_students_teach(translated):
    """The model holds SynDiff, and the page shows translations."""
    out, done = translated
    assert Model.load(out).translator.sign == -1 and "Translation to L" in done.page.read_text()
    assert done.handoff.provenance["strategy"] == "refined-syndiff"
    assert done.handoff.provenance["provenance"]["translate"]


def test_translation_is_asked_for_on_the_command_line(histobridge, images, options, tmp_path, monkeypatch):
    """Without the option the profile decides."""
    seen = []

    def train(training, *_, **__):
        seen.append(training.profile.refinement.syndiff)
        raise UserError("Seen enough.")

    monkeypatch.setattr(pipeline, "train_model", train)
    given = ["--um-per-px", 0.1, "--source-manifest", options.source_manifest, "--profile", "smoke", "--work-at", 0.1]
    for number, option in enumerate((["--translate"], ["--no-translate"], [])):
        assert histobridge("label", images, *given, "--out", tmp_path / str(number), *option)[0] == 2
    assert seen == [True, False, training_profile("smoke").refinement.syndiff]


def test_further_sources_are_named_one_after_another(histobridge, images, options, tmp_path, monkeypatch):
    """The first is L; a manifest takes its place. The students learn from all, with the contrast of the images."""
    seen = []

    def train(training, *_, **__):
        seen.append(training)
        raise UserError("Seen enough.")

    monkeypatch.setattr(pipeline, "train_model", train)
    scale = ["--um-per-px", 0.1, "--profile", "smoke", "--work-at", 0.1, "--polarity", "invert"]
    named = ["--source-manifest", options.source_manifest], ["--source", "phantom"]
    for number, first in enumerate(named):
        given = [*scale, *first, "--source", "phantom-bf", "--out", tmp_path / str(number)]
        assert histobridge("label", images, *given)[0] == 2
    assert [len(training.further) for training in seen] == [1, 1]
    assert axons_are_bright(seen[0].further[0]) and not axons_are_bright(seen[0].further_examples)


def test_all_public_sets_teach_by_default(histobridge, images, tmp_path, monkeypatch):
    """The first is L."""
    seen = []

    def label_folder(images, out, options, **_):
        seen.append(options)
        raise UserError("Seen enough.")

    monkeypatch.setattr(pipeline, "label_folder", label_folder)
    for named in ([], ["--source", "tem"], ["--source-manifest", "mine.yaml"]):
        assert histobridge("label", images, "--out", tmp_path / "out", *named)[0] == 2
    assert [(o.source, o.further) for o in seen] == [("tem", ("sem", "tem-pns", "bf")), ("tem", ()), ("", ())]


def test_a_further_set_that_cannot_be_had_costs_only_itself(tmp_path, monkeypatch):
    """It is told; a name that no set has is an error."""
    missing = [FileStatus("bf", "a.png", "image", "development", "missing", "No host answered.")]
    monkeypatch.setattr(
        "histobridge_label.source.fetch_dataset", lambda dataset, *_, **__: missing if dataset.name == "bf" else []
    )
    found, account = load_further(("phantom", "bf"), tmp_path, None)
    assert [of.dataset.name for of in found] == ["phantom-tem"] and list(account.skipped) == ["bf"]
    (line,) = account.lines
    assert line.startswith("Skipped bf: ") and "cannot be had" in line
    with pytest.raises(UserError, match="bff"):
        load_further(("phantom", "bff"), tmp_path, None)


def test_a_set_never_teaches_how_to_label_its_own_images(tmp_path):
    """It is left out, and that is told, even if one of its images has another name in another folder."""
    image = load_dataset("bf").images[-1]
    found, account = load_further(("bf",), tmp_path, None, to_label=["0", image.sha256])
    assert not found and "bf holds 1 of your images: it is left out" in account.skipped["bf"]


def test_the_further_sets_are_the_others_of_the_recipe(options, tmp_path, monkeypatch):
    """With the look of the images, beside L."""
    asked = []

    def refine(examples, images, *_, others, **__):
        asked.append((examples, others))
        return Labeller((Segmenter(options.training.segmenter),))

    monkeypatch.setattr("histobridge_label.train.refine", refine)
    monkeypatch.setattr(ModelTraining, "_folder", lambda self, name: tmp_path / name)
    monkeypatch.setattr(ModelTraining, "teachers", ())
    examples, image = [phantom("tem", 1, (SIDE, SIDE))], phantom("sem", 2, (SIDE, SIDE))[0]
    given = examples, [image], options.training, Cache(tmp_path)
    assert len(ModelTraining(*given, polarity=-1, further=[examples]).refined.segmenters) == 1
    ((alone, others),) = asked
    assert axons_are_bright(alone) and not axons_are_bright(others) and len(others) == 1


@pytest.mark.parametrize(("further", "told"), [(["bf"], "`tem`, `bf`."), ([], "`tem`.")])
def test_the_page_tells_which_labelled_sets_taught(further, told, labelled):
    """All of them."""
    facts = {"source": {"dataset": "tem"}, "further_sources": [{"dataset": name} for name in further]}
    data = page.ReportData(None, SimpleNamespace(facts=facts), [], labelled[1].handoff, labelled[1].measures, [])
    assert f"from the masks of {told}" in page._lead(data)


def test_corrections_teach_the_model_that_labels_the_next_images(copied, tmp_path, images, histobridge):
    """`import --finetune` replaces the model, and the earlier weights stay beside the new ones."""
    before, handoff = Model.load(copied), read_handoff(copied / "handoff")
    correct(handoff, tmp_path / "corrected")
    options = ["--to", tmp_path / "edits", "--finetune", copied, "--steps", 20]
    code, out, err = histobridge("import", handoff.folder, tmp_path / "corrected", *options)
    assert code == 0, err
    assert "has learned from 1 corrected image" in out
    after = Model.load(copied)
    assert after.fingerprint != before.fingerprint
    (lesson,) = after.facts["lessons"]
    assert lesson == {"corrected": [handoff.images["image"][0]], "steps": 20, "seed": 0, "before": before.fingerprint}
    assert len(list((copied / "model").glob("segmenter-*.pt"))) == 2
    done = apply_model(copied, images, tmp_path / "next", um_per_px=0.1)
    assert done.handoff.provenance["model"] == after.fingerprint


def correct(handoff, folder):
    """Correct the first label: its truth comes back under its name."""
    row = handoff.images.iloc[0]
    write_mask(folder / f"{row['image']}{names.COMBINED}", phantom("sem", 80, (SIDE, SIDE))[1])


def test_label_again_keeps_what_was_learned_from_corrections(copied, images, options):
    """Nothing new is trained, so the fine-tuned model stays."""
    model = Model.load(copied)
    learned = finetune_model(model, [phantom("sem", 80, (SIDE, SIDE))], ["a80"], steps=2)
    learned.save(copied / "model")
    again = label_folder(images, copied, options, um_per_px=0.1)
    assert Model.load(copied).fingerprint == learned.fingerprint != model.fingerprint
    assert again.handoff.provenance["model"] == learned.fingerprint


def test_nothing_is_learned_from_unchanged_labels(copied):
    """It is an error."""
    with pytest.raises(UserError, match="No label was changed"):
        learn_from(copied, [])


def test_an_edited_hand_off_is_never_overwritten(copied, images, options):
    """With the same labels it stays; other labels are an error."""
    handoff = read_handoff(copied / "handoff")
    path = handoff.file(handoff.images["image"][0], names.COMBINED)
    write_mask(path, np.zeros((SIDE, SIDE), np.uint8))
    again = label_folder(images, copied, options, um_per_px=0.1)
    assert edited_files(again.handoff) and any("were edited" in told for told in again.remarks)
    with pytest.raises(UserError, match="was edited since"):
        label_folder(images, copied, options, um_per_px=0.1, modality="SEM")


def test_label_again_completes_its_hand_off(copied, images, options):
    """Row 27 of the faults: what was deleted or broken is written again, and nothing else is touched."""
    handoff = read_handoff(copied / "handoff")
    first, second = handoff.images["image"][:2]
    write_mask(handoff.file(first, names.COMBINED), np.zeros((SIDE, SIDE), np.uint8))
    edited, lost = handoff.file(first, names.COMBINED).read_bytes(), handoff.file(second, names.FIBRES)
    before = lost.read_bytes()
    lost.unlink()
    (handoff.folder / names.IMAGES).write_text("")
    again = label_folder(images, copied, options, um_per_px=0.1).handoff
    assert lost.read_bytes() == before and handoff.file(first, names.COMBINED).read_bytes() == edited
    assert again.images.equals(handoff.images)


def test_label_from_the_command_line(histobridge, tmp_path, source):
    """A folder of plain files with an unreadable one among them: nobody confirms the scale, then --yes takes it."""
    folder, out = draw(tmp_path / "images"), tmp_path / "out"
    (folder / "broken.tif").write_bytes(b"II*\0")
    options = ["--um-per-px", 0.1, "--source-manifest", source, "--profile", "smoke", "--out", out]
    code, _, err = histobridge("label", folder, *options)
    assert code == 2 and "Nobody is here to confirm" in err and "Suggested: " in err
    assert (out / "scale.png").exists()  # the user can see what to confirm
    code, text, err = histobridge("label", folder, *options, "--yes")
    assert code == 2, err
    assert "3 images labelled" in text and "Skipped" in text and "broken.tif" in text and "report.html" in text


def test_the_scale_is_confirmed_or_replaced(monkeypatch, tmp_path, images, source):
    """Enter takes the suggestion; a number replaces it."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    found, source = scan_folder(images, 0.1, report=quiet), load_source("", source, tmp_path, None)
    monkeypatch.setattr("typer.prompt", lambda text, default, type: default)
    suggested = settled_scale.choose_scale(source, found, tmp_path, None, cli._confirm)
    monkeypatch.setattr("typer.prompt", lambda text, default, type: 0.123)
    assert settled_scale.choose_scale(source, found, tmp_path, None, cli._confirm) == 0.123
    assert suggested == settled_scale.choose_scale(source, found, tmp_path, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--um-per-px", "0"], "pixel size 0.0"),
        (["--um-per-px", "0.1", "--source", "tem-2"], "no dataset 'tem-2'"),
        (["--um-per-px", "0.1", "--modality", "sem"], "no modality of BIDS 'sem'. Valid: 2PE, BF"),
        (["--um-per-px", "0.1", "--source", "phantom", "--work-at", "0.1", "--profile", "warp"], "no profile 'warp'"),
        ([], "state it"),
    ],
)
def test_a_mistake_is_one_sentence(histobridge, images, tmp_path, options, message):
    """With exit code 2 and without a traceback."""
    code, _, err = histobridge("label", images, "--out", tmp_path / "out", "--yes", *options)
    assert code == 2 and message in err and "Traceback" not in err


def test_a_wrong_modality_is_an_error_before_anything_is_written(images, tmp_path):
    """Not after hours of training."""
    with pytest.raises(UserError, match="no modality of BIDS 'sem'"):
        label_folder(images, tmp_path / "out", LabelOptions(), modality="sem")
    with pytest.raises(UserError, match="no modality of BIDS 'sem'"):
        apply_model(tmp_path, images, tmp_path / "out", modality="sem")
    assert not (tmp_path / "out").exists()


def test_results_may_lie_in_the_folder_of_the_images_but_not_around_them(images, tmp_path):
    """There they would hide all images."""
    folder = tmp_path / "images"
    shutil.copytree(images, folder)
    for out in (folder, tmp_path, folder / "out" / ".."):
        with pytest.raises(UserError, match="is the folder of the images, or one around it: name another"):
            apply_model(folder / "out", folder, out, um_per_px=0.1)
        with pytest.raises(UserError, match="is the folder of the images, or one around it: name another"):
            label_folder(folder, out, LabelOptions(), um_per_px=0.1)
    with pytest.raises(UserError, match="holds no model"):
        apply_model(folder / "out", folder, folder / "out", um_per_px=0.1)


@pytest.mark.parametrize("kind", ["labelled", "translated"])
def test_the_page_is_self_contained(kind, request, chromium, tmp_path):
    """In another folder it shows every picture, without a message in the console and without a request."""
    page, messages = chromium.new_page(viewport={"width": 1280, "height": 800}), []
    alone = shutil.copy(request.getfixturevalue(kind)[1].page, tmp_path / "alone.html")
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda r: messages.append(r.url) if not r.url.startswith(("file:///", "data:")) else None)
    page.goto(f"file://{alone}")
    page.locator("#table-review td a").first.click()
    page.locator(".tag.right", has_text="Uncertainty").wait_for()
    assert page.locator(".side.left .canvas img").count() == 2  # a label lies upon its image
    for layer in ("image", "label", "uncertainty", *(["translation"] if kind == "translated" else [])):
        page.locator("select[name=left]").select_option(layer)
        assert page.evaluate(
            "[...document.querySelectorAll('.side.left img')].every(i => i.complete && i.naturalWidth > 9)"
        )
    assert "Not scored" not in page.locator(".status").inner_text()
    assert page.locator("#table-images tbody tr").count() == 3
    page.close()
    assert messages == []


def test_the_page_says_how_to_correct(labelled):
    """It holds the commands and the source, and says that nobody has checked the labels."""
    text = labelled[1].page.read_text()
    for words in ("histobridge import", "--finetune", "histobridge apply", "No one has checked them yet", "small-tem"):
        assert words in text
    assert text.count("<html") == 1 and "static/site" not in text


def made_by(path) -> str:
    """The command at the foot of a page."""
    return html.unescape(re.search(r"Made by <code>(.*?)</code>", path.read_text())[1])


def test_the_page_names_the_command_that_made_it(labelled, images, tmp_path, histobridge):
    """The command line as it was typed, or the function that was called."""
    assert made_by(labelled[1].page) == "label_folder"
    typed = ["apply", labelled[0], images, "--um-per-px", 0.1, "--out", tmp_path / "two words"]
    assert histobridge(*typed)[0] == 0
    page = tmp_path / "two words" / "report.html"
    assert shlex.split(made_by(page)) == ["histobridge", *map(str, typed)]
    assert f"import '{tmp_path / 'two words' / 'handoff'}'" in html.unescape(page.read_text())


def test_the_page_and_the_command_line_count_the_same_fibres(labelled, capsys):
    """Axons without myelin, which have numbers in the hand-off too, are counted apart."""
    measures = labelled[1].measures.assign(n_fibres=[3, 4, 5], n_unmyelinated=[1, 0, 1])
    done = labelled[1]._replace(measures=measures)
    with pytest.raises(typer.Exit):
        cli._print_result(done, labelled[0])
    assert "3 images labelled, 12 fibres and 2 axons without myelin found" in capsys.readouterr().out
    data = page.ReportData(SimpleNamespace(account=Account()), None, [1, 2, 3], done.handoff, measures, [])
    numbers = page.headline_numbers(data)
    assert (numbers["images"], numbers["fibres"], numbers["axons without myelin"]) == ("3", "12", "2")


@pytest.mark.slow
def test_from_eight_images_to_masks_in_one_command(histobridge, tmp_path):
    """The labels are worth correcting, and it takes at most twelve minutes on two cores."""
    truth, begun = {}, time.monotonic()
    (tmp_path / "images").mkdir()
    for seed in range(7000, 7008):
        image, truth[f"i{seed}"] = phantom("sem", seed, (1024, 1024))
        write_image(tmp_path / "images" / f"i{seed}.png", image)
    options = ["--um-per-px", 0.1, "--source", "phantom", "--profile", "phantom", "--yes", "--out", tmp_path / "out"]
    code, out, err = histobridge("label", tmp_path / "images", *options)
    assert code == 0, err
    assert "a toy" in out and time.monotonic() - begun < 720
    handoff = read_handoff(tmp_path / "out" / "handoff")
    rows = handoff.images.itertuples()
    found = mean_dice((truth[row.name], read_mask(handoff.file(row.image, names.COMBINED))[0]) for row in rows)
    assert found["axon"] > 0.75 and found["myelin"] > 0.75


@pytest.mark.slow
def test_killed_at_any_step_it_ends_with_the_same_labels(labelled, images, source, tmp_path):
    """SIGKILL during each training and during labelling; then the same command finishes."""
    out, command = tmp_path / "out", [sys.executable, "-u", "-c", MAIN, "label", str(images)]
    command += ["--out", str(out), "--um-per-px", "0.1", "--source-manifest", str(source), "--profile", "smoke"]
    command += ["--work-at", "0.1", "--yes"]
    for step in ("[3/", "[4/", "[5/"):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            assert any(line.startswith(step) for line in running.stdout)
            running.kill()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    made, whole = (
        {p.parent.name: read_mask(p)[0] for p in (place / "cache").rglob("mask.png")} for place in (out, labelled[0])
    )
    assert made.keys() == whole.keys() and len(made) == 3
    for name, mask in made.items():
        np.testing.assert_array_equal(mask, whole[name])
