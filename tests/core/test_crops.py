"""crops.py: which crops are drawn, and which domains are refused."""

import numpy as np
import pytest
import torch

from histobridge.errors import UserError
from histobridge.training.crops import CropSource, check_domain, stack
from histobridge.training.philox import Draws

NUMBERED = stack(np.arange(300).reshape(15, 20))  # every pixel its own value


def random_crops(images: list, side: int, n: int, seed: int = 0, **options) -> torch.Tensor:
    """Crops of some images."""
    draws = Draws(seed, torch.tensor(0)).begin()
    return CropSource(images, torch.device("cpu")).draw(side, n, draws, **options)


def origin(crop: torch.Tensor) -> tuple[bool, int]:
    """Whether a crop of `NUMBERED` was mirrored, and by how many quarter turns it was turned."""
    for mirror in (False, True):
        for turns in range(4):
            back = torch.rot90(crop.flip(2) if mirror else crop, -turns, (1, 2))
            top, left = divmod(int(back.min()), 20)
            if torch.equal(back, NUMBERED[:, top : top + 6, left : left + 6]):
                return mirror, turns
    raise AssertionError("not a crop of the image")


def test_stack_makes_channels():
    """Image and mask become two float channels of one tensor."""
    both = stack(np.full((3, 4), 0.5), np.full((3, 4), 2, np.uint8))
    assert both.shape == (2, 3, 4) and both.dtype == torch.float32
    assert (both[0] == 0.5).all() and (both[1] == 2).all()


def test_crops_are_turned_and_mirrored_windows_of_the_image():
    """All four turns occur, mirrored and not."""
    crops = random_crops([NUMBERED], 6, 200)
    assert crops.shape == (200, 1, 6, 6)
    assert {origin(crop) for crop in crops} == {(mirror, turns) for mirror in (False, True) for turns in range(4)}


def test_crops_reach_every_corner():
    """The first and the last pixel of the image are reached."""
    crops = random_crops([NUMBERED], 6, 2000)
    assert crops.min() == 0 and crops.max() == 299


def test_channels_of_a_crop_stay_aligned():
    """Image and mask are cut, turned and mirrored in the same way."""
    crops = random_crops([torch.cat([NUMBERED, 2 * NUMBERED + 1])], 6, 20)
    assert torch.equal(crops[:, 1], 2 * crops[:, 0] + 1)


def test_same_generator_same_crops():
    """The generator's seed decides the crops."""
    first, again, other = (random_crops([NUMBERED], 6, 4, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_larger_images_are_drawn_more_often():
    """An image of four times the area is drawn twice as often."""
    crops = random_crops([torch.zeros(1, 8, 8), torch.ones(1, 16, 16)], 2, 6000)
    assert crops.mean().item() == pytest.approx(2 / 3, abs=0.02)


def test_a_crop_may_be_the_whole_image():
    """An image of the size of a crop is accepted, and one with a row less is refused."""
    square = NUMBERED[:, :, :15]
    assert random_crops([square], 15, 1).sum() == square.sum()
    check_domain([square, square], 15, "U")
    with pytest.raises(UserError, match=r"'U' has images of \(14, 15\) px, smaller than .* 15 px"):
        check_domain([square, square[:, 1:]], 15, "U")


@pytest.mark.parametrize("part", [1, 4, 6])
def test_a_part_of_a_crop_is_a_smaller_crop_whose_edge_is_repeated(part):
    """The upper left part is a turned and mirrored window that reaches every corner; the rest adds no pixel."""
    crops = random_crops([NUMBERED], 6, 3000, part=torch.tensor(part))
    assert crops.shape == (3000, 1, 6, 6) and crops.min() == 0 and crops.max() == 299
    whole = crops[..., :part, :part]
    spread = whole.amax((1, 2, 3)) - whole.amin((1, 2, 3))
    assert (spread == 21 * (part - 1)).all()  # opposite corners of a window
    assert torch.equal(crops[..., part:, :], crops[..., part - 1 : part, :].expand(-1, -1, 6 - part, -1))
    assert torch.equal(crops[..., part:], crops[..., part - 1 : part].expand(-1, -1, -1, 6 - part))


def test_a_domain_needs_one_image():
    """No image is refused, one is accepted; arrays are checked like tensors."""
    with pytest.raises(UserError, match="'U' has no image"):
        check_domain([], 32, "U")
    check_domain([np.zeros((40, 40))], 32, "U")
