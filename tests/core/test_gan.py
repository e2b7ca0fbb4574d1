"""CycleGAN and CUT: where they start, what their losses ask for, and that a training resumes bit for bit."""

import numpy as np
import pytest
import torch

from histobridge.errors import UserError
from histobridge.training import checkpoint as checkpoints
from histobridge.training.crops import stack
from histobridge.training.device import place
from histobridge.training.loop import train
from histobridge.translator_settings import CutSettings, CycleGanSettings
from histobridge.translators.cut import Cut, CutTraining, encoder_features, feature_channels, patch_nce
from histobridge.translators.cyclegan import CycleGan, CycleGanTraining
from histobridge.translators.gan import one_pass_generators

TINY = dict(steps=6, save_every=2, crop=32, batch=2, width=16, multipliers=(1, 2), critic_width=16)
TINY |= dict(critic_multipliers=(1, 2))
SETTINGS = {
    CycleGan: CycleGanSettings(**TINY),
    Cut: CutSettings(**TINY, patches=16, projection=8),
}
KINDS = tuple(SETTINGS)
TRAININGS = {CycleGan: CycleGanTraining, Cut: CutTraining}


@pytest.fixture
def begin(drawn):
    """A function that returns a new training."""

    def start(kind, *, sign: int = -1, seed: int = 0, **changes):
        source, target = ([stack(2 * image - 1) for image, _ in drawn[m]] for m in ("tem", "sem"))
        settings = SETTINGS[kind].model_copy(update=changes)
        return TRAININGS[kind](settings, sign, seed, source, target)

    return start


def fit(kind, drawn, *, sign=-1, checkpoint=None, report=lambda line: None, **changes):
    """Return a trained translator and its losses."""
    translator = kind(SETTINGS[kind].model_copy(update=changes), sign=sign)
    domains = ([image for image, _ in drawn[m]] for m in ("tem", "sem"))
    return translator, translator.fit(*domains, checkpoint=checkpoint, report=report)


def leaves(state) -> list[torch.Tensor]:
    """All tensors and numbers of nested dicts and lists."""
    if isinstance(state, dict):
        state = list(state.values())
    if isinstance(state, list | tuple):
        return [leaf for value in state for leaf in leaves(value)]
    return [] if state is None else [torch.as_tensor(state)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [1, -1])
def test_an_untrained_translator_gives_plus_or_minus_the_image(kind, sign):
    """Before training sign 1 gives the image and sign -1 the negative, whatever its size and the seed."""
    image = np.random.default_rng(0).random((53, 70), dtype=np.float32)
    for to in "LU":
        result = kind(SETTINGS[kind], sign=sign).translate(image, to, seed=3)
        np.testing.assert_allclose(result, image if sign == 1 else 1 - image, atol=1e-6)
        assert result.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [1, -1])
def test_training_changes_every_weight(begin, kind, sign):
    """After three steps every parameter has moved, those of projections and averages too."""
    training = begin(kind, sign=sign)
    networks = ("generators", "helpers", "critics", "average")

    def weights():
        return {f"{part}.{k}": p.clone() for part in networks for k, p in getattr(training, part).named_parameters()}

    before = weights()
    for number in range(3):
        assert all(map(np.isfinite, training.step(number).values()))
    after = weights()
    assert [name for name in before if torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_training_equals_an_uninterrupted_one(begin, tmp_path, kind):
    """Two saved steps, one lost by a kill and two more give the weights and losses of four steps in one go."""
    path, options = tmp_path / "it.pt", dict(name="it", settings={}, save_every=2)

    def killed(line):
        if "step 3 of" in line:
            raise KeyboardInterrupt

    whole, resumed = begin(kind), begin(kind)
    expected = train(whole, 4, report=lambda line: None, **options)
    with pytest.raises(KeyboardInterrupt):
        train(begin(kind), 4, checkpoint=path, report=killed, **options)
    assert len(checkpoints.load(path)["state"]["history"]) == 2
    found = train(resumed, 4, checkpoint=path, report=lambda line: None, **options)
    pairs = list(zip(leaves(whole.state()), leaves(resumed.state()), strict=True))
    assert pairs and all(torch.equal(*pair) for pair in pairs)
    losses = expected.columns.drop(["seconds", "threads"])
    assert found[losses].equals(expected[losses])


@pytest.mark.parametrize("kind", KINDS)
def test_the_averaged_weights_translate_and_are_read_back(kind, drawn, tmp_path):
    """After `fit` a translation is no longer the start, and a saved translator gives the same one, bit for bit."""
    translator, history = fit(kind, drawn, checkpoint=tmp_path / "it.checkpoint")
    image = drawn["tem"][0][0]
    translation = translator.translate(image, "U")
    assert np.abs(translation - (1 - image)).max() > 1e-4 and len(history) == 6
    averaged = checkpoints.load(tmp_path / "it.checkpoint")["state"]["training"]["average"]
    assert all(torch.equal(averaged[name], weight.cpu()) for name, weight in translator.generators.state_dict().items())
    translator.save(tmp_path / "it.pt")
    again = kind.load(tmp_path / "it.pt")
    assert (again.sign, again.settings, again.fingerprint) == (-1, translator.settings, translator.fingerprint)
    np.testing.assert_array_equal(again.translate(image, "U"), translation)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_depend_on_the_seed_alone(begin, kind):
    """The same seed gives the same losses whatever else was drawn; another seed gives others."""
    first = begin(kind).step(0)
    torch.manual_seed(99)
    assert begin(kind).step(0) == first
    assert begin(kind, seed=1).step(0) != first


@pytest.mark.parametrize("kind", KINDS)
def test_the_identity_term_applies_only_where_the_contrast_is_kept(begin, kind):
    """A negative of an image of L could never pass for one of U."""
    assert "identity" in begin(kind, sign=1).step(0)
    assert "identity" not in begin(kind, sign=-1).step(0)
    assert "identity" not in begin(kind, sign=1, weight_identity=0.0).step(0)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_cycle_of_an_untrained_cyclegan_is_perfect(begin, sign):
    """Twice plus or minus the identity is the identity: cycle and identity losses begin at zero."""
    losses = begin(CycleGan, sign=sign).step(0)
    assert losses["cycle"] == pytest.approx(0, abs=1e-6) and losses.get("identity", 0) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_domain_without_images_is_refused(kind):
    """The error names the domain."""
    with pytest.raises(UserError, match=r"'U \(unlabelled\)' has no image"):
        kind(SETTINGS[kind], sign=1).fit([np.zeros((40, 40), np.float32)], [])


# --- PatchNCE ---------------------------------------------------------------------------------------------------------


def test_patch_nce_is_lowest_for_the_matching_patches():
    """It is near zero where each patch is most like the one at its place, and higher for any exchange of two."""
    keys = torch.eye(8)[None]
    matching = patch_nce(3 * keys, keys, 0.07)
    assert matching < 1e-4
    for other in range(1, 8):
        exchanged = list(range(8))
        exchanged[0], exchanged[other] = other, 0
        assert patch_nce(keys[:, exchanged], keys, 0.07) > matching + 1


def test_patch_nce_of_patches_that_are_all_alike_is_that_of_guessing():
    """Among S equal patches the right one is found with probability 1 / S."""
    alike = torch.ones(2, 16, 4)
    assert patch_nce(alike, alike, 0.07).item() == pytest.approx(np.log(16), abs=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_contrastive_loss_of_the_start_is_lower_than_of_the_other_polarity(begin, sign):
    """The encoder sees what the generator was meant to keep: the image, or its negative."""
    training = begin(Cut, sign=sign, patches=256)
    training.draws.begin()
    image = place(training.images["L"].draw(32, 2, training.draws))
    with torch.no_grad():
        right, wrong = (training._nce("U", image, factor * image) for factor in (sign, -sign))
    assert right < wrong


def test_features_are_pixels_and_every_stage_of_the_encoder():
    """The first holds the pixels themselves; channels are those that are foretold, and all places are distinct."""
    unet = one_pass_generators(SETTINGS[Cut].model_copy(update={"blocks": 2}), 1)["U"].unet
    image = place(torch.randn(2, 1, 32, 32))
    found = encoder_features(unet, image)
    assert [f.shape[1] for f in found] == feature_channels(unet) == [4, 16, 16, 32, 32, 32]
    assert [f.shape[2] for f in found] == [16, 16, 16, 8, 8, 8]
    assert torch.equal(found[0].flatten().sort().values, image.flatten().sort().values)
