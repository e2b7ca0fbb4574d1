"""Run the notebooks by papermill, one process each, and the whole grid of them by Snakemake."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import TextIO

import nbformat
import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from histobridge.errors import UserError
from histobridge.io.files import file_lock, write_text
from histobridge.machine import available_cores
from histobridge_study.grid import Grid
from histobridge_study.runs import Run

REPORT = "05_report"
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
            notebook_folder() / f"{notebook}.ipynb",
            copy,
            parameters=parameters,
            progress_bar=False,
            stdout_file=stream,
            kernel_name="python3",
            extra_arguments=["--log-level=40"],  # of the kernel: no warning about its local connection
        )
    except PapermillExecutionError as error:
        if error.ename in ("UserError", "PolarityError"):
            raise UserError(f"{error.evalue} (Executed so far: {copy})") from None
        raise
    except OSError as error:
        raise UserError(
            f"Could not write {copy} ({error.strerror}): free some space or choose another --out."
        ) from error
    return write_html(copy)


def write_html(notebook: Path) -> Path:
    """Write an executed notebook as a self-contained HTML page beside it."""
    exporter = HTMLExporter(embed_images=True, mathjax_url="", require_js_url="")  # load nothing from a network
    page, _ = exporter.from_notebook_node(nbformat.read(notebook, as_version=4))
    return write_text(notebook.with_suffix(".html"), page)


def run_grid(grid: Grid, *, cores: int | None = None, dry_run: bool = False) -> bool:
    """Run a grid by Snakemake, as many jobs at once as cores allow; return whether all jobs succeeded.

    Raises
    ------
    UserError
        If another process is at work on the same profile in the same folder.
    """
    places = {"study_file" if name == "study" else name: value for name, value in grid.places.items() if value}
    config = {"profile": grid.profile, "split": grid.split, "seed": grid.seed, **places}
    config |= {k: ",".join(map(str, v)) for k in ("pairs", "protocols", "folds") if (v := getattr(grid, k))}
    config["cores"] = cores or available_cores()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(WORKFLOW / "Snakefile")]
    command += ["--directory", str(grid.folder), "--profile", str(WORKFLOW / "profiles" / "local")]
    command += ["--cores", str(config["cores"]), *(["--dry-run"] if dry_run else [])]
    command += ["--config", *(f"{k}={v}" for k, v in config.items())]
    grid.folder.mkdir(parents=True, exist_ok=True)
    with file_lock(grid.folder / ".study.lock", wait=False):
        return subprocess.run(command, check=False).returncode == 0
