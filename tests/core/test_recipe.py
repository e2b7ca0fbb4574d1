"""recipe.py: two domains in, checked translators out; each step is computed once."""

import numpy as np
import pytest

from histobridge.config import SegmenterSettings, SynDiffSettings
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge.strategies import TranslatorRecipe
from histobridge.strategies import recipe as recipes
from histobridge.strategies.polarity import INVERT, KEEP, PolarityError
from histobridge.translator_settings import CutSettings, CycleGanSettings
from histobridge.translators import Control

SMALL = SynDiffSettings(steps=30, crop=48, batch=4, width=16, multipliers=(1, 2), cycle_width=16, critic_width=16)
QUICK = SegmenterSettings(steps=120, crop=96, batch=4, widths=(16, 16, 32, 32, 64, 16), blank=0.0)
TISSUE = [phantom("tem", seed, (96, 96)) for seed in range(2)]
TARGET = [phantom("sem", seed + 10, (96, 96))[0] for seed in range(2)]
KNOWN = [*TISSUE, *(phantom("sem", seed + 10, (96, 96)) for seed in range(2))]


class ReadsTem:
    """A polarity segmenter that knows the outlines of the drawn images and that sheaths are dark."""

    def probabilities(self, image):
        """Return the true classes, with axon and myelin swapped where sheaths are bright."""
        correlations = [np.corrcoef(image.ravel(), known.ravel())[0, 1] for known, _ in KNOWN]
        mask = KNOWN[int(np.argmax(np.abs(correlations)))][1]
        if image[mask == 1].mean() > image[mask == 2].mean():
            mask = np.array([0, 2, 1], np.uint8)[mask]
        return np.eye(3, dtype=np.float32)[mask].transpose(2, 0, 1)

    def predict(self, image):
        """Return the most probable class."""
        return self.probabilities(image).argmax(0).astype(np.uint8)


class Trainings:
    """Stubs that train nothing and note what they were given."""

    def __init__(self):
        self.calls = []

    def segmenter(self, untrained, examples):
        """Return a segmenter that reads TEM."""
        self.calls.append(("segmenter", untrained.seed, len(examples)))
        return ReadsTem()

    def translator(self, untrained, source, target):
        """Return the untrained translator, and its sign as the losses."""
        self.calls.append((untrained.name, untrained.sign, untrained.seed, len(source), len(target)))
        return untrained, untrained.sign


def recipe(trainings, tiny_syndiff, tiny_segmenter, *, wanted=("none", "cycle", "syndiff"), **options):
    """A recipe from drawn TEM to drawn SEM."""
    fits = dict(fit_segmenter=trainings.segmenter, fit_translator=trainings.translator)
    small = dict(width=16, multipliers=(1, 2), critic_width=16)
    settings = {"syndiff": tiny_syndiff, "cyclegan": CycleGanSettings(**small), "cut": CutSettings(**small)}
    return TranslatorRecipe(TISSUE, TARGET, settings, tiny_segmenter, wanted, **fits, **options)


@pytest.fixture
def trainings():
    """Stubs for both trainings."""
    return Trainings()


@pytest.fixture
def new(trainings, tiny_syndiff, tiny_segmenter):
    """A function that makes a recipe with these stubs."""
    return lambda **options: recipe(trainings, tiny_syndiff, tiny_segmenter, **options)


def test_each_step_is_computed_once(new, trainings, monkeypatch):
    """Asking for the results in any order, and again, trains each model once; masks of U are no argument."""
    asked, choose = [], recipes.polarity.evidence
    monkeypatch.setattr(recipes.polarity, "evidence", lambda *args: asked.append(1) or choose(*args))
    steps = new(wanted=("none", "invert-histogram", "cyclegan", "cut", "cycle", "syndiff"), seed=3)
    for _ in range(2):
        assert list(steps.translators) == ["none", "invert-histogram", "cyclegan", "cut", "cycle", "syndiff"]
        assert steps.sign == INVERT and steps.trained("syndiff")[0] is steps.translators["syndiff"]
        assert steps.tiles[0] == TARGET and steps.tiles[1] == []
    expected = [(name, INVERT, 3, 2, 2) for name in ("syndiff", "cyclegan", "cut")]
    assert trainings.calls[0] == ("segmenter", 0, 2) and sorted(trainings.calls[1:]) == sorted(expected)
    assert asked == [1]


def test_nothing_is_trained_before_it_is_asked_for(new, trainings):
    """The sign needs the polarity segmenter and no translator."""
    steps = new()
    assert trainings.calls == []
    assert steps.sign == INVERT
    assert [name for name, *_ in trainings.calls] == ["segmenter"]


def test_what_is_not_wanted_is_not_trained(new, trainings):
    """With controls alone there is no training of a translator, and controls of the other polarity are left out."""
    steps = new(wanted=("none", "invert", "histogram", "invert-histogram"))
    assert list(steps.translators) == ["none", "invert", "invert-histogram"]
    assert [name for name, *_ in trainings.calls] == ["segmenter"]
    assert list(new(wanted=("none", "invert", "histogram"), polarity=KEEP).translators) == ["none", "histogram"]


def test_the_cycle_generators_alone_need_the_training_of_syndiff(new, trainings):
    """They come out of it, whether or not SynDiff is wanted itself."""
    assert list(new(wanted=("cycle",)).translators) == ["cycle"]
    assert [name for name, *_ in trainings.calls] == ["segmenter", "syndiff"]


@pytest.mark.parametrize("stated", [KEEP, INVERT])
def test_a_stated_sign_is_taken_as_it_is(new, trainings, stated):
    """The evidence is not asked."""
    assert new(polarity=stated).sign == stated
    assert trainings.calls == []


def test_controls_learn_from_the_same_images(new):
    """They are fitted to L and to the used tiles of U, and the cycle generators are those of SynDiff."""
    translators = new(wanted=("invert-histogram", "cycle", "syndiff")).translators
    expected = Control("invert-histogram")
    expected.fit([image for image, _ in TISSUE], TARGET)
    assert translators["invert-histogram"].fingerprint == expected.fingerprint
    assert translators["cycle"].generators is translators["syndiff"].generators


def test_a_translator_of_the_right_polarity_passes_the_check(new):
    """The negative has the polarity of SEM, and its round trip changes no class."""
    swap = new().check(Control("invert"), [image for image, _ in TISSUE], TARGET)
    assert swap.axon_myelin == 0


def test_a_translator_of_the_wrong_polarity_is_refused(new):
    """Where the evidence asks for the negative, what keeps the contrast is refused."""
    with pytest.raises(PolarityError, match="should invert the contrast"):
        new().check(Control("none"), [image for image, _ in TISSUE], TARGET)


def test_a_refused_translator_is_told_and_the_others_go_on(new):
    """The table holds a row for each learned translator: its round trip, or the reason why it is refused."""
    steps, source = new(), [image for image, _ in TISSUE]
    given = {
        "none": Control("none"),
        "cut": Control("none"),
        "cyclegan": Control("invert"),
        "syndiff": Control("invert"),
    }
    table = steps.checks(given, source, TARGET).set_index("translator")
    assert table.index.tolist() == ["cut", "cyclegan", "syndiff"]
    assert "should invert the contrast" in table["refused"]["cut"] and np.isnan(table["axon_myelin"]["cut"])
    assert table["refused"][["cyclegan", "syndiff"]].isna().all() and (table["axon_myelin"][1:] == 0).all()


def test_a_refused_syndiff_is_an_error(new):
    """Without it there is nothing to study."""
    with pytest.raises(PolarityError):
        new().checks({"syndiff": Control("none")}, [image for image, _ in TISSUE], TARGET)


def test_a_round_trip_that_swaps_classes_is_refused(new):
    """Each direction alone has the right polarity for its domain, and there and back axon becomes myelin."""

    class Flips:
        def translate(self, image, to, *, seed=0):
            seen = any(np.array_equal(image, known) for known, _ in KNOWN)
            return 1 - image if seen else image

    with pytest.raises(PolarityError, match="round trip"):
        new().check(Flips(), [image for image, _ in TISSUE], TARGET)


# --- With real trainings ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def polarity_segmenters():
    """Polarity segmenters by seed, each trained once on its own drawn TEM."""
    made = {}

    def fit(untrained: Segmenter, examples):
        if untrained.seed not in made:
            untrained.fit(*map(list, zip(*examples, strict=True)))
            made[untrained.seed] = untrained
        return made[untrained.seed]

    return fit


def trained_and_checked(fit, seed, target, sign):
    """Train from the sign that the evidence chooses, and check the translator in both directions."""
    examples = [phantom("tem", 1000 * seed + k, (192, 192)) for k in range(4)]
    images = [phantom(target, 1000 * (seed + 500) + k, (192, 192))[0] for k in range(4)]
    steps = TranslatorRecipe(examples, images, {"syndiff": SMALL}, QUICK, ("syndiff",), seed=seed, fit_segmenter=fit)
    assert steps.sign == sign
    translator = steps.translators["syndiff"]
    steps.check(translator, steps.source, images)
    for of, to in ((steps.source, "U"), (images, "L")):
        assert min(sign * np.corrcoef(i.ravel(), translator.translate(i, to).ravel())[0, 1] for i in of) > 0.5


CASES = [("tem-other", KEEP), ("sem", INVERT)]


@pytest.mark.parametrize(("target", "sign"), CASES)
def test_a_trained_translator_keeps_the_polarity_that_anatomy_chose(polarity_segmenters, target, sign):
    """TEM to another TEM keeps the contrast, TEM to SEM inverts it; one polarity segmenter decides both."""
    trained_and_checked(polarity_segmenters, 0, target, sign)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 13))
@pytest.mark.parametrize(("target", "sign"), [*CASES, ("bf", KEEP)])
def test_the_polarity_holds_from_twelve_seeds(polarity_segmenters, seed, target, sign):
    """From twelve more seeds, and for bright field too."""
    trained_and_checked(polarity_segmenters, seed, target, sign)
