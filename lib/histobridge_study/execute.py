"""Run the notebooks by papermill, one process each, and the whole grid of them by Snakemake."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import TextIO

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError
from psutil import Process

from histobridge.errors import UserError
from histobridge.io.files import file_lock, sweep_drafts, write_json, write_text
from histobridge.machine import available_cores
from histobridge_study.cards import card_places
from histobridge_study.grid import Grid
from histobridge_study.notebook_page import notebook_html
from histobridge_study.processes import end_tree
from histobridge_study.runs import STAGES, Run

REPORT = "05_report"
LOCK, CONFIG = ".study.lock", ".study.json"
REFUSALS = ("UserError", "OutputError", "BrokenError", "PolarityError")
"""Exceptions of a notebook that the user can mend."""
WORKFLOW = Path(str(resources.files("histobridge_study").joinpath("workflow")))


def notebook_folder() -> Path:
    """Return the folder of the notebooks: package data, or that of a checkout which is used in place."""
    installed = resources.files("histobridge_study").joinpath("notebooks")
    return Path(str(installed)) if installed.is_dir() else Path(__file__).resolve().parents[2] / "notebooks"


class PrefixedStream:
    """A text stream that begins every line with `prefix`, so that the lines of parallel jobs can be told apart."""

    def __init__(self, stream: TextIO, prefix: str):
        self.stream, self.prefix, self.rest = stream, prefix, ""

    def write(self, text: str) -> None:
        """Write the lines that are complete."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.stream.write(f"{self.prefix} | {line}\n")

    def flush(self) -> None:
        """Flush the stream; an unfinished line waits."""
        self.stream.flush()


def run_stage(run: Run, stage: str, *, stream: TextIO = sys.stdout) -> None:
    """Run one of the notebooks of a pair and fold, unless it is finished with the same settings.

    Raises
    ------
    UserError
        If the notebook stops at a mistake the user can mend; what the stage has done so far is not lost.
    """
    _ = run.data.split  # a fold or dataset that is not there stops here, not in a notebook
    run.data.refuse_unscored()
    results, p = run.stage(stage), run.parameters
    title = f"{stage}: {p.pair}, {p.protocol}, fold {p.fold}"
    with file_lock(results.folder / ".lock"):
        if results.finished:
            print(f"{title}: finished before, skipped", file=stream, flush=True)
            return
        print(title, file=stream, flush=True)
        results.set_misfits_aside()
        execute(stage, results.folder, p.model_dump(), stream=stream)


def execute_report(grid: Grid) -> Path:
    """Run notebook 05 over all finished runs of the profile and seed; return the path of its HTML."""
    parameters = {**grid.places, "profile": grid.profile, "seed": grid.seed}
    return execute(REPORT, grid.folder / "report", parameters)


def execute(notebook: str, folder: Path, parameters: dict, *, stream: TextIO = sys.stdout) -> Path:
    """Execute a notebook with parameters into `folder`, and write it as HTML too; return the path of the HTML.

    The copy is written also when a cell fails, to show where. A cell's `UserError` is raised here again.
    """
    copy = folder / f"{notebook}.ipynb"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        papermill.execute_notebook(
            _verbatim(notebook_folder() / f"{notebook}.ipynb"),
            _verbatim(copy),
            parameters=parameters,
            progress_bar=False,
            stdout_file=stream,
            kernel_name="python3",
            extra_arguments=["--log-level=40"],  # of the kernel: no warning about its local connection
        )
    except PapermillExecutionError as error:
        if error.ename in REFUSALS:
            raise UserError(f"{error.evalue} (Executed so far: {copy})") from None
        raise
    except OSError as error:
        raise UserError(
            f"Could not write {copy} ({error.strerror}): free some space or choose another --out."
        ) from error
    return write_html(copy)


def _verbatim(path: Path) -> str:
    """Return a path as papermill reads it: what stands in braces is no parameter."""
    return str(path).replace("{", "{{").replace("}", "}}")


def write_html(notebook: Path) -> Path:
    """Write an executed notebook as a self-contained HTML page beside it."""
    return write_text(notebook.with_suffix(".html"), notebook_html(nbformat.read(notebook, as_version=4)))


def run_grid(grid: Grid, *, cores: int | None = None, dry_run: bool = False) -> bool:
    """Run a grid by Snakemake, as many jobs at once as cores allow; return whether all jobs succeeded.

    Results that are not as they were written are set aside first, so that they are made anew.

    Raises
    ------
    UserError
        If a pair that is named cannot run, or another process is at work on the same profile in the same folder.
    """
    stages = {stage.folder: stage for cell in grid.cells for stage in map(grid.run(*cell).stage, STAGES)}
    with file_lock(grid.folder / LOCK, wait=False):
        if not dry_run:
            sweep_drafts(grid.folder)
            for stage in stages.values():
                stage.set_misfits_aside()
                _date_by_this_clock(stage.record_file)
        return _snakemake(grid, cores or available_cores(), dry_run=dry_run) == 0


def _date_by_this_clock(record: Path) -> None:
    """Date a record today if it has a date to come: Snakemake refuses whatever seems older than what it is made of."""
    if record.exists() and record.stat().st_mtime > time.time():
        print(f"{record} is dated in the future, which means nothing here: it is dated today.", flush=True)
        os.utime(record)


def _snakemake(grid: Grid, cores: int, *, dry_run: bool) -> int:
    """Run Snakemake in the folder of the grid; return its exit code. However this ends, no process stays at work."""
    places = card_places(grid.settings.translator)
    on_cards = {"card_places": places, "gpu": 1} if places else {}  # a place on a card is what Snakemake counts as gpu
    config = write_json(grid.folder / CONFIG, {**grid.config, "cores": cores, "front": os.getpid(), **on_cards})
    command = [sys.executable, "-m", "snakemake", "--snakefile", WORKFLOW / "Snakefile", "--configfile", config]
    command += ["--profile", WORKFLOW / "profiles" / "local", "--cores", cores, *(["--dry-run"] if dry_run else [])]
    command += ["--resources", f"gpu={len(places)}"] if places else []
    # A session of its own: a signal to the group of this process reaches this one alone, which then ends all others.
    process = subprocess.Popen(list(map(str, command)), cwd=grid.folder, start_new_session=True)
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            end_tree(Process(process.pid))
            process.wait()
        config.unlink(missing_ok=True)  # it names this process, which others must not wait for
