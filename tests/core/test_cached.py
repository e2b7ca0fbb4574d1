"""cached.py: a training or translation that was made before is recalled, and an interrupted training resumes."""

import numpy as np
import pytest
from PIL import Image

from histobridge.cache import Cache
from histobridge.io.images import read_image
from histobridge.segmenter import Segmenter, SegmenterTraining
from histobridge.strategies.cached import CachedTranslator, fit_segmenter, fit_translator
from histobridge.translator_settings import CutSettings, CycleGanSettings
from histobridge.translators import SynDiff
from histobridge.translators.cut import Cut, CutTraining
from histobridge.translators.cyclegan import CycleGan
from histobridge.translators.syndiff_training import SynDiffTraining


class Counter:
    """A translator that makes images paler and counts its translations."""

    name, fingerprint, sign = "paler", "one", 1

    def __init__(self):
        self.calls = 0

    def translate(self, image, to, *, seed=0):
        """Return the paler image."""
        self.calls += 1
        return 0.5 + image / 2 if to == "U" else image


def images(pairs):
    """The images of pairs of image and mask."""
    return [image for image, _ in pairs]


@pytest.fixture
def trainers(tmp_path, drawn, tiny_segmenter, tiny_syndiff):
    """A function for each model that trains it in one cache and returns the model."""
    cache, (tem, sem) = Cache(tmp_path), drawn.values()

    def segmenter(seed=0):
        return fit_segmenter(cache, Segmenter(tiny_segmenter, seed=seed), tem, name="test")

    def translator(kind, settings):
        return lambda seed=0: fit_translator(cache, kind(settings, sign=1, seed=seed), images(tem), images(sem))[0]

    tiny = dict(steps=6, save_every=2, crop=32, batch=2, width=16, multipliers=(1, 2), critic_width=16)
    learned = {SynDiff: tiny_syndiff, CycleGan: CycleGanSettings(**tiny), Cut: CutSettings(**tiny)}
    return {Segmenter: segmenter, **{kind: translator(kind, settings) for kind, settings in learned.items()}}


@pytest.mark.parametrize("model", [Segmenter, SynDiff, CycleGan, Cut])
def test_a_second_call_trains_nothing(trainers, monkeypatch, model):
    """The model is recalled with the same weights; another seed is another training."""
    first, steps = trainers[model](), []
    fit = model.fit
    monkeypatch.setattr(model, "fit", lambda *args, **options: steps.append(1) or fit(*args, **options))
    assert trainers[model]().fingerprint == first.fingerprint and not steps
    assert trainers[model](seed=1).fingerprint != first.fingerprint and steps


def test_other_sampling_steps_train_nothing(tmp_path, drawn, tiny_syndiff, monkeypatch):
    """SynDiff is recalled, with the sampling steps that are asked for: its translations are others."""
    cache, domains = Cache(tmp_path), [images(pairs) for pairs in drawn.values()]
    first, _ = fit_translator(cache, SynDiff(tiny_syndiff, sign=1), *domains)
    monkeypatch.setattr(SynDiff, "fit", None)
    settings = tiny_syndiff.model_copy(update={"sampling_steps": 1})
    again, _ = fit_translator(cache, SynDiff(settings, sign=1), *domains)
    assert again.settings == settings and again.fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("model", "training"), [(Segmenter, SegmenterTraining), (SynDiff, SynDiffTraining), (Cut, CutTraining)]
)
def test_an_interrupted_training_resumes(trainers, tmp_path, monkeypatch, model, training):
    """Killed in step 3, it continues from the checkpoint after step 1 and ends with the same weights."""
    whole, step, numbers = trainers[model](), training.step, []
    for file in tmp_path.rglob("model.pt"):
        file.unlink()

    def killed(self, number):
        numbers.append(number)
        if numbers == [0, 1, 2, 3]:
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(training, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        trainers[model]()
    assert trainers[model]().fingerprint == whole.fingerprint
    assert numbers == [0, 1, 2, 3, 2, 3, 4, 5]
    assert not list(tmp_path.rglob("*.checkpoint"))


@pytest.mark.parametrize("fault", ["flipped bit", "cut", "swapped", "losses changed", "checkpoint left"])
def test_a_kept_model_that_is_not_what_was_trained_is_trained_anew(trainers, tmp_path, capsys, fault):
    """The weights are those of before, whatever happened to the file (rows 14, 15 and 25)."""
    first, other = trainers[Segmenter](), trainers[Segmenter](seed=1)
    files = sorted(tmp_path.rglob("model.pt"), key=lambda path: Segmenter.load(path).fingerprint != first.fingerprint)
    whole = bytearray(files[0].read_bytes())
    if fault == "flipped bit":
        whole[len(whole) // 3] ^= 4
        files[0].write_bytes(whole)
    elif fault == "cut":
        files[0].write_bytes(whole[: len(whole) // 2])
    elif fault == "swapped":
        files[0].write_bytes(files[1].read_bytes())
    elif fault == "losses changed":
        losses = files[0].with_name("losses.csv")
        losses.write_text(losses.read_text().replace("1", "2"))
    else:  # a kill after the training, before it was tidied up
        (files[0].parent / "model.checkpoint").write_bytes(b"half")
    assert trainers[Segmenter]().fingerprint == first.fingerprint
    assert trainers[Segmenter](seed=1).fingerprint == other.fingerprint
    assert fault in ("checkpoint left", "losses changed") or "is not what was kept there" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.checkpoint"))


@pytest.mark.parametrize("fault", ["flipped bit", "cut", "swapped"])
def test_a_kept_translation_that_is_not_what_was_made_is_made_anew(tmp_path, drawn, capsys, fault):
    """It is never used (row 14)."""
    counter, cache = Counter(), Cache(tmp_path)
    first, second = (CachedTranslator(counter, cache).translate(image, "U") for image, _ in drawn["tem"])
    files = sorted(tmp_path.rglob("*.png"), key=lambda path: not np.array_equal(read_image(path), first))
    content = bytearray(files[0].read_bytes())
    if fault == "flipped bit":
        content[len(content) // 2] ^= 1
    files[0].write_bytes({"cut": content[:99], "swapped": files[1].read_bytes()}.get(fault, content))
    again = [CachedTranslator(counter, cache).translate(image, "U") for image, _ in drawn["tem"]]
    assert np.array_equal(again[0], first) and np.array_equal(again[1], second) and counter.calls == 3
    assert f"{files[0]} is not what was kept there" in capsys.readouterr().out


def test_the_losses_of_every_step_are_recalled_too(tmp_path, drawn, tiny_syndiff):
    """The table that was written is what every call returns."""
    data = Cache(tmp_path), SynDiff(tiny_syndiff, sign=1), images(drawn["tem"]), images(drawn["sem"])
    (_, first), (_, again) = fit_translator(*data), fit_translator(*data)
    assert len(first) == tiny_syndiff.steps and first.equals(again)


def test_a_translation_is_remembered_as_an_8_bit_png(tmp_path, drawn):
    """Made once for each image, direction and seed, and equal to 1/255 whether it was made or recalled."""
    counter, image = Counter(), drawn["tem"][0][0]
    first = CachedTranslator(counter, Cache(tmp_path)).translate(image, "U")
    again = CachedTranslator(counter, Cache(tmp_path)).translate(image, "U")
    assert counter.calls == 1 and np.array_equal(first, again)
    np.testing.assert_allclose(first, 0.5 + image / 2, atol=0.51 / 255)
    (file,) = tmp_path.rglob("*.png")
    assert Image.open(file).mode == "L" and file.parent.name.startswith("paler-to-U-")
    for other in (dict(to="L"), dict(to="U", seed=1)):
        CachedTranslator(counter, Cache(tmp_path)).translate(image, **other)
    assert counter.calls == 3


def test_translations_of_another_model_are_not_recalled(tmp_path, drawn):
    """The fingerprint of the translator is a fact of its translations."""
    counter, other = Counter(), Counter()
    other.fingerprint = "two"
    for translator in (counter, other):
        CachedTranslator(translator, Cache(tmp_path)).translate(drawn["tem"][0][0], "U")
    assert counter.calls == other.calls == 1
    assert CachedTranslator(counter, Cache(tmp_path)).sign == 1
