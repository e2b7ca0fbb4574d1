"""The experiments of the tour show what its text says, and its sliders fall back to still pictures."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

from histobridge.errors import UserError
from histobridge.phantom import phantom
from histobridge.translators import SynDiff
from histobridge_study import lesson, plotting
from histobridge_study.lesson.experiments import TRANSFORMS
from histobridge_study.lesson.interactive import SCALES
from histobridge_study.lesson.tour import Tour

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def image():
    """A drawn image, 64 × 64."""
    return phantom("tem", 0, (64, 64))[0]


def by_threshold(image):
    """Label by the greys of TEM: dark is myelin, bright is axon."""
    return np.select([image < 0.35, image > 0.65], [1, 2], 0).astype(np.uint8)


def test_the_cycle_loss_detects_only_lost_information(image):
    """Only blur and rounding have a cycle loss; three of the four invertible translations spoil the labels."""
    trips = {trip.name: trip for trip in lesson.round_trips(image, by_threshold(image), by_threshold)}
    assert trips.keys() == TRANSFORMS.keys()
    assert {name for name, trip in trips.items() if trip.cycle_l1 > 1e-6} == {"blur", "four greys"}
    assert trips["nothing"].dice == 1
    assert max(trips[name].dice for name in ("negative", "shift", "mirror")) < trips["blur"].dice


def test_one_of_many_steps_is_normal_and_one_of_four_is_not():
    """A normal distribution has excess kurtosis 0; two modes of equal height have up to -2."""
    found = {one.steps: one.before for one in lesson.steps_back([phantom("tem", n)[0] for n in range(2)])}
    kurtosis = {steps: float(pd.Series(before).kurt()) for steps, before in found.items()}
    assert abs(kurtosis[1000]) < 0.2
    assert kurtosis[4] < -0.8
    assert found[1000].std() < 0.3 * found[4].std()  # it came from nearby


def test_a_walk_begins_in_noise_and_ends_at_the_last_guess(tiny_syndiff, image):
    """Levels fall from T to 0; with the shortcut an untrained generator predicts ± its condition."""
    settings = tiny_syndiff.model_copy(update={"condition_shortcut": True})
    for sign in (1, -1):
        stops = lesson.walk(SynDiff(settings, sign=sign), image, "L", seed=1)
        assert [stop.level for stop in stops] == [4, 3, 2, 1, 0]
        assert abs(np.corrcoef(stops[0].noisy.ravel(), image.ravel())[0, 1]) < 0.1
        assert np.allclose(stops[-1].noisy, stops[-2].guess, atol=1e-6)
        assert np.allclose(stops[-1].noisy, image if sign == 1 else 1 - image, atol=0.02)


def test_one_axon_lies_in_the_middle_of_its_picture():
    """In TEM the centre is bright axon, with a dark sheath around it."""
    picture = lesson.one_axon("tem", 0)
    assert picture.shape == (128, 128)
    assert np.median(picture[56:72, 56:72]) > 0.6 > 0.35 > np.percentile(picture, 10)


def test_animals_differ_and_seeds_repeat_them():
    """No two animals share tissue, and the same seed draws the same tissue."""
    tour = Tour(images=2, side=64)
    one, other = tour.draw("tem", animal=1), tour.draw("sem", animal=2)
    assert not any(np.array_equal(a, b) for a in one.masks for b in other.masks)
    assert np.array_equal(one.images[1], tour.draw("tem", animal=1).images[1])
    assert not np.array_equal(one.images[1], Tour(images=2, side=64, seed=1).draw("tem", animal=1).images[1])


SLIDERS = {
    "noise": lambda image: lesson.noise_slider(image),
    "scale": lambda image: lesson.scale_slider({"L": np.tile(image, (8, 8))}, 0.04),
    "swipe": lambda image: lesson.swipe(image, 1 - image),
}


def shown(piece) -> dict:
    """The bundle that IPython sends to a front end."""
    return DisplayFormatter().format(piece)[0]


def size(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    return Image.open(io.BytesIO(png)).size


@pytest.mark.parametrize("slider", SLIDERS)
def test_without_a_front_end_there_is_a_still_picture_and_no_widget(slider, image, monkeypatch):
    """Papermill gets a PNG and a text."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    bundle = shown(SLIDERS[slider](image))
    assert WIDGET not in bundle
    width, height = size(base64.b64decode(bundle["image/png"]))
    assert width > 500 > 100 < height


@pytest.mark.parametrize("slider", SLIDERS)
def test_with_a_front_end_a_slider_moves_the_picture_and_the_still_one_stays(slider, image, monkeypatch):
    """Both are in one output, and every position has its own picture."""
    monkeypatch.setenv("JPY_SESSION_NAME", "00_tour.ipynb")
    piece = SLIDERS[slider](image)
    assert {WIDGET, "image/png"} <= shown(piece).keys()
    handle, picture = piece.widget().children
    seen = [picture.value]
    for position in (0, len(handle.options) - 1):
        handle.index = position
        seen.append(picture.value)
    assert len(set(seen)) > 1
    assert seen[1] != seen[2]


def test_a_scale_too_coarse_for_an_image_is_refused(image):
    """64 px at 0.04 µm/px are 8 px at 0.32 µm/px."""
    with pytest.raises(UserError, match=str(max(SCALES))):
        lesson.scale_slider({"L": image}, 0.04)


def test_figures_of_the_lesson_refuse_to_draw_nothing():
    """They raise a `UserError`."""
    for draw in (plotting.noise_levels, plotting.step_back_panels, plotting.round_trip_panels):
        with pytest.raises(UserError, match="no "):
            draw([])
    with pytest.raises(UserError, match="no "):
        plotting.scales({}, [])


def test_a_swipe_shows_both_sides_of_its_cut():
    """The first picture is left of the cut, the second right of it, and a line separates them."""
    axes = plotting.swiped(np.zeros((4, 8)), np.ones((4, 8)), [1, 0.25], names=("a", "b")).axes
    pictures = [np.asarray(each.images[0].get_array()) for each in axes]
    assert pictures[0].max() == 0
    assert pictures[1][0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert [each.get_title(loc="left") for each in axes] == ["a", "a | b"]
    assert [len(each.lines) for each in axes] == [0, 1]
