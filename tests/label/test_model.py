"""The model on disk: it comes back as it was saved and is replaced completely or not at all."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from histobridge.errors import UserError
from histobridge.io.files import file_lock
from histobridge.segmenter import Segmenter
from histobridge.strategies import Labeller
from histobridge.strategies.tta import tta_views
from histobridge.translators import SynDiff
from histobridge_label.finetune import finetune_model, save_or_keep
from histobridge_label.model import CARD, Model


@pytest.fixture
def tiny_model(tiny_segmenter, tiny_syndiff):
    """An untrained model."""
    return Model(Labeller((Segmenter(tiny_segmenter),)), 0.1, 20.0, SynDiff(tiny_syndiff, sign=1), False, {"seed": 1})


@pytest.mark.parametrize("of_translations", [False, True])
def test_a_model_comes_back_as_it_was_saved(tmp_path, drawn, tiny_segmenter, tiny_syndiff, of_translations):
    """Labels and fingerprint are the same; a labeller of L is shown translations."""
    translator = SynDiff(tiny_syndiff, sign=-1, seed=1)
    labeller = Labeller((Segmenter(tiny_segmenter, seed=0), Segmenter(tiny_segmenter, seed=1)), tta_views(1.2), False)
    model = Model(labeller, 0.1, 20.0, translator, of_translations, {"source": {"um_per_px": 0.05}})
    model.save(tmp_path)
    found, image = Model.load(tmp_path), drawn["sem"][0][0]
    assert found.fingerprint == model.fingerprint and found.axon_um_source == pytest.approx(1.0)
    for one, other in zip(found.label(image), model.label(image), strict=True):
        np.testing.assert_array_equal(one, other)
    assert of_translations == (model.label(image)[1] != labeller.label(image)[1]).any()


def test_a_model_without_a_translator_comes_back_without_one(tmp_path, drawn, tiny_model):
    """It labels as before and holds no weights but those of its segmenters."""
    model, image = replace(tiny_model, translator=None), drawn["sem"][0][0]
    model.save(tmp_path)
    found = Model.load(tmp_path)
    assert found.translator is None and found.fingerprint == model.fingerprint
    np.testing.assert_array_equal(found.label(image)[0], model.label(image)[0])
    assert [path.name[:9] for path in tmp_path.glob("*.pt")] == ["segmenter"]


def test_a_folder_without_a_readable_model_is_an_error_that_says_what_to_do(tmp_path):
    """No model, a damaged card, and a card of another format."""
    with pytest.raises(UserError, match="holds no model"):
        Model.load(tmp_path)
    for card, text in (("{half", "is damaged"), ("[]", "is damaged"), ('{"format": 99}', "has format 99")):
        (tmp_path / CARD).write_text(card)
        with pytest.raises(UserError, match=rf"{text}.*run the `histobridge label` that made it again"):
            Model.load(tmp_path)


def test_a_model_without_its_weights_is_an_error_that_says_what_to_do(tmp_path, tiny_model):
    """Each file of weights is needed."""
    tiny_model.save(tmp_path)
    for weights in tmp_path.glob("*.pt"):
        content = weights.read_bytes()
        weights.unlink()
        with pytest.raises(UserError, match="is not whole: run the `histobridge label` that made it again"):
            Model.load(tmp_path)
        weights.write_bytes(content)
    Model.load(tmp_path)


@pytest.mark.parametrize("spoil", ["damaged", "of another version", "without weights"])
def test_a_model_that_cannot_be_read_is_replaced(tmp_path, tiny_model, capsys, spoil):
    """The messages advise `label` again, so it must help. The old card is set aside."""
    tiny_model.save(tmp_path)
    if spoil == "without weights":
        next(tmp_path.glob("segmenter-*.pt")).unlink()
    else:
        (tmp_path / CARD).write_text('{"format": 99}' if spoil == "of another version" else "{half")
    before = (tmp_path / CARD).read_text()
    assert save_or_keep(tmp_path, tiny_model) is tiny_model
    assert Model.load(tmp_path).fingerprint == tiny_model.fingerprint
    aside = tmp_path / f"{CARD}.set-aside"
    assert aside.read_text() == before and "is replaced by what is trained" in capsys.readouterr().out


def test_a_model_is_replaced_completely_or_not_at_all(tmp_path, tiny_model, tiny_syndiff, monkeypatch):
    """A kill before the card is written leaves the earlier model intact."""
    tiny_model.save(tmp_path)
    other = replace(tiny_model, translator=SynDiff(tiny_syndiff, sign=-1, seed=3))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("histobridge_label.model.write_json", killed)
        other.save(tmp_path)
    assert Model.load(tmp_path).translator.fingerprint == tiny_model.translator.fingerprint


def test_saving_waits_for_fine_tuning(tmp_path, tiny_model):
    """Otherwise one process would overwrite the model of the other."""
    with file_lock(tmp_path / ".lock"):
        waiting = threading.Thread(target=save_or_keep, args=(tmp_path, tiny_model))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and not (tmp_path / CARD).exists()
    waiting.join()
    assert Model.load(tmp_path).fingerprint == tiny_model.fingerprint


def test_a_model_that_learned_from_corrections_is_kept(tmp_path, drawn, tiny_model, capsys):
    """Neither the model it came from nor another one replaces it, unless what it has learned can be learned again."""
    learned = finetune_model(tiny_model, drawn["sem"], ["a", "b"], steps=2)
    learned.save(tmp_path)
    assert learned.fingerprint != tiny_model.fingerprint == learned.first_fingerprint
    assert save_or_keep(tmp_path, tiny_model).fingerprint == learned.fingerprint
    other = replace(tiny_model, um_per_px=0.2)
    assert save_or_keep(tmp_path, other).fingerprint == learned.fingerprint
    assert "So it stays in use" in capsys.readouterr().out
