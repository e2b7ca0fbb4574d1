"""stages/: what each training starts from, and what stages write of labellers that know most of the truth."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from histobridge.cache import digest
from histobridge.data.datasets import Sample
from histobridge.metrics.review import review_order
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge.strategies import supervised, tutor
from histobridge.strategies.refined import BACKGROUND_WEIGHT
from histobridge.strategies.sources import axons_are_bright
from histobridge.strategies.tta import View
from histobridge.translators import Control
from histobridge_study import run_data
from histobridge_study.analysis.bland_altman import MEASURES
from histobridge_study.analysis.tables import DICE_COLUMNS
from histobridge_study.config import DomainAt
from histobridge_study.runs import Run, open_run
from histobridge_study.stages import baselines, label, references, refine, translate
from histobridge_study.stages.measure import measure_labels

PAIR = "phantom-sem"
KEYS = ["pair", "protocol", "split", "fold", "translator_seed"]
BLIND = (slice(64), slice(64))  # the uppermost left tile


@pytest.fixture(scope="module")
def data():
    """Images and masks of the pair, drawn once for all tests."""
    drawn = open_run({"pair": PAIR, "profile": "smoke"}).data
    return {name: getattr(drawn, name) for name in ("source_images", "source_masks", "target_images", "target_masks")}


# --- Trainings --------------------------------------------------------------------------------------------------------


def few(run: Run) -> Run:
    """Leave two images of L, two of U with masks to learn from, and one left out, each the corner of an image."""
    data = run.data
    sides = {
        "source_images": [s for s in data.source_images if s.subject in data.split.source_train][:2],
        "target_images": [s for s in data.target_images if s.subject in data.split.target_train][:2]
        + data.supervised_images[:1],
    }
    for name, samples in sides.items():
        vars(data)[name] = [replace(s, image=s.image[:64, :64]) for s in samples]
    for name in ("source_masks", "target_masks"):
        vars(data)[name] = {key: mask[:64, :64] for key, mask in getattr(data, name).items()}
    return run


@pytest.fixture
def begin(tmp_path, tiny_segmenter, data, monkeypatch):
    """A function that opens fold 0 of a drawn pair, with segmenters of hundredths of a second."""
    true_masks, opened = run_data.load_masks, []

    def masks_of(dataset, *args, **options):  # drawn once
        return opened[-1].target_masks if dataset.name == PAIR else true_masks(dataset, *args, **options)

    monkeypatch.setattr(run_data, "load_masks", masks_of)

    def open_pair(pair: str, **changes) -> Run:
        run = open_run({"pair": pair, "profile": "smoke", "out": str(tmp_path)})
        changes |= {"segmenter": tiny_segmenter, "student_steps": 3, "polarity_segmenter": None}
        profiles = {"smoke": run.profile.model_copy(update=changes)}
        run = replace(run, study=run.study.model_copy(update={"profiles": profiles}))
        vars(run.data).update({name: images for name, images in data.items() if "source" in name or pair == PAIR})
        opened.append(run.data)
        return run

    return open_pair


@pytest.fixture
def trained(monkeypatch):
    """The name, start (a fingerprint) and steps of each training, which moves the weights and learns nothing."""
    trainings = []

    def fit(self, images, masks, *, name, checkpoint):
        trainings.append((name, self.fingerprint, self.settings.steps))
        with torch.no_grad():
            for weight in self.network.parameters():
                weight.add_(1)
        return pd.DataFrame({"step": [0]})

    monkeypatch.setattr(Segmenter, "fit", fit)
    return trainings


def test_students_and_the_reference_continue_from_the_source_segmenter(begin, trained):
    """They take the steps of a student, or of a round of self-training if they continue from another segmenter."""
    run = begin(PAIR)
    source = label.source_segmenter(run)
    fit = label.student_fit(run, source)
    student = tutor(run.data.training_examples, Control("invert"), fit)
    supervised(run.data.supervised_examples(), fit)
    fit(run.data.training_examples, student)
    untrained = Segmenter(run.profile.segmenter, seed=run.fold_seed).fingerprint
    assert trained == [
        ("source segmenter of fold 0", untrained, 6),
        ("student, fold 0", source.fingerprint, 3),
        ("student, fold 0", source.fingerprint, 3),
        ("self-training, fold 0", student.fingerprint, run.profile.refinement.steps),
    ]


def test_the_pretrained_model_is_the_student_of_untranslated_images(begin, trained):
    """It is trained as long as any student, so that no row wins by its budget; the student of `none` is recalled."""
    run = begin(PAIR)
    source = label.source_segmenter(run)
    pretrained = label.pretrained_segmenter(run, source)
    assert trained[1:] == [("student, fold 0", source.fingerprint, 3)]
    assert tutor(run.data.training_examples, Control("none"), label.student_fit(run, source)).fingerprint == (
        pretrained.fingerprint
    )
    assert len(trained) == 2


def test_baselines_have_the_budget_of_a_student(begin, trained):
    """One continues from the source segmenter, the other takes all steps at once; no pair trains them anew."""
    for pair in (PAIR, "phantom-bf"):
        run = begin(pair)
        source = label.source_segmenter(run)
        baselines.randomised_segmenter(run, source)
        baselines.renormalised_segmenter(run)
    (_, (name, start, steps), (other, _, all_steps)) = trained
    assert (name, start, steps) == ("randomised student, fold 0", source.fingerprint, 3)
    assert (other, all_steps) == ("segmenter with batch norm, fold 0", 6 + 3)


@pytest.mark.parametrize(("sign", "name"), [(1, "none"), (-1, "invert")])
def test_a_pretrained_model_with_anatomy_sees_the_polarity_of_l(begin, trained, sign, name):
    """It is shown negatives where translators invert the contrast, in a short comparison too, and labels alike."""
    run = few(begin(PAIR, comparison="short"))
    source = label.source_segmenter(run)
    translators = {"none": Control("none"), "invert": Control("invert"), "syndiff": SimpleNamespace(sign=sign)}
    labels = baselines.baseline_labels(run, translators, source, source)
    assert list(labels) == [("pretrained-anatomy", name)]
    labeller = baselines.pretrained_with_anatomy(run, translators[name], source)
    assert len(labeller.views) == 3 and labeller.anatomy and labeller.background_weight == BACKGROUND_WEIGHT
    image = run.data.scored_images[0]
    expected = labeller.predict(image.image if sign == 1 else 1 - image.image)
    np.testing.assert_array_equal(labels["pretrained-anatomy", name][image.name], expected)


def test_references_have_what_refined_has(begin, trained):
    """All its steps from the same start, and labels that come about alike, on subjects of which they saw no mask."""
    run = few(begin(PAIR))
    matched = Control("invert-histogram")
    matched.fit([s.image for s in run.data.source_images], [s.image for s in run.data.target_images])
    labels = references.reference_labels(run, {"invert-histogram": matched, "syndiff": SimpleNamespace(sign=-1)})
    source, steps = label.source_segmenter(run).fingerprint, 3 + run.profile.refinement.steps
    reference = ("supervised reference, fold 0", source, steps)
    assert trained[1:3] == [reference, reference]
    assert [(name, taken) for name, _, taken in trained[3:]] == [("student, fold 0", 3), ("self-training, fold 0", 15)]
    assert list(labels) == [(name, "none") for name in ("reference", "reference-synthetic", "reference-refined")]
    for masks in labels.values():
        assert list(masks) == [sample.name for sample in run.data.supervised_images]
    labeller = references.reference_labeller(run, run.data.supervised_examples())
    assert labeller.anatomy and labeller.views[0] == View() and labeller.background_weight == BACKGROUND_WEIGHT


def test_without_masks_there_is_no_reference(begin, monkeypatch):
    """Fewer than two images with masks teach nothing."""
    run = begin(PAIR)
    monkeypatch.setattr(type(run.data), "supervised_examples", lambda data: data.source_examples[:1])
    assert references.reference_labels(run, {}) == {}


def test_a_mask_that_was_given_gets_no_pseudo_label(begin, monkeypatch):
    """Images of U with expert masks are labelled examples, and only the others take part unlabelled."""
    run = begin(PAIR)
    masked, given = run.data.supervised_examples(), {}
    monkeypatch.setattr(refine, "student_fit", lambda *_: None)
    monkeypatch.setattr(refine, "source_segmenter", lambda *_: None)
    monkeypatch.setattr(refine, "refine", lambda examples, images, *_, **options: given.update(options, images=images))
    refine.refined_labeller(run, {"syndiff": SimpleNamespace(sign=1)}, masked=masked)
    held_out = {sample.name for sample in run.data.supervised_images}
    expected = [sample.image for sample in run.data.seen_images if sample.name in held_out]
    assert given["masked"] == masked and len(given["images"]) == len(expected) > 0
    assert all(np.array_equal(*pair) for pair in zip(given["images"], expected, strict=True))


@pytest.mark.parametrize("sign", [1, -1])
def test_further_sets_get_the_contrast_that_anatomy_found(begin, sign):
    """Drawn bright field has the contrast of drawn TEM, which is kept or inverted as that of L is."""
    run = begin(PAIR)
    vars(run.data)["other_examples"] = [[phantom("bf", 1, (64, 64))]]
    images = [phantom("sem" if sign < 0 else "tem", 1, (64, 64))[0]]
    assert axons_are_bright(refine.further_examples(run, images, sign=sign)) == (sign > 0)


def test_what_l_alone_teaches_is_trained_once_for_all_pairs(begin, trained):
    """Source segmenter, polarity segmenter and the student of negatives serve both pairs; a reference serves one."""
    for pair in (PAIR, "phantom-bf"):
        run = begin(pair)
        _ = translate.recipe(run).polarity_segmenter
        fit = label.student_fit(run, label.source_segmenter(run))
        tutor(run.data.training_examples, Control("invert"), fit)
        assert len(trained) == 3
    supervised(run.data.supervised_examples(), fit)
    assert len(trained) == 4


def test_the_polarity_segmenter_learns_from_whole_crops(begin):
    """Where the profile names none of its own, it has the settings of the segmenter but for the blank parts."""
    run = begin(PAIR)
    assert translate.recipe(run).segmenter == run.profile.segmenter.model_copy(update={"blank": 0.0})


def test_the_reference_is_never_scored_on_an_animal_that_it_has_seen(begin, monkeypatch):
    """Where a subject is in both splits, its locked images are left out of the folds that train on it."""
    data = begin(PAIR).data
    development = data.target_images
    assert {s.subject for s in data.supervised_images} == data.split.target_supervised
    locked = [Sample(f"new-{subject}", subject, development[0].image) for subject in (*data.split.target_train, "new")]
    monkeypatch.setitem(vars(data), "target_images", locked)
    assert [s.subject for s in data.supervised_images] == ["new"]


# --- Results ----------------------------------------------------------------------------------------------------------


class KnowsMost:
    """A labeller that knows the truth but for one tile, in which it errs at every pixel and is less sure."""

    def __init__(self, run: Run, *, blind: tuple = BLIND, sure: float = 0.4):
        truth = run.data.target_masks
        self.known = {digest(sample.image): truth[sample.name] for sample in run.data.scored_images}
        self.blind, self.sure = blind, sure

    def label(self, image):
        """Return the mask and its uncertainty."""
        mask = self.known[digest(image)].copy()
        mask[self.blind] = (mask[self.blind] + 1) % 3
        uncertain = np.zeros(mask.shape, np.float32)
        uncertain[self.blind] = 1 - self.sure
        return mask, uncertain

    def predict(self, image):
        """Return the mask alone."""
        return self.label(image)[0]


@pytest.fixture
def run(tmp_path, data):
    """An inductive run of a drawn pair, whose fold scores some images."""
    run = open_run({"pair": PAIR, "profile": "smoke", "protocol": "inductive", "out": str(tmp_path)})
    vars(run.data).update(data)
    return run


def test_labels_come_back_from_the_folder_of_their_stage(run):
    """Masks are equal to what was written, and methods come translator by translator, as in the rows of Dice."""
    truth = dict(list(run.data.target_masks.items())[:2])
    empty = {name: np.zeros_like(mask) for name, mask in truth.items()}
    labels = {("tutorship", "syndiff"): truth, ("pretrained", "none"): empty}
    stage = run.stage(label.STAGE)
    ordered = label.write_labels(stage, labels)
    rows = label.dice_rows(run, ordered)
    rows.to_csv(stage.folder / "dice.csv", index=False)
    stage.finish()
    found = label.read_labels(stage)
    assert list(found) == list(ordered) == [("pretrained", "none"), ("tutorship", "syndiff")]
    for method, masks in labels.items():
        assert all(np.array_equal(mask, found[method][name]) for name, mask in masks.items())
    assert set(DICE_COLUMNS) <= set(rows)
    assert rows.groupby("strategy")["dice"].mean().to_dict() == {"pretrained": 0, "tutorship": 1}
    assert label.worst_image(rows) in truth


def test_a_row_says_how_many_masks_of_the_target_were_seen(run):
    """For references it is the number of images of other subjects, for strategies 0; references stand last."""
    truth = dict(list(run.data.target_masks.items())[:1])
    methods = [("reference", "none"), ("refined", "syndiff"), ("supervised", "none"), ("vote", "none")]
    labels = label.write_labels(run.stage(label.STAGE), dict.fromkeys(methods, truth))
    assert [name for name, _ in labels] == ["vote", "refined", "supervised", "reference"]
    seen = label.dice_rows(run, labels).groupby("strategy")["masks"].unique().map(list).to_dict()
    n = len(run.data.supervised_examples())
    assert n > 1 and seen == {"reference": [n], "refined": [0], "supervised": [n], "vote": [0]}
    assert label.dice_rows(run, {("refined", "syndiff"): truth})["masks"].tolist() == [0, 0]


def test_refined_labels_and_their_uncertainty_are_written(run):
    """A map is 0 where the label is certain, and 0.6 in the tile, to the 8 bits of a PNG."""
    masks, unsure = refine.label_scored_images(run, KnowsMost(run))
    method = ("refined", "histogram")
    label.write_labels(run.stage(refine.STAGE), {method: masks})
    assert masks.keys() == unsure.keys() == {sample.name for sample in run.data.scored_images}
    for values in unsure.values():
        np.testing.assert_allclose(values[BLIND], 0.6, atol=1 / 255)
        assert values[64:].max() == values[:, 64:].max() == 0
    label.dice_rows(run, {method: masks}).to_csv(run.stage(refine.STAGE).folder / "refined.csv", index=False)
    run.stage(refine.STAGE).finish(method=method)
    read = label.read_labels(run.stage(refine.STAGE))[refine.labelled_method(run)], refine.read_uncertainty(run)
    for before, after in zip((masks, unsure), read, strict=True):
        assert all(np.array_equal(before[name], after[name]) for name in before)


def test_mistakes_are_where_the_label_shows_another_class(run, monkeypatch):
    """They are the tile and nothing else; images without an expert mask are left out."""
    masks, _ = refine.label_scored_images(run, KnowsMost(run))
    wrong = refine.mistakes(run, masks)
    assert wrong.keys() == masks.keys()
    for errors in wrong.values():
        assert errors.dtype == bool and errors[BLIND].all() and errors.sum() == 64 * 64
    name, *_ = masks
    monkeypatch.setitem(vars(run.data), "target_masks", {name: run.data.target_masks[name]})
    assert list(refine.mistakes(run, masks)) == [name]


def test_the_trust_of_a_labeller_that_knows_where_it_errs(run):
    """Its errors are where it is unsure; three tables with pair, protocol, split and fold are written as returned."""
    masks, unsure = refine.label_scored_images(run, KnowsMost(run))
    tables = refine.trust_tables(run, unsure, refine.mistakes(run, masks), review_order(unsure))
    (trust,) = tables["trust"].to_dict("records")
    confidence = 1 - np.mean([values[BLIND].mean() for values in unsure.values()])
    assert trust["wrong"] == pytest.approx(1 / 16)
    assert trust["ece"] == pytest.approx(confidence / 16, abs=1e-4)  # never right in the tile, always right elsewhere
    assert trust["ause"] == pytest.approx(0, abs=1e-12)
    assert (trust["held_by_first_tenth"], trust["most_possible"]) == (1, 1)
    assert tables["reliability"]["n"].sum() == sum(mask.size for mask in masks.values())
    assert tables.keys() == {"reliability", "sparsification", "trust"}
    for name, table in tables.items():
        assert table[KEYS].drop_duplicates().values.tolist() == [[PAIR, "inductive", "development", 0, 0]]
        pd.testing.assert_frame_equal(pd.read_csv(run.stage(refine.STAGE).folder / f"{name}.csv"), table)


def test_labels_are_measured_beside_the_expert_masks(run):
    """The expert counts as a strategy; equal masks have equal measures, and the tables are written as returned."""
    truth = dict(list(run.data.target_masks.items())[:2])
    tables = measure_labels(run, label.STAGE, {("pretrained", "none"): truth})
    of_images = tables[1].set_index(["strategy", "image"])[list(MEASURES)]
    assert set(of_images.index) == {(strategy, name) for strategy in ("expert", "pretrained") for name in truth}
    pd.testing.assert_frame_equal(of_images.loc["expert"], of_images.loc["pretrained"])
    for name, table in zip(("fibres", "morphometrics"), tables, strict=True):
        assert table.columns[:9].tolist() == [*KEYS, "strategy", "translator", "image", "subject"]
        pd.testing.assert_frame_equal(pd.read_csv(run.stage(label.STAGE).folder / f"{name}.csv"), table)


TRANSLATORS = {"syndiff": SimpleNamespace(sign=1)}


@pytest.fixture
def recipes(monkeypatch):
    """The options that were asked for, in order; each knows the truth but for a corner, the next a larger one."""
    asked = []

    def of(run, translators, **options):
        side = 32 * len(asked)
        asked.append(options)
        return KnowsMost(run, blind=(slice(side), slice(side)))

    monkeypatch.setattr(refine, "refined_labeller", of)
    return asked


def test_an_ablation_scores_every_recipe_once(run, recipes):
    """There is a row an image and class of each, in the order of the recipes; the second time the table is read."""
    table, n = refine.ablate(run, TRANSLATORS), 2 * len(run.data.scored_images)
    assert {*DICE_COLUMNS, "recipe", "git_commit", "settings_hash"} <= set(table.columns)
    names = ["refined", "without matched greys", *refine.ABLATION]
    assert table["recipe"].tolist() == [name for name in names for _ in range(n)]
    assert set(zip(table["strategy"], table["translator"], strict=True)) == {("refined", "syndiff")}
    dice = table.groupby("recipe", sort=False)["dice"].mean()
    assert dice.iloc[0] == 1 and dice.is_monotonic_decreasing and dice.is_unique
    pd.testing.assert_frame_equal(refine.ablate(run, TRANSLATORS), table)
    assert recipes == [{"syndiff": True} | changes for changes in ({}, {"matched": False}, *refine.ABLATION.values())]


def test_the_ablation_changes_what_the_default_recipe_has():
    """Without SynDiff, SynDiff is added; further sets are taken away where there are any."""
    assert list(refine.ablated({"syndiff": False})) == ["with SynDiff", *refine.ABLATION]
    many = refine.ablated({"syndiff": False, "others": True})
    assert many == {"with SynDiff": {"syndiff": True}, "without further sets": {"others": False}} | refine.ABLATION


@pytest.mark.parametrize(("sign", "matched"), [(1, "histogram"), (-1, "invert-histogram")])
def test_refined_without_syndiff_is_a_row_of_matched_greys(run, recipes, sign, matched):
    """It is named by the control of that polarity; a study that lacks the control has no such row."""
    syndiff = {"syndiff": SimpleNamespace(sign=sign)}
    assert list(refine.labellers(run, syndiff)) == [("refined", "syndiff")] == [refine.default_method(run, syndiff)]
    both = syndiff | {matched: None}
    assert list(refine.labellers(run, both)) == [("refined", "syndiff"), ("refined", matched)]
    assert refine.default_method(run, both) == ("refined", matched)
    assert recipes == [{"syndiff": True}, {"syndiff": True}, {"syndiff": False}]


def test_syndiff_is_in_the_default_recipe_if_the_profile_says_so(run):
    """Whatever else the pair has."""
    wanted = run.profile.refinement.model_copy(update={"syndiff": True})
    profiles = {"smoke": run.profile.model_copy(update={"refinement": wanted})}
    run = replace(run, study=run.study.model_copy(update={"profiles": profiles}))
    assert refine.default_method(run, TRANSLATORS | {"histogram": None}) == ("refined", "syndiff")


def test_many_sources_are_a_row_where_the_pair_has_them(run, recipes, monkeypatch):
    """In a full comparison; they are in the default recipe then."""
    others = (DomainAt(dataset="phantom-bf", um_per_px=0.1),)
    pairs = {PAIR: run.pair.model_copy(update={"others": others})}
    full = {"smoke": run.profile.model_copy(update={"comparison": "full"})}
    run = replace(run, study=run.study.model_copy(update={"pairs": pairs, "profiles": full}))
    translators = TRANSLATORS | {"histogram": None}
    assert list(refine.labellers(run, translators))[1:] == [("refined", "histogram"), ("many-sources", "histogram")]
    assert recipes[1:] == [{"syndiff": False}, {"syndiff": False, "others": True}]
    assert refine.default_method(run, translators) == ("many-sources", "histogram")
    refine.default_labeller(run, translators)
    assert recipes[3:] == recipes[2:3]
