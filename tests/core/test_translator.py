"""Translators: closed forms of the controls, files, where SynDiff starts, its seed, and no trace of windows."""

import functools
from itertools import pairwise

import numpy as np
import pytest
import torch

from histobridge.config import CONTROLS, TRANSLATORS, SynDiffSettings, training_profile, validated
from histobridge.errors import UserError
from histobridge.metrics.translation_checks import seam
from histobridge.phantom import phantom
from histobridge.training.device import device
from histobridge.training.sliding_window import OVERLAP, over_windows
from histobridge.translators import Control, Cycle, SynDiff, learned, load_translator, translator_class
from histobridge.translators import syndiff as module
from histobridge.translators.diffusion import posterior

ODD = (70, 53)
RNG = np.random.default_rng(0)
UNIFORM = RNG.random((2, 80, 60)).astype(np.float32)
SQUARED = RNG.random((3, 50, 70)).astype(np.float32) ** 2


@functools.cache
def control(name: str) -> Control:
    """A control fitted to uniform grey values in L and to squared ones, mostly dark, in U."""
    fitted = Control(name)
    fitted.fit(list(UNIFORM), list(SQUARED))
    return fitted


def in_windows(monkeypatch, *, largest: int, overlap: int) -> None:
    """Let translators use windows of this size."""
    monkeypatch.setattr(learned, "over_windows", functools.partial(over_windows, largest=largest, overlap=overlap))


def trained(settings, *, kind=SynDiff, sign: int = 1):
    """A SynDiff whose residuals are not zero, as after some training."""
    torch.manual_seed(0)
    syndiff = kind(settings, sign=sign)
    rng = torch.Generator().manual_seed(0)
    for generator in syndiff.generators.values():
        torch.nn.init.normal_(generator.unet.last.weight, std=0.02, generator=rng)
    return syndiff


@pytest.fixture(scope="module")
def image():
    """A phantom of odd size; treated as read-only."""
    return phantom("tem", 4, ODD)[0]


# --- Controls -------------------------------------------------------------------------------------------


def test_none_is_the_identity(image):
    """`none` returns the image, in both directions."""
    for to in "LU":
        np.testing.assert_array_equal(control("none").translate(image, to), image)


def there_and_back(translator, image):
    """Translate to U and back to L."""
    return translator.translate(translator.translate(image, "U"), "L")


def test_invert_twice_is_the_identity(image):
    """`invert` returns 1 - image and is its own inverse."""
    np.testing.assert_array_equal(control("invert").translate(image, "U"), 1 - image)
    np.testing.assert_allclose(there_and_back(control("invert"), image), image, atol=1e-7)


@pytest.mark.parametrize(("name", "flip"), [("histogram", False), ("invert-histogram", True)])
def test_matching_maps_quantiles(name, flip):
    """A uniform image matched to squared grey values is its own square: x is the x-quantile, x² that of U."""
    expected = (1 - UNIFORM[0] if flip else UNIFORM[0]) ** 2
    np.testing.assert_allclose(control(name).translate(UNIFORM[0], "U"), expected, atol=0.03)


def test_matching_goes_both_ways():
    """The round trip returns the image, up to sampling; matching to the own domain changes little."""
    np.testing.assert_allclose(there_and_back(control("histogram"), UNIFORM[0]), UNIFORM[0], atol=0.03)
    np.testing.assert_allclose(control("histogram").translate(UNIFORM[0], "L"), UNIFORM[0], atol=0.03)


def test_all_images_of_a_domain_have_the_same_weight():
    """A small dark and a large bright image give half dark and half bright pixels."""
    fitted = Control("histogram")
    dark, bright = 0.4 * UNIFORM[0, :10, :10], 0.6 + 0.4 * UNIFORM[1]
    fitted.fit(list(UNIFORM), [dark, bright])
    assert (fitted.translate(UNIFORM[0], "U") < 0.5).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_keep_shape_type_and_range(name, image):
    """The result is float32 in 0..1 and the same for every seed, and the input is not changed."""
    before = image.copy()
    result = control(name).translate(image, "U", seed=0)
    assert result.shape == ODD and result.dtype == np.float32
    assert result.min() >= 0 and result.max() <= 1
    np.testing.assert_array_equal(result, control(name).translate(image, "U", seed=1))
    np.testing.assert_array_equal(image, before)


def test_the_error_for_an_unknown_name_lists_the_valid_names(tmp_path):
    """Controls and translators list their own names."""
    known = "fourier, histogram, histogram-blur, invert, invert-fourier, invert-histogram, invert-histogram-blur, none"
    with pytest.raises(UserError, match=known):
        Control("inverted")
    with pytest.raises(UserError, match=r"cycle, cyclegan, .*histogram, .*syndiff"):
        load_translator("syndif", tmp_path / "a.pt")


# --- Files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRANSLATORS)
def test_a_loaded_translator_translates_like_the_saved_one(name, tmp_path, image, tiny_syndiff):
    """Every translator is found by its name and gives the same translations, bit for bit."""
    if name in ("cyclegan", "cut"):
        settings = training_profile("smoke").learned[name]
        saved = translator_class(name)(settings, sign=-1, seed=5)
        torch.nn.init.normal_(saved.generators["U"].unet.last.weight, std=0.02)
    else:
        kinds = {"syndiff": SynDiff, "cycle": Cycle}
        saved = trained(tiny_syndiff, kind=kinds[name], sign=-1) if name in kinds else control(name)
    saved.save(tmp_path / "it.pt")
    loaded = load_translator(name, tmp_path / "it.pt")
    assert loaded.name == name
    for to in "LU":
        np.testing.assert_array_equal(loaded.translate(image, to), saved.translate(image, to))


def test_cycle_and_syndiff_share_a_file(tmp_path, image, tiny_syndiff):
    """Each reads the file of the other, and they use different generators."""
    syndiff = trained(tiny_syndiff)
    syndiff.save(tmp_path / "it.pt")
    cycle = load_translator("cycle", tmp_path / "it.pt")
    cycle.save(tmp_path / "again.pt")
    again = load_translator("syndiff", tmp_path / "again.pt")
    np.testing.assert_array_equal(again.translate(image, "U"), syndiff.translate(image, "U"))
    assert np.abs(cycle.translate(image, "U") - syndiff.translate(image, "U")).mean() > 0.01


def test_sign_and_seed_are_saved(tmp_path, tiny_syndiff):
    """Sign, seed and settings are read from the file."""
    SynDiff(tiny_syndiff, sign=-1, seed=7).save(tmp_path / "it.pt")
    loaded = SynDiff.load(tmp_path / "it.pt")
    assert (loaded.sign, loaded.seed, loaded.settings) == (-1, 7, tiny_syndiff)


def test_a_file_of_another_kind_is_refused(tmp_path):
    """The file of a control is not accepted as SynDiff, and the error names the file."""
    control("invert").save(tmp_path / "it.pt")
    with pytest.raises(UserError, match=r"it\.pt"):
        load_translator("syndiff", tmp_path / "it.pt")


# --- SynDiff --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SynDiff, Cycle])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_untrained_translator_gives_plus_or_minus_the_image(kind, sign, image, tiny_syndiff):
    """Before training sign 1 gives the image and sign -1 the negative, both ways; SynDiff with its shortcut."""
    settings = tiny_syndiff.model_copy(update={"condition_shortcut": True})
    for to in "LU":
        result = kind(settings, sign=sign).translate(image, to, seed=3)
        np.testing.assert_allclose(result, image if sign == 1 else 1 - image, atol=1e-6)
        assert result.dtype == np.float32


@pytest.mark.parametrize("shape", [ODD, (9, 64), (31, 200)])
@pytest.mark.parametrize("kind", [SynDiff, Cycle])
def test_translations_have_the_shape_of_the_image_and_lie_in_0_to_1(kind, shape, tiny_syndiff):
    """Odd, thin and small images keep their shape."""
    image = np.random.default_rng(1).random(shape, dtype=np.float32)
    result = trained(tiny_syndiff, kind=kind).translate(image, "U")
    assert result.shape == shape and result.dtype == np.float32
    assert result.min() >= 0 and result.max() <= 1 and result.std() > 0.01


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 50)])
def test_the_smallest_images_are_translated(shape, tiny_syndiff):
    """Images of a few pixels are padded."""
    image = np.full(shape, 0.25, np.float32)
    assert SynDiff(tiny_syndiff, sign=-1).translate(image, "U").shape == shape
    np.testing.assert_allclose(Cycle(tiny_syndiff, sign=-1).translate(image, "U"), 1 - image, atol=1e-6)


def test_the_seed_decides_the_translation_of_syndiff(image, tiny_syndiff):
    """The same seed gives the same translation and another seed another one; Cycle ignores it."""
    syndiff, cycle = trained(tiny_syndiff), trained(tiny_syndiff, kind=Cycle)
    first = syndiff.translate(image, "U", seed=0)
    np.testing.assert_array_equal(first, syndiff.translate(image, "U", seed=0))
    assert np.abs(first - syndiff.translate(image, "U", seed=1)).mean() > 1e-3
    np.testing.assert_array_equal(cycle.translate(image, "U", seed=0), cycle.translate(image, "U", seed=1))


def test_translation_goes_through_all_levels(tiny_syndiff):
    """The generator is called once at each level T..1, and the posterior leads to the next with its own noise."""
    syndiff, seen = SynDiff(tiny_syndiff, sign=1), []

    class Certain(torch.nn.Module):
        def forward(self, noisy, condition, level, latent):
            seen.append((noisy.cpu(), level.item(), latent.cpu()))
            return 0 * condition + 0.5

    syndiff.generators["G_U"] = Certain()
    result = syndiff.translate(np.full((32, 32), 0.2, np.float32), "U", seed=9)
    np.testing.assert_allclose(result, 0.75, atol=1e-6)  # 0.5 in -1..1
    canvas = [module.noise_canvas(9, draw, [(slice(0, 32), slice(0, 32))]) for draw in range(5)]
    assert [level for _, level, _ in seen] == [4, 3, 2, 1]
    torch.testing.assert_close(seen[0][0], canvas[4])
    for (noisy, level, _), (following, _, _) in pairwise(seen):
        t = torch.tensor([level])
        expected = posterior(syndiff.schedule, torch.tensor(0.5), noisy, t, t - 1, canvas[level - 1])
        torch.testing.assert_close(following, expected)


@pytest.mark.parametrize(("sampling_steps", "levels"), [(None, [4, 3, 2, 1, 0]), (2, [4, 2, 0]), (1, [4, 0])])
def test_sampling_steps_choose_the_levels(sampling_steps, levels, image, tiny_syndiff):
    """A walk of fewer steps leaves out levels; it ends with another translation, and another fingerprint."""
    every = trained(tiny_syndiff)
    some = SynDiff(tiny_syndiff.model_copy(update={"sampling_steps": sampling_steps}), sign=1)
    some.generators = every.generators
    condition, places = torch.zeros(1, 1, 32, 32).to(device()), [(slice(0, 32), slice(0, 32))]
    with torch.no_grad():
        assert [level for level, _, _ in some.walk(condition, "U", places)] == levels
    differs = np.abs(some.translate(image, "U") - every.translate(image, "U")).max() > 1e-4
    assert differs == (some.fingerprint != every.fingerprint) == (sampling_steps is not None)


def test_sampling_steps_are_at_most_the_diffusion_steps():
    """More are refused in a sentence."""
    with pytest.raises(UserError, match="5 sampling steps are more than the 4 diffusion steps"):
        validated(SynDiffSettings, {"sampling_steps": 5}, "settings")


def test_the_two_directions_use_different_networks(image, tiny_syndiff):
    """Translations to L and to U differ."""
    syndiff = trained(tiny_syndiff)
    to_u = syndiff.translate(image, "U", seed=2)
    assert np.abs(to_u - syndiff.translate(image, "L", seed=2)).mean() > 1e-3


def test_latents_are_independent_of_the_noise(tiny_syndiff):
    """No number occurs both in the latents and in the noise of the image."""
    latents = torch.cat(module._latents(0, 4, 32)).cpu().numpy()
    for draw in range(5):
        plane = module.noise_canvas(0, draw, [(slice(0, 64), slice(0, 64))]).numpy()
        assert not np.isin(latents, plane).any()
    assert np.linalg.matrix_rank(latents) == 4


def test_no_seam_where_windows_meet(tiny_syndiff, monkeypatch):
    """With the default overlap, borders of windows are as smooth as in one piece, within 5 %."""
    image, syndiff = phantom("tem", 5, (256, 256))[0], trained(tiny_syndiff)
    whole = syndiff.translate(image, "U")
    ratios = {}
    for overlap, borders in ((OVERLAP, [96, 160]), (0, [128])):  # where windows of 160 and of 128 px begin and end
        in_windows(monkeypatch, largest=160, overlap=overlap)
        tiled = syndiff.translate(image, "U")
        ratios[overlap] = seam(tiled, rows=borders, columns=borders) / seam(whole, rows=borders, columns=borders)
    assert ratios[OVERLAP] == pytest.approx(1, abs=0.05)
    assert abs(ratios[0] - 1) > 0.05  # windows that only touch are detected


def test_windows_share_the_noise_of_the_image(tiny_syndiff, monkeypatch):
    """A translation in windows is closer to that in one piece than with separate noise for each window."""
    image, syndiff = phantom("tem", 5, (128, 128))[0], trained(tiny_syndiff)
    whole, canvas = syndiff.translate(image, "U"), module.noise_canvas
    in_windows(monkeypatch, largest=96, overlap=32)
    tiled = syndiff.translate(image, "U")

    def from_the_corner(seed, draw, places, where):
        corners = [tuple(slice(0, side.stop - side.start) for side in place) for place in places]
        return canvas(seed, draw, corners, where)

    monkeypatch.setattr(module, "noise_canvas", from_the_corner)
    faulty = syndiff.translate(image, "U")
    assert np.abs(tiled - whole).mean() < 0.6 * np.abs(faulty - whole).mean()


def test_fit_changes_translations_and_resumes(drawn, tiny_syndiff, tmp_path):
    """After `fit` translations differ from the start, and a finished checkpoint gives the same ones.

    Sampling steps, here all four in two ways, do not matter to the checkpoint.
    """
    source, target = ([image for image, _ in drawn[modality]] for modality in ("tem", "sem"))
    settings = tiny_syndiff.model_copy(update={"steps": 2})
    first, again = (SynDiff(settings.model_copy(update={"sampling_steps": n}), sign=-1) for n in (None, 4))
    history = first.fit(source, target, checkpoint=tmp_path / "it.pt", report=lambda line: None)
    again.fit(source, target, checkpoint=tmp_path / "it.pt", report=lambda line: None)
    assert {"cycle", "l1", "adversarial_F", "adversarial_G", "critic_F", "critic_G"} < set(history.columns)
    translated = first.translate(source[0], "U")
    assert np.abs(translated - (1 - source[0])).max() > 1e-4
    np.testing.assert_array_equal(translated, again.translate(source[0], "U"))


@pytest.mark.parametrize("bad", ["source", "target"])
def test_fit_names_the_domain_that_is_too_small(bad, drawn, tiny_syndiff):
    """The error for no image, or images smaller than a crop, names the domain."""
    good = [image for image, _ in drawn["tem"]]
    name = {"source": r"L \(labelled\)", "target": r"U \(unlabelled\)"}[bad]
    for images, word in (([], "no image"), ([image[:20] for image in good], r"\(20, 64\) px")):
        with pytest.raises(UserError, match=rf"'{name}' has .*{word}"):
            SynDiff(tiny_syndiff, sign=1).fit(**{"source": good, "target": good, bad: images})
