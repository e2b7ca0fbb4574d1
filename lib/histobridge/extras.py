"""Packages that only some commands need, and the sentence that is said where they are missing.

`pip install histobridge` brings what reads, measures and corrects. `pip install "histobridge[label]"` brings the rest
of the label tool, and so on: see `[project.optional-dependencies]` in pyproject.toml.
"""

from __future__ import annotations

from histobridge.errors import UserError

EXTRAS = {
    "label": (
        "jinja2",
        "lightning_fabric",
        "markupsafe",
        "matplotlib",
        "matplotlib_scalebar",
        "monai",
        "rasterio",
        "roifile",
        "torch",
    ),
    "study": (
        "bs4",
        "ipywidgets",
        "IPython",
        "jupyterlab",
        "nbconvert",
        "nbformat",
        "papermill",
        "seaborn",
        "snakemake",
    ),
    "export": ("bioimageio", "onnx", "onnxruntime"),
    "napari": ("PySide6", "magicgui", "napari", "qtpy"),
}
"""Modules that each extra brings."""


def missing_extra(error: ModuleNotFoundError) -> UserError | None:
    """Return the sentence about a module that cannot be found; None if no extra brings it: a fault of this program.

    >>> print(missing_extra(ModuleNotFoundError(name="torch")))
    This needs torch, which is not installed: pip install "histobridge[label]"
    """
    module = (error.name or "").split(".")[0]
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    if extra is None:
        return None
    return UserError(f'This needs {module}, which is not installed: pip install "histobridge[{extra}]"')
