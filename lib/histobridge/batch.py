"""Run the notebooks by papermill: one process each, finished stages skipped, an HTML copy beside each."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from histobridge.errors import UserError
from histobridge.files import write_text
from histobridge.manifest import ROOT
from histobridge.study import Parameters, Run, open_run

NOTEBOOKS = ROOT / "notebooks"
STAGES = ("01_data", "02_translate", "03_pseudo_label")


def run_fold(parameters: Parameters) -> Run:
    """Run the notebooks 01 to 03 of one pair and fold, except those that are finished with the same settings.

    Raises
    ------
    UserError
        If a notebook stops at a mistake the user can mend; what the stage has done so far is kept.
    """
    run = open_run(parameters.model_dump())
    _ = run.split  # a fold or dataset that is not there stops here, not in a notebook
    what = f"{parameters.pair}, {parameters.protocol}, fold {parameters.fold}"
    for number, stage in enumerate(STAGES, 1):
        copy = run.stage_folder(stage) / f"{stage}.ipynb"
        if run.finished(stage):
            print(f"[{number}/3] {stage}: {what}: finished before, skipped", flush=True)
            if copy.exists() and not copy.with_suffix(".html").exists():
                write_html(copy)  # killed between the two
            continue
        print(f"[{number}/3] {stage}: {what}", flush=True)
        execute(stage, run.stage_folder(stage), parameters.model_dump())
    return run


def report(out: Path, profile: str, seed: int = 0) -> Path:
    """Run notebook 04 over everything found under `out`/`profile` of one seed; return the path of its HTML."""
    return execute("04_report", out / profile / "report", {"out": str(out), "profile": profile, "seed": seed})


def execute(stage: str, folder: Path, parameters: dict) -> Path:
    """Execute a notebook with parameters into `folder`, and write it as HTML too; return the HTML's path.

    The copy is written also when a cell fails: it shows where. A cell's `UserError` is raised here again.
    """
    copy = folder / f"{stage}.ipynb"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        papermill.execute_notebook(
            NOTEBOOKS / f"{stage}.ipynb",
            copy,
            parameters=parameters,
            progress_bar=False,
            stdout_file=sys.stdout,
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
    page, _ = HTMLExporter(embed_images=True).from_notebook_node(nbformat.read(notebook, as_version=4))
    return write_text(notebook.with_suffix(".html"), page)
