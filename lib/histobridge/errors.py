"""The exceptions for what a user can correct."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from numbers import Real


class UserError(Exception):
    """A mistake that the user can correct; the command line prints it without a traceback and exits with code 2.

    The message is one sentence (or two): what is wrong, with the name of the file or value, and what to do.
    """


class OutputError(UserError):
    """A fault of the place where results are written, such as a full disk.

    It ends a command, whichever item was at work: see `histobridge.items`.
    """


class BrokenError(UserError):
    """A file of the program's own that is not whole, or not as it was written. What it held can be made again."""


def one_of(kind: str, name: str, valid: Iterable[str]) -> str:
    """Return `name` if it is among `valid`, else raise a `UserError` that lists the valid names.

    >>> one_of("profile", "cpu", ["smoke", "cpu"])
    'cpu'
    """
    names = sorted(valid)
    if name not in names:
        raise UserError(f"There is no {kind} '{name}'. Valid: {', '.join(names)}.")
    return name


def check_pixel_size(um_per_px: float | None, name: object) -> None:
    """Raise a `UserError` about `name` unless its pixel size (µm/px) is a positive, finite number."""
    if not isinstance(um_per_px, Real) or not 0 < um_per_px < inf:
        raise UserError(f"{name} has the pixel size {um_per_px} µm/px: state the true one, none is guessed.")
