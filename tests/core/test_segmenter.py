"""segmenter.py and augmentation.py: it learns from grey values, and augmented crops fit their masks."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from histobridge.config import SegmenterSettings
from histobridge.errors import UserError
from histobridge.metrics.overlap import dice
from histobridge.segmenter import Segmenter
from histobridge.training.augmentation import MOST_BLUR, augmented_crops, blurring_weights, resizing_weights
from histobridge.training.crops import CropSource, stack
from histobridge.training.philox import Draws
from histobridge.training.sliding_window import over_windows

ODD = (70, 53)
GREYS = np.array([0.5, 0.1, 0.9], np.float32)
"""Grey value of background, myelin and axon."""


def fibres(seed: int, side: int = 96) -> np.ndarray:
    """A mask of round fibres with sheaths of 4 px."""
    rng, mask = np.random.default_rng(seed), np.zeros((side, side), np.uint8)
    rows, columns = np.indices(mask.shape)
    for row in range(16, side, 32):
        for column in range(16, side, 32):
            distance = np.hypot(rows - row - rng.integers(-3, 4), columns - column - rng.integers(-3, 4))
            radius = rng.integers(9, 13)
            mask[distance < radius] = 1
            mask[distance < radius - 4] = 2
    return mask


@pytest.fixture(scope="module")
def trained():
    """A segmenter after a short training on fibres whose classes differ in grey, with its losses."""
    masks = [fibres(seed) for seed in range(4)]
    settings = SegmenterSettings(steps=40, crop=64, batch=4, widths=(16, 16, 16, 16, 16, 16), lr=5e-3)
    segmenter = Segmenter(settings)
    history = segmenter.fit([GREYS[mask] for mask in masks], masks, report=lambda line: None)
    return segmenter, history


def test_learns_classes_that_differ_in_grey(trained):
    """Forty steps give a Dice above 0.9 on new fibres, and the loss falls."""
    segmenter, history = trained
    mask = fibres(99)
    predicted = segmenter.predict(GREYS[mask])
    assert min(dice(mask == value, predicted == value) for value in (1, 2)) > 0.9
    assert history["loss"][-5:].mean() < 0.5 * history["loss"][:5].mean()


def test_masks_and_probabilities_agree(trained):
    """The mask is uint8 0, 1, 2, the probabilities are float32 and sum to one, both with the shape of the image."""
    image = GREYS[fibres(5)][: ODD[0], : ODD[1]]
    mask, probabilities = trained[0].predict(image), trained[0].probabilities(image)
    assert mask.shape == ODD and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 1, 2}
    assert probabilities.shape == (3, *ODD) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-4)
    assert probabilities.min() >= 0
    np.testing.assert_array_equal(probabilities.argmax(0), mask)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 200)])
def test_the_smallest_images_get_a_mask(trained, shape):
    """Images of a few pixels are padded."""
    assert trained[0].predict(np.full(shape, 0.5, np.float32)).shape == shape


def test_small_windows_give_the_same_mask(trained, monkeypatch):
    """Less than 2 % of the pixels differ between one window and several."""
    image = GREYS[fibres(7, 160)]
    whole = trained[0].predict(image)
    monkeypatch.setattr("histobridge.segmenter.over_windows", partial(over_windows, largest=96, overlap=32))
    assert (trained[0].predict(image) != whole).mean() < 0.02


def test_save_and_load(trained, tmp_path):
    """A loaded segmenter gives the same probabilities, bit for bit, and has the same settings and seed."""
    trained[0].save(tmp_path / "it.pt")
    loaded, image = Segmenter.load(tmp_path / "it.pt"), GREYS[fibres(5)]
    np.testing.assert_array_equal(loaded.probabilities(image), trained[0].probabilities(image))
    assert (loaded.settings, loaded.seed) == (trained[0].settings, trained[0].seed)


def test_the_seed_decides_the_initial_weights(tiny_segmenter):
    """The same seed gives the same weights, whatever was drawn before; another seed gives others."""

    def weights(seed):
        torch.rand(3)
        return torch.cat([p.flatten() for p in Segmenter(tiny_segmenter, seed=seed).network.parameters()])

    assert torch.equal(weights(0), weights(0)) and not torch.equal(weights(0), weights(1))


def test_fit_refuses_what_cannot_be_cropped(tiny_segmenter, drawn):
    """The error for no image, or one smaller than a crop, contains the name of the model."""
    images, masks = zip(*drawn["tem"], strict=True)
    with pytest.raises(UserError, match="'student' has no image"):
        Segmenter(tiny_segmenter).fit([], [], name="student")
    with pytest.raises(UserError, match=r"'student' has images of \(20, 64\) px"):
        Segmenter(tiny_segmenter).fit([i[:20] for i in images], [m[:20] for m in masks], name="student")


# --- Statistics of other images -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_batch_norm():
    """A segmenter with batch norm after a short training on bright and on dark fibres."""
    masks = [fibres(seed) for seed in range(4)]
    settings = SegmenterSettings(steps=40, crop=64, batch=4, widths=(16,) * 6, lr=5e-3, norm="batch")
    segmenter = Segmenter(settings)
    segmenter.fit([GREYS[mask] for mask in masks], masks, report=lambda line: None)
    return segmenter


def statistics(segmenter: Segmenter) -> dict[str, torch.Tensor]:
    """Running means and variances by name."""
    return {name: values for name, values in segmenter.network.state_dict().items() if "running" in name}


def test_other_statistics_leave_the_weights_as_they_are(with_batch_norm):
    """Only means and variances change, the segmenter itself stays, and the same images give the same statistics."""
    images, before = [0.5 * GREYS[fibres(seed)] for seed in (5, 6)], with_batch_norm.fingerprint
    other, again = (with_batch_norm.renormalised(images, batches=3) for _ in range(2))
    assert with_batch_norm.fingerprint == before != other.fingerprint == again.fingerprint
    for one, two in zip(other.network.parameters(), with_batch_norm.network.parameters(), strict=True):
        assert torch.equal(one, two)
    own = statistics(with_batch_norm)
    assert own and all(not torch.equal(values, own[name]) for name, values in statistics(other).items())


def test_statistics_are_averages_over_crops_of_the_images(with_batch_norm):
    """The mean of the first layer is that of its features of the images: images of one grey give it exactly."""
    flat = with_batch_norm.renormalised([np.full((64, 64), grey, np.float32) for grey in (0.2, 0.2)], batches=4)
    layers = [part for part in flat.network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    convolution = next(part for part in flat.network.modules() if isinstance(part, torch.nn.Conv2d))
    with torch.no_grad():
        seen = convolution(torch.full((1, 4, 32, 32), 0.2, device=convolution.weight.device))
    torch.testing.assert_close(layers[0].running_mean, seen.mean((0, 2, 3)), rtol=0.02, atol=1e-3)


def test_other_statistics_make_up_for_other_greys(with_batch_norm, tmp_path):
    """On images of weaker contrast the Dice rises; the statistics are saved with the weights."""
    masks = [fibres(seed) for seed in (20, 21, 22)]
    dark = [0.25 * GREYS[mask] + 0.7 for mask in masks]

    def mean_dice(segmenter):
        pairs = zip(masks, map(segmenter.predict, dark), strict=True)
        return np.mean([dice(mask == c, found == c) for mask, found in pairs for c in (1, 2)])

    other = with_batch_norm.renormalised(dark)
    assert mean_dice(other) > mean_dice(with_batch_norm) + 0.1
    other.save(tmp_path / "it.pt")
    assert Segmenter.load(tmp_path / "it.pt").fingerprint == other.fingerprint


def test_only_batch_norm_has_statistics(trained):
    """A segmenter with group norm is refused."""
    with pytest.raises(ValueError, match="batch norm"):
        trained[0].renormalised([GREYS[fibres(0)]])


# --- Augmentation ---------------------------------------------------------------------------------------


def crops(settings: SegmenterSettings, step: int = 0, side: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops of two drawn images."""
    pairs = [stack(GREYS[mask], mask) for mask in (fibres(0, side), fibres(1, side))]
    return augmented_crops(CropSource(pairs, torch.device("cpu")), settings, Draws(0, torch.tensor(step)).begin())


@pytest.mark.parametrize("zoom", [0.6, 0.77, 1, 1.4, 2])
def test_augmented_crops_keep_image_and_mask_aligned(zoom):
    """At any zoom image and mask correlate best without a shift, and equally less one pixel to either side."""
    image, mask = crops(SegmenterSettings(crop=48, batch=16, zoom=(zoom, zoom), blank=0.0))
    assert image.shape == mask.shape == (16, 1, 48, 48) and set(mask.unique().tolist()) == {0, 1, 2}
    grey = torch.from_numpy(GREYS)[mask.long()]
    for axis in (2, 3):
        before, unshifted, after = (_correlation(image, grey.roll(shift, axis)) for shift in (-1, 0, 1))
        assert unshifted > 0.85 and unshifted > max(before, after) + 0.03
        assert before == pytest.approx(after, abs=0.3 * (unshifted - max(before, after)))


def _correlation(image: torch.Tensor, grey: torch.Tensor) -> float:
    """Mean over the crops of the correlation of their inner pixels."""
    pairs = zip(image[..., 4:-4, 4:-4].flatten(1), grey[..., 4:-4, 4:-4].flatten(1), strict=True)
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]))


@pytest.mark.parametrize("side", [48, 31, 64, 70, 100])
def test_resizing_by_a_matrix_is_that_of_pytorch(side):
    """The weights resize the first pixels of a crop like `interpolate`, with its filter against aliasing."""
    crop, image = 48, torch.rand(1, 1, 100, 100, generator=torch.Generator().manual_seed(0))
    weights = resizing_weights(torch.tensor(side), 100, crop)
    part = image[..., :side, :side]
    expected = F.interpolate(part, size=(crop, crop), mode="bilinear", antialias=side > crop)
    torch.testing.assert_close(weights @ image @ weights.T, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("zoom", "ratio"), [(0.5, 0.5), (2, 2)])
def test_zoom_magnifies(zoom, ratio):
    """At zoom 2 there are half as many class borders per pixel."""

    def borders(value):
        found = [crops(SegmenterSettings(crop=48, batch=8, zoom=(value, value)), step)[1] for step in range(5)]
        return (torch.cat(found).diff(dim=3) != 0).float().mean()

    assert borders(1) / borders(zoom) == pytest.approx(ratio, rel=0.25)


def test_a_zoom_beyond_the_image_takes_all_of_it():
    """A crop that would be larger than the image is cut to it."""
    image, mask = crops(SegmenterSettings(crop=48, batch=2, zoom=(0.1, 0.1)), side=64)
    assert image.shape == mask.shape == (2, 1, 48, 48)


def test_contrast_varies_but_polarity_does_not():
    """Brightness and contrast differ between crops, but sheaths stay darker than background and axons."""
    image, mask = crops(SegmenterSettings(crop=48, batch=16, zoom=(1, 1), blank=0.0))
    greys = torch.tensor([[one[classes == value].mean() for value in (1, 0, 2)] for one, classes in
                          zip(image, mask, strict=True)])  # fmt: skip
    assert (greys.diff(dim=1) > 0.1).all()
    assert (greys.std(dim=0) > 0.02).all()


def test_blank_parts_are_even_and_background():
    """A part of 5 to 45 % of every crop has one grey, little noise and the class background; the rest is unchanged."""
    settings = SegmenterSettings(crop=48, batch=16, zoom=(1, 1), blank=1.0)
    (painted, mask), (plain, same) = crops(settings), crops(settings.model_copy(update={"blank": 0.0}))
    part = painted != plain
    assert ((part.float().mean((1, 2, 3)) > 0.04) & (part.float().mean((1, 2, 3)) < 0.46)).all()
    assert (mask[part] == 0).all() and torch.equal(mask[~part], same[~part])
    assert (same[part] > 0).any()  # fibres are painted over
    greys = [one[where] for one, where in zip(painted, part, strict=True)]
    assert all(grey.std() < 0.09 for grey in greys)
    assert torch.stack([grey.mean() for grey in greys]).std() > 0.2


def test_blank_is_the_share_of_crops():
    """With 0.5 about half of the crops are partly blank, with 0 none."""
    half, none = (SegmenterSettings(crop=32, batch=64, zoom=(1, 1), blank=share) for share in (0.5, 0.0))
    painted = (crops(half)[0] != crops(none)[0]).flatten(1).any(1)
    assert 16 < painted.sum() < 48


def test_crops_are_a_function_of_the_step(tiny_segmenter):
    """The step decides the crops."""
    first, again, other = (crops(tiny_segmenter, step)[0] for step in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_random_half_of_the_randomised_crops_is_negative():
    """Axons are brighter than myelin in about half of the crops, and darker in the others; the masks stay."""
    settings = SegmenterSettings(crop=48, batch=64, zoom=(1, 1), blank=0.0, randomise=True)
    image, mask = crops(settings)
    kept = [bool(one[classes == 2].mean() > one[classes == 1].mean()) for one, classes in zip(image, mask, strict=True)]
    assert 16 < sum(kept) < 48
    assert torch.equal(mask, crops(settings.model_copy(update={"randomise": False}))[1])


@pytest.mark.parametrize("sigma", [0.0, 0.5, 1.3, MOST_BLUR])
def test_blurring_by_a_matrix_is_a_gaussian_filter(sigma):
    """Away from the border it equals SciPy's filter, and an even image stays even."""
    weights = blurring_weights(torch.full((1, 1, 1, 1), sigma), 40)
    image = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    expected = gaussian_filter(image[0, 0].numpy(), sigma, truncate=8)
    np.testing.assert_allclose(
        (weights @ image @ weights.mT)[0, 0, 12:-12, 12:-12], expected[12:-12, 12:-12], atol=2e-3
    )
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 1, 40))
