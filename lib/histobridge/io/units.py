"""Units of length, and pixel sizes that are stated in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from histobridge.errors import UserError

UM = {"m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4}
"""Length of the units in BIDS and OME files, in µm; both Unicode characters for micro are in use."""

SQUARE = 0.01
"""The largest relative difference between the sides of a pixel that counts as square."""

LARGEST = 1e12
"""No pixel size is larger, in any unit; and an integer of thousands of digits is no number to calculate with."""


@dataclass(frozen=True)
class DeclaredSize:
    """The pixel size that an image file declares.

    Attributes
    ----------
    source : str
        Which metadata give it: "OME metadata" or "ImageJ metadata".
    um_per_px : float or None
        µm/px of both sides; None if what is declared cannot be used.
    fault : str
        Why it cannot be used, in a sentence.
    """

    source: str
    um_per_px: float | None = None
    fault: str = ""


def in_um(size: float, unit: str) -> float:
    """Convert a size from one of the units of `UM` to µm, without a rounding error in the last digit.

    >>> in_um(4.93, "nm")
    0.00493
    """
    return float(f"{size * UM[unit]:.12g}")


def square_side(sides: Sequence[tuple[float, str]], source: object) -> float:
    """Return the side of a square pixel, µm.

    Parameters
    ----------
    sides : sequence of (float, str)
        Width and height, each with its unit.
    source : object
        What the error message names: the file that states them.

    Raises
    ------
    UserError
        If a unit is unknown, or the sides are no positive numbers, or differ by more than 1 %.

    >>> square_side([(130, "nm"), (0.13, "um")], "a.json")
    0.13
    """
    for _, unit in sides:
        if not isinstance(unit, str) or unit not in UM:
            raise UserError(f"{source} gives a pixel size in '{unit}': write one of {', '.join(UM)}.")
    if not all(type(side) in (int, float) and abs(side) < LARGEST for side, _ in sides):
        given = ", ".join(str(side) for side, _ in sides)
        raise UserError(f"{source} gives the pixel size '{given:.100}': write two numbers.")
    width, height = (in_um(side, unit) for side, unit in sides)
    if not (width > 0 and math.isclose(width, height, rel_tol=SQUARE)):
        raise UserError(f"{source} gives pixels of {width:g} × {height:g} µm: only square ones can be used.")
    return width
