"""Images of a drawn tissue as four modalities show it.

`histobridge.phantom.tissue` draws the cross section; the renderers here give it grey values, optics and noise. Neither
step depends on the other. One tissue in two modalities is a *pair* that no microscope can take: the true translation
is known for every pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from histobridge.classes import AXON, BACKGROUND, MYELIN
from histobridge.errors import one_of
from histobridge.phantom.tissue import Geometry, draw_geometry, smooth_noise


@dataclass(frozen=True)
class _Palette:
    """Grey value of each structure (0..1) before optics, and the strength of some textures."""

    ground: float
    small: float
    membrane: float
    membrane_um: float
    nucleus: float
    chromatin: float
    axon: float
    organelle: float
    myelin: float
    ground_texture: float
    axon_texture: float
    myelin_texture: float


def _paint(geometry: Geometry, rng, palette: _Palette) -> np.ndarray:
    """Paint the structures of a geometry, from the back to the front."""
    pixel, shape = geometry.um_per_px, geometry.mask.shape
    coarse, fine, grain = (smooth_noise(rng, shape, scale / pixel) for scale in (0.9, 0.25, 0.1))
    image = palette.ground + palette.ground_texture * (0.4 * coarse + 0.5 * fine + 0.5 * grain)
    image = _over(image, 0.6 * _line(coarse, 0.12), palette.membrane)  # thin, winding processes
    tint = 0.05 * rng.standard_normal(geometry.small_labels.max() + 1)
    filling = palette.small + tint[geometry.small_labels] + 0.6 * palette.axon_texture * grain
    image = _over(image, _cover(geometry.small_depth, pixel), filling)
    image = _over(image, _line(geometry.small_depth, palette.membrane_um), palette.membrane)
    clumps = np.clip(0.8 * coarse + 1.2 * np.exp(-np.maximum(geometry.nucleus_depth, 0) / 0.35), 0, 1)
    nucleus = _over(palette.nucleus, clumps, palette.chromatin) + 0.5 * palette.ground_texture * grain
    image = _over(image, _cover(geometry.nucleus_depth, pixel), nucleus)
    specks = (0.4 - 2 * np.clip(grain + 0.5 * fine - 0.7, 0, 1.2)) * palette.axon_texture
    image = np.where(geometry.mask == AXON, palette.axon + specks, image)
    cristae = 0.08 * np.sign(fine + 0.5 * grain)
    image = _over(image, _cover(geometry.organelle_depth, pixel), palette.organelle + cristae)
    image = _over(image, 0.7 * _line(geometry.organelle_depth, 0.06), palette.organelle - 0.2)
    lamellae = np.cos(2 * np.pi * geometry.axon_depth / 0.3 + coarse)
    sheath = palette.myelin + palette.myelin_texture * (0.5 * lamellae + 0.6 * fine)
    return np.where(geometry.mask == MYELIN, sheath, image)


def _over(image, cover, grey):
    """Blend `grey` into the image, with the opacity `cover` (0..1)."""
    return image + cover * (grey - image)


def _cover(depth, um_per_px):
    """Return the share of each pixel that a structure covers."""
    return np.clip(depth / um_per_px + 0.5, 0, 1)


def _line(depth, width):
    """Return a soft line along an outline, `width` µm to either side."""
    return np.exp(-((depth / width) ** 2))


def _blur(image, sigma_um, geometry):
    return ndimage.gaussian_filter(image, sigma_um / geometry.um_per_px)


def _cloud(image, amount, geometry, rng):
    """Add smooth differences in brightness to the background alone."""
    cloud = smooth_noise(rng, image.shape, 3 / geometry.um_per_px)
    return np.where(geometry.mask == BACKGROUND, image + amount * cloud, image)


def _stain(image, amount, geometry, rng):
    """Darken the axons unequally: the uptake of stain differs between axons and within each."""
    uptake = rng.exponential(amount, geometry.labels.max() + 1)[geometry.labels]
    patches = 0.5 * amount * smooth_noise(rng, image.shape, 1.2 / geometry.um_per_px)
    return np.where(geometry.mask == AXON, image - np.minimum(uptake, 2 * amount) + patches, image)


def _tem(geometry: Geometry, rng) -> np.ndarray:
    """Transmission electron microscopy of white matter: dark sheaths, light axons, crisp."""
    ground = rng.normal(0.52, 0.05)
    palette = _Palette(
        ground=ground, ground_texture=0.12, small=ground + 0.2, membrane=0.17, membrane_um=0.07,
        nucleus=ground, chromatin=0.28, axon=0.73, axon_texture=0.1, organelle=0.45,
        myelin=0.16, myelin_texture=0.06,
    )  # fmt: skip
    image = _blur(_paint(geometry, rng, palette), rng.uniform(0.05, 0.08), geometry)
    return image + 0.025 * rng.standard_normal(image.shape)


def _tem_other(geometry: Geometry, rng) -> np.ndarray:
    """TEM of peripheral nerve from another laboratory: lower contrast, softer, collagen, pale gaps, uneven light."""
    ground = rng.normal(0.69, 0.05)
    palette = _Palette(
        ground=ground, ground_texture=0.07, small=ground - 0.04, membrane=0.34, membrane_um=0.07,
        nucleus=ground - 0.16, chromatin=0.22, axon=rng.normal(0.76, 0.05), axon_texture=0.1, organelle=0.36,
        myelin=0.19, myelin_texture=0.05,
    )  # fmt: skip
    image = _stain(_paint(geometry, rng, palette), 0.06, geometry, rng) + _collagen(geometry, rng)
    image = _blur(image, rng.uniform(0.07, 0.11), geometry)
    drift = smooth_noise(rng, image.shape, 15 / geometry.um_per_px)
    return image * (1 + 0.08 * drift) + 0.025 * rng.standard_normal(image.shape)


def _collagen(geometry: Geometry, rng):
    """Return the tissue between the cells of a peripheral nerve: pale gaps with wavy bundles of fibrils."""
    shape, pixel = geometry.mask.shape, geometry.um_per_px
    between = np.maximum(geometry.small_depth, geometry.nucleus_depth) < 0
    course, pale = (smooth_noise(rng, shape, scale / pixel) for scale in (3.0, 1.8))
    fibrils = 0.05 * np.cos(14 * course) + 0.08 * smooth_noise(rng, shape, 0.12 / pixel)
    return (between & (geometry.mask == BACKGROUND)) * (fibrils + 0.28 * np.clip(pale + 0.3, -0.2, 1))


def _sem(geometry: Geometry, rng) -> np.ndarray:
    """Scanning electron microscopy: bright sheaths, dark axons, a background between dark and grey."""
    ground = rng.choice([rng.uniform(0.1, 0.2), rng.uniform(0.3, 0.42)], p=[0.4, 0.6])
    palette = _Palette(
        ground=ground, ground_texture=0.1, small=ground - 0.08, membrane=ground + 0.26, membrane_um=0.13,
        nucleus=ground + 0.1, chromatin=ground, axon=0.16, axon_texture=0.03, organelle=0.28,
        myelin=0.8, myelin_texture=0.08,
    )  # fmt: skip
    image = _cloud(_paint(geometry, rng, palette), 0.07, geometry, rng)
    # Electrons scatter in the block: part of the signal comes from the surroundings, a glow beside the sheaths.
    sharp, glow = _blur(image, rng.uniform(0.12, 0.24), geometry), _blur(image, 0.5, geometry)
    signal = np.clip(0.75 * sharp + 0.25 * glow, 0, 1)
    return signal + _scan_noise(signal, rng)


def _scan_noise(signal, rng):
    """Return shot noise that grows with the signal, unequal scan lines, and a few charged spots."""
    shot = ndimage.gaussian_filter(rng.standard_normal(signal.shape), 0.6) * (0.03 + 0.11 * np.sqrt(signal))
    lines = 0.008 * rng.standard_normal((signal.shape[0], 1))
    charge = ndimage.gaussian_filter(rng.standard_normal(signal.shape), (1.2, 2.5)) * 6.1  # of unit variance
    return shot + lines + 0.8 * np.clip(charge - 3.4, 0, 1)


def _bf(geometry: Geometry, rng) -> np.ndarray:
    """Bright field, toluidine blue, as grey: dark sheaths, blurred by the lens, on a cloudy background."""
    ground = rng.uniform(0.55, 0.9)
    palette = _Palette(
        ground=ground, ground_texture=0.08, small=ground + 0.06, membrane=ground - 0.2, membrane_um=0.1,
        nucleus=ground - 0.25, chromatin=ground - 0.35, axon=rng.uniform(0.75, 1.05), axon_texture=0.03,
        organelle=0.7, myelin=0.05, myelin_texture=0.03,
    )  # fmt: skip
    image = _cloud(_paint(geometry, rng, palette), 0.09, geometry, rng)
    image = _stain(image, 0.13, geometry, rng)
    # The section is thicker than the depth of focus: sheaths out of focus darken their axons.
    sharp, shadow = _blur(image, rng.uniform(0.14, 0.22), geometry), _blur(image, 0.5, geometry)
    return 0.75 * sharp + 0.25 * shadow + 0.008 * rng.standard_normal(image.shape)


RENDERERS: dict[str, Callable] = {"tem": _tem, "tem-other": _tem_other, "sem": _sem, "bf": _bf}


def render(geometry: Geometry, modality: str, seed: int) -> np.ndarray:
    """Render a tissue in one modality.

    Parameters
    ----------
    geometry : Geometry
        From `histobridge.phantom.draw_geometry`.
    modality : {"tem", "tem-other", "sem", "bf"}
    seed : int
        Determines the texture, the noise, and the contrast, brightness and blur of this image.

    Returns
    -------
    numpy.ndarray
        float32 `[H, W]` in 0..1.

    Raises
    ------
    UserError
        If there is no such modality.

    Examples
    --------
    >>> tissue = draw_geometry(0)
    >>> tem, sem = render(tissue, "tem", 1), render(tissue, "sem", 1)
    >>> bool(tem[tissue.mask == MYELIN].mean() < 0.3 < 0.5 < sem[tissue.mask == MYELIN].mean())
    True
    """
    renderer = RENDERERS[one_of("modality", modality, RENDERERS)]
    rng = np.random.default_rng([seed, list(RENDERERS).index(modality)])
    image = renderer(geometry, rng)
    gain, offset, gamma = rng.uniform(0.9, 1.08), rng.uniform(-0.03, 0.05), rng.uniform(0.9, 1.12)
    return np.clip(gain * np.clip(image, 0, None) ** gamma + offset, 0, 1).astype(np.float32)


def phantom(
    modality: str, seed: int, shape: tuple[int, int] = (256, 256), um_per_px: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a tissue and render it: the image and its exact mask.

    Equal seeds give the same tissue in every modality (a pair); use different seeds for unpaired domains.

    Parameters
    ----------
    modality : {"tem", "tem-other", "sem", "bf"}
    seed, shape, um_per_px
        As for `draw_geometry`.

    Returns
    -------
    image : numpy.ndarray
        float32 `[H, W]` in 0..1.
    mask : numpy.ndarray
        uint8 `[H, W]`: 0 background, 1 myelin, 2 axon.

    Raises
    ------
    UserError
        If there is no such modality, or a size is impossible.

    Examples
    --------
    >>> image, mask = phantom("sem", 3, (64, 64))
    >>> image.dtype.name, mask.dtype.name, image.shape
    ('float32', 'uint8', (64, 64))
    """
    one_of("modality", modality, RENDERERS)
    geometry = draw_geometry(seed, shape, um_per_px)
    return render(geometry, modality, seed), geometry.mask
