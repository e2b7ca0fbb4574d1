"""The study as a graph of jobs: resumed after a kill, and rerun where a setting changed and nowhere else."""

import io
import json
import os
import random
import re
import shutil
import subprocess
import sys

import papermill
import pytest
import yaml
from papermill.exceptions import PapermillExecutionError

from histobridge.errors import UserError
from histobridge.io.files import file_lock, write_json
from histobridge_study.execute import WORKFLOW, PrefixedStream, notebook_folder, run_grid, run_stage
from histobridge_study.grid import Grid
from histobridge_study.report.collect import collect

PLANNED = re.compile(r"^(look|translate|label|refine)\s+(\d+)$", re.M)


def collected(out, study):
    """Return what the tiny study has left in a folder."""
    return collect("tiny", out=str(out), data=str(out / "data"), study_file=str(study))


def test_a_failed_job_stops_no_other_and_the_report_is_written(finished, tiny_study):
    """Fold 99 does not exist: the output says so, the exit code is 1, and folds 0 and 1 are in the tables."""
    out, ended, _ = finished
    assert ended.returncode == 1, ended.stdout
    assert "There is no fold 99" in ended.stdout
    assert "Not finished (the reason stands above): phantom-sem transductive 99" in ended.stdout
    assert set(collected(out, tiny_study).rows["dice"]["fold"]) == {0, 1}
    assert (out / "tiny" / "report" / "05_report.html").exists()


def test_progress_names_the_job_and_counts_the_steps(finished):
    """Lines of parallel jobs begin with the pair and fold, and Snakemake counts its jobs."""
    printed = finished[1].stdout
    assert re.search(r"^phantom-sem transductive fold 1 \| .*step \d+ of \d+, .* min left", printed, re.M)
    assert re.search(r"^\d+ of \d+ steps \(\d+%\) done", printed, re.M)


def test_every_strategy_is_in_the_table(finished, tiny_study):
    """There is one row an image and class of every method, with a Dice in 0..1."""
    rows = collected(finished[0], tiny_study).rows["dice"]
    methods = {("pretrained", "none"), ("supervised", "none"), ("reference", "none")}
    methods |= {(strategy, "syndiff") for strategy in ("adaptation", "tutorship", "refined")}
    assert set(zip(rows["strategy"], rows["translator"], strict=True)) == methods
    assert rows["dice"].between(0, 1).sum() > 100


def test_a_finished_study_runs_nothing_again(finished, in_a_process):
    """Started again, it trains nothing, prints the table of Dice and where the report is, and exits with 0."""
    ended = in_a_process("study", finished[0])
    assert ended.returncode == 0, ended.stdout
    assert "step 1 of" not in ended.stdout
    assert "mean over subjects" in ended.stdout and "05_report.html" in ended.stdout


def test_a_finished_stage_is_skipped(tmp_path):
    """It is not executed: there is no notebook in its folder."""
    run, printed = Grid("smoke", out=str(tmp_path)).run("phantom-sem", "transductive", 0), io.StringIO()
    run.stage("03_label").finish()
    run_stage(run, "03_label", stream=printed)
    assert printed.getvalue().endswith("finished before, skipped\n")
    assert not list(tmp_path.rglob("*.ipynb"))


@pytest.fixture
def jobs_planned(finished, tiny_study, in_a_process, tmp_path):
    """A function that changes one section of the tiny study, and counts the jobs that a dry run would start."""

    def count(section=(), **change):
        copy = shutil.copytree(tiny_study.parent, tmp_path / "changed") / tiny_study.name
        study = part = yaml.safe_load(copy.read_text())
        for name in section:
            part = part[name]
        part |= change
        copy.write_text(yaml.safe_dump(study))
        planned = in_a_process("study", finished[0], "--study", copy, "--dry-run")
        assert planned.returncode == 0, planned.stdout
        return {kind: int(jobs) for kind, jobs in PLANNED.findall(planned.stdout)}

    return count


def test_newer_notebooks_and_other_words_run_nothing(jobs_planned):
    """Neither the text of a notebook nor a description of the study file decides a result."""
    times = {path: path.stat() for path in notebook_folder().glob("*.ipynb")}
    try:
        for path in times:
            os.utime(path)
        assert jobs_planned(["pairs", "phantom-sem"], shift="reworded") == {}
    finally:
        for path, then in times.items():
            os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


@pytest.mark.parametrize(
    ("section", "change", "planned"),
    [
        (["profiles", "tiny"], {"student_steps": 16}, {"label": 2, "refine": 2}),
        (["pairs", "phantom-sem"], {"polarity": -1}, {"look": 1, "translate": 1, "label": 2, "refine": 2}),
    ],
)
def test_a_changed_setting_runs_what_depends_on_it(jobs_planned, section, change, planned):
    """Snakemake plans the jobs whose folders are new, and no others (see test_runs.py)."""
    assert jobs_planned(section, **change) == planned


@pytest.mark.slow
def test_a_study_killed_at_random_ends_with_the_same_tables(finished, in_a_process, tiny_study, tmp_path):
    """After SIGKILL to all processes, three times, it ends with equal tables, bit for bit."""
    out, _, seconds = finished
    rng = random.Random(0)
    for _ in range(3):
        in_a_process("study", tmp_path, kill_after=rng.uniform(0.15, 0.5) * seconds)
    ended = in_a_process("study", tmp_path)
    assert ended.returncode == 0, ended.stdout
    whole, resumed = (collected(folder, tiny_study).rows for folder in (out, tmp_path))
    for table in ("dice", "translation", "trust", "morphometrics"):
        assert whole[table].to_csv() == resumed[table].to_csv()


@pytest.mark.slow
def test_two_thousand_jobs_are_planned_in_little_memory(tmp_path):
    """A dry run of 3 pairs, 2 protocols and 220 folds needs less than 1 GiB."""
    program = (
        "import resource, sys; from histobridge_study.execute import run_grid;"
        "from histobridge_study.grid import Grid;"
        "grid = Grid('smoke', protocols=('transductive', 'inductive'), folds=tuple(range(220)), out=sys.argv[1]);"
        "assert run_grid(grid, dry_run=True);"
        "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert sum(int(count) for _, count in PLANNED.findall(done.stdout)) > 1900
    assert float(done.stdout.split("peak ")[1]) < 1.0


def test_two_studies_do_not_share_a_folder(tmp_path):
    """The second is refused while the first is running."""
    grid = Grid("smoke", pairs=("phantom-sem",), out=str(tmp_path))
    with file_lock(grid.folder / ".study.lock"), pytest.raises(UserError, match="Another process"):
        run_grid(grid, dry_run=True)


def test_lines_of_parallel_jobs_carry_a_prefix():
    """Only whole lines are written, each with its prefix."""
    written = io.StringIO()
    stream = PrefixedStream(written, "fold 1")
    stream.write("step 1\nst")
    stream.write("ep 2\n")
    assert written.getvalue() == "fold 1 | step 1\nfold 1 | step 2\n"


def test_a_mistyped_parameter_stops_the_notebook(tmp_path):
    """papermill only warns about a name that the notebook does not know; the notebook refuses it."""
    source, copy = notebook_folder() / "01_data.ipynb", tmp_path / "copy.ipynb"
    options = dict(progress_bar=False, kernel_name="python3")
    with pytest.raises(PapermillExecutionError, match=r"epochs.*Known names"):
        papermill.execute_notebook(source, copy, parameters={"epochs": 3, "out": str(tmp_path)}, **options)


@pytest.fixture
def stub_sbatch(tmp_path):
    """A folder with an `sbatch` that runs the job script here, and notes what it was asked for."""
    script = tmp_path / "bin" / "sbatch"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nfor script; do :; done\nsh "$script" >&2 & echo 7\n')
    script.chmod(0o755)
    return script.parent


def test_a_cluster_runs_the_same_jobs(stub_sbatch, tmp_path):
    """A stub of sbatch is given the job script with the resources that it needs, and the job is seen to end."""
    grid = Grid("smoke", ("phantom-sem",), folds=(0,), out=str(tmp_path / "out"), data=str(tmp_path / "data"))
    config = write_json(tmp_path / "config.json", {**grid.config, "gpu": 1})
    command = [sys.executable, "-m", "snakemake", "--snakefile", WORKFLOW / "Snakefile", "--configfile", config]
    command += ["--profile", WORKFLOW / "profiles" / "slurm", "--latency-wait", "1", "--until", "look"]
    command += ["--seconds-between-status-checks", "1"]
    environment = os.environ | {"PATH": f"{stub_sbatch}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(grid.run("phantom-sem", "transductive", 0).stage("01_data").record_file.read_text())
    assert record["images"] == {"L": 10, "U": 10}
    asked = (tmp_path / "asked").read_text()
    assert "--job-name=histobridge-look" in asked and "--gres=gpu:0" in asked
