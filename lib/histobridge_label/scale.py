"""The pixel size at which new images look like the labelled ones.

The physical pixel size does not decide this, because species and tracts differ. Two measurements do:

- Before labelling, the size of the structures in both sets of images (`structure_size_px`). If both show the same kind
  of tissue, the ratio of these sizes is the ratio of their fibres, as far as the instruments are alike. Less sharp
  instruments show coarser structures, for which `BLUR_FACTOR` corrects on average. The result is a suggestion, to be
  confirmed by eye.
- After labelling, the axons themselves (`scale_warnings`, `axon_size_warnings`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from histobridge.data.datasets import evenly_chosen
from histobridge.errors import UserError, check_pixel_size
from histobridge.io.images import middle
from histobridge.io.resample import resample
from histobridge.items import Account
from histobridge.metrics.instances import axon_areas_px
from histobridge_label.image_file import ImageFile

SIGMAS = np.geomspace(0.8, 40, 48)  # standard deviations of the Gaussian, px
MAX_SIDE = 1024  # px of the central square that is measured
MAX_IMAGES = 8
BLUR_FACTOR = 1.45  # structures seem larger than in TEM by this factor: geometric mean over other modalities
AXON_PX = 38  # typical axon diameter at which networks see the labelled images, unless a pixel size is given
MAX_RATIO_PX = 1.4  # between axon diameters in px; above it, another pixel size would give better or faster labels
MAX_RATIO_UM = 2.0  # between axon diameters in µm; above it, a wrong pixel size is likely
MOST_ENLARGED, MOST_SHRUNK = 10, 100
"""Largest factors between an image and what a network sees of it. Networks see axons of some 40 px: enlarged more, an
axon had 4 px, and nothing can be told of it; shrunk more, it had 4,000. A unit that is mistaken gives 1,000."""
LEAST_SIDE_PX = 32  # of an image as a network sees it: it has no room for an axon of common size
POSSIBLE_UM = 0.1, 30.0  # of the typical axon; nerves outside have not been described
IN_UM = "is a pixel size given in nm or mm? State --um-per-px and --work-at in µm/px."
PLAUSIBLE_UM = 0.4, 8.0  # diameter of a typical myelinated axon


class SourceImages(NamedTuple):
    """The labelled images, at the pixel size at which models learn from them.

    Attributes
    ----------
    dataset : str
        Its name.
    um_per_px : float
        Pixel size, µm/px.
    images : dict of str to ndarray
        By name, float32 `[H, W]` in 0..1.
    axon_px : float
        The `typical_axon_px` of their masks.
    """

    dataset: str
    um_per_px: float
    images: dict[str, np.ndarray]
    axon_px: float


class Suggestion(NamedTuple):
    """A pixel size (µm/px) at which the new images look like the labelled ones, and a paragraph that explains it."""

    um_per_px: float
    text: str


def training_pixel_size(masks: Iterable[np.ndarray], um_per_px: float) -> float:
    """Return the pixel size (µm/px) at which the typical axon of masks [H, W] at `um_per_px` measures `AXON_PX`."""
    return float(f"{um_per_px * typical_axon_px(masks) / AXON_PX:.4g}")


def suggest_pixel_size(source: SourceImages, images: list[ImageFile], account: Account | None = None) -> Suggestion:
    """Suggest the pixel size at which images look like the labelled ones, from the size of their structures.

    Images that cannot be read are skipped in the account.

    Raises
    ------
    UserError
        If none of those that would be measured can be read.
    """
    account, sample, sizes_um = account or Account(), evenly_chosen(images, MAX_IMAGES), []
    for image in sample:
        with account.item(image.path):
            sizes_um.append(structure_size_px(image.middle().read()) * image.um_per_px)
    if not sizes_um:
        raise UserError(f"No scale can be suggested. {account.skipped[sample[0].path]}")
    source_px = float(np.median([structure_size_px(image) for image in source.images.values()]))
    um_per_px = float(f"{float(np.median(sizes_um)) / BLUR_FACTOR / source_px:.3g}")
    native = np.median([image.um_per_px for image in sample])
    axon_um, source_axon_um = (size * source.axon_px for size in (um_per_px, source.um_per_px))
    text = (
        f"Suggested: {um_per_px:g} µm/px (your pixels have {native:g}). There the structures of your images are as "
        f"large as those of {source.dataset} at {source.um_per_px:g} µm/px. If so, your typical axon has about "
        f"{axon_um:.2g} µm, that of {source.dataset} {source_axon_um:.2g} µm; if that cannot be, your pixel size is "
        "wrong."
    )
    return Suggestion(um_per_px, text)


def structure_size_px(image: np.ndarray) -> float:
    """Return the size of the structures in an image [H, W]: the Gaussian scale, px, at which they respond most.

    It is the centre, on a logarithmic axis, of the energy of the scale-normalised Laplacian of Gaussian (Lindeberg
    1998) over all `SIGMAS`, weighted by its fourth power. The Laplacian responds to both spots and bands.

    Examples
    --------
    >>> rows, columns = np.mgrid[:256, :256]
    >>> waves = [np.sin(columns / period) * np.sin(rows / period) for period in (4, 8)]
    >>> fine, coarse = map(structure_size_px, waves)
    >>> round(coarse / fine, 1)
    2.0
    """
    square = middle(image, MAX_SIDE)
    spectrum = np.abs(np.fft.rfft2(square - square.mean())) ** 2
    k2 = (2 * np.pi) ** 2 * (np.fft.fftfreq(square.shape[0])[:, None] ** 2 + np.fft.rfftfreq(square.shape[1]) ** 2)
    energy = np.array([(spectrum * (s * s * k2) ** 2 * np.exp(-s * s * k2)).sum() for s in SIGMAS])
    weights = (energy / energy.max()) ** 4
    size = float(np.exp((weights * np.log(SIGMAS)).sum() / weights.sum()))
    if size > SIGMAS[-1] / 2 and min(image.shape) > MAX_SIDE / 4:  # near the largest sigma: measure at half the size
        return 2 * structure_size_px(resample(image, 1, 2))
    return size


# --- Before images are labelled -------------------------------------------------------------------------


def check_working_scale(um_per_px: float, axon_px: float) -> None:
    """Raise a `UserError` if a working scale cannot be one of nerves: an axon of `axon_px` would be impossible.

    Parameters
    ----------
    um_per_px : float
        At which images are to be labelled, µm/px.
    axon_px : float
        The `typical_axon_px` of the labelled images.
    """
    check_pixel_size(um_per_px, "The working scale")
    low, high = POSSIBLE_UM
    if um_per_px * axon_px < low or um_per_px * axon_px > high:  # NaN, without any axon, is neither
        raise UserError(
            f"At the working scale of {um_per_px:g} µm/px a typical axon of {axon_px:.0f} px would have "
            f"{um_per_px * axon_px:.2g} µm, and there are axons of {low:g} to {high:g} µm: {IN_UM}"
        )


def check_size_at_scale(image: ImageFile, um_per_px: float) -> None:
    """Raise a `UserError` if an image would become far too large or small at a working scale (µm/px)."""
    if has_size_at_scale(image, um_per_px):
        return
    ratio = image.um_per_px / um_per_px
    sides = image.width * ratio, image.height * ratio
    sizes = [f"{width:.0f} × {height:.0f} px" for width, height in (sides, (image.width, image.height))]
    raise UserError(
        f"{image.path} would have {sizes[0]} at the working scale of {um_per_px:g} µm/px; it has {sizes[1]} of "
        f"{image.um_per_px:g} µm: {IN_UM}"
    )


def has_size_at_scale(image: ImageFile, um_per_px: float) -> bool:
    """Return whether the size of an image at a working scale (µm/px) can be that of an image of fibres."""
    ratio = image.um_per_px / um_per_px
    return 1 / MOST_SHRUNK <= ratio <= MOST_ENLARGED and min(image.width, image.height) * ratio >= LEAST_SIDE_PX


# --- Once images are labelled ---------------------------------------------------------------------------


def typical_axon_px(masks: Iterable[np.ndarray]) -> float:
    """Return the axon diameter (px, of a circle of equal area) above which half of the axon area lies.

    Small axons hardly influence this mean. Labels miss them first, so that a median over axons would be too large.

    Parameters
    ----------
    masks : iterable of ndarray
        Class masks uint8 `[H, W]`.

    Returns
    -------
    float
        NaN if there is no axon.
    """
    areas = np.sort(axon_areas_px(masks))
    if not len(areas):
        return float("nan")
    return float(2 * np.sqrt(areas[np.searchsorted(areas.cumsum(), areas.sum() / 2)] / np.pi))


def scale_warnings(axon_px: float, source_axon_px: float, um_per_px: float) -> list[str]:
    """Warn if axons are larger or smaller, in px, than those of the labelled images, and name a better pixel size.

    Parameters
    ----------
    axon_px, source_axon_px : float
        The `typical_axon_px` of the labels of the new images, at `um_per_px`, and of the labelled images.
    um_per_px : float
        Pixel size at which the images were labelled, µm/px.
    """
    ratio = axon_px / source_axon_px
    if not np.isfinite(ratio) or 1 / MAX_RATIO_PX <= ratio <= MAX_RATIO_PX:
        return []
    effect = "labels would be better" if ratio < 1 else "it would be faster"
    return [
        f"The typical axon has {axon_px:.0f} px where one of {source_axon_px:.0f} px was learned from: at "
        f"{um_per_px * ratio:.2g} µm/px (`label --work-at`, now {um_per_px:g}) they would be alike, and {effect}."
    ]


def axon_size_warnings(axon_um: float, source_axon_um: float) -> list[str]:
    """Warn if the typical axon is implausible in µm, or far from the labelled one: the pixel size may be wrong."""
    if not np.isfinite(axon_um):
        return []
    low, high = PLAUSIBLE_UM
    if not low <= axon_um <= high:
        return [
            f"The typical axon would have {axon_um:.2g} µm; myelinated ones have {low:g} to {high:g} µm: is the pixel "
            "size right? Masks do not suffer if it is not, but every measure in µm does."
        ]
    if 1 / MAX_RATIO_UM <= axon_um / source_axon_um <= MAX_RATIO_UM:
        return []
    return [
        f"The typical axon has {axon_um:.2g} µm, that of the labelled images {source_axon_um:.2g} µm. Animals and "
        "tracts differ so; if yours should not, the pixel size is wrong."
    ]
