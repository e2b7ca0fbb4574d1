"""Resampling: images and masks keep their place, their shape and their classes at every pixel size."""

import numpy as np
import pytest
from skimage.transform import resize

from histobridge.errors import UserError
from histobridge.io import resample as resampling
from histobridge.io.resample import resample, resample_mask
from histobridge.tiles import blocks

GREY = np.add.outer(np.arange(40), 5 * np.arange(43)).astype(np.uint8)  # a ramp from 0 to 249
CLASSES = (GREY % 3).astype(np.uint8)


def disc(n: int, row: float, column: float, radius: float) -> np.ndarray:
    """Return a disc of class 2; its centre is measured from the corner of the field of view, in pixels."""
    centres = np.arange(n) + 0.5
    return 2 * (np.hypot(*np.meshgrid(centres - row, centres - column, indexing="ij")) < radius).astype(np.uint8)


def centroid(weights: np.ndarray) -> np.ndarray:
    """Return the centre of mass, measured from the corner of the field of view, in pixels."""
    rows, columns = np.indices(weights.shape) + 0.5
    return np.array([(rows * weights).sum(), (columns * weights).sum()]) / weights.sum()


@pytest.mark.parametrize("scale", [0.1, 0.25, 0.3, 0.5, 0.77, 1, 1.5, 2, 3])
def test_resampling_keeps_discs_in_place(scale):
    """A disc keeps its area and, within 0.1 px, its place in the field of view, as image and as mask."""
    mask = disc(403, row=150.3, column=260.8, radius=90.2)
    image = resample(mask / 2, um_per_px=scale, to_um_per_px=1)
    small = resample_mask(mask, um_per_px=scale, to_um_per_px=1)
    assert image.shape == small.shape == (round(403 * scale),) * 2
    true_scale = image.shape[0] / 403
    for result in (image, small / 2):
        np.testing.assert_allclose(centroid(result), centroid(mask) * true_scale, atol=0.1)
        assert result.sum() == pytest.approx(mask.sum() / 2 * true_scale**2, rel=0.02)


@pytest.mark.parametrize("scale", [1 / 2, 1 / 4, 1 / 6, 3 / 4])
def test_ties_do_not_shift_masks(scale):
    """At even factors, where centres fall between pixels, bars stay where they were on average."""
    n = 240
    shifts = []
    for start in range(60, 84):
        bar = np.zeros((n, n), np.uint8)
        bar[:, start : start + 60] = 2
        shifts.append(centroid(resample_mask(bar, scale, 1))[1] - (start + 30) * scale)
    assert abs(np.mean(shifts)) < 1e-9


@pytest.mark.parametrize("shape", [(1, 1), (3, 1000), (101, 77)])
@pytest.mark.parametrize("scale", [0.01, 0.3, 1 / 3, 1, 2.5])
def test_image_and_mask_always_agree_in_shape(shape, scale):
    """Image and mask always have the same shape, of at least one pixel."""
    mask = np.ones(shape, np.uint8)
    assert resample(mask, scale, 1).shape == resample_mask(mask, scale, 1).shape
    assert resample_mask(mask, scale, 1).size > 0


def test_resampling_to_the_same_size_is_the_identity():
    """Nothing is blurred or moved if the pixel size does not change."""
    np.testing.assert_allclose(resample(GREY / 255, 0.1, 0.1), GREY / 255, atol=1e-6)
    np.testing.assert_array_equal(resample_mask(CLASSES, 0.1, 0.1), CLASSES)


def test_shrinking_does_not_alias():
    """Stripes finer than the new pixels become even grey, not false stripes."""
    stripes = np.tile(np.arange(400) % 2, (400, 1)).astype(np.float32)
    inner = resample(stripes, 0.3, 1)[5:-5, 5:-5]
    assert inner.std() < 0.05
    assert inner.mean() == pytest.approx(0.5, abs=0.01)
    assert stripes[::3, ::3].std() > 0.4


def test_resampled_masks_hold_no_new_class():
    """No myelin appears between background and axon, and the types are uint8 and float32."""
    mask = disc(100, 50, 50, 30)
    for scale in (0.3, 0.5, 1.7):
        result = resample_mask(mask, scale, 1)
        assert set(np.unique(result)) == {0, 2}
        assert result.dtype == np.uint8
        assert resample(mask, scale, 1).dtype == np.float32


@pytest.mark.parametrize("size", [None, 0, -0.1, float("nan"), float("inf"), "0.1"])
def test_missing_pixel_sizes_are_refused(size):
    """A missing or impossible pixel size is refused, whether it is the present or the wanted one."""
    for function in (resample, resample_mask):
        for sizes in ((size, 0.1), (0.1, size)):
            with pytest.raises(UserError, match=f"a.png has the pixel size {size} µm/px"):
                function(CLASSES, *sizes, name="a.png")


@pytest.mark.parametrize(("shape", "to"), [((90, 70), (31, 25)), ((90, 70), (200, 133)), ((301, 97), (17, 80))])
def test_parts_fit_together_to_what_the_whole_image_would_become(monkeypatch, shape, to):
    """Shrunk, enlarged, and one of each; whatever the size of the parts and of what is read for them."""
    monkeypatch.setattr(resampling, "MOST_READ_PX", 2000)
    image, result = np.random.default_rng(0).random(shape).astype(np.float32), np.empty(to, np.float32)
    for where in blocks(to, 13):
        result[where] = resampling.resize_part(lambda place: image[place], shape, to, where)
    np.testing.assert_allclose(result, resize(image, to, order=1, mode="edge", anti_aliasing=True), atol=1e-6)
