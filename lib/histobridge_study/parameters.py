"""The parameters of the notebooks: what papermill may set, checked; a notebook hands over its `globals()`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from histobridge.config import Strict, validated
from histobridge.data.folds import Protocol
from histobridge_study.config import ROOT, profile_of


class Parameters(Strict):
    """The parameters of all notebooks but 04; relative folders count from the repository, wherever a notebook runs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pair: str
    profile: str
    fold: int = 0
    protocol: Protocol = "transductive"
    split: Literal["development", "locked-test"] = "development"
    seed: int = Field(default=0, ge=0)
    out: str = "runs"
    data: str = "data"


class ReportParameters(Strict):
    """The parameters of notebook 04."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    profile: str
    seed: int = Field(default=0, ge=0)
    out: str = "runs"
    data: str = "data"

    @property
    def folder(self) -> Path:
        """The folder of the profile's runs."""
        return ROOT / self.out / self.profile


def open_report(parameters: dict) -> ReportParameters:
    """Check the parameters of notebook 04, `globals()` in a notebook, and return them.

    Raises
    ------
    UserError
        If one is unknown or of the wrong type, or names no profile.
    """
    given = validated(ReportParameters, fresh(parameters, "given", ReportParameters), "The parameters")
    profile_of(given.profile)
    return given


def fresh(namespace: dict, opened: str, model: type[Strict]) -> dict:
    """Return the literals that may be parameters: all of them, but once `opened` exists only the known ones.

    A notebook run again by hand holds the names of its later cells too.
    """
    found = literals(namespace)
    return {k: v for k, v in found.items() if k in model.model_fields} if opened in namespace else found


def literals(namespace: dict) -> dict:
    """Return the plain literals of a notebook's `globals()`, without IPython's own.

    >>> literals({"fold": 1, "_i": "x", "In": [], "np": object()})
    {'fold': 1}
    """
    plain = (str, int, float, bool, list, dict, tuple, type(None))
    own = ("In", "Out")
    return {k: v for k, v in namespace.items() if isinstance(v, plain) and k[0] != "_" and k not in own}
