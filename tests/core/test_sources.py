"""sources.py: further labelled sets get the contrast and the grey values of the new microscope."""

import numpy as np
import pytest
from test_metrics import fibre

from histobridge.classes import AXON, MYELIN
from histobridge.phantom import phantom
from histobridge.strategies.sources import axons_are_bright, with_look_of

FIBRE = fibre((47.5, 47.5), axon=15, size=96)


def painted(axon: float, myelin: float, background: float = 0.5) -> np.ndarray:
    """Return the fibre with one grey a class."""
    return np.choose(FIBRE, [background, myelin, axon]).astype(np.float32)


def test_the_masks_tell_the_contrast():
    """Drawn SEM has dark axons, drawn TEM and bright field bright ones."""
    bright = {kind: axons_are_bright([phantom(kind, 0, (128, 128))]) for kind in ("tem", "sem", "bf")}
    assert bright == {"tem": True, "sem": False, "bf": True}


def test_images_without_axon_or_myelin_tell_nothing():
    """They do not count, and do no harm."""
    empty = np.zeros((96, 96), np.float32), np.zeros((96, 96), np.uint8)
    assert axons_are_bright([empty, (painted(0.8, 0.2), FIBRE), empty])
    assert not axons_are_bright([empty, (painted(0.2, 0.8), FIBRE)])


@pytest.mark.parametrize("bright_in_l", [True, False])
@pytest.mark.parametrize("sign", [1, -1])
def test_every_set_gets_the_contrast_of_u(sign, bright_in_l):
    """Sets of either polarity; masks stay as they are, in the order of the sets."""
    bright = bright_in_l == (sign > 0)
    of_l = [(painted(*((0.8, 0.2) if bright_in_l else (0.2, 0.8))), FIBRE)]
    sources = [[(painted(0.9, 0.1), FIBRE)], [(painted(0.3, 0.6), FIBRE)]]
    of_u = [painted(*((0.7, 0.4) if bright else (0.4, 0.7)))]
    found = with_look_of(of_u, sources, source=of_l, sign=sign)
    assert len(found) == 2 and all(mask is FIBRE for _, mask in found)
    for image, _ in found:
        assert (image[FIBRE == AXON].mean() > image[FIBRE == MYELIN].mean()) == bright


def test_the_greys_become_those_of_u():
    """Drawn tissue of one modality is then as bright and as varied as that of the other."""
    of_u = [phantom("bf", seed, (128, 128))[0] for seed in range(2)]
    of_l = [phantom("tem", 5, (128, 128))]
    ((image, _),) = with_look_of(of_u, [of_l], source=of_l, sign=1)
    np.testing.assert_allclose(np.quantile(image, [0.1, 0.5, 0.9]), np.quantile(of_u, [0.1, 0.5, 0.9]), atol=0.03)
