"""Run the notebooks by papermill: one process each, finished stages skipped, an HTML copy beside each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TextIO

import nbformat
import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from histobridge.data.manifest import ROOT
from histobridge.errors import UserError
from histobridge.io.files import file_lock, write_text
from histobridge_study.grid import Plan
from histobridge_study.parameters import Parameters
from histobridge_study.provenance import available_cores
from histobridge_study.runs import Run, open_run

NOTEBOOKS = ROOT / "notebooks"
STAGES = ("01_data", "02_translate", "03_label", "04_refine")
CHATTER = (
    "Select jobs",
    "Execute ",
    "Touching output",
    "Finished jobid",
    "[",
    "Building DAG",
    "Using ",
    "Provided",
    "host:",
    "Assuming ",
    "Rules claiming",
    "RuleException",
    "CalledProcessError",
    "Command '",
    "WorkflowError",
    "At least one",
)
"""How the lines of Snakemake begin that tell a user nothing."""


class Prefixed:
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


def run_fold(parameters: Parameters) -> Run:
    """Run the notebooks of one pair and fold, 04 is of all; see `run_stage`."""
    for stage in STAGES:
        run = run_stage(stage, parameters)
    return run


def run_stage(stage: str, parameters: Parameters, *, told: TextIO = sys.stdout) -> Run:
    """Run one of the notebooks of a pair and fold, unless it is finished with the same settings.

    Raises
    ------
    UserError
        If the notebook stops at a mistake the user can mend; what the stage has done so far is kept.
    """
    run = open_run(parameters.model_dump())
    _ = run.split  # a fold or dataset that is not there stops here, not in a notebook
    run.refuse_unscored()
    folder = run.stage_folder(stage)
    what = f"{stage}: {parameters.pair}, {parameters.protocol}, fold {parameters.fold}"
    with file_lock(folder / f".{stage}.lock"):
        if run.finished(stage):
            print(f"{what}: finished before, skipped", file=told, flush=True)
            copy = folder / f"{stage}.ipynb"
            if copy.exists() and not copy.with_suffix(".html").exists():
                write_html(copy)  # killed between the two
        else:
            print(what, file=told, flush=True)
            execute(stage, folder, parameters.model_dump(), told=told)
    return run


def run_graph(plan: Plan, *, cores: int | None = None, mirror: Path | None = None, dry_run: bool = False) -> bool:
    """Run a plan by Snakemake, as many jobs at once as cores allow; return whether all jobs succeeded.

    Raises
    ------
    UserError
        If another process is at work on the same profile in the same folder.
    """
    config = {"profile": plan.profile, "split": plan.split, "seed": plan.seed, **plan.places}
    config |= {k: ",".join(map(str, v)) for k in ("pairs", "protocols", "folds") if (v := getattr(plan, k))}
    config |= {"mirror": str(mirror.resolve())} if mirror else {}
    config["cores"] = cores or available_cores()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(plan.folder), "--profile", str(ROOT / "profiles" / "local")]
    command += ["--cores", str(config["cores"]), *(["--dry-run"] if dry_run else [])]
    command += ["--config", *(f"{k}={v}" for k, v in config.items())]
    plan.folder.mkdir(parents=True, exist_ok=True)
    with file_lock(plan.folder / ".study.lock", wait=False) as lock:
        inherited = {"pass_fds": [lock.fileno()]} if lock else {}  # Snakemake may outlive this process
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, bufsize=1, **inherited) as batch:
            for line in batch.stderr:
                if not line.startswith(CHATTER):
                    print(line, end="", flush=True)
        return batch.returncode == 0


def report(plan: Plan) -> Path:
    """Run notebook 04 over everything found of the plan's profile and seed; return the path of its HTML."""
    return execute("05_report", plan.folder / "report", {**plan.places, "profile": plan.profile, "seed": plan.seed})


def execute(stage: str, folder: Path, parameters: dict, *, told: TextIO = sys.stdout) -> Path:
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
            stdout_file=told,
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
