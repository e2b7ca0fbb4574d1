"""Measure the fibres of many masks: one table of fibres, one of images."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path

import numpy as np
import pandas as pd

from histobridge.axondeepseg import ENDING, MASK_ENDING, axondeepseg_table, write_axondeepseg
from histobridge.errors import UserError, check_pixel_size
from histobridge.io.files import write_table
from histobridge.io.limits import check_memory
from histobridge.io.masks import read_mask
from histobridge.items import Account
from histobridge.metrics.morphometrics import fibre_summary, fibres

DECIMALS = 5
"""Of a µm: what lies beyond is far below a pixel."""
PIXEL_UM = 0.0003, 4.0
"""Pixel sizes, µm/px, of microscopes that show fibres. At 0.3 nm an electron microscope resolves atoms; at 4 µm the
thickest axons of mammals, of 20 µm, are five pixels wide. Another one is in nm or mm."""
WIDEST_UM = 100_000
"""Of a field of view. A slide is 75 mm long."""
THICKEST_AXON_UM = 200
"""Ten times the thickest axon of mammals: what is larger was measured at a wrong pixel size."""
BYTES_PER_PX = 40
"""Memory that measuring takes."""


def measure_masks(masks: Iterable[tuple[dict, np.ndarray]], um_per_px: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure class masks.

    Parameters
    ----------
    masks : iterable of (dict, ndarray)
        The columns that name a mask in both tables, and the mask, uint8 [H, W].
    um_per_px : float
        Pixel size, µm/px.

    Returns
    -------
    fibres, images : DataFrame
        A row a fibre (`morphometrics.fibres`), and a row a mask (`morphometrics.fibre_summary`).

    Raises
    ------
    UserError
        If the pixel size is missing or not a positive number.
    """
    return _tables([_measured(names, mask, um_per_px) for names, mask in masks])


def measure_files(
    paths: Iterable[Path], um_per_px: float | None, to: Path, *, axondeepseg: bool = False
) -> tuple[pd.DataFrame, Account]:
    """Measure mask files (0, 127, 255), one at a time; write fibres.csv and summary.csv to a folder.

    Parameters
    ----------
    paths : iterable of Path
    um_per_px : float
        Pixel size of all masks, µm/px.
    to : Path
    axondeepseg : bool
        Whether to write also a table with AxonDeepSeg's column names for each mask, `NAME_axon_morphometrics.csv`.

    Returns
    -------
    summary : DataFrame
        A row a mask, with a column `remark`; empty, and nothing is written, if no file can be measured.
    account : Account
        Which files were measured, and why the others could not be.

    Raises
    ------
    UserError
        If the pixel size (µm/px) is missing or none of a microscope (`PIXEL_UM`).
    """
    paths, account, measured, used = list(paths), Account(), [], set()
    check_pixel_size(um_per_px, paths[0])
    _check_plausible(um_per_px)
    for path in paths:
        with account.item(path):
            mask, remark = _read(path)
            _check_field(mask.shape, um_per_px, path)
            check_memory(BYTES_PER_PX * mask.size, path)
            single, whole = _measured({"mask": str(path)}, mask, um_per_px)
            _check_axons(single, path)
            if axondeepseg:
                write_axondeepseg(_unused(to, path, used), axondeepseg_table(mask, um_per_px).round(DECIMALS))
            measured.append((single, whole | {"remark": remark}))
    if not measured:
        return pd.DataFrame(), account
    tables = _tables(measured)
    for name, table in zip(("fibres", "summary"), tables, strict=True):
        write_table(to / f"{name}.csv", table)
    return tables[1], account


def _unused(to: Path, mask: Path, used: set[Path]) -> Path:
    """Return the file for AxonDeepSeg's columns: the name of the image, with a number if masks have the same name."""
    name = mask.stem.removesuffix(MASK_ENDING)
    candidates = chain([name], (f"{name}-{number}" for number in count(2)))
    path = next(path for one in candidates if (path := to / f"{one}{ENDING}") not in used)
    used.add(path)
    return path


def _read(path: Path) -> tuple[np.ndarray, str]:
    """Read a mask file, and what is to be told about it."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is a folder, or no ordinary file: name mask files.")
    mask, remarks = read_mask(path)
    return mask, "; ".join(remarks)


def _measured(names: dict, mask: np.ndarray, um_per_px: float) -> tuple[pd.DataFrame, dict]:
    """Return the rows of the fibres of one mask, and the row of the mask."""
    found = fibres(mask, um_per_px)
    named = pd.DataFrame({name: [value] * len(found) for name, value in names.items()})
    return named.join(found), {**names, **fibre_summary(mask, found, um_per_px)}


def _tables(measured: list[tuple[pd.DataFrame, dict]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    of_fibres = [single for single, _ in measured]
    filled = [table for table in of_fibres if len(table)] or of_fibres[:1]  # empty ones would change types of columns
    return pd.concat(filled, ignore_index=True).round(DECIMALS), pd.DataFrame([row for _, row in measured]).round(
        DECIMALS
    )


# --- Pixel sizes that cannot be ----------------------------------------------------------------------------


def _check_plausible(um_per_px: float) -> None:
    finest, coarsest = PIXEL_UM
    if not finest <= um_per_px <= coarsest:
        unit = "nm" if um_per_px > coarsest else "mm"
        raise UserError(
            f"--um-per-px {um_per_px:g} cannot be: microscopes that show fibres have {finest:g} to {coarsest:g} µm/px. "
            f"State it in µm; is it in {unit}?"
        )


def _check_field(shape: tuple[int, int], um_per_px: float, path: Path) -> None:
    if (side := max(shape) * um_per_px) > WIDEST_UM:
        raise UserError(f"{path} would show {side / 1000:.3g} mm at {um_per_px:g} µm/px, more than a slide: mend it.")


def _check_axons(table: pd.DataFrame, path: Path) -> None:
    if (thickest := table["axon_diameter_um"].max()) > THICKEST_AXON_UM:
        raise UserError(
            f"{path} would have an axon of {thickest:.3g} µm, and none of a mammal has more than 20: is the pixel size "
            "in nm? State it in µm."
        )
