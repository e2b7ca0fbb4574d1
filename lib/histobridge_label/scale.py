"""At which pixel size are images of U like those of L? Physical size does not tell: species and tracts differ.

The structures of an image have a size of their own, whatever they are: that at which a Laplacian of a Gaussian, which
answers to spots and bands, has most to say. Where U and L show the same kind of tissue, the ratio of these sizes is the
ratio of their fibres, as far as instruments are alike. Less sharp ones show coarser structures: beside TEM, fibres
seem 1.4, 1.6 and 2.2 times as large as the masks have them on SEM, bright field and another laboratory's TEM, and 1.5,
1.4 and 0.9 times on their drawn likenesses. With the geometric mean (`COARSER`) taken off, the suggestion is within a
factor of 1.1 on SEM and bright field, real and drawn, and of 1.7 on the other TEMs. So it is a suggestion, shown and
asked about; and once images are labelled, the axons themselves are compared (`off_scale`).

Axons are compared by `typical_px`. At the scales of study.yaml, which were found by hand, it is 39 px in TEM, 36 in
SEM, 40 in bright field and 39 in the other TEM.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from histobridge.data.datasets import evenly_chosen, load_images, load_masks
from histobridge.data.manifest import Dataset, load_dataset
from histobridge.io.images import middle
from histobridge.io.resample import resample
from histobridge.metrics.instances import axon_areas_px
from histobridge_label.inspect_folder import Found
from histobridge_study.config import load_study, manifest_folders

SIZES = np.geomspace(0.8, 40, 48)  # standard deviations of the Gaussian, px
SIDE = 1024  # px of the central square that is looked at
FEW = 8  # images, evenly chosen
AXON_PX = 38  # typical diameter at which networks see L, where study.yaml does not say
COARSER = 1.45
OFF = 1.4
"""A factor between the axons of U and of L, in px, from which on it is told. On drawn SEM, which is right at 0.1 µm/px,
labels made at 0.05, 0.07, 0.14, 0.2 and 0.3 had a Dice of axons of 0.92, 0.91, 0.86, 0.80 and 0.66: finer does no harm,
coarser does; from the axons in these labels 0.10, 0.10, 0.11, 0.11 and 0.12 µm/px would have been advised."""
UNLIKE = 2.0  # a factor between them in µm that is worth a remark
PLAUSIBLE_UM = 0.4, 8.0  # typical axon with myelin; the public sets have 0.6 (TEM of a brain) to 5.8 (bright field)


class Side(NamedTuple):
    """The labelled images at the pixel size at which they teach, by name, and the `typical_px` of their axons."""

    dataset: str
    um_per_px: float
    images: dict[str, np.ndarray]
    axon_px: float


class Suggestion(NamedTuple):
    """A pixel size (µm/px) at which U is like L, and a paragraph that says why."""

    um_per_px: float
    text: str


def source_side(dataset: str, data: Path) -> Side:
    """Return a labelled dataset at the pixel size of study.yaml, or at that at which its typical axon has `AXON_PX`.

    Raises
    ------
    UserError
        If images or masks are not here.
    """
    known = {pair.source.dataset: pair.source.um_per_px for pair in load_study().pairs.values()}
    source = load_dataset(dataset, folders=manifest_folders())
    um_per_px = known.get(dataset) or _um_per_px_of_axons(source, data)
    masks = load_masks(source, um_per_px, data)
    images = {sample.name: sample.image for sample in load_images(source, um_per_px, data)}
    return Side(dataset, um_per_px, images, typical_px(masks.values()))


def _um_per_px_of_axons(dataset: Dataset, data: Path) -> float:
    native = float(np.median([record.um_per_px for record in dataset.images]))
    return float(f"{native * typical_px(load_masks(dataset, native, data).values()) / AXON_PX:.4g}")


def suggest(labelled: Side, images: list[Found]) -> Suggestion:
    """Suggest the pixel size at which images of U are like those of L, from the sizes of structures in both.

    Parameters
    ----------
    labelled : Side
    images : list of Found
        `FEW` of them are looked at.
    """
    some = evenly_chosen(images, FEW)
    of_l = float(np.median([structure_px(image) for image in labelled.images.values()]))
    of_u = float(np.median([structure_px(one.read()) * one.um_per_px for one in some])) / COARSER
    um_per_px = float(f"{of_u / of_l:.3g}")
    axon_um = labelled.axon_px * labelled.um_per_px
    return Suggestion(um_per_px, _told(um_per_px, labelled, um_per_px * labelled.axon_px, axon_um, some))


def structure_px(image: np.ndarray) -> float:
    """Return the size of the structures in an image [H, W]: the standard deviation, px, to which they answer most.

    It is the centre, on a scale of logarithms, of the energy of the Laplacian of Gaussians of all `SIZES`, normalised
    for size (Lindeberg 1998), with weights of the fourth power.

    Examples
    --------
    >>> rows, columns = np.mgrid[:256, :256]
    >>> waves = [np.sin(columns / period) * np.sin(rows / period) for period in (4, 8)]
    >>> fine, coarse = map(structure_px, waves)
    >>> round(coarse / fine, 1)
    2.0
    """
    square = middle(image, SIDE)
    spectrum = np.abs(np.fft.rfft2(square - square.mean())) ** 2
    k2 = (2 * np.pi) ** 2 * (np.fft.fftfreq(square.shape[0])[:, None] ** 2 + np.fft.rfftfreq(square.shape[1]) ** 2)
    energy = np.array([(spectrum * (s * s * k2) ** 2 * np.exp(-s * s * k2)).sum() for s in SIZES])
    weights = (energy / energy.max()) ** 4
    size = float(np.exp((weights * np.log(SIZES)).sum() / weights.sum()))
    if size > SIZES[-1] / 2 and min(image.shape) > SIDE / 4:  # too large to be seen whole: look from farther off
        return 2 * structure_px(resample(image, 1, 2))
    return size


def _told(um_per_px: float, labelled: Side, axon_um: float, of_l_um: float, some: list[Found]) -> str:
    native = np.median([one.um_per_px for one in some])
    return (
        f"Suggested: {um_per_px:g} µm/px (your pixels have {native:g}). There the structures of your images are as "
        f"large as those of {labelled.dataset} at {labelled.um_per_px:g} µm/px. If so, your typical axon has about "
        f"{axon_um:.2g} µm, that of {labelled.dataset} {of_l_um:.2g} µm; if that cannot be, your pixel size is wrong."
    )


# --- Once images are labelled ---------------------------------------------------------------------------


def typical_px(masks: Iterable[np.ndarray]) -> float:
    """Return the diameter (px, of a circle of equal area) such that half of the axon area is in larger ones.

    A mean that small axons hardly enter: they are missed first, and labels would seem to hold larger ones. On eight
    drawn images the labels had a median 1.3 times the true one, and this 1.1 times. NaN without any axon.

    Parameters
    ----------
    masks : iterable of ndarray
        Class masks uint8 [H, W].
    """
    areas = np.sort(axon_areas_px(masks))
    if not len(areas):
        return float("nan")
    return float(2 * np.sqrt(areas[np.searchsorted(areas.cumsum(), areas.sum() / 2)] / np.pi))


def off_scale(masks: Iterable[np.ndarray], axon_px: float, um_per_px: float) -> list[str]:
    """Say if axons are larger or smaller, in px, than those that were learned from, and which scale would mend it.

    Parameters
    ----------
    masks : iterable of ndarray
        Class masks at `um_per_px`.
    axon_px : float
        The `typical_px` of L.
    """
    found = typical_px(masks)
    ratio = found / axon_px
    if not np.isfinite(ratio) or 1 / OFF <= ratio <= OFF:
        return []
    effect = "labels would be better" if ratio < 1 else "it would be faster"
    return [
        f"The typical axon has {found:.0f} px where one of {axon_px:.0f} px was learned from: at "
        f"{um_per_px * ratio:.2g} µm/px (`label --work-at`, now {um_per_px:g}) they would be alike, and {effect}."
    ]


def unlike(axon_um: float, of_l_um: float) -> list[str]:
    """Say if the typical axon in µm is implausible, or far from that of L: a wrong pixel size looks like this."""
    if not np.isfinite(axon_um):
        return []
    low, high = PLAUSIBLE_UM
    if not low <= axon_um <= high:
        return [
            f"The typical axon would have {axon_um:.2g} µm; myelinated ones have {low:g} to {high:g} µm: is the pixel "
            "size right? Masks do not suffer if it is not, but every measure in µm does."
        ]
    if 1 / UNLIKE <= axon_um / of_l_um <= UNLIKE:
        return []
    return [
        f"The typical axon has {axon_um:.2g} µm, that of the labelled images {of_l_um:.2g} µm. Animals and tracts "
        "differ so; if yours should not, the pixel size is wrong."
    ]
