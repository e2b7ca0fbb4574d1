"""Measures of fibres under the column names that AxonDeepSeg 5 writes, for scripts that read its files.

The conventions are the same (see `histobridge.metrics.morphometrics`), except that here touching fibres share out
their myelin by the distance from the background, so that their sheaths differ a little where they touch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from skimage.measure import regionprops_table

from histobridge.classes import AXON
from histobridge.io.files import write_text
from histobridge.metrics.morphometrics import fibres_with_map

MASK_ENDING, ENDING = "_seg-axonmyelin", "_axon_morphometrics.csv"
"""What AxonDeepSeg appends to the name of an image, for its mask and for its table."""
NAMES = {
    "x_px": "x0 (px)",
    "y_px": "y0 (px)",
    "g_ratio": "gratio",
    "axon_area_um2": "axon_area (um^2)",
    "axon_perimeter_um": "axon_perimeter (um)",
    "myelin_area_um2": "myelin_area (um^2)",
    "axon_diameter_um": "axon_diam (um)",
    "myelin_thickness_um": "myelin_thickness (um)",
    "fibre_area_um2": "axonmyelin_area (um^2)",
    "fibre_perimeter_um": "axonmyelin_perimeter (um)",
    "solidity": "solidity",
    "eccentricity": "eccentricity",
    "orientation": "orientation",
    "image_border_touching": "image_border_touching",
    "bbox-0": "bbox_min_y",
    "bbox-1": "bbox_min_x",
    "bbox-2": "bbox_max_y",
    "bbox-3": "bbox_max_x",
}
"""Columns here and in AxonDeepSeg, in its order."""


def axondeepseg_table(mask: np.ndarray, um_per_px: float) -> pd.DataFrame:
    """Measure every fibre of a class mask, with the columns of AxonDeepSeg.

    Parameters
    ----------
    mask : ndarray
        uint8 `[H, W]` of classes 0, 1, 2.
    um_per_px : float
        Pixel size, µm/px.

    Returns
    -------
    DataFrame
        A row for each axon, and the columns `NAMES`. Orientation (radians) is that of the axon, the bounding box
        (px) that of the whole fibre, and its end is excluded. Of an axon without a sheath, what is said of that is NaN.

    Raises
    ------
    UserError
        If the pixel size is missing or not a positive number.
    """
    table, territory, numbers = fibres_with_map(mask, um_per_px)
    whole = pd.DataFrame(regionprops_table(territory, properties=("label", "bbox", "perimeter"))).set_index("label")
    axons = np.where(mask == AXON, territory, 0)
    turned = pd.DataFrame(regionprops_table(axons, properties=("label", "orientation"))).set_index("label")
    added = whole.join(turned).loc[numbers].reset_index(drop=True)
    table = table.join(added).assign(fibre_perimeter_um=added["perimeter"] * um_per_px)
    bare = table["myelin_area_um2"] == 0
    table.loc[bare, ["myelin_area_um2", "fibre_perimeter_um"]] = np.nan
    return table[list(NAMES)].rename(columns=NAMES)


def write_axondeepseg(path: Path, table: pd.DataFrame) -> None:
    """Write a table as AxonDeepSeg does: numbers of rows in the first column, which has no name, and NaN in words."""
    write_text(path, table.to_csv(na_rep="NaN"))
