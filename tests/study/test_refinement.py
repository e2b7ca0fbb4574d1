"""refinement.py: what `refined` starts from, learns from and never sees; its segmenters see one fibre everywhere."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from test_metrics import disc, fibre

from histobridge.cache import digest
from histobridge.config import RefinementSettings
from histobridge.segmenter import Segmenter
from histobridge.strategies.refined import RECIPES, Labeller, axon_diameter_px, refined
from histobridge.strategies.tta import LEAST_ZOOM, MOST_ZOOM, View
from histobridge_study.config import load_study
from histobridge_study.parameters import Parameters
from histobridge_study.runs import Run
from histobridge_study.stages import label as strategies

SIDE = 96
FIBRE = fibre((47.5, 47.5), axon=15, size=SIDE)
STUDENTS = {"syndiff": "tutorship with syndiff, fold 0", "histogram": "tutorship with histogram, fold 0"}
STUDENTS |= {"invert-histogram": "tutorship with invert-histogram, fold 0"}
ROUNDS = [f"refined, round {number}, fold 0" for number in (1, 2)]


class Tint:
    """A translator that makes an image paler, each by its own measure."""

    def __init__(self, name: str, sign: int, paler: float):
        self.name, self.sign, self.paler, self.fingerprint = name, sign, paler, f"{name} {paler}"

    def translate(self, image, to, *, seed=0):
        """Return the paler image."""
        return np.asarray(self.paler + (1 - self.paler) * image, np.float32)


class Says:
    """A segmenter that says the same probabilities of every pixel."""

    def __init__(self, *probabilities: float):
        self.said, self.fingerprint = probabilities, str(probabilities)

    def probabilities(self, image):
        """Return them."""
        return np.broadcast_to(np.array(self.said, np.float32)[:, None, None], (3, *image.shape))


def translators(sign: int = 1) -> dict[str, Tint]:
    """SynDiff with a sign, and both ways to match grey values."""
    names = ("syndiff", "histogram", "invert-histogram")
    return {name: Tint(name, sign, paler) for name, paler in zip(names, (0.0, 0.2, 0.4), strict=True)}


@pytest.fixture
def begin(tmp_path, tiny_segmenter, monkeypatch):
    """A function that opens fold 0 of a drawn pair, with images of 96 px, two rounds of five steps and no mask of U."""
    study, corner = load_study(), (slice(SIDE), slice(SIDE))
    of_l, of_u, masks = Run.source_images, Run.target_images, Run.source_masks

    def cut(samples):
        return [dataclasses.replace(sample, image=sample.image[corner]) for sample in samples]

    def no_mask(*_, **__):
        raise AssertionError("a mask of U was opened")

    monkeypatch.setattr(Run, "source_images", lambda run: cut(of_l(run)))
    monkeypatch.setattr(Run, "source_masks", lambda run: {name: mask[corner] for name, mask in masks(run).items()})
    monkeypatch.setattr(Run, "target_images", lambda run, **of: cut(of_u(run, **of)))
    monkeypatch.setattr(Run, "target_masks", no_mask)
    tiny = {"segmenter": tiny_segmenter, "student_steps": 3, "polarity_segmenter": None}
    tiny |= {"refinement": RefinementSettings(rounds=2, steps=5)}
    profile = study.profiles["smoke"].model_copy(update=tiny)

    def open_pair(protocol: str = "transductive") -> Run:
        parameters = Parameters(pair="phantom-sem", profile="smoke", protocol=protocol, out=str(tmp_path))
        return Run(parameters, study.pairs["phantom-sem"], profile, study.translators)

    return open_pair


@dataclasses.dataclass
class Training:
    """What one training started from and ended with (fingerprints), for how many steps, and what it learned from."""

    start: str
    end: str
    steps: int
    images: list
    masks: list


@pytest.fixture
def trained(monkeypatch):
    """Each training by its name; it moves the weights and learns nothing. Every prediction is one fibre."""
    found = {}

    def fit(self, images, masks, *, name, checkpoint):
        assert name not in found
        start = self.fingerprint
        with torch.no_grad():
            for weight in self.network.parameters():
                weight.add_(1)
        found[name] = Training(start, self.fingerprint, self.settings.steps, images, masks)

    monkeypatch.setattr(Segmenter, "fit", fit)
    everywhere(monkeypatch, FIBRE)
    return found


def everywhere(monkeypatch, mask: np.ndarray) -> None:
    """Let every segmenter be sure of the same mask, as large as the image that it sees."""

    def say(self, image):
        rows, columns = (np.arange(side) * SIDE // side for side in image.shape)
        return np.eye(3, dtype=np.float32)[mask[np.ix_(rows, columns)]].transpose(2, 0, 1)

    monkeypatch.setattr(Segmenter, "probabilities", say)


def among(image: np.ndarray, images: list[np.ndarray]) -> bool:
    """Tell whether an image is one of several."""
    return digest(image) in {digest(one) for one in images}


# --- What is trained --------------------------------------------------------------------------------------


def test_rounds_go_on_from_each_other(begin, trained):
    """The first from SynDiff's student, the second from the first; as many, and with as many steps, as the profile."""
    labeller = refined(begin(), translators())
    source = trained["source segmenter of fold 0"].end
    assert [trained[STUDENTS[name]].start for name in ("syndiff", "histogram")] == [source, source]
    chain = [trained[name] for name in (STUDENTS["syndiff"], *ROUNDS)]
    assert [after.start == before.end for before, after in pairwise(chain)] == [True, True]
    assert [part.steps for part in chain] == [3, 5, 5]
    assert [segmenter.fingerprint for segmenter in labeller.segmenters] == [chain[-1].end]


@pytest.mark.parametrize("rounds", [0, 1])
def test_the_profile_says_how_many_rounds(begin, trained, rounds):
    """None leaves both students to label together."""
    run = begin()
    settings = run.profile.model_copy(update={"refinement": RefinementSettings(rounds=rounds, steps=7)})
    labeller = refined(dataclasses.replace(run, profile=settings), translators())
    assert [name for name in trained if "round" in name] == ROUNDS[:rounds]
    assert [trained[name].steps for name in ROUNDS[:rounds]] == [7] * rounds
    assert len(labeller.segmenters) == (1 if rounds else 2)


@pytest.mark.parametrize(("sign", "matched"), [(1, "histogram"), (-1, "invert-histogram")])
@pytest.mark.parametrize("recipe", ["refined", "without SynDiff", "without matched greys"])
def test_recipes_take_their_translators(begin, trained, recipe, sign, matched):
    """Grey values are matched in the contrast that SynDiff found; what a recipe leaves out is not even trained."""
    refined(begin(), translators(sign), recipe)
    expected = {"refined": {"syndiff", matched}, "without SynDiff": {matched}, "without matched greys": {"syndiff"}}
    assert {name for name, told in STUDENTS.items() if told in trained} == expected[recipe]


def test_recipes_take_their_pieces(begin, trained, monkeypatch):
    """One view without views, the network's own mask without anatomy, the students' mean without self-training."""
    monkeypatch.setattr(Segmenter, "fit", lambda *_, **__: None)  # the same names come again
    whole = refined(begin(), translators())
    assert len(whole.views) == 4 and whole.anatomy and len(whole.segmenters) == 1
    without = {name: refined(begin(), translators(), name) for name in RECIPES if name != "refined"}
    assert without["without views"].views == (View(),)
    assert not without["without anatomy"].anatomy
    assert len(without["without self-training"].segmenters) == 2
    for name, labeller in without.items():
        assert (len(labeller.views) == 4) == (name != "without views"), name
        assert labeller.anatomy == (name != "without anatomy"), name


def test_a_student_learns_from_both_translations_and_from_its_labels(begin, trained):
    """Translated images of L with the masks of L, then the images of U with the fibre that was seen in each."""
    run = begin()
    refined(run, translators())
    both = [example for name in ("syndiff", "histogram") for example in strategies.synthetic(run, translators()[name])]
    n = len(both)
    for name in ROUNDS:
        images, masks = trained[name].images, trained[name].masks
        assert digest(images[:n], masks[:n]) == digest(*zip(*both, strict=True))
        assert digest(images[n:]) == digest([s.image for s in run.seen_images()])
        for mask in masks[n:]:
            assert (mask == FIBRE).mean() > 0.98  # but for what enlarging blurs


# --- What is never seen -----------------------------------------------------------------------------------


def test_only_seen_images_are_learned_from(begin, trained):
    """In the inductive protocol no image of the left-out subjects reaches a training; it is labelled all the same."""
    run = begin("inductive")
    labeller = refined(run, translators())
    held_out, learned = run.scored_images(), [image for part in trained.values() for image in part.images]
    assert held_out and not any(among(sample.image, learned) for sample in held_out)
    assert all(among(sample.image, learned) for sample in run.seen_images())
    assert labeller.predict(held_out[0].image).shape == (SIDE, SIDE)


def test_in_the_transductive_protocol_all_images_are_learned_from(begin, trained):
    """Images of U, that is; the fixture refuses to open a mask of U."""
    run = begin()
    refined(run, translators())
    assert all(among(sample.image, trained[ROUNDS[0]].images) for sample in run.scored_images())


# --- Zoom -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [8, 10, 12, 20])
def test_the_zoom_makes_axons_as_large_as_those_of_l(begin, trained, monkeypatch, radius):
    """The diameter in the masks that students learn from over that of the disc seen in U, within limits."""
    drawn = fibre((48, 48), axon=radius, size=SIDE)
    everywhere(monkeypatch, drawn)
    run = begin()
    labeller = refined(run, translators(), "without self-training")
    of_l = axon_diameter_px(mask for _, mask in strategies.synthetic(run, translators()["syndiff"]))
    expected = np.clip(of_l / axon_diameter_px([drawn]), LEAST_ZOOM, MOST_ZOOM)
    assert [view.zoom for view in labeller.views] == pytest.approx([1, 1, expected, expected], abs=0.006)


def test_without_an_axon_nothing_is_enlarged(begin, trained, monkeypatch):
    """Students that see only background leave the views as they are."""
    everywhere(monkeypatch, np.zeros((SIDE, SIDE), np.uint8))
    labeller = refined(begin(), translators(), "without self-training")
    assert [view.zoom for view in labeller.views] == [1] * 4


def test_the_diameter_is_that_of_a_circle_of_equal_area():
    """Median over the axons of all masks: squares of 16, 36 and 100 px; a speck is none."""
    masks = np.zeros((2, 40, 40), np.uint8)
    masks[0, 2:6, 2:6] = masks[0, 20:30, 20:30] = masks[1, 2:8, 2:8] = 2
    masks[1, 30, 30:37] = 2
    assert axon_diameter_px(masks) == pytest.approx(2 * np.sqrt(36 / np.pi))
    assert axon_diameter_px([np.where(disc((64, 64), 20), 2, 0).astype(np.uint8)]) == pytest.approx(40, abs=0.2)


def test_no_axon_has_no_diameter():
    """NaN, and no warning."""
    assert np.isnan(axon_diameter_px([np.zeros((9, 9), np.uint8), np.ones((9, 9), np.uint8)]))


# --- Labeller ---------------------------------------------------------------------------------------------


def test_segmenters_are_averaged():
    """Two that disagree: the mean of their probabilities decides."""
    labeller = Labeller((Says(0.5, 0.5, 0.0), Says(0.2, 0.6, 0.2)), anatomy=False)
    mask, probabilities = labeller.label(np.zeros((6, 8), np.float32))
    np.testing.assert_allclose(probabilities, np.broadcast_to([[[0.35]], [[0.55]], [[0.1]]], (3, 6, 8)), rtol=1e-6)
    assert mask.dtype == np.uint8 and (mask == 1).all()


def test_anatomy_has_the_last_word_on_the_mask_alone():
    """A bare axon goes, and the probabilities behind it stay as the networks gave them."""
    bare = np.where(disc((20, 20), 8, size=40), 2, 0).astype(np.uint8)

    class Sees:
        fingerprint = "bare"

        def probabilities(self, image):
            return np.eye(3, dtype=np.float32)[bare].transpose(2, 0, 1)

    image = np.zeros((40, 40), np.float32)
    (with_, one), (without, two) = (Labeller((Sees(),), anatomy=anatomy).label(image) for anatomy in (True, False))
    assert (with_ == 0).all()
    np.testing.assert_array_equal(without, bare)
    np.testing.assert_array_equal(one, two)


def test_a_fingerprint_is_of_all_that_decides():
    """Segmenters, views and anatomy; the folder of intermediate labels goes with it."""
    one, other = Says(1, 0, 0), Says(0, 1, 0)
    labellers = [Labeller((one,)), Labeller((other,)), Labeller((one, other)), Labeller((one,), anatomy=False)]
    labellers.append(Labeller((one,), views=(View(), View(1.2))))
    assert len({labeller.fingerprint for labeller in labellers}) == len({l_.folder for l_ in labellers}) == 5
    assert Labeller((Says(1, 0, 0),)).fingerprint == labellers[0].fingerprint
