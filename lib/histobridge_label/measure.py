"""The fibres of a hand-off, or of mask files, measured and written as tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from histobridge.errors import check_pixel_size
from histobridge.io.files import write_table
from histobridge.io.masks import read_mask
from histobridge.metrics.tables import fibre_tables
from histobridge_label.export import Handoff, names


def measure_handoff(handoff: Handoff, out: Path) -> pd.DataFrame:
    """Measure the labels of a hand-off; write fibres.csv and morphometrics.csv, and return the latter."""
    tables = []
    for row in handoff.images.itertuples():  # pixel sizes may differ
        mask = read_mask(handoff.file(row.image, names.COMBINED))[0]
        tables.append(fibre_tables([({"image": row.image}, mask)], row.um_per_px))
    fibres, images = (pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    write_table(out / "fibres.csv", fibres)
    return write_table(out / "morphometrics.csv", images)


def measure_files(paths: Iterable[Path], um_per_px: float, out: Path) -> pd.DataFrame:
    """Measure mask files (0, 127, 255) of one pixel size; write fibres.csv and summary.csv, and return the latter.

    Raises
    ------
    UserError
        If the pixel size (µm/px) is not a positive number, or a file is not a mask.
    """
    paths = list(paths)
    check_pixel_size(um_per_px, paths[0])
    fibres, images = fibre_tables((({"mask": str(path)}, read_mask(path)[0]) for path in paths), um_per_px)
    write_table(out / "fibres.csv", fibres)
    return write_table(out / "summary.csv", images)
