"""The parameters of the notebooks: what papermill may set, checked. A notebook hands over its `globals()`."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from histobridge.config import Strict, validated
from histobridge.data.folds import Protocol


class ReportParameters(Strict):
    """The parameters of notebook 05.

    Attributes
    ----------
    profile : str
        Of the study file.
    seed : int
        Added to the seed of the profile.
    out, data : str
        Folders for everything that runs make, and for datasets.
    study : str
        The study file; empty for that of the package.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    profile: str
    seed: int = Field(default=0, ge=0)
    out: str = "runs"
    data: str = "data"
    study: str = ""


class Parameters(ReportParameters):
    """The parameters of notebooks 01 to 04: one pair, protocol and fold under a profile."""

    pair: str
    fold: int = 0
    protocol: Protocol = "transductive"
    split: Literal["development", "locked-test"] = "development"


def parameters_of(namespace: dict, model: type[ReportParameters], *, opened: str) -> ReportParameters:
    """Check the parameters in the `globals()` of a notebook.

    Parameters
    ----------
    namespace : dict
        Of which the plain literals count.
    model : type
        `Parameters` or `ReportParameters`.
    opened : str
        The variable that the notebook assigns the result to. Once it exists, only known names count: a notebook that
        is run again by hand holds the names of its later cells too.

    Raises
    ------
    UserError
        If a parameter is unknown or of the wrong type.
    """
    found = literals(namespace)
    if opened in namespace:
        found = {name: value for name, value in found.items() if name in model.model_fields}
    return validated(model, found, "The parameters")


def literals(namespace: dict) -> dict:
    """Return the plain literals of a notebook's `globals()`, without IPython's own.

    >>> literals({"fold": 1, "_i": "x", "In": [], "np": object()})
    {'fold': 1}
    """
    plain = (str, int, float, bool, list, dict, tuple, type(None))
    ipython = ("In", "Out")
    return {k: v for k, v in namespace.items() if isinstance(v, plain) and k[0] != "_" and k not in ipython}
