"""own: from a folder of images to a model, labels, a page, and back again with corrections."""

import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile
import typer
import yaml

from histobridge.cache import kept
from histobridge.data.datasets import load_images
from histobridge.data.folds import split
from histobridge.data.manifest import load_dataset
from histobridge.errors import UserError
from histobridge.io.files import file_lock
from histobridge.io.images import read_image, write_image
from histobridge.io.masks import read_mask, write_mask
from histobridge.metrics.overlap import mean_dice
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge.strategies.refined import Labeller
from histobridge.strategies.tta import tta_views
from histobridge.translators.syndiff import SynDiff
from histobridge_label import labelling, page, training, workspace
from histobridge_label import pipeline as own_label
from histobridge_label.export import edited_files, names, read_handoff
from histobridge_label.inspect_folder import scan_folder
from histobridge_label.learning import learn_from
from histobridge_label.model import ASIDE, CARD, Model, latest
from histobridge_label.pipeline import LabelOptions, apply_model, label_folder
from histobridge_label.workspace import Choice, choice_of, opened, those_that_teach, write_workspace
from histobridge_study import runs
from histobridge_study.analysis import label_free_scores as label_free
from histobridge_study.analysis.recommend import SCORES
from histobridge_study.cli import own as cli_own
from histobridge_study.config import ROOT, manifest_folders
from histobridge_study.stages import label as strategies
from histobridge_study.stages.refine import METHOD

SIDE = 128


def quiet(line):
    """Report nothing."""


def draw(folder, seeds=(80, 81, 82), side=SIDE):
    """Save drawn SEM images as plain files: 8-bit grey, 16-bit grey, RGB."""
    folder.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds):
        image = phantom("sem", seed, (side, side))[0]
        if number % 3 == 0:
            write_image(folder / f"a{seed}.png", image)
        elif number % 3 == 1:
            tifffile.imwrite(folder / f"b{seed}.tif", (65535 * image).astype(np.uint16))
        else:
            colour = np.repeat((255 * image).astype(np.uint8)[..., None], 3, axis=2)
            (folder / f"c{seed}.png").write_bytes(imagecodecs.png_encode(colour))
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of three images."""
    return draw(tmp_path_factory.mktemp("place") / "images")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The manifest of a labelled source that is small."""
    described = yaml.safe_load((ROOT / "data_manifest" / "phantom-tem.yaml").read_text())
    few = [record | {"width": 160, "height": 160} for record in described["images"][:4]]
    path = tmp_path_factory.mktemp("source") / "small-tem.yaml"
    path.write_text(yaml.safe_dump(described | {"name": "small-tem", "images": few}))
    return path


@pytest.fixture(scope="module")
def options(source):
    """What is spent in a test: the profile `smoke`, at the scale that is right."""
    return LabelOptions(manifest=source, profile="smoke", work_at=0.1)


@pytest.fixture(scope="module")
def labelled(images, options, tmp_path_factory):
    """A folder of images, labelled from nothing; and what came of it."""
    out = tmp_path_factory.mktemp("place") / "out"
    return out, label_folder(images, out, options, um_per_px=0.1)


@pytest.fixture
def copied(labelled, tmp_path):
    """A copy of all that was made, to be changed."""
    return shutil.copytree(labelled[0], tmp_path / "copy")


# --- The workspace ----------------------------------------------------------------------------------------


def test_a_workspace_is_a_study_whose_single_fold_leaves_nothing_out(images, tmp_path):
    """The library finds the images by the name `own` while it is open, and no longer; what is there stays."""
    choice = Choice("phantom-tem", 0.1, 0.05, "smoke", seed=3)
    looked = scan_folder(images, 0.1, report=quiet)
    assert len(write_workspace(tmp_path, looked, choice)) == 3
    assert choice_of(tmp_path, looked.images) == choice
    assert choice_of(tmp_path, scan_folder(images, 0.2, report=quiet).images) is None  # another scale is right then
    with opened(tmp_path) as run:
        assert [sample.image.shape for sample in run.target_images()] == [(256, 256)] * 3
        assert run.split.source_train == {f"tem-{letter}" for letter in "abcde"} and not run.split.source_left_out
        assert run.target_masks() == {} and run.seed == 3
        assert load_dataset("own", folders=manifest_folders()).name == "own"
    assert manifest_folders() == [] and "HISTOBRIDGE_STUDY" not in os.environ
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if "data" in str(path)}
    write_workspace(tmp_path, looked, choice)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_changed_image_is_learned_from_anew(tmp_path):
    """In one process too: neither manifest nor pixels come from memory."""
    folder = draw(tmp_path / "images")
    choice, read = Choice("phantom-tem", 0.1, 0.1, "smoke"), []
    for seed in (80, 99):
        write_image(folder / "a80.png", phantom("sem", seed, (SIDE, SIDE))[0])
        write_workspace(tmp_path / "out", scan_folder(folder, 0.1, report=quiet), choice)
        with opened(tmp_path / "out") as run:
            read.append((run.target_images()[0].image, runs.data_checksum("own")))
    assert read[0][1] != read[1][1]
    assert (read[0][0] != read[1][0]).any()


def test_all_of_l_trains_where_there_is_one_fold():
    """With two, one validates."""
    subjects = {"source": [["a", "b"]], "target": [["u"]]}
    assert split(subjects, 0, "transductive").source_train == {"a", "b"}
    assert split({**subjects, "source": [["a"], ["b"]]}, 0, "transductive").source_train == {"b"}


def test_small_images_do_not_teach_and_many_are_thinned(images, tmp_path, monkeypatch):
    """They are labelled all the same; with none left, it says what to do."""
    found = scan_folder(images, 0.1, report=quiet).images
    choice = Choice("phantom-tem", 0.1, 0.1, "smoke")
    assert those_that_teach(found, choice) == found
    monkeypatch.setattr(workspace, "MOST_PX", 2 * SIDE * SIDE)
    assert those_that_teach(found, choice) == [found[0], found[2]]
    with pytest.raises(UserError, match=r"None of 3 images has 64 px a side at 0\.5 µm/px"):
        those_that_teach(found, Choice("phantom-tem", 0.1, 0.5, "smoke"))


def test_a_source_must_have_masks_and_be_here(tmp_path, monkeypatch):
    """What is missing is told with the name of the source."""
    monkeypatch.setattr("histobridge.data.download._download", lambda *_: "no network in this test")
    with pytest.raises(UserError, match="files of tem cannot be had"):
        workspace.bring_source(tmp_path, "tem", tmp_path / "data", None)
    bare = load_dataset("sem").model_dump(exclude_none=True)
    bare["images"] = [{k: v for k, v in one.items() if "mask" not in k} for one in bare["images"]]
    (tmp_path / "bare.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(bare | {"name": "bare"}))))
    workspace.add_manifest(tmp_path / "out", tmp_path / "bare.yaml")
    with workspace.brought(tmp_path / "out"), pytest.raises(UserError, match="'bare' has no masks"):
        workspace.bring_source(tmp_path / "out", "bare", tmp_path, None)


@pytest.mark.parametrize(
    ("name", "told"),
    [("own.yaml", "rename it"), ("small-tem.yml", r"ends in \.yaml"), ("nowhere.yaml", "There is no manifest")],
)
def test_a_manifest_that_cannot_be_added_is_told(source, tmp_path, name, told):
    """`own` are the images of U: theirs would take its place."""
    if "nowhere" not in name:
        (tmp_path / name).write_text(source.read_text().replace("small-tem", name.split(".")[0]))
    with pytest.raises(UserError, match=told):
        workspace.add_manifest(tmp_path / "out", tmp_path / name)
    assert not (tmp_path / "out").exists()


@pytest.mark.real
def test_the_files_of_a_source_come_from_the_data_folder_or_a_mirror(tmp_path, mirror):
    """They lie in the workspace then, which can be moved."""
    workspace.bring_source(tmp_path / "a", "tem", tmp_path / "nothing", mirror)
    workspace.bring_source(tmp_path / "b", "tem", tmp_path / "a" / "data", None)
    assert len(load_images(load_dataset("tem"), 0.01643, tmp_path / "b" / "data")) > 10


# --- From images to labels --------------------------------------------------------------------------------


def test_all_is_there_and_fits_the_users_files(labelled, images):
    """Table, pictures, model, hand-off at the size of each file, measures, page; nothing was skipped."""
    out, done = labelled
    for name in ("images.csv", "contact_sheet.png", "scale.png", "model/model.json", "fibres.csv", "report.html"):
        assert (out / name).stat().st_size > 0
    table = done.handoff.images.set_index("name")
    assert set(table.index) == {"a80", "b81", "c82"} and done.skipped == {}
    assert table.loc["b81", "source"] == str(images / "b81.tif")
    for image in table["image"]:
        assert read_mask(done.handoff.file(image, names.COMBINED))[0].shape == (SIDE, SIDE)
        assert read_image(done.handoff.file(image, names.UNCERTAINTY)).shape == (SIDE, SIDE)
    told = done.handoff.provenance
    assert told["strategy"] == "refined-syndiff" and told["source"]["dataset"] == "small-tem"
    assert told["minutes"] > 0 and told["labelled_at_um_per_px"] == 0.1
    assert len(pd.read_csv(out / "morphometrics.csv")) == 3


def test_the_same_command_goes_on_and_asks_nothing_again(labelled, images, options, monkeypatch):
    """Nothing is trained, labelled or written twice, and the scale is remembered."""
    out, done = labelled
    kept = [
        *(out / "labels").rglob("*.png"),
        *(out / "runs").rglob("segmenter*/*/model.pt"),
        *done.handoff.folder.rglob("*.png"),
    ]
    before = {path: path.stat().st_mtime_ns for path in kept}
    monkeypatch.setattr(Segmenter, "fit", None)
    monkeypatch.setattr(SynDiff, "fit", None)
    again = label_folder(images, out, options._replace(work_at=None), um_per_px=0.1, confirm=pytest.fail)
    assert before == {path: path.stat().st_mtime_ns for path in kept}
    assert again.handoff.images.equals(done.handoff.images)


def test_labelling_that_is_broken_off_goes_on_with_the_next_image(labelled, images, tmp_path, monkeypatch):
    """What was labelled before is not labelled again."""
    model, found = Model.load(labelled[0]), scan_folder(images, 0.1, report=quiet).images
    seen, label = [], Model.label

    def until_killed(model, image):
        seen.append(image)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return label(model, image)

    monkeypatch.setattr(Model, "label", until_killed)
    with pytest.raises(KeyboardInterrupt):
        labelling.label_all(model, found, tmp_path, report=quiet)
    kept = labelling.label_all(model, found, tmp_path, report=quiet)
    assert len(seen) == 4 and all(one.mask.exists() and one.unsure.exists() for one in kept)


def test_a_second_process_is_refused_and_so_is_a_folder_that_cannot_be_written(images, options, tmp_path):
    """Before anything is done."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Could not write"):
        label_folder(images, tmp_path / "file" / "out", options, um_per_px=0.1)
    with file_lock(tmp_path / "out" / ".lock"), pytest.raises(UserError, match="Another process is at work"):
        label_folder(images, tmp_path / "out", options, um_per_px=0.1)


def test_a_read_only_folder_is_told(images, options, tmp_path, monkeypatch):
    """Root, who may write anywhere, gets it from a stand-in."""
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o555)
    if os.geteuid() == 0:

        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.write_text", refuse)
    with pytest.raises(UserError, match=r"Could not write .*Permission denied"):
        label_folder(images, out, options, um_per_px=0.1)


def test_images_without_any_fibre_are_told(labelled, tmp_path):
    """Noise among images: labelled, nothing found in it, and said so."""
    folder = draw(tmp_path / "more", seeds=(83,))
    write_image(folder / "noise.png", 0.5 + 0.01 * np.random.default_rng(0).standard_normal((SIDE, SIDE)))
    model = Model.load(labelled[0])
    blind = Model(Blind(model.labeller), model.um_per_px, model.axon_px, model.translator, facts=model.facts)
    found = labelling.label_all(blind, scan_folder(folder, 0.1, report=quiet).images, tmp_path / "out", report=quiet)
    handoff = labelling.hand_off(blind, found, tmp_path / "out", modality=None, provenance={})
    assert "No fibre was found in a83, noise." in labelling.doubts(blind, found, handoff)
    assert labelling.measure(handoff, tmp_path / "out")["n_fibres"].tolist() == [0, 0]


class Blind(Labeller):
    """A labeller that sees background everywhere."""

    def __init__(self, of):
        super().__init__(of.segmenters)

    def label(self, image):
        """Return nothing but background, for sure."""
        return np.zeros(image.shape, np.uint8), np.stack([np.ones_like(image), *np.zeros((2, *image.shape))])


# --- The model --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_translations", [False, True])
def test_a_model_comes_back_as_it_was_saved(tmp_path, drawn, tiny_segmenter, tiny_syndiff, of_translations):
    """Same labels, same fingerprint; a labeller of L is shown translations."""
    translator = SynDiff(tiny_syndiff, sign=-1, seed=1)
    labeller = Labeller((Segmenter(tiny_segmenter, seed=0), Segmenter(tiny_segmenter, seed=1)), tta_views(1.2), False)
    model = Model(labeller, 0.1, 20.0, translator, of_translations, {"source": {"um_per_px": 0.05}})
    model.save(tmp_path)
    found, image = Model.load(tmp_path), drawn["sem"][0][0]
    assert found.fingerprint == model.fingerprint and found.axon_um_source == pytest.approx(1.0)
    for one, other in zip(found.label(image), model.label(image), strict=True):
        np.testing.assert_array_equal(one, other)
    assert of_translations == (model.label(image)[1] != labeller.label(image)[1]).any()


def test_a_model_that_is_none_is_told(tmp_path):
    """A folder without one, a damaged card, a format of the future, a card without its weights; and what to do."""
    with pytest.raises(UserError, match="holds no model"):
        Model.load(tmp_path)
    for card, told in (("{half", "is damaged"), ("[]", "has format None"), ('{"format": 99}', "has format 99")):
        (tmp_path / CARD).write_text(card)
        with pytest.raises(UserError, match=rf"{told}.*run the `histobridge label` that made it again"):
            Model.load(tmp_path)


@pytest.fixture
def tiny_model(tiny_segmenter, tiny_syndiff):
    """A model that knows nothing."""
    return Model(Labeller((Segmenter(tiny_segmenter),)), 0.1, 20.0, SynDiff(tiny_syndiff, sign=1), False, {"seed": 1})


def test_a_model_without_its_weights_is_told(tmp_path, tiny_model):
    """What to do is no matter of notebooks."""
    tiny_model.save(tmp_path)
    for weights in tmp_path.glob("*.pt"):
        content = weights.read_bytes()
        weights.unlink()
        with pytest.raises(UserError, match="is not whole: run the `histobridge label` that made it again"):
            Model.load(tmp_path)
        weights.write_bytes(content)
    Model.load(tmp_path)


@pytest.mark.parametrize("spoil", ["damaged", "of another version", "without weights"])
def test_a_model_that_cannot_be_read_is_replaced_by_what_is_trained(tmp_path, tiny_model, capsys, spoil):
    """`label` again is what the messages advise: it must help. What the model was is not forgotten."""
    tiny_model.save(tmp_path)
    if spoil == "without weights":
        next(tmp_path.glob("segmenter-*.pt")).unlink()
    else:
        (tmp_path / CARD).write_text('{"format": 99}' if spoil == "of another version" else "{half")
    before = (tmp_path / CARD).read_text()
    assert latest(tmp_path, tiny_model) is tiny_model
    assert Model.load(tmp_path).fingerprint == tiny_model.fingerprint
    assert (tmp_path / ASIDE).read_text() == before and "is replaced by what is trained" in capsys.readouterr().out


def test_a_model_is_replaced_whole_or_not_at_all(tmp_path, tiny_model, tiny_syndiff, monkeypatch):
    """A kill before the card is written leaves the model that was there, translator and all; older cards are read."""
    tiny_model.save(tmp_path)
    other = replace(tiny_model, translator=SynDiff(tiny_syndiff, sign=-1, seed=3))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("histobridge_label.model.write_json", killed)
        other.save(tmp_path)
    assert Model.load(tmp_path).translator.fingerprint == tiny_model.translator.fingerprint
    card = json.loads((tmp_path / CARD).read_text())
    (tmp_path / card.pop("translator")).rename(tmp_path / "syndiff.pt")
    (tmp_path / CARD).write_text(json.dumps(card))
    assert Model.load(tmp_path).translator.fingerprint == tiny_model.translator.fingerprint


def test_a_trained_model_waits_for_one_that_learns_from_corrections(tmp_path, tiny_model):
    """Else one would overwrite the other."""
    with file_lock(tmp_path / ".lock"):
        waiting = threading.Thread(target=latest, args=(tmp_path, tiny_model))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and not (tmp_path / CARD).exists()
    waiting.join()
    assert Model.load(tmp_path).fingerprint == tiny_model.fingerprint


def test_further_images_are_labelled_by_a_model_alone(labelled, tmp_path, monkeypatch):
    """Nothing is trained; an unreadable file is skipped and told."""
    monkeypatch.setattr(Segmenter, "fit", None)
    folder = draw(tmp_path / "more", seeds=(90, 91))
    (folder / "broken.png").write_bytes(b"\x89PNG")
    done = apply_model(labelled[0], folder, tmp_path / "out", um_per_px=0.1, modality="SEM")
    assert done.handoff.images["image"].tolist() == ["sub-more_sample-a90_SEM", "sub-more_sample-b91_SEM"]
    assert [path.name for path in done.skipped] == ["broken.png"]
    assert "broken.png" in done.page.read_text()


def test_another_pixel_size_gives_labels_on_its_own_grid(labelled, tmp_path):
    """Images of twice the pixels are looked at as before, and their masks have twice the pixels."""
    fine = phantom("sem", 84, (200, 260), um_per_px=0.05)[0]
    (tmp_path / "fine").mkdir()
    write_image(tmp_path / "fine" / "a.png", fine)
    done = apply_model(labelled[0] / "model", tmp_path / "fine", tmp_path / "out", um_per_px=0.05)
    (image,) = done.handoff.images["image"]
    assert read_mask(done.handoff.file(image, names.COMBINED))[0].shape == (200, 260)
    assert read_mask(next((tmp_path / "out" / "labels").rglob("mask.png")))[0].shape == (100, 130)
    assert done.handoff.images["um_per_px"].tolist() == [0.05]


def test_one_image_is_enough(options, tmp_path):
    """A section of a whole nerve is one file; it is told that all rests on it."""
    done = label_folder(draw(tmp_path / "one", seeds=(80,)), tmp_path / "out", options, um_per_px=0.1)
    assert len(done.handoff.images) == 1 and any("rests on it alone" in told for told in done.remarks)


def test_a_polarity_that_is_stated_counts(histobridge, images, options, tmp_path, monkeypatch):
    """Whatever anatomy says, before training and after; what is no polarity is told."""
    seen = []

    def train(run, **_):
        seen.append(run.pair.polarity)
        raise UserError("Seen enough.")

    monkeypatch.setattr(own_label, "train", train)
    options = ["--um-per-px", 0.1, "--source-manifest", options.manifest, "--profile", "smoke", "--work-at", 0.1]
    for polarity in ("auto", "keep", "invert", "up"):
        code, _, err = histobridge("label", images, *options, "--out", tmp_path / polarity, "--polarity", polarity)
        assert code == 2
    assert seen == ["auto", 1, -1] and "no polarity 'up'" in err


@pytest.mark.parametrize("way", ["tutorship syndiff", "adaptation syndiff", "pretrained none"])
def test_the_way_that_is_advised_is_the_one_that_labels(labelled, method, monkeypatch):
    """Whatever it is, the model does what it says."""
    monkeypatch.setattr(Segmenter, "fit", None)
    monkeypatch.setattr(training, "advised", lambda *_: (tuple(method.split()), f"Use {method}."))
    with opened(labelled[0]) as run:
        monkeypatch.setattr(training, "_guard", lambda *_: None)
        model = training.train(run, guide=True, say=quiet)
    assert model.facts["strategy"] == method.replace(" ", "-") and model.facts["advice"] == f"Use {method}."
    assert model.of_translations == method.startswith("adaptation") and not model.labeller.anatomy


def test_no_way_is_advised_that_a_model_cannot_go(tmp_path, monkeypatch):
    """A model holds SynDiff alone: adaptation by a control is not scored, nor read from a table of before."""
    methods = [
        ("adaptation", "histogram"),
        ("adaptation", "syndiff"),
        ("tutorship", "histogram"),
        ("pretrained", "none"),
    ]
    old = kept(tmp_path / "guidance", refined="r") / "guidance.csv"
    old.write_text("strategy,translator\nadaptation,histogram\n")

    def scores(run, translators, labels):
        return pd.DataFrame(list(labels), columns=["strategy", "translator"]).assign(**dict.fromkeys(SCORES, 0.5))

    monkeypatch.setattr(strategies, "all_pseudo_labels", lambda *_: {method: {} for method in methods})
    monkeypatch.setattr(strategies, "pseudo_labels", lambda *_: {})
    monkeypatch.setattr(label_free, "scores", scores)
    run = SimpleNamespace(results=tmp_path, scored_images=list)
    training.advised(run, {}, SimpleNamespace(fingerprint="r"))
    table = pd.read_csv(tmp_path / "guidance" / "guidance.csv", keep_default_na=False)
    assert list(table[["strategy", "translator"]].itertuples(index=False, name=None)) == [*methods[1:], METHOD]


# --- And back ---------------------------------------------------------------------------------------------


def correct(handoff, folder):
    """Correct the first label as somebody would: its truth comes back under its name."""
    row = handoff.images.iloc[0]
    write_mask(folder / f"{row['image']}{names.COMBINED}", phantom("sem", 80, (SIDE, SIDE))[1])


def test_corrections_teach_the_model_that_labels_the_next_images(copied, tmp_path, images, histobridge):
    """`import --finetune` puts a better model in its place, and what it was stays beside it."""
    before, handoff = Model.load(copied), read_handoff(copied / "handoff")
    correct(handoff, tmp_path / "corrected")
    options = ["--to", tmp_path / "edits", "--finetune", copied, "--steps", 20]
    code, out, err = histobridge("import", handoff.folder, tmp_path / "corrected", *options)
    assert code == 0, err
    assert "has learned from 1 corrected image" in out
    after = Model.load(copied)
    assert after.fingerprint != before.fingerprint
    (lesson,) = after.facts["lessons"]
    assert lesson == {"corrected": [handoff.images["image"][0]], "steps": 20, "before": before.fingerprint}
    assert len(list((copied / "model").glob("segmenter-*.pt"))) == 2
    done = apply_model(copied, images, tmp_path / "next", um_per_px=0.1)
    assert done.handoff.provenance["model"] == after.fingerprint


def test_what_was_learned_from_corrections_survives_the_first_command(copied, images, options):
    """`label` again trains nothing new, and must not put the old model back."""
    model = Model.load(copied)
    image, mask = phantom("sem", 80, (SIDE, SIDE))
    better = model.learned([(image, mask)], ["a80"], steps=2)
    better.save(copied / "model")
    again = label_folder(images, copied, options, um_per_px=0.1)
    assert Model.load(copied).fingerprint == better.fingerprint != model.fingerprint
    assert again.handoff.provenance["model"] == better.fingerprint


def test_a_folder_with_another_study_is_left_alone(images, options, tmp_path):
    """Somebody's study.yaml is not overwritten."""
    (tmp_path / "study.yaml").write_text("pairs: {}")
    with pytest.raises(UserError, match="study of something else"):
        label_folder(images, tmp_path, options, um_per_px=0.1)
    assert (tmp_path / "study.yaml").read_text() == "pairs: {}"


def test_nothing_is_learned_from_labels_that_nobody_changed(copied):
    """Nor is the model touched."""
    with pytest.raises(UserError, match="No label was changed"):
        learn_from(copied, [])


def test_an_edited_hand_off_is_never_overwritten(copied, images, options):
    """The same labels leave it alone; others refuse."""
    handoff = read_handoff(copied / "handoff")
    path = handoff.file(handoff.images["image"][0], names.COMBINED)
    write_mask(path, np.zeros((SIDE, SIDE), np.uint8))
    again = label_folder(images, copied, options, um_per_px=0.1)
    assert edited_files(again.handoff) and any("were edited" in told for told in again.remarks)
    with pytest.raises(UserError, match="was edited since"):
        label_folder(images, copied, options, um_per_px=0.1, modality="SEM")


# --- The commands -----------------------------------------------------------------------------------------


def test_the_walk_of_the_readme(histobridge, tmp_path, source, monkeypatch):
    """A folder of plain files, 16-bit and RGB and an unreadable one among them: one command, and a second time."""
    folder, out = draw(tmp_path / "images"), tmp_path / "out"
    (folder / "broken.tif").write_bytes(b"II*\0")
    monkeypatch.setattr(training, "train", None)
    options = ["--um-per-px", 0.1, "--source-manifest", source, "--profile", "smoke", "--out", out]
    code, _, err = histobridge("label", folder, *options)
    assert code == 2 and "Nobody is here to confirm" in err and "Suggested: " in err
    assert (out / "scale.png").exists()  # what is to be confirmed can be seen
    code, out_, err = histobridge("label", folder, *options, "--yes")
    assert code == 2, err
    assert "3 images labelled" in out_ and "Skipped" in out_ and "broken.tif" in out_ and "report.html" in out_


def test_the_scale_is_confirmed_or_another_one_is_given(monkeypatch, tmp_path, images, source):
    """Enter takes the suggestion; a number counts instead."""
    from histobridge_study.cli.own import _confirm

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    found, options = scan_folder(images, 0.1, report=quiet).images, LabelOptions(manifest=source, profile="smoke")
    monkeypatch.setattr("typer.prompt", lambda text, default, type: default)
    suggested = own_label.settle(found, tmp_path, options, _confirm)
    monkeypatch.setattr("typer.prompt", lambda text, default, type: 0.123)
    assert own_label.settle(found, tmp_path, options, _confirm).um_per_px == 0.123
    assert suggested.um_per_px == own_label.settle(found, tmp_path, options, None).um_per_px


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--um-per-px", "0"], "pixel size 0.0"),
        (["--um-per-px", "0.1", "--source", "tem-2"], "no dataset 'tem-2'"),
        (["--um-per-px", "0.1", "--modality", "sem"], "no modality of BIDS 'sem'. Valid: 2PE, BF"),
        (["--um-per-px", "0.1", "--source", "phantom", "--work-at", "0.1", "--profile", "warp"], "no profile 'warp'"),
        ([], "state it"),
    ],
)
def test_a_mistake_is_one_sentence(histobridge, images, tmp_path, options, told):
    """And exit code 2."""
    code, _, err = histobridge("label", images, "--out", tmp_path / "out", "--yes", *options)
    assert code == 2 and told in err and "Traceback" not in err


def test_a_wrong_modality_is_told_before_anything_is_done(images, tmp_path):
    """Not when all is trained and labelled; nothing is written."""
    with pytest.raises(UserError, match="no modality of BIDS 'sem'"):
        label_folder(images, tmp_path / "out", LabelOptions(), modality="sem")
    with pytest.raises(UserError, match="no modality of BIDS 'sem'"):
        apply_model(tmp_path, images, tmp_path / "out", modality="sem")
    assert not (tmp_path / "out").exists()


def test_results_may_lie_in_the_folder_of_the_images_but_not_around_them(images, tmp_path):
    """There they would hide all images, which then seem not to be there."""
    folder = tmp_path / "images"
    shutil.copytree(images, folder)
    for out in (folder, tmp_path, folder / "out" / ".."):
        with pytest.raises(UserError, match="is the folder of the images, or one around it: name another"):
            apply_model(folder / "out", folder, out, um_per_px=0.1)
        with pytest.raises(UserError, match="is the folder of the images, or one around it: name another"):
            label_folder(folder, out, LabelOptions(), um_per_px=0.1)
    with pytest.raises(UserError, match="holds no model"):
        apply_model(folder / "out", folder, folder / "out", um_per_px=0.1)


# --- The page ---------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else(labelled, chromium, tmp_path):
    """Alone in another folder it shows every picture, without a message and without asking for anything."""
    page, told = chromium.new_page(viewport={"width": 1280, "height": 800}), []
    alone = shutil.copy(labelled[1].page, tmp_path / "alone.html")
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda r: told.append(r.url) if not r.url.startswith(("file:///", "data:")) else None)
    page.goto(f"file://{alone}")
    page.locator("#table-review td a").first.click()
    page.locator(".tag.right", has_text="Uncertainty").wait_for()
    assert page.locator(".side.left .canvas img").count() == 2  # a label lies upon its image
    for layer in ("image", "translation", "label", "uncertainty"):
        page.locator("select[name=left]").select_option(layer)
        assert page.evaluate(
            "[...document.querySelectorAll('.side.left img')].every(i => i.complete && i.naturalWidth > 9)"
        )
    assert "Not scored" not in page.locator(".told").inner_text()
    assert page.locator("#table-images tbody tr").count() == 3
    page.close()
    assert told == []


def test_the_page_says_how_to_correct_and_what_it_is_worth(labelled):
    """The commands, that the source is drawn or not, and that nobody has checked."""
    text = labelled[1].page.read_text()
    for words in ("histobridge import", "--finetune", "histobridge apply", "No one has checked them yet", "small-tem"):
        assert words in text
    assert text.count("<html") == 1 and "static/site" not in text


def made_by(path) -> str:
    """The command at the foot of a page."""
    return html.unescape(re.search(r"Made by <code>(.*?)</code>", path.read_text())[1])


def test_the_command_on_the_page_does_the_same_again(labelled, images, source, tmp_path, histobridge):
    """As it was typed, or, where it was a function that was called, as it could have been."""
    out, done = labelled
    given = ["histobridge", "label", str(images), "--out", str(out), "--um-per-px", "0.1"]
    who = ["--source-manifest", str(source), "--profile", "smoke"]
    line = shlex.split(made_by(done.page))
    assert line[:7] == given and line[-1] == "--yes" and all(word in line for word in who)
    options = LabelOptions(manifest=source, profile="smoke", work_at=0.2, seed=3, polarity=-1)
    line = shlex.split(own_label._typed(options, images=images, out=out, um_per_px=0.1, guide=True, modality="SEM"))
    options = {"--guide", "--modality", "SEM", "--work-at", "0.2", "--seed", "3", "--polarity", "invert", "--yes"}
    assert line[:7] == given and set(line[7:]) == {*who, *options}
    typed = ["apply", out, images, "--um-per-px", 0.1, "--out", tmp_path / "two words"]
    assert histobridge(*typed)[0] == 0
    page = tmp_path / "two words" / "report.html"
    assert shlex.split(made_by(page)) == ["histobridge", *map(str, typed)]
    assert f"import '{tmp_path / 'two words' / 'handoff'}'" in html.unescape(page.read_text())


def test_the_page_and_the_command_line_count_the_same_fibres(labelled, monkeypatch, capsys):
    """Those that are measured; axons without myelin, which have numbers in the hand-off too, are told apart."""
    measures = labelled[1].measures.assign(n_fibres=[3, 4, 5], n_unmyelinated=[1, 0, 1])
    done = labelled[1]._replace(measures=measures)
    with pytest.raises(typer.Exit):
        cli_own._tell(done)
    assert "3 images labelled, 12 fibres and 2 axons without myelin found" in capsys.readouterr().out
    report_data = page.ReportData(SimpleNamespace(skipped={}), None, [1, 2, 3], done.handoff, measures, [])
    facts = page._facts(report_data)
    assert (facts["fibres"], facts["axons without myelin"]) == ("12", "2")


@pytest.mark.slow
def test_from_eight_images_to_masks_in_one_command(histobridge, tmp_path):
    """Nothing else is known; the labels are worth correcting, and it takes at most twelve minutes on two cores."""
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
    """SIGKILL while the judge, the translator, the students and the labels are made; then the same command ends."""
    out, command = tmp_path / "out", [sys.executable, "-u", "-m", "histobridge_study.cli", "label", str(images)]
    command += ["--out", str(out), "--um-per-px", "0.1", "--source-manifest", str(source), "--profile", "smoke"]
    command += ["--work-at", "0.1", "--yes"]
    for step in ("[3/", "[4/", "[6/", "[7/"):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            assert any(line.startswith(step) for line in running.stdout)
            running.kill()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    made, whole = (
        {p.parent.name: read_mask(p)[0] for p in (place / "labels").rglob("mask.png")} for place in (out, labelled[0])
    )
    assert made.keys() == whole.keys() and len(made) == 3
    for name, mask in made.items():
        np.testing.assert_array_equal(mask, whole[name])
