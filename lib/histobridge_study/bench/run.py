"""One benchmark: every stage in a process of its own, one after another, then the tables."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd

from histobridge.io.files import write_json, write_table
from histobridge.io.progress import Report
from histobridge_study.bench import growth
from histobridge_study.bench.peaks import Peaks, best_convolution, peaks
from histobridge_study.bench.stages import STAGES, profile
from histobridge.machine import peak_memory_gib
from histobridge_study.provenance import origin


def benchmark(reports: Path, *, quick: bool = False, report: Report = print) -> pd.DataFrame:
    """Measure everything; write four tables (`bench*`), and return the table of the stages.

    Parameters
    ----------
    reports : Path
        Folder for the tables.
    quick : bool
        Small images and few repeats: a minute or two instead of twenty.
    report : callable
        Called with a line when something begins.
    """
    report("peaks of this machine")
    found, _ = file_lock(peaks)
    rows = [row for function in STAGES for row in _measured(function, quick, report)]
    table = write_table(reports / "bench.csv", shares(pd.DataFrame(rows), found).round(6))
    write_table(reports / "bench_growth.csv", pd.DataFrame(_growth(quick, report)).round(6))
    report("profile of a training step")
    write_table(reports / "bench_profile.csv", file_lock(profile)[0].round(6))
    write_json(reports / "bench.json", origin(quick=quick, peaks_gflop_per_s=found))
    return table


def shares(table: pd.DataFrame, found: Peaks) -> pd.DataFrame:
    """Add what follows from the rows of the stages: rates, the share of the measured peak, the gain over plain.

    Parameters
    ----------
    table : DataFrame
        Rows of `stages`.
    found : dict
        GFLOP/s by name, from `peaks`.
    """
    rate = table["gflop"] / table["seconds"]
    return table.assign(
        per_second=table["amount"] / table["seconds"],
        gflop_per_s=rate,
        share_of_peak=rate / best_convolution(found),
        times_plain=table["plain_seconds"] / table["seconds"],
    )


def file_lock(function: Callable, *args) -> tuple:
    """Call a function in a new process; return its result and the peak memory of that process (GiB)."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_with_peak, function, args).result()


def _with_peak(function: Callable, args: tuple) -> tuple:
    return function(*args), peak_memory_gib()


def _measured(function: Callable, quick: bool, report: Report) -> list[dict]:
    report(function.__doc__.splitlines()[0])
    rows, peak = file_lock(function, quick)
    return [{"peak_memory_gib": peak} | row for row in rows]


def _growth(quick: bool, report: Report) -> Iterator[dict]:
    sizes = {growth.image_side: growth.SIDES, growth.images: growth.COUNTS, growth.jobs: growth.COUNTS}
    for function, steps in sizes.items():
        for size in steps[:3] if quick else steps:
            report(f"{function.__name__} {size}")
            took, peak = file_lock(function, size)
            yield {"what": function.__name__, "size": size, "seconds": took, "peak_memory_gib": peak}
