"""Morphometry: the measures of every fibre in a mask, and their summary for the whole image.

Masks are uint8 [H, W] with 0 background, 1 myelin, 2 axon; lengths are in µm, areas in µm². The conventions are those
of AxonDeepSeg (Zaimi et al., Sci. Rep. 2018): an axon is a connected component of the axon class, touching fibres
share out their myelin by a watershed seeded with the axons, and diameters are those of circles of equal area.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.measure import regionprops_table
from skimage.segmentation import watershed

from histobridge.classes import AXON, MYELIN
from histobridge.errors import check_pixel_size
from histobridge.metrics.instances import MIN_AXON_PX, axon_instances
from histobridge.metrics.validation import NAN

if TYPE_CHECKING:
    import pandas as pd

THINNEST_AXON_UM = 0.2
"""Diameter of the thinnest axon that carries myelin (Waxman and Bennett, Nature New Biol. 1972)."""

SHEATH = ["fibre_diameter_um", "myelin_thickness_um", "g_ratio", "fibre_area_um2"]  # NaN without a sheath
AVERAGED = ["axon_diameter_um", *SHEATH[:3], "axon_area_um2", "myelin_area_um2", "fibre_area_um2"]
AVERAGED += ["axon_perimeter_um", "eccentricity", "solidity"]
FIBRE_COLUMNS = ["fibre", "x_px", "y_px", *AVERAGED, "image_border_touching"]


def fibres(mask: np.ndarray, um_per_px: float) -> pd.DataFrame:
    """Measure every axon of a class mask, and the fibre that it forms with its sheath.

    Parameters
    ----------
    mask : ndarray
        uint8 `[H, W]` of classes 0, 1, 2.
    um_per_px : float
        Pixel size, µm/px.

    Returns
    -------
    DataFrame
        Columns `FIBRE_COLUMNS`, one row for each axon: number and centroid (px from the middle of the upper left
        pixel), axon and fibre diameter (of circles of equal area), myelin thickness (half of their difference), g-ratio
        (their ratio, 0..1), areas, perimeter, eccentricity (of the ellipse of equal moments) and solidity of the axon,
        and whether the fibre touches the image's border, which may have cut it. An axon without any myelin has a myelin
        area of 0 and NaN in the columns `SHEATH`.

    Raises
    ------
    UserError
        If the pixel size is missing or not a positive number.
    ValueError
        If the mask holds other values than the classes.

    Examples
    --------
    >>> mask = np.zeros((30, 30), dtype=np.uint8)
    >>> mask[5:25, 5:25] = 1
    >>> mask[10:20, 10:20] = 2
    >>> fibres(mask, 0.1)[["axon_area_um2", "myelin_area_um2", "g_ratio"]].round(6).values.tolist()
    [[1.0, 3.0, 0.5]]
    """
    return fibres_with_map(mask, um_per_px)[0]


def fibres_with_map(mask: np.ndarray, um_per_px: float) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the table of `fibres`, a map of the fibres int [H, W], and the number in the map of each row, int [N]."""
    check_pixel_size(um_per_px, "The mask")
    axons = axon_instances(mask, min_px=min_axon_px(um_per_px))
    territory = fibre_instances(mask, axons)
    table = _axon_table(axons, um_per_px)
    numbers = table.pop("label").to_numpy()
    myelin_px = np.bincount(territory[mask == MYELIN], minlength=axons.max(initial=0) + 1)[numbers]
    table["myelin_area_um2"] = myelin_px * um_per_px**2
    table["image_border_touching"] = np.isin(numbers, _at_border(territory))
    return _with_sheath(table)[FIBRE_COLUMNS], territory, numbers


def fibre_instances(mask: np.ndarray, axons: np.ndarray) -> np.ndarray:
    """Return int labels [H, W] of whole fibres: every axon keeps its number and gets its share of the myelin.

    A watershed floods axons and myelin from the axons, in order of distance from the background, so that touching
    fibres are divided at the neck between them. Myelin that is connected with no axon stays 0.

    Parameters
    ----------
    mask : ndarray
        uint8 `[H, W]` of classes 0, 1, 2.
    axons : ndarray
        int `[H, W]` of `metrics.axon_instances`.

    Examples
    --------
    >>> mask = np.array([[0, 1, 2, 1, 1, 2, 1, 0, 1]], dtype=np.uint8)
    >>> fibre_instances(mask, np.array([[0, 0, 1, 0, 0, 2, 0, 0, 0]])).tolist()
    [[0, 1, 1, 1, 2, 2, 2, 0, 0]]
    """
    inside = (mask == MYELIN) | (axons > 0)
    depth = ndimage.distance_transform_edt(inside)
    return watershed(-depth, axons, mask=inside, connectivity=2)


def fibre_summary(mask: np.ndarray, table: pd.DataFrame, um_per_px: float) -> dict[str, float]:
    """Summarise the fibres of one image.

    Parameters
    ----------
    mask, um_per_px
        As for `fibres`.
    table : DataFrame
        What `fibres` returned.

    Returns
    -------
    dict
        `image_area_um2`; `n_fibres` (with myelin) and `n_unmyelinated` axons; `density_per_mm2`, fibres per mm²,
        where a fibre at the border counts as one; the area fractions `mvf` of myelin and `avf` of axon, 0..1, over the
        whole image; `aggregate_g_ratio`; and `_mean`, `_median` and `_sd` (sample SD) of the columns `AVERAGED` over
        the `n_measured` fibres that have a sheath and do not touch the border. Without any, these are NaN.

    Raises
    ------
    UserError
        If the pixel size is missing or not a positive number.
    """
    return summary_of_counts(np.bincount(mask.ravel(), minlength=3), table, um_per_px)


def summary_of_counts(pixels: np.ndarray, table: pd.DataFrame, um_per_px: float) -> dict[str, float]:
    """Return the `fibre_summary` of a mask that was read in parts, of which `pixels` int [3] counts each class."""
    check_pixel_size(um_per_px, "The mask")
    area_um2 = int(pixels.sum()) * um_per_px**2
    sheathed = table["myelin_area_um2"] > 0
    whole = table.loc[sheathed & ~table["image_border_touching"], AVERAGED]
    mvf, avf = (float(pixels[value] / pixels.sum()) for value in (MYELIN, AXON))
    return {
        "image_area_um2": area_um2,
        "n_fibres": int(sheathed.sum()),
        "n_unmyelinated": int((~sheathed).sum()),
        "n_measured": len(whole),
        "density_per_mm2": float(sheathed.sum() / area_um2 * 1e6),
        "mvf": mvf,
        "avf": avf,
        "aggregate_g_ratio": aggregate_g_ratio(mvf, avf),
        **_statistics(whole),
    }


def aggregate_g_ratio(mvf: float, avf: float) -> float:
    """Return the g-ratio of an image as a whole, sqrt(1 / (1 + MVF / AVF)) (Stikov et al., NeuroImage 2015).

    It weights every fibre by its area and needs no instances. If all fibres have one g-ratio, it equals that. NaN
    without an axon.

    >>> aggregate_g_ratio(mvf=0.3, avf=0.1)
    0.5
    """
    return math.sqrt(1 / (1 + mvf / avf)) if avf > 0 else NAN


def min_axon_px(um_per_px: float) -> int:
    """Return the area in px below which a component of the axon class is a speck, at a pixel size in µm/px.

    `MIN_AXON_PX`, or below 0.063 µm/px the area of a disc of `THINNEST_AXON_UM`.

    >>> min_axon_px(0.1), min_axon_px(0.01)
    (8, 315)
    """
    return max(MIN_AXON_PX, math.ceil(math.pi * (THINNEST_AXON_UM / um_per_px / 2) ** 2))


def _statistics(table: pd.DataFrame) -> dict[str, float]:
    found = {"mean": table.mean(), "median": table.median(), "sd": table.std()}
    return {f"{column}_{name}": float(values[column]) for column in table for name, values in found.items()}


def _axon_table(axons: np.ndarray, um_per_px: float) -> pd.DataFrame:
    import pandas as pd  # half a second, which importing the core need not cost

    properties = ("label", "centroid", "area", "perimeter", "eccentricity", "solidity")
    table = pd.DataFrame(regionprops_table(axons, properties=properties))
    table["axon_area_um2"] = table.pop("area") * um_per_px**2
    table["axon_perimeter_um"] = table.pop("perimeter") * um_per_px
    table["axon_diameter_um"] = _diameter(table["axon_area_um2"])
    table["fibre"] = np.arange(1, len(table) + 1)
    return table.rename(columns={"centroid-0": "y_px", "centroid-1": "x_px"})


def _with_sheath(table: pd.DataFrame) -> pd.DataFrame:
    table["fibre_area_um2"] = table["axon_area_um2"] + table["myelin_area_um2"]
    table["fibre_diameter_um"] = _diameter(table["fibre_area_um2"])
    table["myelin_thickness_um"] = (table["fibre_diameter_um"] - table["axon_diameter_um"]) / 2
    table["g_ratio"] = table["axon_diameter_um"] / table["fibre_diameter_um"]
    table[SHEATH] = table[SHEATH].where(table["myelin_area_um2"] > 0)
    return table


def _diameter(area: pd.Series) -> pd.Series:
    return 2 * np.sqrt(area / np.pi)


def _at_border(labels: np.ndarray) -> np.ndarray:
    """Return the labels that occur in the outermost rows and columns."""
    return np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
