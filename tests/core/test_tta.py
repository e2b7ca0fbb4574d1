"""tta.py: what a segmenter is shown, and that every view is undone before the views are averaged."""

from itertools import product

import numpy as np
import pytest

from histobridge.strategies.tta import (
    LEAST_ZOOM,
    MOST_ZOOM,
    SMALL_AXON_ZOOM,
    View,
    final_views,
    predict_over_views,
    tta_views,
)

ORIENTATIONS = list(product(range(4), (False, True)))
RANDOM = np.random.default_rng(0).random((5, 7), dtype=np.float32)


def itself(seen: np.ndarray) -> np.ndarray:
    """Return the image and its negative as probabilities."""
    return np.stack([seen, 1 - seen])


def smooth() -> np.ndarray:
    """Return an image of 60 x 84 px without detail that resampling could lose."""
    down, right = np.mgrid[:60, :84] / 84
    return (0.5 + 0.2 * np.sin(4 * down) * np.cos(3 * right) + 0.2 * right).astype(np.float32)


def downwards(seen: np.ndarray) -> np.ndarray:
    """Return 0 in the first row, 1 in the last: probabilities that depend on direction alone."""
    return np.broadcast_to(np.linspace(0, 1, len(seen))[:, None], seen.shape)[None]


@pytest.mark.parametrize(("turns", "mirrored"), ORIENTATIONS)
def test_a_view_is_undone(turns, mirrored):
    """Turned, mirrored or both, a pixel returns to its place, also in an image that is not square."""
    found = predict_over_views(itself, RANDOM, (View(turns=turns, mirrored=mirrored),))
    np.testing.assert_array_equal(found, itself(RANDOM))
    assert found.dtype == np.float32


@pytest.mark.parametrize(("turns", "mirrored"), ORIENTATIONS)
@pytest.mark.parametrize("zoom", [0.75, 1.33, 1.5])
def test_a_zoom_is_undone(zoom, turns, mirrored):
    """Enlarged or shrunk, a smooth image comes back nearly unchanged, in its shape."""
    found = predict_over_views(itself, smooth(), (View(zoom, turns, mirrored),))
    assert found.shape == (2, 60, 84)
    np.testing.assert_allclose(found, itself(smooth()), atol=0.01)


def test_the_segmenter_sees_each_view():
    """Enlarged first, then turned: sides of 60 and 84 px are 90 and 126, or 126 and 90."""
    shapes = []

    def seen(image):
        shapes.append(image.shape)
        return image[None]

    predict_over_views(seen, smooth(), (View(), View(turns=1), View(1.5), View(1.5, 3, True)))
    assert shapes == [(60, 84), (84, 60), (90, 126), (126, 90)]


def test_the_mean_over_views_is_a_mean():
    """Probabilities that depend on direction alone are a half everywhere once the image is seen upside down too."""
    upright, both = (View(),), (View(), View(turns=2))
    np.testing.assert_allclose(predict_over_views(downwards, RANDOM, upright)[0, :, 0], [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(predict_over_views(downwards, RANDOM, both), 0.5)
    np.testing.assert_allclose(predict_over_views(downwards, RANDOM, (*upright, *both, *both))[0, 0], 2 / 5)


@pytest.mark.parametrize(("zoom", "taken"), [(0.1, LEAST_ZOOM), (0.75, 0.75), (1.2, 1.2), (1.5, 1.5), (9.0, MOST_ZOOM)])
def test_two_of_four_views_are_enlarged_within_limits(zoom, taken):
    """All four differ, and the first is the image as it is."""
    views = tta_views(zoom)
    assert [view.zoom for view in views] == [1, 1, taken, taken]
    assert views[0] == View() and len({view[1:] for view in views}) == 4
    assert [view.zoom for view in final_views(zoom)] == [1, taken, SMALL_AXON_ZOOM]
    assert len({view[1:] for view in final_views(zoom)}) == 3
